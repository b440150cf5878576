"""The canonical bytes of plain Python values, alone and as columns of objects.

Each value is a kind (one letter) and bytes.  A leaf of objects is the kinds, one byte a row, the
lengths (signed 64 bits, little-endian) and the bytes one after the other; the kinds are left out
where every value is a ``str``, so that such a leaf is that of a column of strings.
"""

from __future__ import annotations

import datetime as dt
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from struct import pack
from typing import Any

from ..errors import Refused
from .tree import Node

__all__ = [
    "SIMPLE",
    "encode",
    "is_plain",
    "lengths_of",
    "name_in_header",
    "object_node",
    "object_parts",
    "text_parts",
    "type_name",
]

_DEPTH = 8
_NONE, _STR = b"0s"


def encode(value: Any, depth: int = 0) -> tuple[str, bytes]:
    """Return ``(kind, bytes)``.  Raises ``Refused`` for what is not plain."""
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    if type(value) is tuple and depth < _DEPTH:
        items = [encode(item, depth + 1) for item in value]
        framed = [k.encode() + len(b).to_bytes(8, "little") + b for k, b in items]
        return "t", b"".join(framed)
    found = _of_libraries(value)
    if found is None:
        raise Refused(
            f"{type_name(value)} has no canonical form", hint="Keep values of plain types only."
        )
    return found


def is_plain(value: Any) -> bool:
    """Whether ``encode`` takes it."""
    try:
        encode(value)
    except Refused:
        return False
    return True


def name_in_header(name: Any) -> Any:
    """A column's, index's or series' name as JSON: a ``str`` or ``None`` is itself."""
    if name is None or type(name) is str:
        return name
    kind, data = encode(name)
    return {"kind": kind, "hex": data.hex()}


def object_node(values: Sequence[Any], tag: dict[str, Any], column: str = "") -> Node:
    """The node of a column of objects; ``values`` is a list or an array of one dimension."""
    rows = len(values)
    first = next((v for v in values[:100] if v is not None), None)
    each = 1e-7 if type(first) is str else 3e-7

    def leaf(start: int, stop: int) -> Iterable[Any]:
        part = values[start:stop]
        items = part if isinstance(part, (list, tuple)) else part.tolist()  # type: ignore[attr-defined]
        try:
            return object_parts(items)
        except Refused as error:
            where = f"column {column!r}: " if column else ""
            raise Refused(where + error.message, hint=error.hint, column=column) from None

    return Node(tag, rows, leaf, size=rows * 40, cost=1e-5 + rows * each)


def object_parts(values: Sequence[Any]) -> tuple[bytes, bytes, bytes]:
    """``(kinds, lengths, bytes)`` of a leaf of objects."""
    types = set(map(type, values))
    if types <= {str}:
        return b"", *text_parts(values)
    if types == {str, type(None)}:
        kinds = bytes([_NONE if value is None else _STR for value in values])
        return kinds, *text_parts(["" if value is None else value for value in values])
    encoders, letters, chunks = _ENCODERS, [], []
    for value in values:
        encoder = encoders.get(type(value))
        kind, data = encoder(value) if encoder is not None else encode(value)
        letters.append(kind)
        chunks.append(data)
    return "".join(letters).encode(), lengths_of(chunks), b"".join(chunks)


def text_parts(values: Sequence[str]) -> tuple[bytes, bytes]:
    """``(lengths, bytes)`` of strings: UTF-8, a lone surrogate as its three bytes."""
    text = "".join(values)
    if text.isascii():
        return lengths_of(values), text.encode("ascii")
    chunks = [_text(value) for value in values]
    return lengths_of(chunks), b"".join(chunks)


def lengths_of(values: Iterable[Any]) -> bytes:
    """The lengths as signed little-endian 64-bit integers."""
    lengths = array("q", map(len, values))
    if sys.byteorder == "big":  # pragma: no cover
        lengths.byteswap()
    return lengths.tobytes()


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _zone(value: Any) -> str:
    zone = value.tzinfo
    if zone is None:
        return ""
    if isinstance(zone, dt.timezone):
        return str(zone)
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if not isinstance(name, str):
        raise Refused(f"the time zone {type_name(zone)} has no canonical form")
    return name


def _moment(value: dt.datetime | dt.time) -> bytes:
    return f"{value.replace(tzinfo=None).isoformat()}|{_zone(value)}|{value.fold}".encode()


_ENCODERS: dict[type, Callable[[Any], tuple[str, bytes]]] = {
    str: lambda v: ("s", _text(v)),
    type(None): lambda v: ("0", b""),
    bool: lambda v: ("?", b"\x01" if v else b"\x00"),
    int: lambda v: ("i", _integer(v)),
    float: lambda v: ("f", pack("<d", v)),
    complex: lambda v: ("c", pack("<dd", v.real, v.imag)),
    bytes: lambda v: ("b", v),
    dt.datetime: lambda v: ("T", _moment(v)),
    dt.date: lambda v: ("D", v.isoformat().encode()),
    dt.time: lambda v: ("h", _moment(v)),
    dt.timedelta: lambda v: ("P", f"{v.days},{v.seconds},{v.microseconds}".encode()),
}
# Of modules that need not be loaded for those who have none.
_LOADED: tuple[tuple[str, str, Callable[[Any], tuple[str, bytes]]], ...] = (
    ("decimal", "Decimal", lambda v: ("d", str(v).encode())),
    ("uuid", "UUID", lambda v: ("u", v.bytes)),
)
# Types whose values are plain whatever they are.
SIMPLE = frozenset({str, type(None), bool, int, float, complex, bytes, dt.date, dt.timedelta})


def _of_libraries(value: Any) -> tuple[str, bytes] | None:
    """Decimals, UUIDs, and the scalars of NumPy and pandas, where these are loaded."""
    for module, name, encoder in _LOADED:
        if type(value) is getattr(sys.modules.get(module), name, None):
            _ENCODERS[type(value)] = encoder
            return encoder(value)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        dtype = value.dtype
        if type(value) is not dtype.type or dtype.kind not in "biufcmMSU" or dtype.char in "gG":
            return None
        little = numpy.asarray(value, dtype=dtype.newbyteorder("<"))
        return "n", f"{dtype.newbyteorder('=')}|".encode() + little.tobytes()
    pandas: Any = sys.modules.get("pandas")
    if pandas is None or not hasattr(pandas, "NaT"):
        return None
    if value is pandas.NA:
        return "N", b""
    if value is pandas.NaT:
        return "Z", b""
    if type(value) is pandas.Timestamp:
        return "S", f"{value.asm8.view('i8')}|{value.unit}|{_zone(value)}|{value.fold}".encode()
    if type(value) is pandas.Timedelta:
        return "E", f"{value.asm8.view('i8')}|{value.unit}".encode()
    if type(value) is pandas.Period:
        return "p", f"{value.ordinal}|{value.freqstr}".encode()
    if type(value) is pandas.Interval:
        return "v", value.closed.encode() + encode((value.left, value.right))[1]
    return None


def type_name(value: Any) -> str:
    """The name of a value's type, with its module."""
    kind = type(value)
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return prefix + kind.__qualname__
