"""What a run depends on, in MLflow's words and within its limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.integrations.mlflow_inputs import dataset_inputs, inputs_tag
from jupyter_mlops.model.events import BEING_KEPT, InputRecord

DIGEST = "blake3:" + "0123456789abcdef" * 4


def only(item: InputRecord, *, full: bool = True) -> Any:
    (found,) = dataset_inputs([item], full=full)
    return found.dataset


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("int64", "long"), ("int8", "integer"), ("uint8", "integer"), ("uint32", "long"),
        ("uint64", "double"), ("Int64", "long"), ("float64", "double"), ("float32", "float"),
        ("double[pyarrow]", "double"), ("bool", "boolean"), ("datetime64[ns]", "datetime"),
        ("timestamp[us]", "datetime"), ("string", "string"), ("object", "string"),
        ("category", "string"), ("binary", "binary"),
    ],
)  # fmt: skip
def test_types_of_columns(kind: str, wanted: str) -> None:
    from mlflow.types import Schema

    dataset = only(InputRecord("X", "frame", DIGEST, schema={"a": kind}))
    columns = json.loads(dataset.schema)["mlflow_colspec"]
    assert columns == [{"name": "a", "type": wanted, "required": True}]
    assert Schema.from_json(json.dumps(columns)).input_names() == ["a"]


def test_where_it_comes_from() -> None:
    assert only(InputRecord("X", "frame", DIGEST)).source_type == "code"
    assert only(InputRecord("X", "file", DIGEST, source="a/b.csv")).source_type == "local"
    far = only(InputRecord("X", "file", DIGEST, source="s3://bucket/b.csv"))
    assert (far.source_type, far.digest) == ("s3", "0123456789abcdef" * 2)
    assert json.loads(far.source)["uri"] == "s3://bucket/b.csv"
    bare = only(InputRecord("X", "file", DIGEST, 3, source="s3://bucket/b.csv"), full=False)
    assert json.loads(bare.source) == {"digest": DIGEST}
    assert (bare.profile, bare.schema) == (None, None)
    assert dataset_inputs([InputRecord("X", "object", None)], full=True) == []


def test_the_version_that_keeps_it_is_told() -> None:
    item = InputRecord("X", "frame", DIGEST, snapshot="train.ipynb/X@3", added=1200)
    (found,) = dataset_inputs([item], full=True)
    assert json.loads(found.dataset.source)["snapshot"] == "train.ipynb/X@3"
    tags = {tag.key: tag.value for tag in found.tags}
    assert tags == {
        "mlflow.data.context": "used",
        "mlops.digest": DIGEST,
        "mlops.snapshot": "train.ipynb/X@3",
    }
    (row,) = json.loads(inputs_tag([item], full=True) or "")
    assert (row["snapshot"], row["added"]) == ("train.ipynb/X@3", 1200)
    (bare,) = dataset_inputs([item], full=False)
    assert "train.ipynb" not in bare.dataset.source
    assert "mlops.snapshot" not in {tag.key for tag in bare.tags}
    assert "train.ipynb" not in (inputs_tag([item], full=False) or "")


def test_what_is_still_being_kept_waits() -> None:
    item = InputRecord("X", "frame", DIGEST, reason=BEING_KEPT)
    assert dataset_inputs([item], full=True) == []
    assert DIGEST in (inputs_tag([item], full=True) or "")


def test_the_tag_counts_what_does_not_fit() -> None:
    assert inputs_tag([], full=True) is None
    text = inputs_tag([InputRecord(f"x{i}", "frame", DIGEST) for i in range(500)], full=True)
    assert text is not None
    assert len(text) <= 8000
    *rows, last = json.loads(text)
    assert len(rows) + last["more"] == 500


texts = st.text(max_size=30)


@given(
    st.builds(
        InputRecord,
        name=st.text(max_size=800),
        kind=texts,
        digest=texts,
        rows=st.none() | st.integers(0),
        size=st.integers(0),
        schema=st.dictionaries(texts, texts, max_size=3),
        source=st.none() | st.text(max_size=70_000 // 6),
        how=texts,
    )
)
def test_any_input_is_accepted(item: InputRecord) -> None:
    from mlflow.utils.validation import _validate_dataset

    dataset = only(item)
    _validate_dataset(dataset)
    assert len(dataset.source_type) <= 36
    tag = inputs_tag([item], full=True)
    assert tag is not None
    assert len(tag) <= 8000
