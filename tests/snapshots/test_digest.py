"""Digests: the same for the same data however it lies in memory, another for any change."""

from __future__ import annotations

import datetime as dt
import importlib
import subprocess
import sys
import uuid
from decimal import Decimal
from struct import pack
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.snapshots import (
    LEAF_ROWS,
    Refused,
    Undigested,
    digest,
    estimate,
    fingerprint,
    kind_of,
)

N = LEAF_ROWS + 77  # More than a leaf, and no multiple of anything.


def ident(value: Any) -> str:
    return digest(value).id


# --- What the format is: these never change without a new version of it. ---------------------

GOLDEN: dict[str, tuple[Any, str]] = {
    "frame": (
        lambda: pd.DataFrame({0: np.arange(3, dtype="i8"), 1: [1.5, float("nan"), -0.0]}),
        "e4dd0edd0c10e6b54aa93b6ad09a4f2106a88768aee9bb3fcd6848126dab391f",
    ),
    "object": (
        lambda: pd.Series(
            ["x", None, 1, 2.5, True, b"z", Decimal("1.10"), dt.date(2024, 1, 2)],
            dtype=object,
            name="o",
        ),
        "0fe0cfd7abf2ca68530a16796f29f072f62dd0f5e74f07a49ffd697cdcf9154b",
    ),
    "masked": (
        lambda: pd.Series(pd.array([1, None, 3], dtype="Int64")),
        "d58264ab76956720c1011556a1f612e4c70b82e5ffabe1772c58f7a0d4167bdd",
    ),
    "category": (
        lambda: pd.Series(pd.Categorical([3, 1, None], categories=[1, 2, 3], ordered=True)),
        "bd2758f9a333e9c3a6eb3ac6676f50f34340a2ac26dec11d36677a0426ea6674",
    ),
    "zone": (
        lambda: pd.Series(np.array([0, 1], "M8[s]")).dt.tz_localize("Europe/Berlin"),
        "234ece683962da86f7949d20b431989e52bfd766b74a0f52da4414a3343e7cb7",
    ),
    "multiindex": (
        lambda: pd.Series(
            [1.0, 2.0], pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=["i", "j"])
        ),
        "8ede7e9abf35a7448c5804f3f6cb28228b396900bdcae5b2e11ae601889643fd",
    ),
    "array": (
        lambda: np.arange(12, dtype="f4").reshape(3, 4),
        "13879d605128f05268e667f69c5d77237b133804017fa49da22790b35bc89bf6",
    ),
    "sparse": (
        lambda: sp.csr_matrix(np.eye(3)),
        "8e97008ba2deb72f0e4b20ed1692faa73fe9c64b12cbfe0e4656cac4f16f866f",
    ),
    "table": (
        lambda: pa.table({"s": pa.array(["ä", None, ""]), "l": pa.array([[1], None, [2, 3]])}),
        "8d5bae8e1481d1a98a931cbd1f7861c340ccff16e7c4031a77aad5d49dd6d149",
    ),
    "nested": (
        lambda: {"train": np.zeros(2), "rows": [1, "two", (3.0, None)], "n": 1},
        "01a3fc7e55259550dde7dffea00d0c4a3c0f169959132a0edb1bb9aed6220ae9",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_format_is_what_it_was(name: str) -> None:
    make, expected = GOLDEN[name]
    assert ident(make()) == f"blake3:{expected}"


def test_a_tree_made_by_hand_from_the_documentation_has_the_same_root() -> None:
    from blake3 import blake3

    def leaf(*parts: bytes) -> bytes:
        return blake3(
            b"mlops-leaf-1\n" + b"".join(len(p).to_bytes(8, "little") + p for p in parts)
        ).digest()

    def node(header: str, *digests: bytes) -> bytes:
        data = header.encode()
        framed = b"mlops-node-1\n" + len(data).to_bytes(8, "little") + data
        return blake3(framed + b"".join(digests)).digest()

    values = np.arange(N, dtype="<i8").tobytes()
    cut = LEAF_ROWS * 8
    column = node(
        f'{{"children":0,"dtype":"int64","rows":{N}}}', leaf(values[:cut]), leaf(values[cut:])
    )
    index = node(
        '{"children":0,"kind":"pandas.RangeIndex","names":[null],"rows":0,"start":0,"step":1,'
        f'"stop":{N}}}'
    )
    root = node(
        '{"attrs":0,"children":2,"kind":"pandas.Series","name":"n","rows":0}', index, column
    )
    assert ident(pd.Series(np.arange(N, dtype="i8"), name="n")) == f"blake3:{root.hex()}"


def leaves_of(node: Any) -> list[bytes]:
    return [bytes(memoryview(part)) for part in node.leaf(0, node.rows)]


def test_strings_have_the_same_leaves_whatever_holds_them() -> None:
    values_of = importlib.import_module("jupyter_mlops.snapshots.values").node_of
    texts = ["a", "", "äö", "x" * 20]
    kinds = ["object", "str", "string[python]", "string[pyarrow]", pd.ArrowDtype(pa.string())]
    series = [values_of(pd.Series(texts, dtype=kind)).children[1] for kind in kinds]
    types = [pa.string(), pa.large_string(), pa.string_view()]
    arrays = [values_of(pa.array(texts, kind)) for kind in types]
    found = [leaves_of(node) for node in (*series, *arrays)]
    assert all(leaf == found[0] for leaf in found)
    missing = ["a", None, "b"]
    series = [values_of(pd.Series(missing, dtype=kind)).children[1] for kind in kinds[1:]]
    arrays = [values_of(pa.array(missing, kind)) for kind in types]
    found = [leaves_of(node) for node in (*series, *arrays)]
    assert all(leaf == found[0] for leaf in found)


# --- The same data ----------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    st.sampled_from(["i1", "i8", "u2", "f4", "f8", "c16", "M8[s]", "?", "U3", "S2", ">i4", ">f8"]),
    st.integers(0, 40),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
)
def test_memory_order_does_not_matter(dtype: str, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 100, (rows, columns)).astype(dtype)
    same = [
        array.copy(),
        np.asfortranarray(array),
        np.repeat(array, 2, axis=0)[::2],
        array[::-1].copy()[::-1],
        array.astype(array.dtype.newbyteorder()),
    ]
    assert {ident(other) for other in same} == {ident(array)}
    assert ident(array.T.copy()) == ident(array.T)


