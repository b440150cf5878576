"""What is stored comes back to the bit, or is refused by name."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from jupyter_mlops.errors import CorruptError, NotFoundError, UntrustedError, UsageError
from jupyter_mlops.snapshots import LEAF_ROWS, Refused, digest
from jupyter_mlops.snapshots.encoding import chunks_of, decode, encode

from .memory import MemoryStore, back, put


def strict(a: Any, b: Any) -> None:
    """Equal in dtype, value, cell type, bits, index, attributes."""
    pd.testing.assert_frame_equal(a, b, check_freq=True, check_exact=True)
    assert a.attrs == b.attrs
    assert a.flags == b.flags
    assert type(a.index) is type(b.index)
    assert type(a.columns) is type(b.columns)
    for i in range(a.shape[1]):
        x, y = a.iloc[:, i], b.iloc[:, i]
        assert x.dtype == y.dtype
        if x.dtype == object:
            for p, q in zip(x, y, strict=True):
                assert type(p) is type(q)
        elif isinstance(x.dtype, np.dtype):
            assert x.to_numpy().tobytes() == y.to_numpy().tobytes()
        if isinstance(x.dtype, pd.CategoricalDtype):
            assert x.cat.categories.equals(y.cat.categories)
            assert x.dtype.ordered == y.dtype.ordered


def objects(*values: Any) -> pd.DataFrame:
    array = np.empty(len(values), object)
    for row, value in enumerate(values):
        array[row] = value
    return pd.DataFrame({"a": pd.Series(array, dtype=object)})


def with_attrs() -> pd.DataFrame:
    frame = pd.DataFrame({"a": range(3)})
    frame.attrs = {"source": "x", "limits": [1, 2.5, None], "table": np.arange(3)}
    frame.attrs.pop("table")
    return frame


FRAMES: dict[str, Callable[[], pd.DataFrame]] = {
    "ordered categories, some unused": lambda: pd.DataFrame(
        {"a": pd.Categorical(["x", "y", None], categories=["z", "y", "x"], ordered=True)}
    ),
    "categories of numbers": lambda: pd.DataFrame({"a": pd.Categorical([3, 1, 3, 2])}),
    "categories of dates": lambda: pd.DataFrame(
        {"a": pd.Categorical(pd.to_datetime(["2024-01-01", None, "2024-01-03"]))}
    ),
    "300 categories": lambda: pd.DataFrame({"a": pd.Categorical(np.arange(300))}),
    "mixed objects": lambda: objects(1, "a", None, 2.5, [1], {}, {1, 2}),
    "None and NaN among strings": lambda: objects("x", None, np.nan, "y"),
    "integers and None": lambda: objects(1, None, 3, 2**100, -(2**64)),
    "booleans and None": lambda: objects(True, False, None),
    "tuples": lambda: objects((1, 2), (), ("a", (None, 2.5))),
    "lists": lambda: objects([1, 2], [], [3], None),
    "arrays in cells": lambda: objects(*[np.arange(3.0)] * 3),
    "dictionaries": lambda: objects({"k": 1}, {"k": 2, "j": [3]}),
    "zoned": lambda: pd.DataFrame(
        {"a": pd.date_range("2024-10-27", periods=6, freq="h", tz="Europe/Berlin")}
    ),
    "UTC and a fixed offset": lambda: pd.DataFrame(
        {
            "a": pd.date_range("2024", periods=3, tz="UTC"),
            "b": pd.date_range("2024", periods=3, tz=dt.timezone(dt.timedelta(hours=5.5))),
        }
    ),
    "dates by unit": lambda: pd.DataFrame(
        {u: pd.array(np.array([0, 1, "NaT"], f"M8[{u}]")) for u in ("s", "ms", "us", "ns")}
    ),
    "periods": lambda: pd.DataFrame(
        {f: pd.period_range("2024-01", periods=3, freq=f) for f in ("M", "D", "h", "Q-JAN")}
    ),
    "a missing period": lambda: pd.DataFrame({"a": pd.PeriodIndex(["2024-01", None], freq="M")}),
    "intervals": lambda: pd.DataFrame(
        {
            "a": pd.interval_range(0, 3),
            "b": pd.interval_range(pd.Timestamp("2024"), periods=3, closed="both"),
            "c": pd.IntervalIndex.from_tuples([(0.5, 1.5), None, (2, 3)], closed="left"),
        }
    ),
    "durations": lambda: pd.DataFrame({"a": pd.to_timedelta([0, 1, None], unit="s")}),
    "sparse": lambda: pd.DataFrame(
        {
            "a": pd.arrays.SparseArray([0, 0, 1, 0, 2]),
            "b": pd.arrays.SparseArray([np.nan, 1.5, np.nan, -0.0, 2]),
            "c": pd.arrays.SparseArray([True, False, False, True, False], kind="block"),
        }
    ),
    "masked": lambda: pd.DataFrame(
        {
            t: pd.array([1, None, 0], dtype=t)
            for t in ("Int8", "UInt64", "Float32", "Float64", "boolean")
        }
    ),
    "strings": lambda: pd.DataFrame(
        {
            "default": pd.array(["x", None, ""], dtype="str"),
            "python": pd.array(["x", None, "\ud800"], dtype=pd.StringDtype("python")),
            "python nan": pd.array(["x", None, "é"], dtype=pd.StringDtype("python", np.nan)),
            "arrow": pd.array(["x", None, "日本"], dtype=pd.StringDtype("pyarrow")),
        }
    ),
    "complex": lambda: pd.DataFrame({"a": np.array([1j, -0.0, complex("nan+infj")])}),
    "numbers of all widths": lambda: pd.DataFrame(
        {
            t: np.array([0, 1, 100], t)
            for t in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "?")
        }
    ),
    "decimals": lambda: objects(decimal.Decimal("1.10"), decimal.Decimal("NaN"), None),
    "dates and times": lambda: objects(
        dt.date(2024, 1, 1), dt.time(1, 2, 3, 4), dt.datetime(1, 1, 1), dt.timedelta(-1, 2, 3)
    ),
    "moments with zones": lambda: objects(
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "home")),
        pd.Timestamp("2024", tz="Asia/Tokyo"),
    ),
    "scalars of pandas": lambda: objects(
        pd.NA, pd.NaT, pd.Timestamp("2024"), pd.Timedelta("1D"), pd.Period("2024", "Y")
    ),
    "scalars of NumPy": lambda: objects(
        np.float32(1.5), np.int8(1), np.bool_(True), np.datetime64("2024-01-01"), np.str_("x")
    ),
    "UUIDs": lambda: objects(*[uuid.UUID(int=i) for i in range(3)]),
    "bytes": lambda: objects(b"", b"\x00\xff", None),
    "rows of a MultiIndex": lambda: pd.DataFrame(
        {"a": range(6)},
        index=pd.MultiIndex.from_product([[1, 2], ["x", "y", None]], names=["i", None]),
    ),
    "a MultiIndex with unused levels": lambda: pd.DataFrame(
        {"a": range(6)}, index=pd.MultiIndex.from_product([[1, 2], list("xyz")])
    ).iloc[:2],
    "columns of a MultiIndex": lambda: pd.DataFrame(
        np.arange(12).reshape(6, 2), columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])
    ),
    "a name twice": lambda: pd.DataFrame(np.arange(6).reshape(3, 2), columns=["a", "a"]),
    "names of many types": lambda: pd.DataFrame(
        np.arange(15).reshape(3, 5), columns=[0, "b", (1, 2), None, dt.date(2024, 1, 1)]
    ),
    "names that are dates": lambda: pd.DataFrame(
        np.zeros((2, 3)), columns=pd.date_range("2024", periods=3, name="day")
    ),
    "payloads of NaN, -0.0": lambda: pd.DataFrame(
        {"a": np.array([0x7FF8000000000001, 0xFFF0000000000002, 1 << 63, 0], "u8").view("f8")}
    ),
    "attrs": with_attrs,
    "no label twice": lambda: pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    "a named RangeIndex with a step": lambda: pd.DataFrame(
        {"a": range(3)}, index=pd.RangeIndex(9, 3, -2, name="k")
    ),
    "an index with a frequency": lambda: pd.DataFrame(
        {"a": range(6)}, index=pd.date_range("2024", periods=6, freq="2W-TUE")
    ),
    "other indexes": lambda: pd.DataFrame(
        {"a": range(3)}, index=pd.CategoricalIndex(["x", None, "y"], name=("a", 1))
    ),
    "an index of intervals": lambda: pd.DataFrame({"a": range(3)}, index=pd.interval_range(0, 3)),
    "an index of periods": lambda: pd.DataFrame(
        {"a": range(3)}, index=pd.period_range("2024", periods=3, freq="M")
    ),
    "an index of floats, objects": lambda: pd.DataFrame(
        {"a": range(3)}, index=pd.Index([1, "x", None], dtype=object)
    ),
    "no rows": lambda: pd.DataFrame(
        {
            "a": pd.Series([], dtype="i4"),
            "b": pd.Series([], dtype=object),
            "c": pd.Series([], dtype="str"),
            "d": pd.Series([], dtype="Int8"),
            "e": pd.Series([], dtype="category"),
            "f": pd.Series([], dtype="M8[us, UTC]"),
        }
    ),
    "no columns": lambda: pd.DataFrame(index=range(6)),
    "nothing": pd.DataFrame,
    "one row": lambda: pd.DataFrame({"a": [1.5], "b": ["x"]}, index=["only"]),
    "surrogates": lambda: objects("\ud800", "ok", "\udfff"),
    "2,000 columns": lambda: pd.DataFrame(np.arange(4000.0).reshape(2, 2000)),
    "backed by Arrow": lambda: pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="int64[pyarrow]"),
            "s": pd.array(["x", None], dtype=pd.ArrowDtype(pa.string())),
            "l": pd.array([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int8()))),
            "d": pd.array([decimal.Decimal("1.5"), None], pd.ArrowDtype(pa.decimal128(9, 2))),
            "c": pd.array(["x", None], pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
            "b": pd.array([True, None], dtype="bool[pyarrow]"),
            "t": pd.array(
                [dt.datetime(2024, 1, 1), None], pd.ArrowDtype(pa.timestamp("us", "UTC"))
            ),
        }
    ),
    "columns of a block, turned": lambda: pd.DataFrame(np.arange(12.0).reshape(3, 4)).T,
    "every second row": lambda: pd.DataFrame({"a": np.arange(9), "b": list("abcdefghi")})[::2],
    "more than a leaf": lambda: pd.DataFrame(
        {
            "i": np.arange(LEAF_ROWS * 3 + 7),
            "s": pd.Series(np.arange(LEAF_ROWS * 3 + 7) % 500).astype(str),
            "n": pd.array(np.arange(LEAF_ROWS * 3 + 7) % 3, dtype="Int16"),
        }
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_odd_frames_come_back(name: str) -> None:
    frame = FRAMES[name]()
    store = MemoryStore()
    manifest, _ = put(frame, store)
    json.dumps(manifest.object, allow_nan=False)
    json.dumps(manifest.stats, allow_nan=False)
    assert set(chunks_of(manifest.object)) == set(store.chunks)
    found = back(manifest, store)
    strict(frame, found)
    again, tx = put(found, store, manifest)
    assert (again.object, again.digest, tx.new_chunks) == (manifest.object, manifest.digest, 0)
    assert again.stats == manifest.stats


@pytest.mark.parametrize("name", FRAMES)
def test_rows_and_columns_are_those_of_the_whole(name: str) -> None:
    frame = FRAMES[name]()
    store = MemoryStore()
    manifest, _ = put(frame, store)
    for rows in (slice(1, 3), slice(None, None, 2), slice(-2, None), slice(5, 2), range(2)):
        chosen = slice(rows.start, rows.stop, rows.step) if isinstance(rows, range) else rows
        found = back(manifest, store, rows=rows)
        expected = frame.iloc[chosen]
        pd.testing.assert_frame_equal(found, expected, check_exact=True, check_freq=False)
    if len(frame.columns) and frame.columns.is_unique:
        label = frame.columns[-1]
        found = back(manifest, store, columns=[label])
        pd.testing.assert_frame_equal(found, frame[[label]], check_exact=True, check_freq=False)


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


def test_equal_objects_give_equal_chunks() -> None:
    shared = ["x", "y"]
    store = MemoryStore()
    put(objects(shared, shared, {"k": "x"}), store)
    _, tx = put(objects(["x", "y"], ["x", "y"], {"".join(["k"]): "".join(["x"])}), store)
    assert tx.new_chunks == 0


def test_only_what_is_needed_is_read() -> None:
    frame = pd.DataFrame({c: np.random.default_rng(0).random(LEAF_ROWS * 8) for c in "abc"})
    store = MemoryStore()
    manifest, _ = put(frame, store)
    everything = len(set(chunks_of(manifest.object)))
    store.reads.clear()
    found = back(manifest, store, columns=["b"], rows=slice(100, 110))
    assert found["b"].tolist() == frame["b"][100:110].tolist()
    assert len(set(store.reads)) <= 3 < everything  # Two are the labels of the columns.
    with pytest.raises(NotFoundError, match="'z'"):
        back(manifest, store, columns=["z"])


def test_rows_of_what_has_none() -> None:
    store = MemoryStore()
    manifest, _ = put([1, 2, 3, 4], store)
    assert back(manifest, store, rows=slice(1, 3)) == [2, 3]
    manifest, _ = put({"a": 1}, store)
    with pytest.raises(UsageError, match="rows"):
        back(manifest, store, rows=slice(1))
    with pytest.raises(NotFoundError, match="columns"):
        back(manifest, store, columns=["a"])


def test_what_is_restored_can_be_changed() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [1.5, None], "s": ["x", "y"]})
    store = MemoryStore()
    found = back(put(frame, store)[0], store)
    found.loc[0, "a"] = 9
    found.loc[1, "b"] = 2.0
    found.iloc[:, 0] += 1
    assert found["a"].tolist() == [10, 3]


@pytest.mark.parametrize("change", ["rows", "length", "chunks", "type", "kind", "format"])
def test_a_manifest_that_does_not_fit_is_corrupt(change: str) -> None:
    store = MemoryStore()
    manifest, _ = put(pd.DataFrame({"a": [1, 2, 3]}), store)
    tree = json.loads(json.dumps(manifest.object))
    node = tree["columns"][0]
    if change == "rows":
        node["rows"] = [10**15]
    elif change == "length":
        node["length"] = node["rows"][0] = 10**15
    elif change == "chunks":
        node["streams"]["values"]["chunks"] = []
    elif change == "type":
        node["streams"]["values"]["type"] = "|O"
    elif change == "kind":
        node["kind"] = "evil"
    else:
        tree["format"] = 2
    with pytest.raises(CorruptError):
        decode(tree, store.read)
