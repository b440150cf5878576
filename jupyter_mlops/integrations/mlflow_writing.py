"""A journaled run in the words and within the limits of MLflow.

The limits are MLflow's (``mlflow.utils.validation``): names of 250 characters out of a small set,
parameters of 6,000 characters, tags of 8,000, requests of 100 parameters, 100 tags, 1,000 values.
Everything here is a pure function of the record, so that a second delivery writes the same.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model.events import ModelRecord, RunAmended, RunRecord
from ..model.registry import SYSTEM
from .mlflow_inputs import inputs_tag

__all__ = [
    "ADOPTED",
    "CHILD_OF",
    "DELIVERED",
    "MODEL_KEY",
    "RUN_ID",
    "SYSTEM",
    "amended_tags",
    "batches",
    "clean_names",
    "experiment_folder",
    "metric_points",
    "metric_values",
    "milliseconds",
    "model_name",
    "models_tags",
    "param_values",
    "run_tags",
    "safe_file_name",
    "shown",
]

RUN_ID = "mlops.run_id"
MODEL_KEY = "mlops.model_key"
CHILD_OF = "mlops.parent_run_id"
# A run that was created while its cell ran, for the person's own calls of MLflow, which may end it:
# it is complete when it is marked as delivered, every other when it has ended.
ADOPTED = "mlops.adopted"
DELIVERED = "mlops.delivered"

_NAME_LENGTH = 250
_PARAM_LENGTH = 6000
_TAG_LENGTH = 8000
_BATCH = 50
_METRICS = 900  # with parameters and tags it stays within 1,000 values a request


def run_tags(run: RunRecord, *, full: bool) -> dict[str, str]:
    """Return the tags that the run is created with."""
    tags = {str(k): str(v) for k, v in run.tags.items()}
    own: dict[str, Any] = {
        RUN_ID: run.run_id,
        "mlops.session": run.session,
        "mlops.kind": run.kind,
        "mlops.notebook": run.notebook,
        "mlops.pipeline": run.pipeline,
        CHILD_OF: run.parent,
        "mlops.source": run.source,
        "mlops.register": run.register,
        "mlops.warnings": json.dumps(list(run.warnings)) if run.warnings else None,
        "mlops.capture": None if full else "minimal",
        "mlops.cell_id": run.cell_id,
        "mlops.environment": run.environment,
        "mlops.inputs": inputs_tag(run.inputs, full=full),
        "mlops.seeds": json.dumps(run.seeds) if run.seeds else None,
        "mlops.left_out": json.dumps(run.left_out) if run.left_out else None,
        "mlops.git_dirty": None if run.git_dirty is None else str(run.git_dirty).lower(),
        "mlflow.source.git.commit": tags.get("mlflow.source.git.commit") or run.git_commit,
        "mlflow.source.git.branch": tags.get("mlflow.source.git.branch") or run.git_branch,
    }
    if run.error:
        name = run.error.get("ename") or run.error.get("name") or run.error.get("type") or "error"
        message = run.error.get("evalue") or run.error.get("message") or ""
        own["mlops.error"] = f"{name}: {message}" if message else name
    tags.update({name: str(value) for name, value in own.items() if value is not None})
    names = clean_names(tags)
    return {names[name]: _cut(value, _TAG_LENGTH) for name, value in tags.items()}


def amended_tags(run: RunRecord, changes: RunAmended, *, full: bool) -> dict[str, str]:
    """Return the tags that a later addition changes; ``run`` is the run with it."""
    tags = run_tags(run, full=full)
    names = clean_names({**tags, **changes.tags})
    wanted = {names[name] for name in changes.tags} | (
        {"mlops.inputs"} if changes.inputs else set()
    )
    return {name: value for name, value in tags.items() if name in wanted}


def models_tags(
    models: Iterable[ModelRecord], stored: Mapping[str, str], left_out: Mapping[str, str]
) -> dict[str, str]:
    """Return the tags that say what became of each model of the run."""
    rows = [
        {
            "name": model.name,
            "class_name": model.class_name,
            "kept": model.name in stored,
            "reason": left_out.get(model.name),
        }
        for model in models
    ]
    if not rows:
        return {}
    tags = {"mlops.models": json.dumps(rows)}
    if len(tags["mlops.models"]) > _TAG_LENGTH:
        short = [row | {"reason": _cut(str(row["reason"] or ""), 60) or None} for row in rows]
        while short and len(json.dumps(short)) > _TAG_LENGTH:
            short.pop()
        tags["mlops.models"] = json.dumps(short)
    keys = {f"mlops.model.{name}.left_out": reason for name, reason in left_out.items()}
    names = clean_names(keys)
    return tags | {names[key]: _cut(reason, _TAG_LENGTH) for key, reason in keys.items()}


def param_values(run: RunRecord) -> dict[str, str]:
    """Return the parameters as MLflow keeps them: text as it is, everything else as ``repr``.

    The person's come first, then what fitted estimators say of themselves; a name in both is the
    person's.
    """
    values = {**run.params, **{k: v for k, v in run.hyperparameters.items() if k not in run.params}}
    names = clean_names(values)
    return {names[name]: _cut(shown(value), _PARAM_LENGTH) for name, value in values.items()}


def metric_values(run: RunRecord) -> dict[str, float]:
    """Return the metrics that are numbers, NaN and infinities included."""
    names = _metric_names(run)
    numbers = {names[name]: _number(value) for name, value in run.metrics.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def metric_points(run: RunRecord) -> list[tuple[str, float, int, int]]:
    """Return everything that MLflow keeps as metrics: ``(name, value, milliseconds, step)``.

    A metric that was logged in steps has its points, and is itself one only where it has another
    value than the last of them; resources are MLflow's system metrics, bytes as megabytes (10^6).
    """
    names = _metric_names(run)
    moment = milliseconds(run.ended)
    points: list[tuple[str, float, int, int]] = []
    ends: dict[str, tuple[float, int]] = {}
    for name, rows in run.series.items():
        for step, value, time in rows:
            number = _number(value)
            if number is not None:
                points.append((names[name], number, milliseconds(time), _step(step)))
                ends[names[name]] = (number, max(_step(step), ends.get(names[name], (0, 0))[1]))
    for name, value in metric_values(run).items():
        last, step = ends.get(name, (None, 0))
        if last is None or (last != value and not (math.isnan(last) and math.isnan(value))):
            points.append((name, value, moment, step))
    system = {}
    for name, value in run.resources.items():
        number = _number(value)
        if number is not None:
            if name.endswith("_bytes"):
                name, number = f"{name.removesuffix('_bytes')}_megabytes", number / 1e6
            system[f"{SYSTEM}{name}"] = number
    points += [(clean, system[name], moment, 0) for name, clean in clean_names(system).items()]
    return points


def shown(value: Any) -> str:
    """A parameter's value as text."""
    return value if isinstance(value, str) else repr(value)