def test_memory_order_of_more_than_a_leaf() -> None:
    array = np.random.default_rng(0).normal(size=(N // 3, 5))
    assert ident(np.asfortranarray(array)) == ident(array)
    assert ident(np.repeat(array, 2, axis=1)[:, ::2]) == ident(array)


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=8),
    st.decimals(allow_nan=False), st.dates(), st.datetimes(), st.timedeltas(), st.uuids(),
)  # fmt: skip
columns = st.one_of(
    st.lists(st.floats(), min_size=2, max_size=2).map(lambda v: pd.array(v * 10, "float64")),
    st.lists(st.text(), min_size=20, max_size=20).map(lambda v: pd.array(v, "str")),
    st.lists(st.none() | st.text(), min_size=20, max_size=20).map(
        lambda v: pd.array(v, "string[pyarrow]")
    ),
    st.lists(st.none() | st.integers(-9, 9), min_size=20, max_size=20).map(
        lambda v: pd.array(v, "Int32")
    ),
    st.lists(st.none() | st.booleans(), min_size=20, max_size=20).map(
        lambda v: pd.array(v, pd.ArrowDtype(pa.bool_()))
    ),
    st.lists(st.none() | st.sampled_from("abc"), min_size=20, max_size=20).map(pd.Categorical),
    st.lists(plain, min_size=20, max_size=20).map(
        lambda v: pd.array(np.array([*v, 0], object)[:-1], object)
    ),
)


