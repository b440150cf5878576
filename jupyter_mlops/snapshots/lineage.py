"""A version whose rows are rows of the version before: only their numbers are stored.

``dropna``, a filter, ``sample``, a split or a sort give a subset or a permutation of the parent's
rows.  Which rows they are is guessed from the index or from a column of distinct values; each
column is then compared with the rows taken, byte by byte, so that the guess need not be right.  The
numbers are those of the rows of the version that holds the chunks, however many versions back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from ..errors import CorruptError, NotFoundError
from .chunking import STRUCTURE, Read, Reader, Writer, chunks_of
from .pandas_columns import index_of
from .row_numbers import narrow, order_of, read_numbers, sorted_by, store_numbers
from .streams import Column, Fixed, Text, fingerprint

__all__ = ["Lineage", "chosen", "logical_column", "logical_index"]

Node = dict[str, Any]
_LEAST_ROWS = 1024
_LONG = 1 << 20  # Rows: more than 16 chunks.
_CUT_SHARE = 200  # A smaller part of the rows than this is worth less than the chunks at its ends.
_CUTS = 4
_BLOCK = 1 << 17  # Rows.
_LOOK = 1 << 16
# What a stream says of a row that has nothing to say.
_USUAL = {"valid": 1, "missing": 0, "kinds": ord("s")}
_LEAST_SHARE = 0.05  # Of the rows of the base: a smaller part is stored itself.


class Lineage:
    """The numbers of the parent's rows that a frame consists of."""

    def __init__(self, old: Node, read: Read, numbers: Any) -> None:
        self._old = old
        self._reader = Reader(read, trust=True)  # Compared with what is there, and never loaded.
        before = old.get("lineage")
        self._length = int(before["length"] if before is not None else old["length"])
        self._same = numbers is None
        if before is not None:
            base = read_numbers(before, self._reader)
            self._reader.numbers = None
            numbers = base if numbers is None else base[numbers]
        self._base = numbers.astype(narrow(self._length), copy=False)

    @cached_property
    def _where(self) -> Any:
        """Made when a column is compared: storing the numbers needs the memory before that."""
        return None if self._same else _where(self._base, self._length)

    @classmethod
    def find(cls, source: Any, old: Node | None, read: Read | None) -> Lineage | None:
        """Return the lineage of a source, or ``None`` where its rows are not the parent's."""
        if old is None or read is None or source.length < _LEAST_ROWS or "length" not in old:
            return None
        if "columns" not in old or source.length > old["length"]:
            return None
        base = old["lineage"]["length"] if "lineage" in old else old["length"]
        if source.length < base * _LEAST_SHARE:
            return None
        reader = Reader(read, trust=True)
        try:
            for guess in (_by_index, _by_key, _by_order):
                numbers = guess(source, old, reader)
                if numbers is None or not _agrees(source, old, reader, numbers):
                    continue
                if "lineage" not in old and _is_cut(numbers, old["length"]):
                    return None
                return cls(old, read, numbers)
            if "lineage" in old and source.length == old["length"]:
                return cls(old, read, None)  # The same rows as before: columns may have changed.
        except (NotFoundError, CorruptError):  # Pulled in part, or damaged: it is not needed.
            pass
        return None

    def store(self, source: Any, writer: Writer) -> Node:
        """Store the numbers; return ``length``, the rows of the base, and what says the numbers."""
        before = self._old.get("lineage")
        by = (before or {}).get("by", {}).get("name")
        if self._same and before and by in (None, *source.names) and writer.here(chunks_of(before)):
            return dict(before)
        return store_numbers(self._base, self._length, source, self._old, self._reader, writer)

    def column(self, column: Column, before: Node | None, writer: Writer) -> Node | None:
        """The node of a column that is the parent's rows; ``None`` if it is not."""
        if (
            before is None
            or column.meta.get("form") == "ipc"
            or not column.streams | column.aligned
        ):
            return None
        if "lineage" in self._old and not before.get("taken"):
            return None
        if any(before.get(key) != value for key, value in column.meta.items()):
            return None
        node = {k: v for k, v in before.items() if k != "name"}
        if self._same:
            known = before["whole"] == fingerprint(column) and writer.here(chunks_of(node))
            return node if known else None
        try:
            if not self._are_rows(before, column):
                return None
        except (NotFoundError, CorruptError):
            return None
        return node | {"taken": True, "whole": fingerprint(column)}

    def _are_rows(self, before: Node, column: Column) -> bool:
        """Whether a column is, in every byte, the rows of a stored one that the numbers say."""
        meta = {key: value for key, value in before.items() if key not in STRUCTURE}
        if meta != column.meta or meta.get("form") == "ipc":
            return False
        below, parts = before.get("aligned", {}), before.get("parts", {})
        if below.keys() != column.aligned.keys() or parts.keys() != column.parts.keys():
            return False
        seen = set()
        for name, stored in before["streams"].items():
            mine = column.streams.get(name)
            if _USUAL.get(name) is not None and self._is_usual(before, name):
                continue  # It says nothing of these rows: ``dropna`` leaves none missing.
            same = (
                mine is not None and mine.store == stored["store"] and self._are(before, name, mine)
            )
            if not same:
                return False
            seen.add(name)
        return (
            seen == column.streams.keys()
            and all(self._are_rows(below[name], each) for name, each in column.aligned.items())
            and all(self._reader.column(parts[n]).same(each) for n, each in column.parts.items())
        )

    def _is_usual(self, node: Node, name: str) -> bool:
        """Whether a stream says of all these rows what it says of most."""
        found = self._reader.fixed(node, name).values
        return bool((found[self._base] == _USUAL[name]).all())

    def _are(self, node: Node, name: str, mine: Fixed | Text) -> bool:
        """Whether a stream is the rows of a stored one: a few chunks of it at a time."""
        if len(mine) != len(self._base) or int(node["length"]) != self._length:
            return False
        read = self._reader.fixed_rows if isinstance(mine, Fixed) else self._reader.text_rows
        where = self._where
        if where is None:  # Some rows come twice.
            whole = read(node, name, 0, self._length)
            return all(
                whole.take(self._base[start : start + _BLOCK]).same(
                    mine.slice(start, min(start + _BLOCK, len(mine)))
                )
                for start in range(0, len(mine), _BLOCK)
            )
        return all(
            _is_block(read(node, name, low, high), mine, where[low:high])
            for low, high in _blocks(node["rows"])
        )

    def index(self, index: Column) -> Node | None:
        """The node of an index that is the numbers themselves, by the rule of the parent's."""
        import numpy

        before = self._old["index"]
        rule = before if before["kind"] == "range" else None
        values = index.aligned.get("values")
        if rule is None or values is None or index.meta["freq"] is not None:
            return None
        if values.meta.get("dtype") != "int64" or index.meta["names"] != rule["names"]:
            return None
        stream = values.streams["values"]
        if not isinstance(stream, Fixed) or len(stream) != len(self._base):
            return None
        for low in range(0, len(stream), _BLOCK):
            wanted = rule["start"] + rule["step"] * self._base[low : low + _BLOCK].astype("i8")
            if not numpy.array_equal(stream.values[low : low + _BLOCK], wanted):
                return None
        keep = ("kind", "names", "start", "stop", "step", "length")
        return {k: rule[k] for k in keep} | {"rows": [], "streams": {}, "taken": True}


