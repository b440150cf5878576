"""The canonical form of Arrow's columns, whatever their chunks, offsets and slices.

A leaf of a column is its validity (bits, none where all are valid), then by type: fixed-width
values with zeros for what is missing; lengths and bytes of strings; lengths of lists and the parts
of what is in them; the parts of each field of a structure.  A dictionary is hashed as the values
it stands for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import Refused
from .arrays import RAW, packed_bits
from .scratch import scratch
from .tree import Node

__all__ = ["arrow_node", "arrow_parts", "bytes_of", "type_text"]


def arrow_node(chunked: Any, tag: dict[str, Any], column: str = "") -> Node:
    """The node of a ``ChunkedArray`` or ``Array``; ``tag`` is its header."""
    pyarrow: Any = sys.modules["pyarrow"]
    _check(pyarrow, chunked.type, column, top=True)
    rows = len(chunked)
    array = None
    if isinstance(chunked, pyarrow.Array):
        array = chunked
    elif chunked.num_chunks == 1:
        array = chunked.chunk(0)

    def leaf(start: int, stop: int) -> Iterable[Any]:
        if array is not None:
            return arrow_parts(array.slice(start, stop - start))
        part = chunked.slice(start, stop - start)
        if part.num_chunks == 1:
            return arrow_parts(part.chunk(0))
        if not part.null_count and _has_offsets(pyarrow, part.type):
            return _pieces(part)
        return arrow_parts(
            pyarrow.concat_arrays([_plain(pyarrow, c) for c in part.chunks], scratch())
        )

    children: tuple[Node, ...] = ()
    if pyarrow.types.is_dictionary(chunked.type) and chunked.type.ordered:
        # The order says something; it is the same in every chunk once they are unified.
        whole = pyarrow.chunked_array([array]) if array is not None else chunked
        if rows:
            order = whole.unify_dictionaries().chunk(0).dictionary
            children = (arrow_node(order, {"part": "order"}),)
    size = bytes_of(chunked)
    slow = 1e-9 if _is_fixed(chunked.type) and not chunked.null_count else 1e-8
    return Node(tag, rows, leaf, children, size, 2e-5 + size / RAW + rows * slow)


def arrow_parts(array: Any) -> Iterator[Any]:
    """Yield the byte strings of one Arrow array."""
    pyarrow: Any = sys.modules["pyarrow"]
    array = _plain(pyarrow, array)
    kind, types, rows = array.type, pyarrow.types, len(array)
    valid = None
    if array.null_count and rows:
        valid = _bits(array.is_valid(), 1)
        yield packed_bits(valid)
    else:
        yield b""
    if types.is_null(kind):
        return
    if types.is_struct(kind):
        for child in array.flatten():
            yield from arrow_parts(child)
    elif types.is_fixed_size_list(kind):
        yield from arrow_parts(array.flatten())
    elif types.is_map(kind):
        yield _lengths(array, valid, kind)[0]
        for items, of in ((array.keys, kind.key_type), (array.items, kind.item_type)):
            yield from arrow_parts(_as_list(pyarrow, array, items, of).flatten())
    elif types.is_list(kind) or types.is_large_list(kind):
        yield _lengths(array, valid, kind)[0]
        yield from arrow_parts(array.flatten())
    elif types.is_boolean(kind):
        bits = _bits(array, 1)
        yield _pack(bits if valid is None else bits & valid)
    elif _has_offsets(pyarrow, kind):
        yield from _strings(array, valid, kind)
    else:
        yield _fixed(array, valid, kind)


def type_text(kind: Any) -> str:
    """The type as Arrow spells it."""
    if hasattr(kind, "extension_name"):
        return f"extension<{kind.extension_name}>[{kind.storage_type}]"
    return str(kind)


def bytes_of(data: Any) -> int:
    """Bytes of an array or a table, about: some versions of Arrow cannot count those of views."""
    try:
        return int(data.nbytes)
    except Exception:
        return len(data) * 24 * getattr(data, "num_columns", 1)


def _plain(pyarrow: Any, array: Any) -> Any:
    """The array without its dictionary, extension or view."""
    types = pyarrow.types
    if isinstance(array, pyarrow.ExtensionArray):
        array = array.storage
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_string_view(array.type):
        return array.cast(pyarrow.large_string())
    if types.is_binary_view(array.type):
        return array.cast(pyarrow.large_binary())
    return array


def _as_list(pyarrow: Any, array: Any, items: Any, kind: Any) -> Any:
    """A map's keys or items as lists: Arrow cannot flatten a map itself."""
    buffers = array.buffers()[:2]
    return pyarrow.Array.from_buffers(
        pyarrow.list_(kind), len(array), buffers, array.null_count, array.offset, children=[items]
    )