@settings(max_examples=60)
@given(st.lists(columns, min_size=1, max_size=4), st.integers(1, 19))
def test_slices_copies_and_concatenations_of_frames(arrays: list[Any], cut: int) -> None:
    frame = pd.DataFrame(dict(enumerate(arrays)))
    expected = ident(frame)
    assert ident(frame.copy()) == expected
    assert ident(frame.copy(deep=False)) == expected
    assert fingerprint(frame) == fingerprint(frame.copy())
    assert ident(pd.concat([frame, frame], ignore_index=True)[:20]) == expected
    tail = frame.iloc[cut:]
    assert ident(tail) == ident(tail.copy())
    joined = pd.concat([frame.iloc[:cut], frame.iloc[cut:]], ignore_index=True)
    if (joined.dtypes == frame.dtypes).all():
        assert ident(joined) == expected


arrow_values = st.one_of(
    st.tuples(st.just(pa.int16()), st.lists(st.none() | st.integers(-5, 5), max_size=40)),
    st.tuples(st.just(pa.bool_()), st.lists(st.none() | st.booleans(), max_size=40)),
    st.tuples(st.just(pa.string()), st.lists(st.none() | st.text(max_size=5), max_size=40)),
    st.tuples(st.just(pa.large_string()), st.lists(st.none() | st.text(max_size=5), max_size=40)),
    st.tuples(st.just(pa.string_view()), st.lists(st.none() | st.text(max_size=20), max_size=40)),
    st.tuples(st.just(pa.binary(2)), st.lists(st.none() | st.just(b"ab"), max_size=40)),
    st.tuples(
        st.just(pa.list_(pa.string())),
        st.lists(st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3), max_size=30),
    ),
    st.tuples(
        st.just(pa.list_(pa.int8(), 2)),
        st.lists(st.none() | st.just([1, None]) | st.just([3, 4]), max_size=30),
    ),
    st.tuples(
        st.just(pa.struct([("a", pa.int8()), ("b", pa.bool_())])),
        st.lists(
            st.none() | st.fixed_dictionaries({"a": st.none() | st.just(1), "b": st.booleans()}),
            max_size=30,
        ),
    ),
    st.tuples(
        st.just(pa.map_(pa.string(), pa.int8())),
        st.lists(st.none() | st.lists(st.tuples(st.text(max_size=2), st.just(1)), max_size=2),
                 max_size=30),
    ),
    st.tuples(st.just(pa.null()), st.lists(st.none(), max_size=20)),
    st.tuples(st.just(pa.decimal128(6, 2)), st.just([None, Decimal("1.25")])),
)  # fmt: skip


@settings(max_examples=150)
@given(arrow_values, st.data())
def test_chunks_offsets_and_slices_of_arrow(typed: tuple[Any, list[Any]], data: Any) -> None:
    kind, values = typed
    array = pa.array(values, kind)
    expected = ident(pa.table({"c": array}))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    pieces = [array[a:b] for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    assert ident(pa.table({"c": pa.chunked_array(pieces, kind)})) == expected
    padding = data.draw(st.integers(0, 9))
    longer = pa.concat_arrays([pa.array([None] * padding, kind), array, array])
    assert ident(pa.table({"c": longer[padding : padding + len(values)]})) == expected


def test_chunks_across_leaves() -> None:
    values = pa.array([None if i % 11 == 0 else f"r{i}" for i in range(N)])
    chunked = pa.chunked_array([values[:10], values[10 : LEAF_ROWS + 3], values[LEAF_ROWS + 3 :]])
    assert ident(pa.table({"c": chunked})) == ident(pa.table({"c": values}))


def test_what_lies_below_a_missing_value_is_not_data() -> None:
    mask = np.array([False, True, False])
    ours = [pd.arrays.IntegerArray(np.array([1, x, 3]), mask) for x in (0, 99)]
    assert ident(pd.Series(ours[0])) == ident(pd.Series(ours[1]))
    validity = pa.py_buffer(b"\x05")
    offsets = pa.py_buffer(np.array([0, 1, 3, 4], "i4").tobytes())
    hidden = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"aXXb"), validity)
    assert hidden.to_pylist() == ["a", None, "b"]
    assert ident(hidden) == ident(pa.array(["a", None, "b"]))
    numbers = pa.Array.from_buffers(
        pa.int64(), 3, [validity, pa.py_buffer(np.array([1, 99, 3]).tobytes())]
    )
    assert ident(numbers) == ident(pa.array([1, None, 3]))


