"""The cells of a column as bits that can be compared and hashed without a loop.

Two cells are equal where their bits are: a NaN equals the same NaN, -0.0 is not 0.0, and what lies
below a missing value does not count.  Objects are compared by their canonical bytes (``plain``),
those that have none by their pickle.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import Refused
from .plain import encode

__all__ = ["Cells", "hash_rows", "pair_of_cells", "python_values", "take", "unequal"]

_WORDS = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}
_TEXT = {str, type(None)}


@dataclass(frozen=True, slots=True)
class Cells:
    """One column: ``parts`` are arrays of unsigned integers or Arrow arrays of bytes, a cell each;
    ``missing`` is an array of truth values, or ``None`` where nothing is missing."""

    rows: int
    parts: tuple[Any, ...]
    missing: Any = None


@dataclass(frozen=True, slots=True)
class _Masked:
    values: Any
    mask: Any


def pair_of_cells(a: Any, b: Any) -> tuple[Cells, Cells]:
    """The cells of two columns of the same type, in a form in which they can be compared."""
    if _is_categorical(a) and _is_categorical(b) and _same_categories(a, b):
        return _codes(a), _codes(b)
    a, b = _plain(a), _plain(b)
    if _is_object(a) or _is_object(b):
        first, second = _items(a), _items(b)
        if all(set(map(type, items)) <= _TEXT for items in (first, second)):
            made = _texts(first), _texts(second)
            if made[0] is not None and made[1] is not None:
                return made[0], made[1]
        return _objects(first), _objects(second)
    return _cells(a), _cells(b)


def unequal(a: Cells, b: Cells) -> Any:
    """An array of truth values: where the cells of two columns of the same length differ."""
    differ = np.zeros(a.rows, bool)
    for left, right in zip(a.parts, b.parts, strict=True):
        if isinstance(left, np.ndarray):
            differ |= left != right
        else:
            differ |= _truth(pc.not_equal(left, right))
    if a.missing is None and b.missing is None:
        return differ
    nothing = np.zeros(a.rows, bool)
    first = nothing if a.missing is None else a.missing
    second = nothing if b.missing is None else b.missing
    return np.where(first | second, first != second, differ)


def hash_rows(a: Cells, b: Cells, seed: int) -> tuple[Any, Any]:
    """64-bit hashes of the cells of two columns: equal where the cells are."""
    totals = np.zeros(a.rows, "u8"), np.zeros(b.rows, "u8")
    for number, (left, right) in enumerate(zip(a.parts, b.parts, strict=True)):
        parts = left, right
        if not isinstance(left, np.ndarray):
            both = pa.concat_arrays([left, right]).dictionary_encode()
            # What is missing has no code; its hash is set below.
            codes = pc.fill_null(both.indices, 0).to_numpy()
            parts = codes[: a.rows], codes[a.rows :]
        for total, part in zip(totals, parts, strict=True):
            total += _mix(part, seed * 1000 + number)
    for total, cells in zip(totals, (a, b), strict=True):
        if cells.missing is not None:
            total[cells.missing] = _mix(np.zeros(1, "u8"), seed * 1000 + 999)[0]
    return totals


def take(cells: Cells, rows: Any) -> Cells:
    """The cells at these positions."""
    parts = tuple(
        part[rows] if isinstance(part, np.ndarray) else part.take(pa.array(rows))
        for part in cells.parts
    )
    missing = None if cells.missing is None else cells.missing[rows]
    return Cells(len(rows), parts, missing)


def python_values(values: Any, rows: Any = None) -> list[Any]:
    """The values at these positions (all by default) as Python's, for showing them."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return list((values if rows is None else values.take(pa.array(rows))).to_pylist())
    found = values if rows is None else values[rows]
    if isinstance(found, np.ndarray) and found.dtype.kind not in "mM":
        return list(found.tolist())
    return list(found)  # ``tolist`` makes integers of times in nanoseconds.