def batches(
    metrics: list[Any], params: list[Any], tags: list[Any]
) -> Iterator[tuple[list[Any], list[Any], list[Any]]]:
    """Cut what is logged into requests that MLflow accepts."""
    count = max(
        math.ceil(len(metrics) / _METRICS),
        math.ceil(len(params) / _BATCH),
        math.ceil(len(tags) / _BATCH),
    )
    for i in range(count):
        yield (
            metrics[i * _METRICS : (i + 1) * _METRICS],
            params[i * _BATCH : (i + 1) * _BATCH],
            tags[i * _BATCH : (i + 1) * _BATCH],
        )


def clean_names(names: Iterable[str]) -> dict[str, str]:
    """Map each name to one that MLflow accepts; two that become equal are told apart."""
    result: dict[str, str] = {}
    used: set[str] = set()
    names = [str(name) for name in names]
    fits = {name for name in names if _clean(name) == name}
    for name in names:
        clean = _clean(name)
        number = 2
        # A name that fits as it is keeps it, whatever stands before it.
        while clean in used or (clean in fits and clean != name):
            clean = f"{_clean(name)[: _NAME_LENGTH - 4]}_{number}"
            number += 1
        used.add(clean)
        result[name] = clean
    return result


def model_name(name: str) -> str:
    """``ModelRecord.name`` as the name of an MLflow logged model."""
    return re.sub(r"[/:.%\"'\x00-\x1f]", "_", name)[:_NAME_LENGTH] or "model"


def experiment_folder(name: str) -> str:
    """A folder name for an experiment's artifacts."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:60] or "experiment"


def safe_file_name(name: str) -> str | None:
    """``name`` if it stays inside the run's artifact folder, else ``None``."""
    if not name or "\\" in name or "\x00" in name or re.match(r"[A-Za-z]:", name):
        return None
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    return name


def milliseconds(seconds: float) -> int:
    """MLflow's times are whole milliseconds since the epoch."""
    return round(seconds * 1000)


def _metric_names(run: RunRecord) -> dict[str, str]:
    return clean_names({**run.metrics, **run.series})


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _step(value: Any) -> int:
    """MLflow's steps are whole numbers of 64 bits."""
    try:
        return max(-(2**63), min(2**63 - 1, int(value)))
    except (TypeError, ValueError, OverflowError):
        return 0


def _clean(name: str) -> str:
    clean = re.sub(r"[^/\w.\- :]", "_", name)[:_NAME_LENGTH] or "_"
    # MLflow makes paths of names and refuses those that are written in two ways.
    if posixpath.normpath(clean) != clean or clean.startswith(("/", "..")) or clean == ".":
        clean = re.sub(r"[/.]", "_", clean)
    return clean


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
