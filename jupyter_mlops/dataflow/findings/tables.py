"""Tables as far as leakage goes: whose rows, which columns, and what was learned of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

__all__ = ["ColumnNames", "Data", "Estimator", "Learned", "Rows", "overlaps", "rows_below"]

# A path from a table through its parts: (table, (split, "train"), ...).  A part is a proper one of
# everything that its path begins with.
Rows = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """Something in the values was learned from ``rows``: by whom, where, of which columns.

    ``kind`` is ``fit``, ``figures`` (a mean, filled in or subtracted by hand) or ``rows`` (rows
    were made of others).
    """

    kind: str
    by: str
    run: int
    line: int
    column: int
    rows: frozenset[Rows]
    columns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """A frame, a series or an array.

    ``base`` names the table that its columns are of.  ``only`` are the columns it was taken or
    computed from; where that is ``None``, it is all but ``minus``; where both are, it is not known.
    ``step`` is when the columns were taken.
    """

    rows: frozenset[Rows]
    base: int | None = None
    only: frozenset[str] | None = None
    minus: frozenset[str] | None = None
    learned: tuple[Learned, ...] = ()
    step: int = 0

    def plain(self) -> Data:
        """The same rows with columns that are not known."""
        return replace(self, base=None, only=None, minus=None)

    def without(self, columns: frozenset[str]) -> Data:
        """Without some columns, and without what was learned of only these."""
        only = None if self.only is None else self.only - columns
        minus = None if self.minus is None else self.minus | columns
        learned = tuple(x for x in self.learned if x.columns is None or not x.columns <= columns)
        return replace(self, only=only, minus=minus, learned=learned)

    def taking(self, columns: frozenset[str]) -> Data:
        """Only some columns."""
        learned = tuple(x for x in self.learned if x.columns is None or x.columns & columns)
        return replace(self, only=columns, minus=None, learned=learned)

    def part(self, step: object) -> Data:
        """A proper part of the rows."""
        return replace(self, rows=frozenset((*rows, step) for rows in self.rows))

    def knowing(self, *learned: Learned) -> Data:
        """With something learned more."""
        return replace(self, learned=tuple(dict.fromkeys((*self.learned, *learned))))


@dataclass(slots=True)
class Estimator:
    """A model or transformer.  ``rows`` are those that it was fitted on."""

    name: str
    rows: frozenset[Rows] = frozenset()
    fitted: Learned | None = None


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """A list of column names: ``names``, or all of a table but these where ``all_but``."""

    names: frozenset[str] = field(default_factory=frozenset)
    all_but: bool = False


def rows_below(rows: Rows, other: Rows) -> bool:
    """Whether ``rows`` are a proper part of ``other``."""
    return len(rows) > len(other) and rows[: len(other)] == other


def overlaps(a: Rows, b: Rows) -> bool:
    """Whether two slices of the same rows share some, and neither is within the other."""
    if len(a) != len(b) or not a or a[:-1] != b[:-1]:
        return False
    one, two = _slice(a[-1]), _slice(b[-1])
    if one is None or two is None or one == two:
        return False
    (start, stop), (low, high) = sorted((one, two))
    return start < low < stop < high


def _slice(part: object) -> tuple[float, float] | None:
    if isinstance(part, tuple) and len(part) == 3 and part[0] == "slice":
        return part[1], part[2]
    return None