def test_a_dictionary_is_the_values_it_stands_for() -> None:
    one = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", "b"]))
    other = pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int8()), pa.array(["b", "a"]))
    assert ident(one) == ident(other)
    assert ident(pa.chunked_array([one[:1], other[1:]])) == ident(one)
    assert ident(one) != ident(pa.array(["a", "b", None]))
    kind = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    orders = [
        pa.DictionaryArray.from_arrays([i, j], pa.array(names), ordered=True)
        for i, j, names in ((0, 1, ["a", "b"]), (1, 0, ["b", "a"]))
    ]
    assert orders[0].cast(kind).to_pylist() == orders[1].cast(kind).to_pylist()
    assert ident(orders[0]) != ident(orders[1])


def test_sparse_matrices_are_what_they_hold() -> None:
    dense = np.array([[0, 2.0, 0], [1.0, 0, 3.0]])
    csr = sp.csr_matrix(dense)
    messy = sp.csr_matrix((np.array([1.0, 1, 3, 1]), np.array([1, 1, 2, 0]), np.array([0, 2, 4])))
    before = messy.indices.copy()
    assert ident(messy) == ident(csr)
    assert (messy.indices == before).all()
    assert messy.nnz == 4
    for form in ("csr", "csc", "coo", "bsr", "dia", "lil", "dok"):
        assert ident(sp.csr_matrix(dense).asformat(form)) == ident(csr.asformat(form).copy())
    assert len({ident(csr.asformat(f)) for f in ("csr", "csc", "coo")}) == 3
    assert ident(sp.csr_array(dense)) != ident(csr)
    wide = csr.copy()
    wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
    assert ident(wide) == ident(csr)


# --- A change -----------------------------------------------------------------------------------


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


BASE: dict[str, Any] = {"a": [1, 2, 3], "b": [1.0, 2.0, 3.0], "c": ["x", "y", "z"]}


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


# --- What there is of it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "rows", "columns"),
    [
        (pd.DataFrame(BASE), "frame", 3, 3),
        (pd.Series([1, 2]), "series", 2, 1),
        (pd.Index([1, 2]), "series", 2, 1),
        (np.zeros((4, 2)), "array", 4, 2),
        (np.zeros(4), "array", 4, None),
        (np.float64(1), "object", None, None),
        (sp.eye(3, format="csr"), "sparse", 3, 3),
        (pa.table({"a": [1]}), "table", 1, 1),
        (pa.array([1, 2]), "series", 2, 1),
        ([1, 2], "object", 2, None),
        ("text", "object", None, None),
        (None, "object", None, None),
    ],
)
def test_a_digest_says_what_it_is_of(
    value: Any, kind: str, rows: int | None, columns: int | None
) -> None:
    found = digest(value)
    assert (found.kind, found.rows, found.columns) == (kind, rows, columns)
    assert kind_of(value) == (None if kind == "object" else kind)
    assert len(found.id) == 71
    assert found.id[:7] == "blake3:"


def test_a_schema_names_each_column_once() -> None:
    frame = pd.DataFrame([[1, 2.0, "x"]], columns=["a", "a", ("b", 1)])
    assert digest(frame).schema == {"a": "int64", "a#2": "float64", "('b', 1)": "str"}


class Plain:
    """A type of the person's own."""


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (pd.DataFrame({"ok": [1], "bad": pd.Series([[1]], dtype=object)}), "bad"),
        (pd.DataFrame({"bad": pd.Series([Plain()], dtype=object)}), "bad"),
        (pd.DataFrame({"bad": np.array([1], dtype=np.longdouble)}), "bad"),
        (Plain(), None),
        ([np.zeros(1), Plain()], None),
        ({"a": {"b": Plain()}}, None),
        (np.ma.masked_array([1], [True]), None),
        (np.zeros(1, dtype=[("a", "i4")]), ""),
        (type("Frame", (pd.DataFrame,), {})({"a": [1]}), None),
        (type("Array", (np.ndarray,), {})(3), None),
        (
            pa.table({"u": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])}),
            "u",
        ),
        (Ellipsis, None),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any, column: str | None) -> None:
    with pytest.raises(Refused) as caught:
        digest(value)
    assert "canonical form" in str(caught.value) or "may hold more" in str(caught.value)
    if column is not None:
        assert caught.value.fields["column"] == column


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = [np.zeros(1)]
    endless.append(endless)
    with pytest.raises(Refused, match="deep"):
        digest(endless)