def chosen(length: int, rows: slice | range | None) -> tuple[int, int, int]:
    """``(low, high, step)`` of the rows that were asked for: ``[low:high][::step]``."""
    if rows is None:
        return 0, length, 1
    if isinstance(rows, range):
        rows = slice(rows.start, rows.stop, rows.step)
    places = range(length)[rows]
    if not len(places):
        low = min(places.start, length) if places.step > 0 else 0
        return low, low, 1
    low, high = min(places[0], places[-1]), max(places[0], places[-1]) + 1
    return low, high, places.step


def logical_column(tree: Node, node: Node, reader: Reader, low: int, high: int) -> Column:
    """The rows ``low:high`` of a column of a frame, be they its own or rows of the base's."""
    if not node.get("taken"):
        return reader.column(node, low, high)
    numbers = read_numbers(tree["lineage"], reader)[low:high]
    if int(node["length"]) != tree["lineage"]["length"]:
        raise CorruptError("a column does not have the rows that its numbers are of")
    if not len(numbers):
        return reader.column(node, 0, 0)
    first, last = int(numbers.min()), int(numbers.max()) + 1
    return reader.column(node, first, last).take(numbers - first)


def logical_index(tree: Node, reader: Reader, low: int, high: int) -> Any:
    """The rows ``low:high`` of the index of a frame of pandas'."""
    node = tree["index"]
    if not node.get("taken"):
        return index_of(reader.column(node, low, high))
    import pandas

    from .pandas_columns import label_of

    numbers = read_numbers(tree["lineage"], reader)[low:high]
    values = node["start"] + node["step"] * numbers
    return pandas.Index(values, dtype="int64", name=label_of(node["names"][0]))


