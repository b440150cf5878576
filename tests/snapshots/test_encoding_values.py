"""What is no frame comes back to the bit, or is refused by name."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from jupyter_mlops.errors import CorruptError, UntrustedError
from jupyter_mlops.snapshots import Refused, digest
from jupyter_mlops.snapshots.encoding import decode, encode

from .memory import MemoryStore, back, put
from .odd_frames import objects

VALUES: dict[str, Callable[[], Any]] = {
    "series": lambda: pd.Series([1.5, None], name=("a", 1), index=["x", "y"]),
    "series without a name": lambda: pd.Series(["x", None], dtype="category"),
    "series of objects": lambda: pd.Series([1, "x", None], dtype=object, name="o"),
    "index": lambda: pd.date_range("2024", periods=3, freq="D", name="d"),
    "range": lambda: pd.RangeIndex(3),
    "0-d": lambda: np.array(3.5),
    "0-d of objects": lambda: np.array(None, dtype=object),
    "order F": lambda: np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "big-endian": lambda: np.arange(5, dtype=">i4"),
    "structured": lambda: np.array(
        [(1, 2.5, b"x", [1, 2])], dtype=[("a", "<i4"), ("b", ">f8"), ("c", "S3"), ("d", "i2", (2,))]
    ),
    "datetime64": lambda: np.array(["2024-01-01", "NaT"], "M8[25s]"),
    "unicode": lambda: np.array(["x", "日本"], "U5"),
    "bytes": lambda: np.array([b"x", b""], "S3"),
    "no elements": lambda: np.zeros((3, 0, 2)),
    "no width": lambda: np.zeros(3, "S0"),
    "every second": lambda: np.arange(20).reshape(4, 5)[::2, ::-2],
    "objects": lambda: np.array([[1, "x"], [None, 2.5]], dtype=object),
    "table": lambda: pa.table(
        [pa.chunked_array([[1], [None, 3]]), pa.array(["a", None, "c"]), pa.array([[1], [], None])],
        schema=pa.schema(
            [
                pa.field("x", pa.int64(), metadata={"unit": "m"}),
                pa.field("x", pa.string()),
                pa.field("l", pa.list_(pa.int8()), nullable=True),
            ],
            metadata={"k": "v"},
        ),
    ),
    "table without columns": lambda: pa.table({}),
    "record batch": lambda: pa.record_batch({"a": [1, 2], "b": [True, None]}),
    "many types of Arrow": lambda: pa.table(
        {
            "null": pa.nulls(2),
            "view": pa.array(["x", None], pa.string_view()),
            "fixed": pa.array([b"ab", None], pa.binary(2)),
            "decimal": pa.array([decimal.Decimal("1.2"), None], pa.decimal256(50, 3)),
            "month": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
            "struct": pa.array([{"a": 1}, None]),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())),
            "codes": pa.array(["x", None]).dictionary_encode(),
            "time": pa.array([1, None], pa.time64("ns")),
            "half": pa.array(np.array([1, 2], "f2")),
            "ends": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([7])),
            "large": pa.array([b"x", None], pa.large_binary()),
        }
    ),
    "array": lambda: pa.array([1, None, 3]).slice(1),
    "chunked": lambda: pa.chunked_array([["a"], [None]]),
    "list": lambda: [1, "x", None, (2, 3.5)],
    "list of data": lambda: [np.arange(3), {"frame": np.ones(2)}, [1, [2, b"x"]], "x"],
    "dict": lambda: {1: np.arange(3), "k": {"a": 1, (1, 2): None}, None: "x"},
    "tuple": lambda: (1, 2.5, "x"),
    "set": lambda: {1, "x", None},
    "frozenset": lambda: frozenset({1, 2}),
    "empty": lambda: [[], {}, (), "", b""],
    "text": lambda: "日本\ud800",
    "number": lambda: 2**200,
    "none": lambda: None,
    "scalar": lambda: np.float32(1.5),
}


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if a.dtype == object:
            assert a.tolist() == b.tolist()
        else:
            assert a.tobytes() == b.tobytes()
        assert b.flags.writeable
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_freq=True)
    elif isinstance(a, pd.Index):
        pd.testing.assert_index_equal(a, b, exact=True)
        assert getattr(a, "freq", None) == getattr(b, "freq", None)
    elif isinstance(a, (pa.Table, pa.RecordBatch)):
        assert a.schema.equals(b.schema, check_metadata=True)
        assert a.equals(b)
    elif isinstance(a, (pa.Array, pa.ChunkedArray)):
        assert a.type == b.type
        assert a.equals(b)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    else:
        assert a == b


@pytest.mark.parametrize("name", VALUES)
def test_other_values_come_back(name: str) -> None:
    value = VALUES[name]()
    store = MemoryStore()
    manifest, _ = put(value, store)
    json.dumps(manifest.object, allow_nan=False)
    found = back(manifest, store)
    same(value, found)
    again, tx = put(found, store, manifest)
    assert (again.digest, tx.new_chunks) == (manifest.digest, 0)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_sparse_matrices_come_back(form: str, kind: str) -> None:
    dense = np.arange(24.0).reshape(4, 6) * (np.arange(24).reshape(4, 6) % 3 == 0)
    matrix = getattr(sp, f"{form}_{kind}")(dense)
    store = MemoryStore()
    manifest, _ = put(matrix, store)
    found = back(manifest, store)
    assert type(found) is type(matrix)
    assert found.dtype == matrix.dtype
    assert (found.toarray() == dense).all()
    assert digest(found).id == manifest.digest
    assert (back(manifest, store, rows=slice(1, 3)).toarray() == dense[1:3]).all()


def test_a_sparse_matrix_keeps_duplicates_and_zeros() -> None:
    matrix = sp.coo_array(([1, 2, 0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    store = MemoryStore()
    found = back(put(matrix, store)[0], store)
    assert found.data.tolist() == [1, 2, 0]
    assert [c.tolist() for c in found.coords] == [c.tolist() for c in matrix.coords]


def polars_frames() -> dict[str, pl.DataFrame]:
    return {
        "many types": pl.DataFrame(
            {
                "i": pl.Series([1, None, 3], dtype=pl.Int16),
                "f": [1.5, float("nan"), None],
                "s": ["x", None, "日本"],
                "b": [True, None, False],
                "bin": [b"x", None, b""],
                "d": [dt.date(2024, 1, 1), None, dt.date(1, 1, 1)],
                "t": [dt.time(1, 2), None, dt.time(0)],
                "l": [[1, 2], [], None],
                "st": [{"a": 1, "b": "x"}, None, {"a": None, "b": None}],
                "n": pl.Series([None, None, None], dtype=pl.Null),
                "dec": [decimal.Decimal("1.50"), None, decimal.Decimal("-2")],
            }
        ).with_columns(
            pl.Series("dt", [0, None, 1], dtype=pl.Datetime("ms", "Europe/Berlin")),
            pl.Series("du", [0, None, 1], dtype=pl.Duration("ns")),
            pl.Series("c", ["x", None, "y"], dtype=pl.Categorical),
            pl.Series("e", ["x", None, "y"], dtype=pl.Enum(["y", "x", "z"])),
            pl.Series("ar", [[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        ),
        "no rows": pl.DataFrame(schema={"a": pl.Int8, "s": pl.String, "l": pl.List(pl.Int8)}),
        "nothing": pl.DataFrame(),
    }


@pytest.mark.parametrize("name", polars_frames())
def test_polars_comes_back(name: str) -> None:
    frame = polars_frames()[name]
    store = MemoryStore()
    manifest, _ = put(frame, store)
    found = back(manifest, store)
    assert found.schema == frame.schema
    assert found.equals(frame, null_equal=True)
    if name == "many types":
        part = back(manifest, store, columns=["s", "i"], rows=slice(1, None))
        assert part.equals(frame.select("s", "i")[1:], null_equal=True)


def test_a_series_of_polars() -> None:
    series = pl.Series("x", [1, None, 3])
    store = MemoryStore()
    found = back(put(series, store)[0], store)
    assert found.name == "x"
    assert found.equals(series, check_dtypes=True, check_names=True)


class Odd(pd.DataFrame):
    """A subclass."""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}), "column 'o'"),
        (objects(lambda: 1), "column 'a', row 0"),
        (Odd({"a": [1]}), "Odd"),
        (object(), "object"),
        (np.ma.array([1]), "Masked"),
        (np.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]), "dtype"),
        (pl.LazyFrame({"a": [1]}), "LazyFrame"),
    ],
)
def test_what_would_not_come_back_is_refused(value: Any, words: str) -> None:
    with pytest.raises(Refused, match=words):
        encode(value, MemoryStore().begin())


def test_nested_too_deep_is_refused() -> None:
    value: Any = object()
    for _ in range(20):
        value = [value]
    with pytest.raises(Refused, match="deep"):
        encode(value, MemoryStore().begin())


def test_pickled_cells_of_somebody_else_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    manifest, _ = put(objects([1], {"a": 2}, "x"), store)
    tree = json.loads(json.dumps(manifest.object))
    tree["columns"][0]["signatures"] = ["0" * 64]
    loads: list[bytes] = []
    monkeypatch.setattr(pickle, "loads", lambda data: loads.append(data))
    with pytest.raises(UntrustedError):
        decode(tree, store.read)
    del tree["columns"][0]["signatures"]
    with pytest.raises(CorruptError, match="not signed"):
        decode(tree, store.read)
    assert loads == []
    decode(tree | {"columns": manifest.object["columns"]}, store.read, trust=True)
    assert len(loads) == 2


def test_a_tuple_cannot_carry_a_pickle() -> None:
    store = MemoryStore()
    manifest, _ = put(objects((1, 2)), store)
    node = manifest.object["columns"][0]
    lengths, data = node["streams"]["cells"]["chunks"][0]
    evil = b"K" + (3).to_bytes(8, "little") + b"abc"
    store.chunks["e" * 64] = evil
    store.chunks["f" * 64] = len(evil).to_bytes(4, "little")
    node["streams"]["cells"]["chunks"][0] = ["f" * 64, "e" * 64]
    with pytest.raises(CorruptError, match="tuple"):
        back(manifest, store)
    assert lengths != data