def test_a_frame_that_breaks_when_it_is_looked_at_is_refused() -> None:
    frame = pd.DataFrame({"a": [1]})
    frame._mgr = None
    with pytest.raises(Refused, match="cannot be read"):
        digest(frame)


def test_a_budget_is_kept_before_and_while() -> None:
    large = np.zeros(30_000_000)
    with pytest.raises(Undigested, match="longer than the 1 ms"):
        digest(large, budget=0.001)
    assert estimate(large) > 0.02
    assert estimate(Plain()) == float("inf")
    slow = pd.Series(["x", 1] * 100_000, dtype=object)
    with pytest.raises(Undigested):
        digest(slow, budget=estimate(slow) / 1e6)
    tree = importlib.import_module("jupyter_mlops.snapshots.tree")
    progress = tree.Progress(deadline=0.0)
    with pytest.raises(Undigested, match="not ready"):
        progress.step()


def test_what_was_seen_is_estimated_as_what_a_look_costs() -> None:
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=1_000_000)})
    before = estimate(frame)
    digest(frame)
    assert estimate(frame) < before / 2
    frame.loc[5, "a"] = 7.0
    assert ident(frame) == ident(frame.copy())


def test_a_change_of_one_value_of_what_was_seen_is_noticed() -> None:
    array = np.zeros(3 * LEAF_ROWS)
    before, mark = ident(array), fingerprint(array)
    array[LEAF_ROWS] = 1e-300
    assert ident(array) != before
    assert fingerprint(array) != mark
    array[LEAF_ROWS] = 0
    assert ident(array) == before
    assert fingerprint(array) == mark


def test_another_process_agrees() -> None:
    code = (
        "import numpy as np, pandas as pd\n"
        "from jupyter_mlops.snapshots import digest\n"
        "f = pd.DataFrame({'a': np.arange(70000.0), 'b': ['x', None] * 35000})\n"
        "print(digest(f).id, digest({'a': {'x', 'y'}, 'b': (1, 2.5)}).id)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    frame = pd.DataFrame({"a": np.arange(70000.0), "b": ["x", None] * 35000})
    assert result.stdout.split() == [ident(frame), ident({"a": {"x", "y"}, "b": (1, 2.5)})]


def test_nothing_is_imported() -> None:
    code = (
        "import sys\nfrom jupyter_mlops.snapshots import digest\ndigest([1, 'a', {'b': 2.5}])\n"
        "assert not {'numpy', 'pandas', 'pyarrow', 'polars', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rare_plain_values() -> None:
    berlin = pd.Timestamp("2024-03-31 02:30", tz="UTC").tz_convert("Europe/Berlin")
    values = [
        pd.NA, pd.NaT, pd.Timestamp("2024"), pd.Timestamp("2024", tz="UTC"), berlin,
        pd.Timedelta(5, "s"), pd.Period("2024-01", "M"), pd.Interval(0, 1), np.float32(1),
        np.int64(1), np.str_("x"), np.datetime64("2024", "D"), uuid.UUID(int=5), 1 + 2j,
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.time(1, 2), 10**5000, -(10**30),
    ]  # fmt: skip
    assert len({ident([v]) for v in values}) == len(values)
    assert ident(values) == ident(list(values))


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, None, 3], "b": ["x", None, "y"]})
    assert ident(pl.concat([frame[:1], frame[1:]], rechunk=False)) == ident(frame)
    assert ident(frame.with_columns(a=pl.col("a").fill_null(0))) != ident(frame)
    assert digest(frame).kind == "frame"
    with pytest.raises(Refused, match="plan"):
        digest(frame.lazy())