def _is_block(stored: Fixed | Text, mine: Fixed | Text, where: Any) -> bool:
    """Whether rows of the base are what they should be ``where`` they went (-1: nowhere)."""
    import numpy

    kept = numpy.flatnonzero(where >= 0)
    if not len(kept):
        return True
    if len(kept) < len(where):
        stored, where = stored.take(kept), where[kept]
    first, last = int(where[0]), int(where[-1]) + 1
    together = last - first == len(where) and bool((where[1:] > where[:-1]).all())
    return stored.same(mine.slice(first, last) if together else mine.take(where))


def _in_range(labels: Any, rule: range) -> Any:
    """The places of labels in a range; ``None`` where one is not in it."""
    import numpy

    found = numpy.empty(len(labels), narrow(len(rule)))
    for start in range(0, len(labels), _BLOCK):
        part = labels[start : start + _BLOCK] - rule.start
        places = part // rule.step
        if (places * rule.step != part).any() or not 0 <= places.min() <= places.max() < len(rule):
            return None
        found[start : start + _BLOCK] = places
    return found


def _where(numbers: Any, length: int) -> Any:
    """Where each row of the base went, -1 where nowhere; ``None`` if one went to two places."""
    import numpy

    found = numpy.full(length, -1, numbers.dtype)
    for start in range(0, len(numbers), _BLOCK):
        part = numbers[start : start + _BLOCK]
        found[part] = numpy.arange(start, start + len(part))
    return found if int((found >= 0).sum()) == len(numbers) else None


