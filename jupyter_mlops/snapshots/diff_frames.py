"""The difference of two tables: schema, then rows, then cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import UsageError
from .diff_cells import Cells, hash_rows, pair_of_cells, python_values, take, unequal
from .diff_rows import Matching, by_content, by_key, in_place, is_unique
from .diff_sides import Column, Table

__all__ = ["FrameDiff", "RowChange", "diff_tables", "unequal_values"]

_BLOCK = 1 << 21  # Rows that are compared at a time.
_KEY_TYPES = ("int", "uint", "str", "string", "large_string", "object", "datetime64", "UInt", "Int")
_EXACT = 2**53  # The largest integer up to which every one is a float64.
_Pair = tuple[Column, Column]


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row: ``change`` is ``added``, ``removed`` or ``changed``; ``a`` and ``b`` are its numbers
    from 0 in either version; ``key`` what it is known by; ``cells`` maps columns to (old, new)."""

    change: str
    a: int | None
    b: int | None
    key: dict[str, Any]
    cells: dict[str, tuple[Any, Any]]


@dataclass
class FrameDiff:
    """What differs between tables ``a`` and ``b``.

    ``cells`` maps a column of both to the rows of ``a`` and of ``b`` (arrays of the same length,
    rising in ``b``) in which it differs.
    """

    a: Table
    b: Table
    added: tuple[Column, ...]
    removed: tuple[Column, ...]
    common: dict[str, _Pair]
    matching: Matching
    cells: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def retyped(self) -> list[tuple[str, str, str]]:
        """``(column, old type, new type)``."""
        return [(n, a.type, b.type) for n, (a, b) in self.common.items() if a.type != b.type]

    @property
    def columns_reordered(self) -> bool:
        """Whether columns of both stand in another order."""
        order = [b.position for _, b in self.common.values() if b.position >= 0]
        return order != sorted(order)

    @property
    def index(self) -> tuple[str, str] | None:
        """Both indexes in words, where they are of another make."""
        # Arrow and Polars have no index, which is the same as one that counts the rows.
        a, b = (table.index or "counts rows" for table in (self.a, self.b))
        return None if a == b else (a, b)

    @cached_property
    def changed_rows(self) -> Any:
        """The rows of ``b`` in which some cell differs from its row of ``a``."""
        if not self.cells:
            return np.zeros(0, "i8")
        return np.unique(np.concatenate([b for _, b in self.cells.values()]))

    @property
    def changed_cells(self) -> int:
        """How many cells differ in rows of both."""
        return sum(len(b) for _, b in self.cells.values())

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.added or self.removed or self.retyped or self.columns_reordered or self.index
            or self.total or self.matching.reordered
        )  # fmt: skip

    @property
    def total(self) -> int:
        """How many rows ``rows`` has."""
        return len(self._events[0])

    def rows(self, start: int = 0, stop: int | None = None) -> list[RowChange]:
        """Added, removed and changed rows, in their order in ``b``."""
        kinds, in_a, in_b = (part[start:stop] for part in self._events)
        shown = [("removed", "added", "changed")[kind] for kind in kinds]
        cells: list[dict[str, tuple[Any, Any]]] = [{} for _ in shown]
        changed = np.flatnonzero(kinds == 2)
        for label, (rows_a, rows_b) in self.cells.items():
            found = np.searchsorted(rows_b, in_b[changed])
            found[found == len(rows_b)] = 0
            hit = rows_b[found] == in_b[changed]
            at, where = changed[hit], found[hit]
            first, second = self.common[label]
            old = _take(self.a, first, rows_a[where])
            new = _take(self.b, second, rows_b[where])
            for number, pair in zip(at, zip(old, new, strict=True), strict=True):
                cells[number][label] = pair
        for kind, table, numbers in ((0, self.a, in_a), (1, self.b, in_b)):
            at = np.flatnonzero(kinds == kind)
            for column in table.columns:
                for number, value in zip(at, _take(table, column, numbers[at]), strict=True):
                    cells[number][column.label] = (value, None) if kind == 0 else (None, value)
        return [
            RowChange(change, None if a < 0 else int(a), None if b < 0 else int(b), key, part)
            for change, a, b, key, part in zip(
                shown, in_a, in_b, self._keys(kinds, in_a, in_b), cells, strict=True
            )
        ]

    def _keys(self, kinds: Any, in_a: Any, in_b: Any) -> list[dict[str, Any]]:
        known: list[dict[str, Any]] = [{} for _ in kinds]
        names = self.matching.how.removeprefix("key ").split(", ")
        for table, mask, rows in (
            (self.a, kinds == 0, in_a),
            (self.b, kinds != 0, in_b),
        ):
            at = np.flatnonzero(mask)
            wanted = [*table.levels, *(c for c in table.columns if c.label in names)]
            for column in wanted:
                for number, value in zip(at, _take(table, column, rows[at]), strict=True):
                    known[number][column.label] = value
        return known

    @cached_property
    def _events(self) -> tuple[Any, Any, Any]:
        """Kinds, rows of ``a`` and rows of ``b`` (-1: none) of what differs, in order of ``b``."""
        match, changed = self.matching, self.changed_rows
        of_changed = match.a[np.searchsorted(match.b, changed)]
        order = np.argsort(match.a, kind="stable")
        before = np.searchsorted(match.a[order], match.removed) - 1
        place = np.where(before >= 0, match.b[order][before], -1) if len(order) else before * 0 - 1
        none_a, none_b = np.full(len(match.added), -1), np.full(len(match.removed), -1)
        kinds = np.repeat([0, 1, 2], [len(match.removed), len(match.added), len(changed)])
        in_a = np.concatenate([match.removed, none_a, of_changed])
        in_b = np.concatenate([none_b, match.added, changed])
        places = np.concatenate([place * 2 + 1, match.added * 2, changed * 2])
        ordered = np.argsort(places, kind="stable")
        return kinds[ordered], in_a[ordered], in_b[ordered]


