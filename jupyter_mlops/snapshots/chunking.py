"""Streams to chunks and back.

A column in a manifest is ``{**meta, "length", "rows": [rows of each chunk], "streams": {name:
{"store", "type", "chunks": [...]}}, "aligned": {...}, "parts": {...}}``.  An entry of ``chunks`` is

- fixed: the id of the values' bytes, ``None`` for none, or ``{"base", "at", "to", "whole"}``: the
  chunk ``base`` with the values ``to`` at the positions ``at``;
- text: ``[id of the lengths, id of the bytes]``, or ``{"codes", "lengths", "bytes", "whole"}``: for
  each row which of the distinct strings it is.

``whole`` is BLAKE3 of what comes out, so that an unchanged chunk is known without its parts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..errors import CorruptError, NotFoundError, UntrustedError
from ..journal import signing
from .cuts import bounds, even_cuts, fixed_cuts, text_cuts
from .entries import chunks_of, ids_of, part_of
from .scratch import unique
from .streams import Coded, Column, Fixed, Text, take_text
from .words import short_words, words_of

__all__ = ["STRUCTURE", "Read", "Reader", "Writer", "binary_of", "chunks_of", "same_shape"]

Read = Callable[[Sequence[str]], list[memoryview]]
Node = dict[str, Any]

_PATCHED = 8  # A patch is taken for at most one changed row in so many.
_MOST_CODES = 65_536
_TOGETHER = 8  # Chunks that are in memory twice.


class Writer:
    """Puts columns into a transaction, using what the parent version has where it is the same."""

    def __init__(self, tx: Any, read: Read | None = None) -> None:
        self._tx = tx
        self.read = read
        self._number = 0  # Of the column: its chunks are compressed alike.
        self.add = tx.add
        self.find = tx.find
        self.whole = tx.whole

    def column(
        self,
        column: Column,
        cuts: Sequence[int] | None = None,
        old: Node | None = None,
        splice: Any = None,
    ) -> Node:
        """Store a column; ``cuts`` are the rows of each chunk, else those of ``old`` or its own.

        ``splice`` (a ``Splice``) says which rows at both ends are probably those of ``old``.
        """
        old = old if old is not None and same_shape(column, old) else None
        pieces: Any = None
        if old is not None and old["length"] == column.length:
            cuts = old["rows"]
        elif old is not None and splice and (pieces := splice.pieces(old, column)) is not None:
            cuts = pieces.cuts
        elif cuts is None or sum(cuts) != column.length:
            cuts = _cuts(column)
        return self._store(column, list(cuts), old, pieces)

    def _store(self, column: Column, cuts: list[int], old: Node | None, pieces: Any = None) -> Node:
        node: Node = {**column.meta, "length": column.length, "rows": cuts, "streams": {}}
        self._number += 1
        for name, stream in column.streams.items():
            before = old["streams"].get(name) if old else None
            same = bool(old) and old is not None and old["rows"] == cuts
            kept = pieces.kept(self, stream, old, name) if old and before and pieces else {}
            chunks = (
                self._fixed(stream, cuts, before, same, kept)
                if isinstance(stream, Fixed)
                else self._text(stream, cuts, before, kept)
            )
            node["streams"][name] = {"store": stream.store, "chunks": chunks}
            if isinstance(stream, Fixed):
                node["streams"][name]["type"] = stream.values.dtype.str
        for key, below in (("aligned", column.aligned), ("parts", column.parts)):
            if below:
                olds = (old or {}).get(key, {})
                node[key] = {
                    name: self._aligned(c, cuts, olds.get(name), pieces)
                    if key == "aligned"
                    else self.column(c, None, olds.get(name))
                    for name, c in below.items()
                }
        if column.pickled:
            node["signatures"] = [
                signing.sign(_signed(column, start, start + count))
                for start, count in _starts(cuts)
            ]
        return node

    def _aligned(self, column: Column, cuts: list[int], old: Node | None, pieces: Any) -> Node:
        """Store a column that is cut as the one that it belongs to."""
        if pieces is None or old is None or not same_shape(column, old):
            return self.column(column, cuts, old)
        return self._store(column, cuts, old, pieces)

    def _fixed(
        self,
        stream: Fixed,
        cuts: list[int],
        old: Node | None,
        same: bool,
        kept: dict[int, Any],
    ) -> list[Any]:
        width = stream.values.dtype.itemsize
        known = _wholes(old)
        hint = self._hint(f"fixed-{stream.values.dtype.kind}")
        if old is not None and old["type"] != stream.values.dtype.str:
            old, known = None, {}
        chunks: list[Any] = []
        for number, (start, count) in enumerate(_starts(cuts)):
            raw = stream.raw(start, start + count)
            if not len(raw):
                chunks.append(None)
                continue
            if number in kept:
                chunks.append(kept[number])
                continue
            if known:
                entry = known.get(self._tx.whole(raw))
                if entry is not None and self.here(ids_of(entry)):
                    chunks.append(entry)
                    continue
            entry = None
            if old is not None and same and width in (1, 2, 4, 8):
                id = self._tx.find(raw)
                if id is not None:
                    chunks.append(id)
                    continue
                entry = self._patch(raw, old["chunks"][number], width)
            chunks.append(entry or self._tx.add(raw, itemsize=width, hint=hint))
        return chunks

    def here(self, ids: Iterable[str]) -> bool:
        """Whether chunks of the parent's can be referred to: after a partial pull some are not."""
        return all(self._tx.has(id) for id in ids)

    def _hint(self, stream: str) -> str:
        return f"{self._number}/{stream}"

    def _patch(self, raw: Any, entry: Any, width: int) -> Any:
        """The chunk as a few changes of the parent's, where it is that."""
        numpy: Any = sys.modules["numpy"]
        if entry is None or self.read is None:
            return None
        base = entry if isinstance(entry, str) else entry.get("base")
        if base is None:  # A part of a chunk.
            return None
        try:
            before = numpy.frombuffer(self.read([base])[0], f"u{width}")
        except (NotFoundError, CorruptError):  # Pulled in part, or damaged: it is not needed.
            return None
        now = raw.view(f"u{width}")
        if len(before) != len(now):
            return None
        at = numpy.flatnonzero(before != now)
        if len(at) > len(now) // _PATCHED:
            return None
        at = at.astype("<u4")
        return {
            "base": base,
            "at": self._tx.add(at.view("u1"), itemsize=4),
            "to": self._tx.add(now[at].view("u1"), itemsize=width),
            "whole": self._tx.whole(raw),
        }

    def _text(
        self, stream: Text, cuts: list[int], old: Node | None, kept: dict[int, Any]
    ) -> list[Any]:
        known = _wholes(old)
        pays: bool | None = None  # A dictionary: the last chunk that was new shows it.
        chunks: list[Any] = []
        for number, (start, count) in enumerate(_starts(cuts)):
            if number in kept:
                chunks.append(kept[number])
                continue
            lengths, data = stream.raw(start, start + count)
            entry = None
            if known:
                entry = known.get(self._tx.whole(lengths, data))
                if entry is not None and not self.here(ids_of(entry)):
                    entry = None
            if entry is None and pays is not False and count > 256 and len(data):
                part = stream.slice(start, start + count)
                entry = self._dictionary(part, lengths, data, pays=bool(pays))
                pays = entry is not None
            if entry is None:
                entry = [
                    self._tx.add(lengths, itemsize=4, hint=self._hint("lengths")),
                    self._tx.add(data, hint=self._hint("text")) if len(data) else None,
                ]
            chunks.append(entry)
        return chunks

    def _dictionary(self, part: Text, lengths: Any, data: Any, *, pays: bool) -> Any:
        array = binary_of(part)
        head = array.slice(0, 2048)
        if not pays and len(unique(head)) > 0.9 * len(head):
            return None
        codes, words = short_words(lengths, data) or words_of(array)
        count = len(words)
        if count > min(_MOST_CODES, len(array) // 4):
            return None
        codes = codes.astype("u1" if count <= 256 else "<u2")
        sizes, joined = words.raw(0, count)
        return {
            "codes": self._tx.add(
                codes.view("u1"),
                itemsize=codes.dtype.itemsize,
                hint=self._hint(f"codes{codes.dtype.itemsize}"),
            ),
            "lengths": self._tx.add(sizes, itemsize=4, hint="sizes"),
            "bytes": self._tx.add(joined, hint="text") if len(joined) else None,
            "whole": self._tx.whole(lengths, data),
        }


class Reader:
    """Makes columns of what a manifest says, reading the chunks that the rows need."""

    def __init__(self, read: Read, trust: bool = False, *, coded: bool = False) -> None:
        self._read = read
        self._trust = trust
        self._coded = coded  # Strings of a whole column are not spelled out.
        self.numbers: tuple[Node, Any] | None = None  # Of a lineage, as they were read last.

    def fixed(self, node: Node, name: str) -> Fixed:
        """All rows of a stream of a column."""
        return self._fixed(node["streams"][name], node["rows"], 0, int(node["length"]))

    def text(self, node: Node, name: str) -> Text:
        """All rows of a stream of a column."""
        return self._text(node["streams"][name], node["rows"], 0, int(node["length"]))

    def fixed_rows(self, node: Node, name: str, low: int, high: int) -> Fixed:
        """The rows ``low:high`` of a stream of a column."""
        return self._fixed(node["streams"][name], node["rows"], low, high)

    def text_rows(self, node: Node, name: str, low: int, high: int) -> Text:
        """The rows ``low:high`` of a stream of a column."""
        return self._text(node["streams"][name], node["rows"], low, high)

    def coded(self, node: Node, name: str) -> Coded | None:
        """All rows of a stream of strings; ``None`` where not every chunk has a dictionary."""
        import pyarrow

        numpy: Any = _numpy()
        entries = node["streams"][name]["chunks"]
        parts = [part_of(entry, n) for entry, n in zip(entries, node["rows"], strict=True)]
        if not entries or not all(isinstance(entry, dict) for entry, _, _ in parts):
            return None
        raws = iter(self._read([i for entry in entries for i in ids_of(entry)]))
        found = []
        for (entry, rows, first), count in zip(parts, node["rows"], strict=True):
            codes, sizes, data = _coded(entry, raws, rows)
            codes = codes[first : first + count]
            words = binary_of(Text(_offsets(sizes, data), data))
            indices = pyarrow.array(codes.astype("i4"))
            # Checked above: every code is one of the dictionary's.
            found.append(pyarrow.DictionaryArray.from_arrays(indices, words, safe=False))
        whole = pyarrow.chunked_array(found).unify_dictionaries()
        numbers = [chunk.indices.to_numpy() for chunk in whole.chunks]
        distinct = whole.chunk(0).dictionary
        offsets = numpy.frombuffer(distinct.buffers()[1], "i8", len(distinct) + 1)
        text = distinct.buffers()[2]
        data = numpy.frombuffer(text, "u1", int(offsets[-1])) if text else numpy.zeros(0, "u1")
        return Coded(numpy.concatenate(numbers), Text(offsets, data))

    def column(self, node: Node, low: int = 0, high: int | None = None) -> Column:
        """The rows ``low:high`` of a column.

        Raises ``UntrustedError`` for pickled cells that this user did not sign, ``CorruptError``
        for a manifest that does not fit its chunks.
        """
        length = int(node["length"])
        high = length if high is None else min(high, length)
        low = min(low, high)
        rows = node["rows"]
        if sum(rows) != length or any(count < 0 for count in rows):
            raise CorruptError("a column's chunks do not have the rows that the manifest says")
        signed = "signatures" in node
        if signed and not self._trust:
            # A signature is of a whole chunk: these are read whole.
            touched = list(bounds(rows, low, high))
            if touched:
                first, last = touched[0][1], touched[-1][2]
                column = self._parts(node, first, last)
                for number, start, stop in touched:
                    data = _signed(column, start - first, stop - first)
                    if not signing.verify(data, node["signatures"][number]):
                        raise UntrustedError(
                            "its objects are pickled, and this user did not sign them",
                            hint="Load it with trust=True if you trust where it came from.",
                        )
                column.low = low
                return column.map(lambda s: s.slice(low - first, high - first), high - low)
        return self._parts(node, low, high)

    def _parts(self, node: Node, low: int, high: int) -> Column:
        meta = {k: v for k, v in node.items() if k not in STRUCTURE}
        column = Column(meta, high - low, pickled="signatures" in node, low=low)
        for name, stream in node["streams"].items():
            make = self._fixed if stream["store"] == "fixed" else self._text
            found: Fixed | Text | None = None
            if self._coded and stream["store"] == "text" and (low, high) == (0, node["length"]):
                found = self.coded(node, name)
            column.streams[name] = found or make(stream, node["rows"], low, high)
        for name, below in node.get("aligned", {}).items():
            column.aligned[name] = self.column(below, low, high)
        for name, below in node.get("parts", {}).items():
            column.parts[name] = self.column(below)
        return column

    def _fixed(self, stream: Node, rows: Sequence[int], low: int, high: int) -> Fixed:
        numpy: Any = _numpy()
        dtype = numpy.dtype(stream["type"])
        if dtype.hasobject:
            raise CorruptError(f"a stream cannot be of {dtype}")
        if not dtype.itemsize:
            return Fixed(numpy.empty(high - low, dtype))
        touched = list(bounds(rows, low, high))
        # A copy in any case: chunks are read-only, and what is restored need not be.
        joined = numpy.empty(high - low, dtype)
        for first in range(0, len(touched), _TOGETHER):
            group = touched[first : first + _TOGETHER]
            entries = [stream["chunks"][number] for number, _, _ in group]
            raws = iter(self._read([i for entry in entries for i in ids_of(entry)]))
            for (_, start, stop), entry in zip(group, entries, strict=True):
                inner, count, first = part_of(entry, stop - start)
                values = _values(next(raws), dtype, count)
                if isinstance(inner, dict):
                    at, to = next(raws), next(raws)
                    values = values.copy()
                    places = numpy.frombuffer(at, "<u4")
                    values[places] = _values(to, dtype, len(places))
                values = values[first : first + stop - start]
                here, end = max(start, low), min(stop, high)
                joined[here - low : end - low] = values[here - start : end - start]
        return Fixed(joined)

    def _text(self, stream: Node, rows: Sequence[int], low: int, high: int) -> Text:
        numpy: Any = _numpy()
        touched = list(bounds(rows, low, high))
        entries = [stream["chunks"][number] for number, _, _ in touched]
        raws = iter(self._read([i for entry in entries for i in ids_of(entry)]))
        found: list[Text] = []
        for (_, start, stop), entry in zip(touched, entries, strict=True):
            inner, count, begin = part_of(entry, stop - start)
            if isinstance(inner, dict):
                codes, sizes, data = _coded(inner, raws, count)
                codes = codes[begin : begin + stop - start]
                text = Text(*take_text(_offsets(sizes, data), data, codes))
            else:
                sizes = _values(next(raws) if inner[0] else b"", numpy.dtype("<u4"), count)
                data = numpy.frombuffer(next(raws) if inner[1] else b"", "u1")
                text = Text(_offsets(sizes, data), data)
                if count != stop - start:
                    text = text.slice(begin, begin + stop - start)
            first, last = max(start, low), min(stop, high)
            found.append(
                text if (first, last) == (start, stop) else text.slice(first - start, last - start)
            )
        if len(found) == 1:
            return found[0]
        offsets, position, place = numpy.zeros(high - low + 1, "i8"), 0, 0
        for text in found:
            offsets[place + 1 : place + 1 + len(text)] = text.offsets[1:] + position
            place, position = place + len(text), position + int(text.offsets[-1])
        data = numpy.concatenate([t.data for t in found]) if found else numpy.zeros(0, "u1")
        return Text(offsets, data)


STRUCTURE = (
    "length",
    "rows",
    "streams",
    "aligned",
    "parts",
    "signatures",
    "name",
    "taken",
    "whole",
)


def same_shape(column: Column, node: Node) -> bool:
    """Whether a stored column is of the same type as this one."""
    return (
        all(node.get(key) == value for key, value in column.meta.items())
        and node["streams"].keys() == column.streams.keys()
        and all(node["streams"][n]["store"] == s.store for n, s in column.streams.items())
    )


def _cuts(column: Column) -> list[int]:
    if column.meta.get("kind") == "batches":
        return [1] * column.length
    streams = list(column.streams.values())
    for below in column.aligned.values():
        streams.extend(below.streams.values())
    if not streams or column.pickled:
        return even_cuts(column.length)
    texts = [s for s in streams if isinstance(s, Text)]
    if texts:
        return text_cuts(texts[0].offsets, texts[0].data, column.length)
    widest = max(streams, key=lambda s: s.values.dtype.itemsize if isinstance(s, Fixed) else 0)
    width = widest.values.dtype.itemsize if isinstance(widest, Fixed) else 0
    return fixed_cuts(widest.raw(0, column.length), column.length, width)


def _starts(cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for count in cuts:
        yield start, count
        start += count


def _signed(column: Column, start: int, stop: int) -> bytes:
    """What a chunk's signature is of: its cells and their kinds."""
    parts = []
    for name, stream in sorted(column.streams.items()):
        raw = stream.raw(start, stop)
        for part in raw if isinstance(raw, tuple) else (raw,):
            data = bytes(part)
            parts.append(f"{name}:{len(data)}\n".encode() + data)
    return b"mlops-cells-1\n" + b"".join(parts)


def _wholes(old: Node | None) -> dict[str, Any]:
    if old is None:
        return {}
    return {e["whole"]: e for e in old["chunks"] if isinstance(e, dict)}


def _coded(entry: Node, raws: Iterator[Any], count: int) -> tuple[Any, Any, Any]:
    """Codes of rows, and lengths and bytes of the words, of a chunk stored by a dictionary."""
    numpy: Any = _numpy()
    codes = numpy.frombuffer(next(raws), "u1")
    codes = codes if len(codes) == count else codes.view("<u2")
    sizes = numpy.frombuffer(next(raws), "<u4")
    data = numpy.frombuffer(next(raws) if entry["bytes"] else b"", "u1")
    if len(codes) != count or (count and int(codes.max()) >= len(sizes)):
        raise CorruptError("codes of strings do not fit their dictionary")
    return codes, sizes, data


def binary_of(text: Text) -> Any:
    """The strings as an array of Arrow's, which refers to their bytes."""
    import pyarrow

    offsets = pyarrow.py_buffer(text.offsets)
    buffers = [None, offsets, pyarrow.py_buffer(text.data)]
    return pyarrow.LargeBinaryArray.from_buffers(pyarrow.large_binary(), len(text), buffers)


def _offsets(sizes: Any, data: Any) -> Any:
    numpy: Any = _numpy()
    offsets = numpy.zeros(len(sizes) + 1, "i8")
    numpy.cumsum(sizes, out=offsets[1:])
    if int(offsets[-1]) != len(data):
        raise CorruptError("lengths of strings do not fit their bytes")
    return offsets


def _values(raw: Any, dtype: Any, count: int) -> Any:
    numpy: Any = _numpy()
    if memoryview(raw).nbytes != count * dtype.itemsize:
        raise CorruptError("a chunk does not have the rows that the manifest says")
    return numpy.frombuffer(raw, dtype, count)


def _numpy() -> Any:
    import numpy

    return numpy
