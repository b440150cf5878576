"""Digests: another for any change."""

from __future__ import annotations

from struct import pack
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .digesting import BASE, ident, plain


@settings(max_examples=100)
@given(st.lists(plain, min_size=1, max_size=8), plain, st.data())
def test_any_other_element_is_another_digest(values: list[Any], new: Any, data: Any) -> None:
    where = data.draw(st.integers(0, len(values) - 1))
    changed = [*values[:where], new, *values[where + 1 :]]
    # A NaN's sign and payload are not in its text.
    exact = [[(type(v), pack("<d", v) if type(v) is float else repr(v)) for v in vs]
             for vs in (values, changed)]  # fmt: skip
    same = exact[0] == exact[1]
    ours, theirs = (pd.Series([*v, 0], dtype=object)[:-1] for v in (values, changed))
    assert (ident(ours) == ident(theirs)) == same
    assert (ident(values) == ident(changed)) == same


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.assign(a=[1, 2, 4]),
        lambda d: d.assign(b=[1.0, 2.0, np.nextafter(3, 4)]),
        lambda d: d.assign(c=["x", "y", "zz"]),
        lambda d: d.assign(c=["xy", "", "z"]),
        lambda d: d.assign(c=["x", "y", None]),
        lambda d: d.astype({"a": "int32"}),
        lambda d: d.astype({"a": "Int64"}),
        lambda d: d.astype({"a": "float64"}),
        lambda d: d.astype({"c": "object"}),
        lambda d: d.astype({"c": "string"}),
        lambda d: d.astype({"c": "string[python]"}),
        lambda d: d.astype({"c": "category"}),
        lambda d: d.astype({"c": pd.ArrowDtype(pa.string())}),
        lambda d: d.rename(columns={"a": "A"}),
        lambda d: d.rename_axis(columns="k"),
        lambda d: d.rename_axis("k"),
        lambda d: d[["b", "a", "c"]],
        lambda d: d.iloc[::-1],
        lambda d: d.iloc[[1, 0, 2]].reset_index(drop=True),
        lambda d: d.iloc[:2],
        lambda d: d.set_index("a"),
        lambda d: d.set_axis([0, 1, 2]),
        lambda d: d.set_axis(pd.RangeIndex(1, 4)),
        lambda d: d.set_axis(["a", "a", "c"], axis=1),
        lambda d: d.set_axis(["a", "b", 1], axis=1),
        lambda d: d.set_axis(pd.MultiIndex.from_tuples([(1, 2)] * 3), axis=1),
        lambda d: d.drop(columns="c"),
        lambda d: pd.concat([d, d[["a"]]], axis=1),
        lambda d: d["a"],
        lambda d: d.to_dict("list"),
        lambda d: pa.Table.from_pandas(d),
        lambda d: (c := d.copy(), c.attrs.update(k=1))[0],
        lambda d: (c := d.copy(), c.attrs.update(k=2))[0],
    ],
)  # fmt: skip
def test_any_change_of_a_frame_is_another_digest(change: Any) -> None:
    frame = pd.DataFrame(BASE)
    changed = change(frame)
    assert ident(changed) != ident(frame)
    others = [frame.assign(a=[1, 2, 4]), frame.astype({"a": "int32"}), frame[["b", "a", "c"]]]
    assert [ident(o) for o in others].count(ident(changed)) <= 1


def test_each_of_the_spellings_of_a_type_is_its_own() -> None:
    values = ["x", "y"]
    spelled = [
        pd.Series(values, dtype=kind)
        for kind in ("object", "str", "string[python]", "string[pyarrow]", "category",
                     pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.large_string()))
    ]  # fmt: skip
    assert len({ident(s) for s in spelled}) == len(spelled)
    stamps = pd.Series(pd.to_datetime(["2024-01-01"]))
    spelled = [stamps, stamps.dt.as_unit("s"), stamps.dt.tz_localize("UTC"),
               stamps.dt.tz_localize("Asia/Tokyo"), stamps.dt.to_period("D"),
               stamps.astype(object)]  # fmt: skip
    assert len({ident(s) for s in spelled}) == len(spelled)


def test_floats_are_their_bits() -> None:
    bits = np.array([0x7FF8000000000000, 0x7FF8000000000001, 0, 1 << 63], "u8").view("f8")
    assert len({ident(np.array([v])) for v in bits}) == 4
    assert len({ident([float(v)]) for v in bits}) == 4


def test_text_that_is_cut_differently_differs() -> None:
    assert ident(["ab", "c"]) != ident(["a", "bc"])
    assert ident([b"1", 1, "1", 1.0, True]) != ident(["1", 1, b"1", 1.0, True])
    assert ident([True]) != ident([1]) != ident([1.0])


def test_containers_differ_by_kind_and_order() -> None:
    a, b = np.zeros(2), np.ones(2)
    found = [[a, b], (a, b), [b, a], {"x": a, "y": b}, {"y": b, "x": a}, {"x": a}, [[a], b]]
    assert len({ident(v) for v in found}) == len(found)
    assert ident({"x", "y", "z"}) == ident({"z", "y", "x"})


def test_index_details() -> None:
    days = pd.date_range("2024", periods=4)
    with_freq, without = (
        pd.Series(range(4), days),
        pd.Series(range(4), pd.DatetimeIndex(list(days))),
    )
    assert ident(with_freq) != ident(without)
    product = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
    cut = product[:2]  # Its levels still know of "b".
    assert ident(pd.Series([1, 2], cut)) == ident(
        pd.Series([1, 2], pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    )
    assert ident(pd.DataFrame([[1, 2]])) == ident(pd.DataFrame([[1, 2]])[[0, 1]])