def diff_tables(a: Table, b: Table, key: Sequence[str] = ()) -> FrameDiff:
    """Compare two tables, rows by ``key`` (columns, or levels of the index as ``[name]``) if given.

    Raises ``UsageError`` for a key that is not in both or not unique.
    """
    common = _common(a, b)
    added = tuple(c for c in b.columns if c.label not in common)
    removed = tuple(c for c in a.columns if c.label not in common)
    work = _Work(a, b, common)
    matching, cells = work.match(key)
    by = set(matching.how.removeprefix("key ").split(", "))
    # Levels of an index are cells, too, where the rows were not matched by them.
    levels = {c.label: c for c in b.levels}
    for level in a.levels:
        other = levels.get(level.label)
        if other is not None and level.label not in by and matching.how != "index":
            common[level.label] = (level, other)
    if cells is None:
        cells = work.compare(matching, common)
    else:
        cells |= work.compare(matching, {n: p for n, p in common.items() if n.startswith("[")
                                         and p[0].position < 0})  # fmt: skip
    found = {label: rows for label, rows in cells.items() if len(rows[0])}
    return FrameDiff(a, b, added, removed, common, matching, found)


class _Work:
    def __init__(self, a: Table, b: Table, common: dict[str, _Pair]) -> None:
        self.a = a
        self.b = b
        self.common = dict(common)
        self.typed = [(x, y) for x, y in common.values() if x.type == y.type]

    def match(self, key: Sequence[str]) -> tuple[Matching, dict[str, tuple[Any, Any]] | None]:
        """The matching, and the cells where finding it has already compared them."""
        a, b = self.a, self.b
        if key:
            return self._given(key), None
        levels = self._levels()
        if levels:
            hashes = self._hashes(levels)
            if a.rows == b.rows and bool((hashes[0] == hashes[1]).all()):
                return in_place(a.rows, b.rows, "index"), None
            if is_unique(hashes[0]) and is_unique(hashes[1]):
                found = by_key("index", *hashes)
                if self._enough(found):
                    return found, None
        place = in_place(a.rows, b.rows)
        cells = self.compare(place, self.common)
        touched = _touched(cells)
        if a.rows == b.rows:
            if touched <= a.rows // 20:
                return place, cells
        elif not touched and len(place.a):
            return place, cells
        found = self._unique_column() or by_content(
            [self._hasher(pair, seed) for seed, pair in enumerate(self.typed)],
            a.rows, b.rows, self._equal_cells,
        )  # fmt: skip
        compared = self.compare(found, self.common)
        cost = _touched(compared) + len(found.added) + len(found.removed)
        if touched + len(place.added) + len(place.removed) <= cost and not found.reordered:
            return place, cells
        return found, compared

    def _unique_column(self) -> Matching | None:
        """Rows by the first column that identifies them in both, if there is one."""
        for pair in self.typed:
            if not pair[0].type.startswith(_KEY_TYPES):
                continue
            hashes = self._hashes([pair])
            if is_unique(hashes[0]) and is_unique(hashes[1]):
                found = by_key(f"key {pair[0].label}", *hashes)
                if self._enough(found):
                    return found
        return None

    def compare(self, matching: Matching, common: dict[str, _Pair]) -> dict[str, tuple[Any, Any]]:
        """The rows in which each column differs."""
        found = {}
        count = len(matching.a)
        straight = bool((matching.a == matching.b).all()) and _is_range(matching.b)
        for label, (x, y) in common.items():
            parts: list[Any] = []
            if straight:
                for start, stop in self._apart(x, y, count):
                    differ = _differ(self.a.values(x, start, stop), self.b.values(y, start, stop),
                                     x.type == y.type)  # fmt: skip
                    parts.append(np.flatnonzero(differ) + start)
                rows = np.concatenate(parts) if parts else np.zeros(0, "i8")
                found[label] = (rows, rows)
            else:
                differ = _differ(
                    self.a.values(x), self.b.values(y), x.type == y.type, matching.a, matching.b
                )
                rows = np.flatnonzero(differ)
                found[label] = (matching.a[rows], matching.b[rows])
        return found

    def _apart(self, x: Column, y: Column, count: int) -> Iterator[tuple[int, int]]:
        """Ranges of rows that are not known to be equal: stored pieces tell by their names."""
        first, second = self.a.chunks(x), self.b.chunks(y)
        if x.type != y.type or first is None or second is None:
            yield from _blocks(0, count)
            return
        known = {(start, stop): name for start, stop, name in second}
        begin = end = 0
        for start, stop, name in first:
            start, stop = min(start, count), min(stop, count)
            if known.get((start, stop)) == name and name is not None:
                yield from _blocks(begin, end)
                begin = end = stop
            else:
                end = stop
        yield from _blocks(begin, end)

    def _given(self, key: Sequence[str]) -> Matching:
        pairs = []
        everything = self.common | {c.label: (c, o) for c, o in self._levels()}
        for name in key:
            label = name if name in everything else f"[{name}]"
            if label not in everything:
                known = ", ".join(everything) or "none"
                raise UsageError(
                    f"the key {name!r} is not a column of both", hint=f"Columns of both: {known}."
                )
            x, y = everything[label]
            if x.type != y.type:
                raise UsageError(
                    f"the key {name!r} is {x.type} in one and {y.type} in the other",
                    hint="Give both the same type, or name another key.",
                )
            pairs.append((x, y))
        hashes = self._hashes(pairs)
        for hashed, which in zip(hashes, ("first", "second"), strict=True):
            if not is_unique(hashed):
                alike = len(hashed) - len(np.unique(hashed))
                raise UsageError(
                    f"the key {', '.join(key)} is not unique: {alike:,} rows of the {which} have "
                    "one that another row has",
                    hint="Name more columns: --key a,b.",
                )
        how = ", ".join(x.label for x, _ in pairs)
        return by_key(f"key {how}", *hashes)

    def _levels(self) -> list[_Pair]:
        if not self.a.levels and not self.b.levels:
            return []
        first, second = (table.levels or _counting(table) for table in (self.a, self.b))
        pairs = list(zip(first, second, strict=False))
        if len(first) != len(second) or any(x.type != y.type for x, y in pairs):
            return []
        return pairs

    def _enough(self, matching: Matching) -> bool:
        """Whether a key that was found, not given, means the same in both."""
        return len(matching.a) * 2 >= min(self.a.rows, self.b.rows) > 0

    def _hashes(self, pairs: Sequence[_Pair]) -> tuple[Any, Any]:
        total: tuple[Any, Any] | None = None
        for seed, pair in enumerate(pairs):
            found = self._hasher(pair, seed)()
            total = found if total is None else (total[0] + found[0], total[1] + found[1])
        assert total is not None  # noqa: S101  There is always a pair.
        return total

    def _hasher(self, pair: _Pair, seed: int) -> Callable[[], tuple[Any, Any]]:
        def hashes() -> tuple[Any, Any]:
            x, y = (_read(table, c) for table, c in zip((self.a, self.b), pair, strict=True))
            return hash_rows(*pair_of_cells(x, y), seed + 1)

        return hashes

    def _equal_cells(self, rows_a: Any, rows_b: Any) -> Any:
        total = np.zeros(len(rows_a), "i8")
        for x, y in self.typed:
            total += ~_differ(self.a.values(x), self.b.values(y), True, rows_a, rows_b)
        return total