def _blocks(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rows of a few chunks together."""
    low = high = 0
    for count in rows:
        if high > low and high + count - low > _BLOCK // 2:
            yield low, high
            low = high
        high += count
    if high > low:
        yield low, high


def _by_index(source: Any, old: Node, reader: Reader) -> Any:
    """The rows by the index of pandas: the labels that were kept."""

    index = source.index()
    if index is None or "index" not in old:
        return None
    now, before = index_of(index), logical_index(old, reader, 0, old["length"])
    if len(now) == len(before) and now.equals(before):
        return None
    if now.nlevels != 1 or not before.is_unique or now.dtype != before.dtype:
        return None
    rule = getattr(before, "_range", None)
    if isinstance(rule, range) and now.dtype == "int64":
        numbers = _in_range(now.to_numpy(), rule)
    else:
        numbers = before.get_indexer(now)
    if numbers is None or (numbers < 0).any():
        return None
    if len(numbers) == len(before) and numbers[0] == 0 and (numbers[1:] > numbers[:-1]).all():
        return None  # All of them, as they were.
    return numbers.astype(narrow(len(before)), copy=False)


def _by_key(source: Any, old: Node, reader: Reader) -> Any:
    """The rows by the key column, or another of distinct 64-bit values."""
    import numpy

    names = [node["name"] for node in old["columns"]]
    key = (old.get("key") or {}).get("column")
    wanted = [key] if key is not None else []
    for name in [*wanted, *source.names[:50]]:
        if names.count(name) != 1 or source.names.count(name) != 1:
            continue
        words = source.words(source.names.index(name))
        if words is None:
            continue
        head = words[:_LEAST_ROWS].view("u8")
        if len(numpy.unique(head)) < len(head) * 0.9:
            continue
        node = old["columns"][names.index(name)]
        first = _words_of(old, node, reader, _LEAST_ROWS)
        if first is None:
            continue
        if len(words) == old["length"] and numpy.array_equal(first, head):
            return None  # The same rows in the same order, as far as one can tell at once.
        before, now = _words_of(old, node, reader, old["length"]), words.view("u8")
        gap = _gap(before, now)
        if gap is not None:
            return gap
        order = numpy.argsort(before, kind="stable")
        ranked = before[order]
        if (ranked[1:] == ranked[:-1]).any():
            continue
        turn = numpy.argsort(now)  # Sorted needles are found many times faster.
        at = numpy.empty(len(now), "i8")
        at[turn] = numpy.minimum(numpy.searchsorted(ranked, now[turn]), len(ranked) - 1)
        if not numpy.array_equal(ranked[at], now):
            return None
        return order[at].astype("i8")
    return None


def _by_order(source: Any, old: Node, reader: Reader) -> Any:
    """The rows by a column that is in order now: as a stable sort by it leaves them."""
    if source.length != old["length"] or "lineage" in old:
        return None
    for node, descending in sorted_by(source, old):
        words = source.words(source.names.index(node["name"]))
        first = _words_of(old, node, reader, _LEAST_ROWS)
        if first is None or not (first == words[:_LEAST_ROWS].view("u8")).all():
            return order_of(node, descending, reader)
    return None  # What is in order now was so before.


def _is_cut(numbers: Any, rows: int) -> bool:
    """Whether all that happened to a long frame is that a few runs of neighbours were removed.

    The chunks between them are found again by their content, for a tenth of the work of comparing
    every row, and those at the ends are few.
    """
    import numpy

    if rows < _LONG or (rows - len(numbers)) * _CUT_SHARE < rows:
        return False
    steps = numpy.diff(numbers)
    return bool((steps > 0).all()) and int((steps > 1).sum()) <= _CUTS


def _gap(before: Any, now: Any) -> Any:
    """The rows where one run of neighbours was removed; ``None`` if it was anything else."""
    import numpy

    less = len(before) - len(now)
    if less <= 0:
        return None
    differs = before[: len(now)] != now
    first = int(differs.argmax()) if differs.any() else len(now)
    if not numpy.array_equal(before[first + less :], now[first:]):
        return None
    return numpy.concatenate([numpy.arange(first), numpy.arange(first + less, len(before))])


def _agrees(source: Any, old: Node, reader: Reader, numbers: Any) -> bool:
    """Whether the first columns of 64-bit values may be the parent's rows: a look at the first."""
    import numpy

    names = [node["name"] for node in old["columns"]]
    looked = 0
    for position, name in enumerate(source.names):
        if names.count(name) != 1 or source.names.count(name) != 1:
            continue
        words = source.words(position)
        if words is None or (words[:_LEAST_ROWS].view("u8") == words[:1].view("u8")).all():
            continue  # What is the same everywhere agrees with everything.
        node = old["columns"][names.index(name)]
        rows = min(int(old["length"]), _LOOK)
        before = _words_of(old, node, reader, rows)
        if before is None:
            continue
        looked += 1
        here = numpy.flatnonzero(numbers < rows)
        if (before[numbers[here]] == words[here].view("u8")).all():
            return True
        if looked == 3:
            return False
    return looked == 0


def _words_of(old: Node, node: Node, reader: Reader, rows: int) -> Any:
    """The first values of a column as words of 64 bits; ``None`` if they are not that."""
    stream = logical_column(old, node, reader, 0, rows).streams.get("values")
    if not isinstance(stream, Fixed) or stream.values.dtype.itemsize != 8:
        return None
    return stream.values.view("u8")