def _mix(values: Any, seed: int) -> Any:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = values.astype("u8") + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x1234567) % 2**64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _plain(values: Any) -> Any:
    """The column without what wraps it: an array of NumPy's, an Arrow array, or one of pandas'."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # Arrow leaves what does not fit into one array.
            values = pa.concat_arrays(values.chunks)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if isinstance(values, pa.Array):
        return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    if isinstance(values, np.ndarray):
        return values
    pandas: Any = sys.modules["pandas"]
    dtype = values.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        return _categorical(values, dtype)
    if isinstance(dtype, pandas.ArrowDtype) or getattr(dtype, "storage", "") == "pyarrow":
        return _plain(values.__arrow_array__())
    if isinstance(dtype, pandas.SparseDtype):
        return np.asarray(values)
    if type(values).__name__ == "NumpyExtensionArray":
        return values.to_numpy()
    return values


def _categorical(values: Any, dtype: Any) -> Any:
    codes = np.asarray(values.codes)
    found = _plain(dtype.categories.array)
    if isinstance(found, pa.Array):
        return found.take(pa.array(codes, mask=codes < 0))
    if not len(dtype.categories):
        return pa.nulls(len(codes))
    if _is_object(found):
        items = np.empty(len(found) + 1, object)
        for position, item in enumerate(_items(found)):
            items[position] = item
        return items[codes]  # -1, what is missing, is the last.
    return _Masked(found[np.maximum(codes, 0)], codes < 0)


def _is_object(values: Any) -> bool:
    if isinstance(values, _Masked):
        return False
    if isinstance(values, pa.Array):
        return bool(pa.types.is_nested(values.type))
    if isinstance(values, np.ndarray):
        return bool(values.dtype.kind == "O")
    return not any(hasattr(values, name) for name in ("asi8", "_mask", "closed"))


def _items(values: Any) -> list[Any]:
    if isinstance(values, _Masked):
        items = np.array([*values.values, None], dtype=object)[:-1]
        items[values.mask] = None
        return list(items)
    if isinstance(values, pa.Array):
        return list(values.to_pylist())
    return list(values)


def _cells(values: Any) -> Cells:
    if isinstance(values, _Masked):
        found = _cells(values.values)
        missing = values.mask if found.missing is None else values.mask | found.missing
        return Cells(found.rows, found.parts, missing)
    if isinstance(values, pa.Array):
        return _arrow(values)
    if isinstance(values, np.ndarray):
        return Cells(len(values), _words(values))
    if hasattr(values, "asi8"):
        return Cells(len(values), _words(np.asarray(values.asi8)))
    if hasattr(values, "_mask"):
        mask = np.asarray(values._mask)
        return Cells(len(values), _words(np.asarray(values._data)), mask if mask.any() else None)
    left, right = (_cells(_plain(end.array)) for end in (values.left, values.right))
    return Cells(len(values), left.parts + right.parts)


def _words(values: Any) -> tuple[Any, ...]:
    """Values of one width as unsigned integers, or as bytes where they are too wide."""
    width, rows = values.dtype.itemsize, len(values)
    if values.dtype.byteorder == ("<" if sys.byteorder == "big" else ">"):
        values = values.astype(values.dtype.newbyteorder("="))
    values = np.ascontiguousarray(values)
    if width in _WORDS:
        return (values.view(_WORDS[width]),)
    if width == 16 and values.dtype.kind == "c":
        halves = values.view("u8").reshape(rows, 2)
        return halves[:, 0], halves[:, 1]
    return (_wide(pa.py_buffer(values.tobytes()), width, rows),) if width else ()


def _wide(buffer: Any, width: int, rows: int) -> Any:
    kind = pa.binary(width)
    array = pa.FixedSizeBinaryArray.from_buffers(kind, rows, [None, buffer])
    return array.cast(pa.large_binary())


def _arrow(array: Any) -> Cells:
    kind, rows, types = array.type, len(array), pa.types
    missing = _truth(array.is_null()) if array.null_count else None
    if types.is_null(kind):
        return Cells(rows, (), np.ones(rows, bool))
    if types.is_boolean(kind):
        return Cells(rows, (_truth(array).view("u1"),), missing)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Cells(rows, (array.cast(pa.large_string()).cast(pa.large_binary()),), missing)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return Cells(rows, (array.cast(pa.large_binary()),), missing)
    width = kind.bit_width // 8
    buffer = array.buffers()[1]
    if buffer is None or not rows or not width:
        return Cells(rows, (np.zeros(rows, "u1"),), missing)
    if width in _WORDS:
        words = np.frombuffer(buffer, _WORDS[width], rows, array.offset * width)
        return Cells(rows, (words,), missing)
    return Cells(rows, (_wide(buffer.slice(array.offset * width), width, rows),), missing)


def _texts(items: list[Any]) -> Cells | None:
    """Strings and ``None``; nothing where a string has no UTF-8."""
    try:
        return _arrow(pa.array(items, pa.large_string()))
    except (pa.ArrowException, UnicodeError):
        return None


def _objects(items: list[Any]) -> Cells:
    return Cells(len(items), (pa.array([_bytes(item) for item in items], pa.large_binary()),))


def _bytes(item: Any) -> bytes:
    if type(item) is list:
        return b"[" + b"".join(_framed(value) for value in item)
    if type(item) is dict:
        pairs = ((_framed(key), _framed(value)) for key, value in item.items())
        return b"{" + b"".join(key + value for key, value in pairs)
    try:
        kind, data = encode(item)
    except Refused:
        if isinstance(item, np.ndarray):
            header = f"@{item.dtype}{item.shape}".encode()
            return header + b"".join(_framed(value) for value in item.reshape(-1).tolist())
        return b"*" + pickle.dumps(item, 5)
    return kind.encode() + data


def _framed(value: Any) -> bytes:
    data = _bytes(value)
    return len(data).to_bytes(8, "little") + data


def _truth(array: Any) -> Any:
    """Truth values of an Arrow array as NumPy's; what is missing is false."""
    if array.null_count:
        array = pc.fill_null(array, False)
    return np.array(array.to_numpy(zero_copy_only=False), dtype=bool)


def _is_categorical(values: Any) -> bool:
    return type(values).__name__ == "Categorical"


def _same_categories(a: Any, b: Any) -> bool:
    if len(a.categories) != len(b.categories) or a.categories.dtype != b.categories.dtype:
        return False
    return not unequal(*pair_of_cells(a.categories.array, b.categories.array)).any()


def _codes(values: Any) -> Cells:
    return Cells(len(values), _words(np.asarray(values.codes)))