def _common(a: Table, b: Table) -> dict[str, _Pair]:
    known = {column.label: column for column in b.columns}
    return {c.label: (c, known[c.label]) for c in a.columns if c.label in known}


def _counting(table: Table) -> tuple[Column, ...]:
    return (Column("[index]", "int64", _COUNTING),) if table.index else ()


_COUNTING = -1_000_000


def _read(table: Table, column: Column) -> Any:
    """A column's values; those of an index that counts rows are made."""
    return np.arange(table.rows) if column.position == _COUNTING else table.values(column)


def _blocks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    for begin in range(start, stop, _BLOCK):
        yield begin, min(begin + _BLOCK, stop)


def _is_range(rows: Any) -> bool:
    return not len(rows) or (rows[0] == 0 and rows[-1] == len(rows) - 1)


def _touched(cells: dict[str, tuple[Any, Any]]) -> int:
    rows = [b for _, b in cells.values() if len(b)]
    return len(np.unique(np.concatenate(rows))) if rows else 0


def _differ(a: Any, b: Any, typed: bool, rows_a: Any = None, rows_b: Any = None) -> Any:
    if typed:
        cells: tuple[Cells, Cells] = pair_of_cells(a, b)
        if rows_a is None:
            return unequal(*cells)
        return unequal(take(cells[0], rows_a), take(cells[1], rows_b))
    return unequal_values(a, b, rows_a, rows_b)


