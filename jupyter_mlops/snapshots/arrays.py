"""The canonical form of NumPy arrays and SciPy's sparse matrices.

NumPy is never imported here: the functions are given its objects and use the module that made them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ..errors import Refused
from .plain import object_node
from .tree import Node

__all__ = [
    "RAW",
    "array_node",
    "masked_node",
    "numpy_column",
    "packed_bits",
    "sparse_node",
]

RAW = 2.5e9  # Bytes a second, hashed as they lie in memory.
_STRIDED = 6e8  # Bytes a second where they must be gathered first.

_SPARSE = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")


def numpy_column(values: Any, column: str = "") -> Node:
    """The node of an array of one dimension: its dtype and its values, little-endian."""
    dtype = values.dtype
    if dtype.kind == "O":
        return object_node(values, {"dtype": "object"}, column)
    _check(dtype, column)
    size = values.nbytes
    steady = values.flags.c_contiguous and _is_little(dtype)
    return Node(
        {"dtype": _name(dtype)},
        len(values),
        lambda start, stop: (_raw(values[start:stop]),),
        size=size,
        cost=1e-5 + size / (RAW if steady else _STRIDED),
    )


def masked_node(values: Any, mask: Any, name: str) -> Node:
    """The node of values with a mask (true: missing): validity, then values with 0 for missing."""
    numpy: Any = sys.modules["numpy"]

    def leaf(start: int, stop: int) -> Iterable[Any]:
        part, missing = values[start:stop], mask[start:stop]
        if not missing.any():
            return b"", _raw(part)
        return packed_bits(~missing), _raw(numpy.where(missing, part.dtype.type(0), part))

    size = values.nbytes + mask.nbytes
    return Node({"dtype": name}, len(values), leaf, size=size, cost=1e-5 + size / (RAW / 2))


def array_node(values: Any) -> Node:
    """The node of an array of any shape: its elements in C order, cut into leaves of 65,536."""
    dtype, count = values.dtype, values.size
    header = {"kind": "numpy.ndarray", "shape": list(values.shape)}
    if dtype.kind == "O":
        flat = values.reshape(-1)
        return Node(header, children=(object_node(flat, {"dtype": "object"}),))
    _check(dtype, "")
    if values.flags.c_contiguous:
        return Node(header, children=(numpy_column(values.reshape(-1)),))
    # The flat iterator copies a leaf at a time, in C order.
    elements = Node(
        {"dtype": _name(dtype)},
        count,
        lambda start, stop: (_raw(values.flat[start:stop]),),
        size=values.nbytes,
        cost=1e-5 + values.nbytes / _STRIDED,
    )
    return Node(header, children=(elements,))


def sparse_node(matrix: Any) -> Node:
    """The node of a sparse matrix: row (or column) pointers, indices and values.

    CSC is hashed as CSC, every other format as the CSR that it converts to; duplicates are summed
    and indices sorted first, in a copy.
    """
    form = matrix.format
    if form not in _SPARSE or len(matrix.shape) != 2:
        raise Refused(f"a sparse {form} of {len(matrix.shape)} dimensions has no canonical form")
    kind = "array" if type(matrix).__name__.endswith("_array") else "matrix"
    header = {"kind": "scipy.sparse", "format": form, "of": kind, "shape": list(matrix.shape)}
    stored, width = int(matrix.nnz), int(matrix.dtype.itemsize) + 8
    cost = 1e-4 + stored * (8e-9 if form in ("csr", "csc") else 6e-8)
    return Node(header, size=stored * width, cost=cost, lazy=lambda: _compressed(matrix))


def _compressed(matrix: Any) -> tuple[Node, ...]:
    """Pointers, indices and values of a matrix as CSC if it is one, else as CSR."""
    numpy: Any = sys.modules["numpy"]
    matrix = matrix if matrix.format in ("csr", "csc") else matrix.tocsr()
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    indptr, indices = matrix.indptr.astype("<i8"), matrix.indices
    stored = int(indptr[-1]) if len(indptr) else 0
    # 32 or 64 bits, as SciPy chose by the size: the same numbers.
    wide = Node(
        {"dtype": "int64"},
        stored,
        lambda start, stop: (_raw(numpy.asarray(indices[start:stop], dtype="<i8")),),
    )
    return numpy_column(indptr), wide, numpy_column(matrix.data[:stored])


def packed_bits(valid: Any) -> bytes:
    """Truth values as bits, the first in the lowest; none at all where every one is true."""
    numpy: Any = sys.modules["numpy"]
    if valid.all():
        return b""
    return bytes(numpy.packbits(valid, bitorder="little").tobytes())


def _raw(values: Any) -> Any:
    """The bytes of an array of one dimension, little-endian, copied only where they must be."""
    numpy: Any = sys.modules["numpy"]
    if not _is_little(values.dtype):
        values = values.astype(values.dtype.newbyteorder("<"))
    if not values.size or not values.dtype.itemsize:
        return b""
    return numpy.ascontiguousarray(values).view(numpy.uint8)


@lru_cache(256)
def _name(dtype: Any) -> str:
    """The dtype as NumPy spells it in native order: ``float64``, ``datetime64[us]``, ``<U7``."""
    return str(dtype.newbyteorder("<")) if dtype.kind == "U" else str(dtype.newbyteorder("="))


def _is_little(dtype: Any) -> bool:
    if dtype.byteorder == "=":
        return sys.byteorder == "little"
    return dtype.byteorder in "<|"


def _check(dtype: Any, column: str) -> None:
    if dtype.kind not in "biufcmMSU" or dtype.char in "gG":
        raise Refused(
            (f"column {column!r}: " if column else "") + f"the dtype {dtype} has no canonical form",
            hint="Convert it to numbers, strings or dates.",
            column=column,
        )
