"""A metric's course in a few dozen points, and as a line of SVG no higher than its text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

__all__ = ["sparkline", "thin"]

_ENOUGH = 4000  # Points looked at: a cell may log millions, and a card is drawn once a second.
_WIDTH, _HEIGHT, _MARGIN = 84.0, 16.0, 1.5  # pixels


def thin(points: Sequence[Sequence[float]], most: int) -> list[list[float]]:
    """At most ``most`` of the finite ``[step, value, ...]`` points, by step; ``[step, value]``.

    The first and the last stay.  Of those between, each stretch keeps its lowest and its highest,
    so that a spike is seen.
    """
    if len(points) > _ENOUGH:
        points = [*points[:: -(-len(points) // _ENOUGH)], points[-1]]
    finite = sorted(
        [float(point[0]), float(point[1])]
        for point in points
        if math.isfinite(point[0]) and math.isfinite(point[1])
    )
    if len(finite) <= most:
        return finite
    inner = finite[1:-1]
    stretches = max(1, (most - 2) // 2)
    kept = [finite[0]]
    for number in range(stretches):
        part = inner[number * len(inner) // stretches : (number + 1) * len(inner) // stretches]
        low, high = min(part, key=_value), max(part, key=_value)
        kept += sorted([low, high]) if low is not high else [low]
    return [*kept, finite[-1]]


def sparkline(points: Sequence[Sequence[float]], title: str) -> str:
    """``points`` as a self-contained ``<svg>`` in the colour of the text; nothing below two.

    ``title`` is what a screen reader says; it is escaped here.
    """
    if len(points) < 2:
        return ""
    left, right = points[0][0], points[-1][0]
    low, high = min(map(_value, points)), max(map(_value, points))
    across, up = (right - left) or 1.0, (high - low) or 1.0
    if not (math.isfinite(across) and math.isfinite(up)):
        return ""
    line = " ".join(
        f"{_number(_MARGIN + (_WIDTH - 2 * _MARGIN) * ((step - left) / across))},"
        f"{_number(_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * _share(value, low, up, high))}"
        for step, value in _pairs(points)
    )
    return (
        f'<svg width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" '
        f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{escape(title)}" '
        'style="vertical-align:middle;opacity:.8">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.3" '
        'stroke-linejoin="round"></polyline></svg>'
    )


def _share(value: float, low: float, up: float, high: float) -> float:
    return 0.5 if low == high else (value - low) / up


def _pairs(points: Iterable[Sequence[float]]) -> Iterable[tuple[float, float]]:
    return ((point[0], point[1]) for point in points)


def _value(point: Sequence[float]) -> float:
    return point[1]


def _number(value: float) -> Any:
    return f"{value:.1f}".removesuffix(".0")