def unequal_values(a: Any, b: Any, rows_a: Any = None, rows_b: Any = None) -> Any:
    """Where values of other types are not the same value: 1 is 1.0, what is missing is missing."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        first, second = (v if r is None else v[r] for v, r in ((a, rows_a), (b, rows_b)))
        if all(_is_exact(values) for values in (first, second)):
            return (first != second) & ~((first != first) & (second != second))
    pairs = zip(python_values(a, rows_a), python_values(b, rows_b), strict=True)
    return np.fromiter((not _same(x, y) for x, y in pairs), bool)


def _is_exact(values: Any) -> bool:
    if values.dtype.kind not in "biuf":
        return False
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and len(values):
        return bool(values.max() <= _EXACT and values.min() >= -_EXACT)
    return bool(values.dtype.itemsize <= 8)


def _same(x: Any, y: Any) -> bool:
    if x is y:
        return True
    missing = [_is_missing(value) for value in (x, y)]
    if any(missing):
        return all(missing)
    try:
        return bool(x == y)
    except Exception:  # Values that cannot say whether they are equal are not known to be.
        return False


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except Exception:
        return False


def _take(table: Table, column: Column, rows: Any) -> list[Any]:
    """A column's values at a few rows, read in no more than they need."""
    if not len(rows):
        return []
    pieces = table.chunks(column)
    if pieces is None:
        return python_values(table.values(column), rows)
    ends = np.array([stop for _, stop, _ in pieces])
    at = np.searchsorted(ends, rows, side="right")
    found: list[Any] = [None] * len(rows)
    for piece in np.unique(at):
        start, stop, _ = pieces[piece]
        chosen = np.flatnonzero(at == piece)
        values = python_values(table.values(column, start, stop), rows[chosen] - start)
        for number, value in zip(chosen, values, strict=True):
            found[number] = value
    return found
