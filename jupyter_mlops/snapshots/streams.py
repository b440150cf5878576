"""Columns as streams of bytes: what every library's column becomes before it is stored.

A ``Column`` has streams of its own rows (fixed-width values, or byte strings of any length),
columns aligned with it (the ends of intervals) and parts that belong to it as a whole (categories).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

_BLOCK = 1 << 17  # Rows.

__all__ = ["Coded", "Column", "Fixed", "Text", "fingerprint", "take_text"]


class Fixed:
    """A stream of fixed-width values: an array of one dimension, contiguous, of any dtype."""

    store = "fixed"

    def __init__(self, values: Any) -> None:
        numpy: Any = sys.modules["numpy"]
        self.values = numpy.ascontiguousarray(values)

    def __len__(self) -> int:
        return len(self.values)

    def raw(self, start: int, stop: int) -> Any:
        """The bytes of these rows, not copied."""
        numpy: Any = sys.modules["numpy"]
        part = self.values[start:stop]
        if not part.size or not part.dtype.itemsize:
            return b""
        return part.view(numpy.uint8)

    def slice(self, start: int, stop: int) -> Fixed:
        """These rows."""
        return Fixed(self.values[start:stop])

    def take(self, rows: Any) -> Fixed:
        """The rows of these numbers."""
        return Fixed(self.values[rows])

    def same(self, other: Fixed | Text) -> bool:
        """Whether the other has the same bytes."""
        if not isinstance(other, Fixed) or len(self) != len(other):
            return False
        if self.values.dtype.itemsize != other.values.dtype.itemsize:
            return False
        mine, theirs = self.raw(0, len(self)), other.raw(0, len(other))
        if not len(mine):
            return True
        if not len(mine) % 8:  # Eight bytes at a time.
            mine, theirs = mine.view("u8"), theirs.view("u8")
        return bool((mine == theirs).all())


class Text:
    """A stream of byte strings: ``offsets`` (64 bits, one more than rows, from 0) and ``data``."""

    store = "text"

    def __init__(self, offsets: Any, data: Any) -> None:
        self.offsets = offsets
        self.data = data

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def raw(self, start: int, stop: int) -> tuple[Any, Any]:
        """The lengths (unsigned, 32 bits, little-endian) and the bytes of these rows."""
        offsets = self.offsets[start : stop + 1]
        lengths = (offsets[1:] - offsets[:-1]).astype("<u4")
        return lengths.view("u1"), self.data[int(offsets[0]) : int(offsets[-1])]

    def slice(self, start: int, stop: int) -> Text:
        """These rows."""
        offsets = self.offsets[start : stop + 1]
        return Text(offsets - offsets[0], self.data[int(offsets[0]) : int(offsets[-1])])

    def take(self, rows: Any) -> Text:
        """The rows of these numbers."""
        return Text(*take_text(self.offsets, self.data, rows))

    def same(self, other: Fixed | Text) -> bool:
        """Whether the other has the same strings."""
        numpy: Any = sys.modules["numpy"]
        return (
            isinstance(other, Text)
            and bool(numpy.array_equal(self.offsets, other.offsets))
            and bool(numpy.array_equal(self.data, other.data))
        )


class Coded(Text):
    """The same, as numbers (``codes``) of distinct strings (``words``); spelled out when asked."""

    def __init__(self, codes: Any, words: Text) -> None:
        self.codes = codes
        self.words = words
        self._spelled: Text | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def offsets(self) -> Any:
        """Those of ``Text``."""
        return self._text().offsets

    @property
    def data(self) -> Any:
        """That of ``Text``."""
        return self._text().data

    def slice(self, start: int, stop: int) -> Coded:
        """These rows."""
        return Coded(self.codes[start:stop], self.words)

    def take(self, rows: Any) -> Coded:
        """The rows of these numbers."""
        return Coded(self.codes[rows], self.words)

    def _text(self) -> Text:
        if self._spelled is None:
            self._spelled = self.words.take(self.codes)
        return self._spelled


def take_text(offsets: Any, data: Any, rows: Any) -> tuple[Any, Any]:
    """Return offsets and bytes of the strings of these row numbers."""
    numpy: Any = sys.modules["numpy"]
    rows = numpy.asarray(rows, "i8")
    chosen = offsets[rows + 1] - offsets[rows]
    found = numpy.zeros(len(chosen) + 1, "i8")
    numpy.cumsum(chosen, out=found[1:])
    import pyarrow

    array = pyarrow.LargeBinaryArray.from_buffers(
        pyarrow.large_binary(),
        len(offsets) - 1,
        [None, pyarrow.py_buffer(numpy.ascontiguousarray(offsets)), pyarrow.py_buffer(data)],
    )
    taken = array.take(pyarrow.array(rows))
    buffer = taken.buffers()[2]
    out = numpy.frombuffer(buffer, "u1", int(found[-1])) if buffer is not None else data[:0]
    return found, out


@dataclass
class Column:
    """A column: what is said of it (``meta``, plain JSON), its rows and its streams."""

    meta: dict[str, Any]
    length: int
    streams: dict[str, Fixed | Text] = field(default_factory=dict)
    aligned: dict[str, Column] = field(default_factory=dict)
    parts: dict[str, Column] = field(default_factory=dict)
    pickled: bool = False
    low: int = 0  # The first row: parts are read whole, whatever rows were asked for.

    def map(self, change: Callable[[Fixed | Text], Fixed | Text], length: int) -> Column:
        """The column with every stream of its rows changed."""
        return Column(
            self.meta,
            length,
            {name: change(stream) for name, stream in self.streams.items()},
            {name: column.map(change, length) for name, column in self.aligned.items()},
            self.parts,
            self.pickled,
            self.low,
        )

    def take(self, rows: Any) -> Column:
        """The rows of these numbers (an array of integers)."""
        return self.map(lambda stream: stream.take(rows), len(rows))

    def same(self, other: Column) -> bool:
        """Whether both are the same in every byte."""
        return (
            self.meta == other.meta
            and self.length == other.length
            and self.streams.keys() == other.streams.keys()
            and self.aligned.keys() == other.aligned.keys()
            and self.parts.keys() == other.parts.keys()
            and all(s.same(other.streams[n]) for n, s in self.streams.items())
            and all(c.same(other.aligned[n]) for n, c in self.aligned.items())
            and all(c.same(other.parts[n]) for n, c in self.parts.items())
        )


def fingerprint(column: Column) -> str:
    """BLAKE3 of the streams of a column, whatever its chunks (64 hex digits)."""
    hasher = blake3(repr(column.meta).encode())

    def add(each: Column) -> None:
        for name, stream in sorted(each.streams.items()):
            if isinstance(stream, Text):
                # As ``raw`` says them, a block at a time: both are copies.
                hasher.update(f"{name}:{4 * len(stream)}\n".encode())
                for start in range(0, len(stream), _BLOCK):
                    hasher.update(stream.raw(start, min(start + _BLOCK, len(stream)))[0])
                data = stream.raw(0, 0)[1] if not len(stream) else stream.data
                hasher.update(f"{name}:{memoryview(data).nbytes}\n".encode())
                hasher.update(data)
                continue
            part = stream.raw(0, len(stream))
            hasher.update(f"{name}:{memoryview(part).nbytes}\n".encode())
            hasher.update(part)
        for _, below in sorted(each.aligned.items()) + sorted(each.parts.items()):
            hasher.update(repr(below.meta).encode())
            add(below)

    add(column)
    return hasher.hexdigest()
