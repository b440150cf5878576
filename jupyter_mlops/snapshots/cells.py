"""Cells of object columns: plain values as their canonical bytes, others pickled one by one.

Each cell is a kind (one letter, ``plain.py``) and bytes.  ``K`` is a pickle of protocol 5 without a
memo where there is no cycle, so that equal values give equal bytes; it is read only where this user
has signed it, or with consent.
"""

from __future__ import annotations

import datetime as dt
import importlib
import io
import itertools
import pickle
import struct
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from ..errors import CorruptError, Refused
from .plain import encode, text_parts, type_name
from .streams import Column, Fixed, Text

__all__ = ["PICKLED", "cells_column", "cells_of", "read_cell", "write_cell"]

PICKLED = "K"
_EXACT = frozenset(
    {str, type(None), bool, int, float, complex, bytes, dt.date, dt.timedelta, Decimal, UUID}
)


def cells_column(values: Sequence[Any], meta: dict[str, Any], column: str = "") -> Column:
    """Return the column of objects: streams ``cells`` and, unless all are ``str``, ``kinds``.

    Raises ``Refused`` for an object that cannot be pickled.
    """
    numpy: Any = _numpy()
    items = values if isinstance(values, list) else list(values)
    types = set(map(type, items))
    if types <= {str, type(None)}:
        texts = items if types <= {str} else ["" if v is None else v for v in items]
        lengths, data = text_parts(texts)
        found = Column(meta, len(items), {"cells": _text(numpy.frombuffer(lengths, "<i8"), data)})
        if type(None) in types:
            kinds = numpy.fromiter((48 if v is None else 115 for v in items), "u1", len(items))
            found.streams["kinds"] = Fixed(kinds)
        return found
    letters, chunks = bytearray(), []
    for row, value in enumerate(items):
        try:
            kind, data = write_cell(value)
        except Refused as error:
            where = f"column {column!r}, row {row}: " if column else f"row {row}: "
            raise Refused(where + error.message, hint=error.hint, column=column) from None
        letters += kind.encode()
        chunks.append(data)
    sizes = numpy.fromiter(map(len, chunks), "i8", len(chunks))
    streams: dict[str, Fixed | Text] = {
        "cells": _text(sizes, b"".join(chunks)),
        "kinds": Fixed(numpy.frombuffer(bytes(letters), "u1")),
    }
    return Column(meta, len(items), streams, pickled=PICKLED.encode() in letters)


def cells_of(column: Column) -> list[Any]:
    """The objects of a column.  Its pickled cells must have been checked by whoever read it."""
    text = column.streams["cells"]
    assert isinstance(text, Text)  # noqa: S101 - made by Reader from the manifest's "store"
    data, ends = text.data.tobytes(), text.offsets.tolist()
    pairs = itertools.pairwise(ends)
    kinds = column.streams.get("kinds")
    if kinds is None:
        return [data[a:b].decode("utf-8", "surrogatepass") for a, b in pairs]
    letters = kinds.raw(0, len(kinds))
    codes = bytes(letters).decode("latin-1")
    if not column.pickled and PICKLED in codes:
        raise CorruptError("pickled cells in a column that is not signed")
    return [read_cell(kind, data[a:b]) for kind, (a, b) in zip(codes, pairs, strict=True)]


def write_cell(value: Any) -> tuple[str, bytes]:
    """Return ``(kind, bytes)`` of one object.  Raises ``Refused`` if it cannot be pickled."""
    if _plain(value):
        return encode(value)
    return PICKLED, _pickled(value)


def read_cell(kind: str, data: bytes) -> Any:
    """The object of a kind and its bytes.  Raises ``CorruptError`` for an unknown kind."""
    reader = _READERS.get(kind)
    if reader is None:
        raise CorruptError(f"no objects are of kind {kind!r}")
    try:
        return reader(data)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError, ArithmeticError) as error:
        raise CorruptError(f"an object of kind {kind!r} cannot be read: {error}") from error


def _plain(value: Any, depth: int = 0) -> bool:
    """Whether its canonical bytes say everything that there is to it."""
    kind = type(value)
    if kind in _EXACT:
        return True
    if kind is tuple:
        return depth < 8 and all(_plain(item, depth + 1) for item in value)
    if kind is dt.datetime or kind is dt.time:
        return value.tzinfo is None or value.tzinfo is dt.UTC
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.dtype.kind in "biufcmM" and value.dtype.char not in "gG"
    pandas: Any = sys.modules.get("pandas")
    if pandas is None or not hasattr(pandas, "NaT"):
        return False
    if value is pandas.NA or value is pandas.NaT:
        return True
    if kind is pandas.Timestamp:
        return value.tzinfo is None
    return kind is pandas.Timedelta


_Pickler: Any = pickle._Pickler  # Not in the type stubs.


