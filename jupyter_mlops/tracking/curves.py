"""Curves as SVG: drawn in the text's own colour and two that read on light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .wording import value

__all__ = ["curve_svg"]

_WIDTH, _HEIGHT = 380, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 24, 22
# Told apart by their dashes, too: not everybody sees the colours.
_LINES = (("#2f81f7", ""), ("#d9730d", "6 3"))
Points = Sequence[Sequence[float]]


def curve_svg(name: str, lines: Sequence[tuple[str, Points]]) -> str:
    """One or two series of a metric over their steps, as an inline ``<svg>``.

    ``lines`` are labels with ``[step, value]`` points in order; what is not finite leaves a gap.
    """
    known = [
        (point[0], point[1])
        for _, points in lines
        for point in points
        if math.isfinite(point[0]) and math.isfinite(point[1])
    ]
    if not known:
        return ""
    low_x, high_x = min(x for x, _ in known), max(x for x, _ in known)
    low_y, high_y = min(y for _, y in known), max(y for _, y in known)
    title = escape(name)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" style="max-width:100%;height:auto;'
        f'color:inherit;font-family:inherit;font-size:11px"><title>{title}</title>',
        f'<text x="{_LEFT}" y="14" fill="currentColor" font-weight="bold">{_cut(name)}</text>',
        f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" fill="none" '
        'stroke="currentColor" stroke-opacity=".4"/>',
        _label(_LEFT - 4, _TOP + 8, value(float(high_y)), "end"),
        _label(_LEFT - 4, _HEIGHT - _BOTTOM, value(float(low_y)), "end"),
        _label(_LEFT, _HEIGHT - 6, _step(low_x), "start"),
        _label(_WIDTH - _RIGHT, _HEIGHT - 6, _step(high_x), "end"),
    ]
    right = _WIDTH - _RIGHT
    for (_, points), (colour, dashes) in zip(lines, _LINES, strict=False):
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        path = _path(points, (low_x, high_x), (low_y, high_y))
        parts.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8" '
            f'stroke-linejoin="round" stroke-linecap="round"{dash}/>'
        )
    if len(lines) > 1:
        for place, ((label, _), (colour, dashes)) in enumerate(zip(lines, _LINES, strict=False)):
            y = 10 + 11 * place
            dash = f' stroke-dasharray="{dashes}"' if dashes else ""
            parts.append(
                f'<path d="M{right - 22} {y - 3}H{right}" stroke="{colour}" stroke-width="2"'
                f"{dash}/>" + _label(right - 26, y, _cut(label, 28, escaped=False), "end")
            )
    return "".join(parts) + "</svg>"


def _path(points: Points, xs: tuple[float, float], ys: tuple[float, float]) -> str:
    wide = _WIDTH - _LEFT - _RIGHT
    high = _HEIGHT - _TOP - _BOTTOM
    commands = []
    pen = "M"
    for point in points:
        if not (math.isfinite(point[0]) and math.isfinite(point[1])):
            pen = "M"
            continue
        x = _LEFT + wide * _part(point[0], xs)
        y = _TOP + high * (1 - _part(point[1], ys))
        # A point alone between gaps is drawn by its round ends.
        commands.append(f"{pen}{x:.1f} {y:.1f}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(commands)


def _part(number: float, limits: tuple[float, float]) -> float:
    low, high = limits
    if high == low:
        return 0.5
    # Halved first: the difference of two large numbers may be infinite.
    return (number / 2 - low / 2) / (high / 2 - low / 2)


def _step(number: float) -> str:
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else f"{number:g}"


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor" fill-opacity=".75">'
        f"{escape(text)}</text>"
    )


def _cut(text: str, length: int = 24, *, escaped: bool = True) -> str:
    text = text if len(text) <= length else text[: length - 3] + "..."
    return escape(text) if escaped else text
