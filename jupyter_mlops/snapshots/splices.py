"""A frame into which rows were put, or of which rows were taken: the parent's chunks around them.

The rows before and after the edit are the parent's.  Chunks that lie there whole are referred to;
of the two that the edit cuts through, a part is: an entry ``{"of": entry, "rows": rows of it,
"start", "stop": which of them, "whole": BLAKE3 of the part}``.  What is new has chunks of its own,
so that it costs what it is, however wide the frame and however long the chunks are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CorruptError, NotFoundError
from .chunking import Read, Reader, Writer
from .cuts import even_cuts
from .entries import ids_of, part_of
from .streams import Column, Fixed, Text
from .tree import LEAF_ROWS

__all__ = ["Pieces", "Splice"]

Node = dict[str, Any]
_LEAST_ROWS = 1024
_LEAST_PIECE = 256  # Rows.
_LOOKED_AT = 16  # Columns.
_SHARE = 0.05  # Of the rows may be new; of more a lineage may know that they are not.
_MOST_CHUNKS = 4  # Times as many as the frame would have anew; beyond that it is cut anew.


@dataclass(frozen=True, slots=True)
class Pieces:
    """``(rows, number of the parent's chunk or -1, first row in it)`` of each chunk."""

    each: list[tuple[int, int, int]]

    @property
    def cuts(self) -> list[int]:
        """The rows of each chunk."""
        return [count for count, _, _ in self.each]

    def kept(self, writer: Writer, stream: Fixed | Text, old: Node, name: str) -> dict[int, Any]:
        """The entries of those chunks of a stream, by number, that are the parent's in fact."""
        before = old["streams"][name]
        found: dict[int, Any] = {}
        if isinstance(stream, Fixed) and before["type"] != stream.values.dtype.str:
            return found
        place = 0
        last: tuple[Any, Fixed | Text | None] = (None, None)  # An insertion cuts one chunk in two.
        for number, (count, at, first) in enumerate(self.each):
            start, place = place, place + count
            if at < 0 or at >= len(before["chunks"]):
                continue
            rows, entry = old["rows"][at], before["chunks"][at]
            raw = stream.raw(start, place)
            parts = raw if isinstance(raw, tuple) else (raw,)
            if entry is None or not writer.here(ids_of(entry)):
                continue
            if count == rows:
                if isinstance(entry, dict):
                    continue  # It is known by its ``whole``.
                ids = [entry] if isinstance(entry, str) else entry
                if all(
                    writer.find(part) == id if id else not len(part)
                    for part, id in zip(parts, ids, strict=True)
                ):
                    found[number] = entry
                continue
            entry, rows, begin = part_of(entry, rows)  # One step from what is stored.
            first += begin
            if entry != last[0]:
                last = entry, _stored(stream, entry, before, rows, writer.read)
            mine, theirs = stream.slice(start, place), last[1]
            if theirs is not None and mine.same(theirs.slice(first, first + count)):
                whole = writer.whole(*parts)
                span = {"start": first, "stop": first + count}
                found[number] = {"of": entry, "rows": rows, **span, "whole": whole}
        return found


def _stored(
    mine: Fixed | Text, entry: Any, stream: Node, rows: int, read: Read | None
) -> Fixed | Text | None:
    """What one chunk of the parent's holds, if it can be read."""
    if read is None:
        return None
    reader = Reader(read)
    node = {"length": rows, "rows": [rows], "streams": {"": {**stream, "chunks": [entry]}}}
    make = reader.fixed if isinstance(mine, Fixed) else reader.text
    try:
        return make(node, "")
    except (NotFoundError, CorruptError):  # Pulled in part, or damaged: it is not needed.
        return None


@dataclass(frozen=True, slots=True)
class Splice:
    """``head`` rows at the beginning and ``tail`` rows at the end are the parent's."""

    head: int
    tail: int
    rows: int

    @classmethod
    def find(
        cls, source: Any, old: Node | None, read: Read | None, find: Callable[[Any], str | None]
    ) -> Splice | None:
        """What a source shares with the version before; ``None`` where that is not worth it.

        ``find`` says the id of bytes that are in the store.  A guess by a few columns: each
        column is compared when it is stored.
        """
        if old is None or read is None or "lineage" in old or not old.get("columns"):
            return None
        rows, before = source.length, int(old["length"])
        if rows == before or min(rows, before) < _LEAST_ROWS:
            return None
        nodes = [node["name"] for node in old["columns"]]
        heads: list[int] = []
        tails: list[int] = []
        for position, name in enumerate(source.names):
            if len(heads) == _LOOKED_AT:
                break
            if nodes.count(name) != 1 or source.names.count(name) != 1:
                continue
            node = old["columns"][nodes.index(name)]
            stream = node["streams"].get("values")
            if stream is None or stream["store"] != "fixed" or node.get("parts"):
                continue
            if len(node["rows"]) > _MOST_CHUNKS * (before // LEAF_ROWS + 4):
                return None
            values = source.column(position).streams.get("values")
            if not isinstance(values, Fixed) or values.values.dtype.str != stream["type"]:
                continue
            if values.values.dtype.itemsize not in (2, 4, 8):
                continue
            try:
                heads.append(_common(values, node, read, find, True))
                tails.append(_common(values, node, read, find, False))
            except (NotFoundError, CorruptError):  # Pulled in part, or damaged: not needed.
                return None
        head = _most(heads)
        tail = min(_most(tails), min(rows, before) - head)
        if (rows - head - tail) > rows * _SHARE:
            return None
        return cls(head, tail, rows)

    def pieces(self, old: Node, column: Column) -> Pieces | None:
        """What each chunk of a column is; ``None`` for one that cannot be put together so."""
        counts = old["rows"]
        before = sum(counts)
        if before != old["length"] or column.pickled or column.length != self.rows:
            return None
        if not (column.streams or column.aligned) or self.head + self.tail > before:
            return None
        if column.meta.get("kind") == "batches":
            return None
        first: list[tuple[int, int, int]] = []
        last: list[tuple[int, int, int]] = []
        start = 0
        for number, count in enumerate(counts):
            end = start + count
            if start < self.head:
                first.append((min(end, self.head) - start, number, 0))
            low = max(start, before - self.tail)
            if low < end:
                last.append((end - low, number, low - start))
            start = end
        middle = self.rows - self.head - self.tail
        # What is short beside what is new becomes a part of it, or every append left a chunk.
        while first and _joins(first[-1][0], middle):
            middle += first.pop()[0]
        while last and _joins(last[0][0], middle):
            middle += last.pop(0)[0]
        return Pieces([*first, *((count, -1, 0) for count in even_cuts(middle)), *last])


def _joins(rows: int, middle: int) -> bool:
    return rows + middle <= LEAF_ROWS and rows <= max(_LEAST_PIECE, middle)


def _common(
    values: Fixed, node: Node, read: Read, find: Callable[[Any], str | None], forward: bool
) -> int:
    """How many rows at the beginning, or at the end, are those of a stored column."""
    import numpy

    width = values.values.dtype.itemsize
    chunks, counts = node["streams"]["values"]["chunks"], node["rows"]
    same = 0
    for number, count in _ordered(counts, forward):
        left = len(values) - same
        start = same if forward else left - count
        raw = values.raw(start, start + count) if count <= left else None
        entry = chunks[number]
        if raw is not None and isinstance(entry, str) and find(raw) == entry:
            same += count
            continue
        stop = sum(counts[:number])
        stored = Reader(read).fixed_rows(node, "values", stop, stop + count)
        count = min(count, left)
        mine = values.slice(same, same + count) if forward else values.slice(left - count, left)
        kept = stored.slice(0, count) if forward else stored.slice(len(stored) - count, len(stored))
        if not count:
            return same
        a, b = mine.raw(0, count).view(f"u{width}"), kept.raw(0, count).view(f"u{width}")
        differs = numpy.flatnonzero(a != b)
        if len(differs):
            return same + int(differs[0] if forward else count - 1 - differs[-1])
        same += count
    return same


def _most(common: list[int]) -> int:
    """The rows that save the most: in a column or two there may be another change as well."""
    return max(sorted(common), key=lambda rows: rows * sum(n >= rows for n in common), default=0)


def _ordered(counts: Sequence[int], forward: bool) -> Iterator[tuple[int, int]]:
    pairs = list(enumerate(counts))
    return iter(pairs if forward else reversed(pairs))
