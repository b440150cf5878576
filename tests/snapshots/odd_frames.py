"""Frames as odd as people have them, and when two are the same to the bit."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from jupyter_mlops.snapshots import LEAF_ROWS

__all__ = ["FRAMES", "objects", "strict"]


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