class _Ordered(_Pickler):  # type: ignore[misc]
    """A pickler that writes sets in an order that does not depend on the process."""

    dispatch = dict(_Pickler.dispatch)  # noqa: RUF012 - the name that it is looked up by

    def save_set(self, value: Any) -> None:
        """Write a set as what makes it of a list."""
        self.save_reduce(type(value), (sorted(value, key=_pickled),), obj=value)

    dispatch[set] = save_set
    dispatch[frozenset] = save_set


def _pickled(value: Any) -> bytes:
    try:
        buffer = io.BytesIO()
        maker: Any = pickle.Pickler if _has_no_set(value) else _Ordered
        pickler = maker(buffer, protocol=5)
        pickler.fast = True  # No memo: equal values give equal bytes.
        pickler.dump(value)
        return buffer.getvalue()
    except (RecursionError, ValueError):  # It refers to itself.
        pass
    except Exception as error:
        raise _unpicklable(value, error) from None
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:
        raise _unpicklable(value, error) from None


def _has_no_set(value: Any, depth: int = 0) -> bool:
    """Whether there is certainly no set in a value: it is made of what is built in, or an array."""
    kind = type(value)
    if kind in _EXACT:
        return True
    if depth < 8 and kind in (list, tuple):
        return all(_has_no_set(item, depth + 1) for item in value)
    if depth < 8 and kind is dict:
        return all(_has_no_set(i, depth + 1) for pair in value.items() for i in pair)
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and kind is numpy.ndarray and not value.dtype.hasobject


def _unpicklable(value: Any, error: Exception) -> Refused:
    return Refused(
        f"{type_name(value)} cannot be pickled: {error}", hint="Keep values of plain types only."
    )


def _tuple(data: bytes) -> tuple[Any, ...]:
    items, place = [], 0
    while place < len(data):
        kind, size = chr(data[place]), int.from_bytes(data[place + 1 : place + 9], "little")
        if kind == PICKLED:
            raise CorruptError("a tuple cannot hold pickled objects")
        items.append(read_cell(kind, data[place + 9 : place + 9 + size]))
        place += 9 + size
    return tuple(items)


def _moment(data: bytes, parse: Callable[[str], Any]) -> Any:
    text, zone, fold = data.decode().rsplit("|", 2)
    found = parse(text).replace(fold=int(fold))
    return found.replace(tzinfo=dt.timezone.utc) if zone else found  # noqa: UP017


def _duration(data: bytes) -> dt.timedelta:
    days, seconds, microseconds = map(int, data.split(b","))
    return dt.timedelta(days, seconds, microseconds)


def _scalar(data: bytes) -> Any:
    name, _, raw = data.partition(b"|")
    return _numpy().frombuffer(raw, _numpy().dtype(name.decode()).newbyteorder("<"), 1)[0]


def _timestamp(data: bytes) -> Any:
    number, unit, _, fold = data.decode().split("|")
    pandas: Any = importlib.import_module("pandas")
    stamp = pandas.Timestamp(_numpy().datetime64(int(number), unit))
    return stamp.replace(fold=int(fold)) if fold != "0" else stamp


def _timedelta(data: bytes) -> Any:
    number, unit = data.decode().split("|")
    import pandas

    return pandas.Timedelta(_numpy().timedelta64(int(number), unit))


def _missing(name: str) -> Callable[[bytes], Any]:
    def read(_: bytes) -> Any:
        import pandas

        return getattr(pandas, name)

    return read


_READERS: dict[str, Callable[[bytes], Any]] = {
    "s": lambda d: d.decode("utf-8", "surrogatepass"),
    "0": lambda d: None,
    "?": lambda d: d != b"\x00",
    "i": lambda d: int.from_bytes(d, "little", signed=True),
    "f": lambda d: struct.unpack("<d", d)[0],
    "c": lambda d: complex(*struct.unpack("<dd", d)),
    "b": lambda d: d,
    "d": lambda d: Decimal(d.decode()),
    "D": lambda d: dt.date.fromisoformat(d.decode()),
    "T": lambda d: _moment(d, dt.datetime.fromisoformat),
    "h": lambda d: _moment(d, dt.time.fromisoformat),
    "P": lambda d: _duration(d),
    PICKLED: lambda d: pickle.loads(d),  # noqa: S301 - signed, or trusted: see Reader.column
    "u": lambda d: UUID(bytes=d),
    "t": _tuple,
    "n": _scalar,
    "S": _timestamp,
    "E": _timedelta,
    "N": _missing("NA"),
    "Z": _missing("NaT"),
}


def _text(sizes: Any, data: bytes) -> Text:
    numpy: Any = _numpy()
    offsets = numpy.zeros(len(sizes) + 1, "i8")
    numpy.cumsum(sizes, out=offsets[1:])
    return Text(offsets, numpy.frombuffer(data, "u1"))


def _numpy() -> Any:
    import numpy

    return numpy