def _strings(array: Any, valid: Any, kind: Any) -> Iterator[Any]:
    lengths, offsets = _lengths(array, valid, kind)
    yield lengths
    data = array.buffers()[2]
    if data is None or not len(array):
        yield b""
        return
    if valid is not None and (offsets[1:] - offsets[:-1])[~valid].any():
        # What lies below a missing value is anything.
        numpy: Any = sys.modules["numpy"]
        first, last = int(offsets[0]), int(offsets[-1])
        raw = numpy.frombuffer(data, "u1", last - first, first)
        yield raw[numpy.repeat(valid, offsets[1:] - offsets[:-1])]
    else:
        yield memoryview(data).cast("B")[int(offsets[0]) : int(offsets[-1])]


def _pieces(chunked: Any) -> tuple[bytes, list[Any], list[Any]]:
    """The byte strings, in pieces, of strings in several arrays, of which none is missing."""
    lengths: list[Any] = []
    data: list[Any] = []
    for array in chunked.chunks:
        found = _lengths(array, None, array.type)
        lengths.append(found[0])
        if found[1] is not None and (text := array.buffers()[2]) is not None:
            data.append(memoryview(text).cast("B")[int(found[1][0]) : int(found[1][-1])])
    return b"", lengths, data


def _lengths(array: Any, valid: Any, kind: Any) -> tuple[Any, Any]:
    """Lengths (0 of what is missing) as signed 64-bit integers, and the offsets."""
    numpy: Any = sys.modules["numpy"]
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return b"", None
    types = sys.modules["pyarrow"].types
    wide = types.is_large_string(kind) or types.is_large_binary(kind) or types.is_large_list(kind)
    offsets = numpy.frombuffer(
        buffer, "i8" if wide else "i4", len(array) + 1, array.offset * (8 if wide else 4)
    )
    lengths = numpy.subtract(offsets[1:], offsets[:-1], dtype="i8")
    if valid is not None:
        lengths[~valid] = 0
    return lengths.astype("<i8", copy=False).view("u1"), offsets


def _fixed(array: Any, valid: Any, kind: Any) -> Any:
    numpy: Any = sys.modules["numpy"]
    width, rows = kind.bit_width // 8, len(array)
    buffer = array.buffers()[1]
    if buffer is None or not rows or not width:
        return b""
    view = memoryview(buffer).cast("B")[array.offset * width : (array.offset + rows) * width]
    if valid is None:
        return view
    values = numpy.frombuffer(view, "u1").reshape(rows, width).copy()
    values[~valid] = 0
    return values.reshape(-1)


def _bits(array: Any, position: int) -> Any:
    """A boolean array's values as an array of truth values."""
    numpy: Any = sys.modules["numpy"]
    rows, offset = len(array), array.offset
    buffer = array.buffers()[position]
    if buffer is None or not rows:
        return numpy.zeros(rows, bool)
    first = offset // 8
    raw = numpy.frombuffer(buffer, "u1", (offset + rows + 7) // 8 - first, first)
    skip = offset - first * 8
    bits = numpy.unpackbits(raw, count=skip + rows, bitorder="little")
    return bits[skip:].astype(bool)


def _pack(bits: Any) -> bytes:
    numpy: Any = sys.modules["numpy"]
    return bytes(numpy.packbits(bits, bitorder="little").tobytes())


def _has_offsets(pyarrow: Any, kind: Any) -> bool:
    types = pyarrow.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _is_fixed(kind: Any) -> bool:
    try:
        return bool(kind.bit_width)
    except ValueError:
        return False


def _check(pyarrow: Any, kind: Any, column: str, *, top: bool = False) -> None:
    """Raise ``Refused`` for a type that ``arrow_parts`` does not know."""
    types = pyarrow.types
    if isinstance(kind, pyarrow.BaseExtensionType):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        if kind.ordered and not top:
            raise _refused(kind, column)
        return _check(pyarrow, kind.value_type, column)
    if types.is_struct(kind):
        for index in range(kind.num_fields):
            _check(pyarrow, kind.field(index).type, column)
        return None
    if types.is_map(kind):
        _check(pyarrow, kind.key_type, column)
        return _check(pyarrow, kind.item_type, column)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _check(pyarrow, kind.value_type, column)
    views = types.is_string_view(kind) or types.is_binary_view(kind)
    known = types.is_null(kind) or _has_offsets(pyarrow, kind) or views or types.is_primitive(kind)
    if not (known or types.is_decimal(kind) or types.is_fixed_size_binary(kind)):
        raise _refused(kind, column)
    return None


def _refused(kind: Any, column: str) -> Refused:
    where = f"column {column!r}: " if column else ""
    return Refused(f"{where}the type {kind} has no canonical form", column=column)
