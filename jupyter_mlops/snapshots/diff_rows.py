"""Which row of one frame is which row of another: by a key, or by what the rows hold.

A match by content pairs equal rows first (the first of several alike with the first), as patience
diff pairs unique lines (B. Cohen), wherever they stand; then rows that are alike but for one group
of columns; then rows that stand in the same gap between matched ones and agree in half of their
cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Matching", "by_content", "by_key", "in_place", "is_unique"]

_BANDS = 4


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs of row numbers (``a[i]`` is ``b[i]``, rising in ``b``), and the rows of one side only.

    ``how`` says by what, for people.
    """

    how: str
    a: Any
    b: Any
    removed: Any
    added: Any

    @property
    def reordered(self) -> bool:
        """Whether rows that are in both stand in another order."""
        return bool(len(self.a) > 1 and (self.a[1:] < self.a[:-1]).any())


def in_place(rows_a: int, rows_b: int, how: str = "position") -> Matching:
    """Row by row; what one side has more of is removed or added."""
    both = min(rows_a, rows_b)
    same = np.arange(both)
    return Matching(how, same, same, np.arange(both, rows_a), np.arange(both, rows_b))


def is_unique(hashes: Any) -> bool:
    """Whether no value comes twice."""
    if len(hashes) > 20_000 and len(np.unique(hashes[:10_000])) < 10_000:
        return False
    ordered = np.sort(hashes)
    return not bool((ordered[1:] == ordered[:-1]).any())


def by_key(how: str, a: Any, b: Any) -> Matching:
    """Rows whose keys are equal; both sides' keys (64-bit hashes) are unique."""
    order = np.argsort(a, kind="stable")
    ordered = a[order]
    found = np.searchsorted(ordered, b)
    found[found == len(a)] = 0
    hit = ordered[found] == b if len(a) else np.zeros(len(b), bool)
    return _matching(how, order[found[hit]], np.flatnonzero(hit), len(a), len(b))


def by_content(
    columns: Sequence[Callable[[], tuple[Any, Any]]],
    rows_a: int,
    rows_b: int,
    equal_cells: Callable[[Any, Any], Any],
) -> Matching:
    """Rows that hold the same, then rows that hold nearly the same.

    Each of ``columns`` gives the hashes of both sides' cells; ``equal_cells(a, b)`` counts for
    pairs of rows in how many columns they agree.
    """
    sides = (rows_a, rows_b)
    bands = min(_BANDS, len(columns)) if len(columns) > 1 else 0
    totals = [np.zeros(rows, "u8") for rows in sides]
    parts = [[np.zeros(rows, "u8") for rows in sides] for _ in range(bands)]
    for number, hashes in enumerate(columns):
        for side, values in enumerate(hashes()):
            totals[side] += values
            if bands:
                parts[number * bands // len(columns)][side] += values
    a, b = _alike(*totals)
    left, right = _rest(a, rows_a), _rest(b, rows_b)
    for part in parts:
        if not len(left) or not len(right):
            break
        with np.errstate(over="ignore"):
            first, second = (
                totals[side][rows] - part[side][rows] for side, rows in enumerate((left, right))
            )
        more_a, more_b = _once(first, second)
        a, b = np.concatenate([a, left[more_a]]), np.concatenate([b, right[more_b]])
        left, right = np.delete(left, more_a), np.delete(right, more_b)
    if len(left) and len(right):
        more_a, more_b = _in_gaps(a, b, left, right)
        alike = equal_cells(left[more_a], right[more_b]) * 2 >= len(columns)
        a = np.concatenate([a, left[more_a[alike]]])
        b = np.concatenate([b, right[more_b[alike]]])
    order = np.argsort(b, kind="stable")
    return _matching("content", a[order], b[order], rows_a, rows_b)


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Pairs of equal values; of several alike the first with the first, and so on."""
    order_a, order_b = np.argsort(a, kind="stable"), np.argsort(b, kind="stable")
    sorted_a, sorted_b = a[order_a], b[order_b]
    # The k-th of its kind in ``b`` is k places after where its kind begins in ``a``.
    nth = np.arange(len(b)) - np.searchsorted(sorted_b, sorted_b)
    wanted = np.searchsorted(sorted_a, sorted_b) + nth
    inside = wanted < len(a)
    hit = np.zeros(len(b), bool)
    hit[inside] = sorted_a[wanted[inside]] == sorted_b[inside]
    return order_a[wanted[hit]], order_b[hit]


def _once(a: Any, b: Any) -> tuple[Any, Any]:
    """Pairs of equal values that each side has once."""
    unique_a, at_a, count_a = np.unique(a, return_index=True, return_counts=True)
    unique_b, at_b, count_b = np.unique(b, return_index=True, return_counts=True)
    at_a, unique_a = at_a[count_a == 1], unique_a[count_a == 1]
    at_b, unique_b = at_b[count_b == 1], unique_b[count_b == 1]
    _, first, second = np.intersect1d(unique_a, unique_b, assume_unique=True, return_indices=True)
    return at_a[first], at_b[second]


def _in_gaps(a: Any, b: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """Pairs of rests that stand in the same gap between matched rows, in their order there."""
    order = np.argsort(a, kind="stable")
    matched_a, then_b = a[order], b[order]
    before = np.searchsorted(matched_a, left) - 1
    gaps_a = np.where(before >= 0, then_b[before], -1) if len(a) else np.full(len(left), -1)
    matched_b = np.sort(b)
    before = np.searchsorted(matched_b, right) - 1
    gaps_b = np.where(before >= 0, matched_b[before], -1) if len(b) else np.full(len(right), -1)
    return _alike(gaps_a.astype("u8"), gaps_b.astype("u8"))


def _rest(rows: Any, count: int) -> Any:
    left = np.ones(count, bool)
    left[rows] = False
    return np.flatnonzero(left)


def _matching(how: str, a: Any, b: Any, rows_a: int, rows_b: int) -> Matching:
    return Matching(how, a, b, _rest(a, rows_a), _rest(b, rows_b))
