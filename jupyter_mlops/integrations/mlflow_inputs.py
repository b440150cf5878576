"""What a run depends on, as MLflow's own dataset inputs.

MLflow's digest has 36 characters at most: the first 32 hex digits of ours stand there (128 bits),
the whole of it in the source.  An input without a digest is none that MLflow could tell from
another; it is named in the tag ``mlops.inputs`` and in the run's record only.  MLflow keeps what it
is told first of a name and digest, so an input that is still being kept waits until it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from ..model.events import BEING_KEPT, InputRecord

__all__ = ["dataset_inputs", "inputs_tag"]

_DIGEST_LENGTH = 32  # of MLflow's 36
_NAME_LENGTH = 500
_SCHEMA_LENGTH = 1_048_575
_SOURCE_LENGTH = 65_535
_TAG_LENGTH = 8000
_TAG_VALUE = 500  # of an input's tag
_CONTEXT = "mlflow.data.context"
_DIGEST, _SNAPSHOT = "mlops.digest", "mlops.snapshot"  # Tags of the run's input.
# A column's type in MLflow's words (``mlflow.types.DataType``), by how pandas and Arrow spell it.
_TYPES = (
    ("datetime", "datetime"), ("timestamp", "datetime"), ("date", "datetime"),
    ("bool", "boolean"), ("uint64", "double"), ("uint32", "long"), ("int64", "long"),
    ("int", "integer"), ("uint", "integer"), ("float32", "float"), ("float16", "float"),
    ("halffloat", "float"), ("float", "double"), ("double", "double"), ("binary", "binary"),
    ("bytes", "binary"),
)  # fmt: skip


def dataset_inputs(inputs: Iterable[InputRecord], *, full: bool) -> list[Any]:
    """Return MLflow's ``DatasetInput`` of each input that has a digest.

    With ``full=False`` only name and digest are told, not where the data lie and what they are.
    """
    entities = import_module("mlflow.entities")
    found = []
    for item in inputs:
        if item.digest is None or item.reason == BEING_KEPT:
            continue
        dataset = entities.Dataset(
            name=item.name[:_NAME_LENGTH] or "input",
            digest=item.digest.rpartition(":")[2][:_DIGEST_LENGTH],
            source_type=_source_type(item) if full else "digest",
            source=_source(item, full=full),
            schema=_schema(item) if full else None,
            profile=_profile(item) if full else None,
        )
        tags = {_CONTEXT: item.how, _DIGEST: item.digest}
        if full and item.snapshot is not None:
            tags[_SNAPSHOT] = item.snapshot
        found.append(
            entities.DatasetInput(
                dataset, [entities.InputTag(key, value[:_TAG_VALUE]) for key, value in tags.items()]
            )
        )
    return found


def inputs_tag(inputs: Iterable[InputRecord], *, full: bool) -> str | None:
    """The inputs as the text of a tag, ``None`` without any; what does not fit is counted."""
    rows: list[dict[str, Any]] = []
    for item in inputs:
        row: dict[str, Any] = {"name": item.name, "kind": item.kind, "digest": item.digest}
        if full and item.source:
            row["source"] = item.source
        if full and item.snapshot is not None:
            row |= {"snapshot": item.snapshot, "added": item.added}
        if item.digest is None:
            row["reason"] = item.reason
        rows.append(row)
    if not rows:
        return None
    total, text = len(rows), json.dumps(rows)
    while len(text) > _TAG_LENGTH:
        rows.pop()
        text = json.dumps([*rows, {"more": total - len(rows)}])
    return text


def _source_type(item: InputRecord) -> str:
    if item.source is None:
        return "code"
    scheme, separator, _ = item.source.partition("://")
    return scheme[:32] if separator else "local"


def _source(item: InputRecord, *, full: bool) -> str:
    source: dict[str, Any] = {"digest": item.digest}
    if full:
        source |= {"kind": item.kind, "how": item.how}
        if item.source is not None:
            # MLflow's own pages show the address of what has a ``uri``.
            source["uri"] = item.source
        if item.snapshot is not None:
            source["snapshot"] = item.snapshot
    text = json.dumps(source)
    return text if len(text) <= _SOURCE_LENGTH else json.dumps({"digest": item.digest})


def _schema(item: InputRecord) -> str | None:
    if not item.schema:
        return None
    columns = [
        {"name": name, "type": _type(str(kind)), "required": True}
        for name, kind in item.schema.items()
    ]
    text = json.dumps({"mlflow_colspec": columns})
    return text if len(text) <= _SCHEMA_LENGTH else None


def _profile(item: InputRecord) -> str:
    profile = {"num_rows": item.rows, "num_columns": item.columns, "size_bytes": item.size or None}
    return json.dumps({name: value for name, value in profile.items() if value is not None})


def _type(text: str) -> str:
    text = text.lower()
    return next((name for start, name in _TYPES if text.startswith(start)), "string")
