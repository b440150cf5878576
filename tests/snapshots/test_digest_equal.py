"""Digests: the same for the same data however it lies in memory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.snapshots import LEAF_ROWS, fingerprint

from .digesting import N, ident, plain


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
