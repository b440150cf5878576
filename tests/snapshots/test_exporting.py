"""Export: what a format can hold comes out, the rest is refused by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import scipy.sparse

from jupyter_mlops.errors import NotFoundError, ProjectError, UntrustedError, UsageError
from jupyter_mlops.journal import signing
from jupyter_mlops.snapshots.exporting import export
from jupyter_mlops.snapshots.store import SnapshotStore

from .test_reader import take


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "store")


FRAME = pd.DataFrame(
    {"a": [1, 2, 3], "b": ["x", None, "ü"], "c": pd.Categorical(["p", "q", "p"])},
    index=pd.Index([10, 20, 30], name="key"),
)


def test_parquet_brings_a_frame_back(store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "f", FRAME)
    path = export(store, "f@1", tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), FRAME)
    assert sorted(os.listdir(tmp_path)) == ["out.parquet", "store"]


def test_csv(store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "f", FRAME)
    export(store, "f", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text(
        encoding="utf-8"
    ) == "key,a,b,c\n10,1,x,p\n20,2,,q\n30,3,ü,p\n"
    take(store, "g", FRAME.reset_index(drop=True)[["a"]])
    export(store, "g", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "a\n1\n2\n3\n"


@pytest.mark.parametrize(
    "value",
    [
        pa.table({"a": [1, None]}),
        pa.record_batch({"a": [1, None]}),
        pl.DataFrame({"a": [1, None]}),
        pd.Series([1.0, None], name="a"),
        pl.Series("a", [1, None]),
    ],
    ids=lambda v: f"{type(v).__module__.partition('.')[0]}.{type(v).__name__}",
)
@pytest.mark.parametrize("format", ["parquet", "feather", "csv"])
def test_every_kind_of_table(value: Any, format: str, store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "t", value)
    path = export(store, "t", tmp_path / "out", format)
    if format == "csv":
        assert path.read_text().splitlines()[0].strip('"') == "a"
        return
    table = pq.read_table(path) if format == "parquet" else pyarrow.feather.read_table(path)
    assert table["a"].to_pylist() in ([1, None], [1.0, None])


def test_arrays(store: SnapshotStore, tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12, dtype=">i4").reshape(3, 4))
    take(store, "a", array)
    found = np.load(export(store, "a", tmp_path / "out.npy"))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    matrix = scipy.sparse.csr_matrix(np.eye(4))
    take(store, "s", matrix)
    found = scipy.sparse.load_npz(export(store, "s", tmp_path / "out.npz"))
    assert (found != matrix).nnz == 0


@pytest.mark.parametrize(
    ("value", "format", "match"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "parquet", "named 'a'"),
        (pd.DataFrame({"ok": [1], "odd": [1j]}), "parquet", "column 'odd'"),
        (pd.DataFrame({"m": [1, "x"]}, dtype=object), "parquet", "column 'm'"),
        (FRAME, "npy", "not an array"),
        (FRAME, "npz", "not a sparse matrix"),
        (np.arange(3), "parquet", "not a table"),
        ([1, 2], "csv", "not a table"),
        (pa.table({"l": [[1]]}), "csv", "cannot hold"),
    ],
)
def test_what_a_format_cannot_hold(
    value: Any, format: str, match: str, store: SnapshotStore, tmp_path: Path
) -> None:
    take(store, "v", value)
    (tmp_path / "out").write_text("before")
    with pytest.raises(UsageError, match=match) as caught:
        export(store, "v", tmp_path / "out", format)
    assert "v@1" in str(caught.value)
    assert (tmp_path / "out").read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["out", "store"]


def test_where_it_cannot_go(store: SnapshotStore, tmp_path: Path) -> None:
    take(store, "f", FRAME)
    with pytest.raises(UsageError, match="names no format"):
        export(store, "f", tmp_path / "out.xlsx")
    with pytest.raises(ProjectError, match="not-there"):
        export(store, "f", tmp_path / "not-there" / "out.csv")
    with pytest.raises(NotFoundError):
        export(store, "nothing", tmp_path / "out.csv")


def test_pickles_of_others_need_consent(
    store: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(store, "p", pd.DataFrame({"odd": [slice(1)]}))
    monkeypatch.setattr(signing, "verify", lambda data, signature: False)
    with pytest.raises(UntrustedError):
        export(store, "p", tmp_path / "out.csv")
    export(store, "p", tmp_path / "out.csv", trust=True)
    assert "slice" in (tmp_path / "out.csv").read_text()
