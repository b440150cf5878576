"""Sections as text and as HTML.

The HTML needs nothing but itself: no scripts, no style sheet, everything from a run escaped; its
colours are those of what surrounds it, so that it reads in light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from .curves import curve_svg
from .sections import Section
from .wording import count

__all__ = ["diff_html", "document", "html", "table_html", "text"]

_DIFF_LINES = 400  # shown; the rest is counted
_ADDED, _REMOVED = "rgba(46,160,67,.22)", "rgba(248,81,73,.22)"


def text(sections: Iterable[Section]) -> str:
    """The sections in aligned columns, without colours."""
    parts = []
    for section in sections:
        lines = [section.title] if section.title else []
        lines += _columns(section.columns, section.rows)
        lines += section.lines
        if section.diff:
            lines += section.diff.splitlines()
        for curve in section.curves:
            lines += [
                f"{curve.name}: {label}: {_ends(points)}"
                for label, points in zip(section.labels, (curve.a, curve.b), strict=True)
            ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def html(sections: Iterable[Section]) -> str:
    """The sections as one fragment."""
    parts = []
    for section in sections:
        if section.title:
            parts.append(
                f'<div style="font-weight:600;margin:10px 0 2px">{escape(section.title)}</div>'
            )
        parts += [f'<div style="margin:2px 0">{escape(line)}</div>' for line in section.lines]
        if section.rows:
            parts.append(table_html(section.columns, section.rows))
        if section.diff:
            parts.append(diff_html(section.diff))
        if section.curves:
            drawn = (
                curve_svg(
                    curve.name,
                    [
                        (label, points)
                        for label, points in zip(section.labels, (curve.a, curve.b), strict=True)
                        if points
                    ],
                )
                for curve in section.curves
            )
            parts.append(
                f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(drawn)}</div>'
            )
    return (
        '<div style="border:1px solid rgba(128,128,128,.4);border-radius:4px;padding:6px 12px 10px;'
        'margin:4px 0;font-size:90%;line-height:1.5;color:inherit;max-width:72em">'
        f"{''.join(parts)}</div>"
    )


def document(sections: Iterable[Section], title: str) -> str:
    """The sections as a whole page, light or dark as the reader's system is."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>:root {{ color-scheme: light dark }} "
        "body { margin: 24px auto; padding: 0 16px; max-width: 76em; "
        "font: 16px/1.5 system-ui, sans-serif }</style></head>"
        f"<body>{html(sections)}</body></html>\n"
    )


def table_html(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; heads and cells are text.  Long words are broken in the last column only."""
    cell = "text-align:left;vertical-align:top;padding:2px 14px 2px 0"
    head = "".join(
        f'<th scope="col" style="{cell};font-weight:500;opacity:.65">{escape(name)}</th>'
        for name in columns
    )
    body = "".join(f"<tr>{''.join(_cells(row, cell))}</tr>" for row in rows)
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;color:inherit;'
        'margin:0;font-size:100%;overflow-wrap:normal">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], style: str) -> Iterator[str]:
    for place, item in enumerate(row, 1):
        if place == len(row) > 1:
            width = ";overflow-wrap:anywhere;min-width:12em"
        else:
            width = ";white-space:nowrap" if len(item) <= 24 else ""
        yield f'<td style="{style}{width}">{escape(item)}</td>'


def diff_html(diff: str) -> str:
    """A unified diff with its added and removed lines marked."""
    lines = diff.splitlines()
    shown = "".join(_diff_line(line) for line in lines[:_DIFF_LINES])
    if len(lines) > _DIFF_LINES:
        rest = count(len(lines) - _DIFF_LINES, "more line")
        shown += f'<span style="display:block;opacity:.65">{rest}</span>'
    return (
        '<pre style="margin:4px 0;padding:6px 8px;border:1px solid rgba(128,128,128,.3);'
        "border-radius:4px;overflow:auto;max-height:30em;color:inherit;background:none;"
        f'font-size:92%;line-height:1.4">{shown}</pre>'
    )


def _diff_line(line: str) -> str:
    style = "display:block;min-height:1.4em"
    if line.startswith(("+++", "---", "@@")):
        style += ";opacity:.65"
    elif line.startswith("+"):
        style += f";background:{_ADDED}"
    elif line.startswith("-"):
        style += f";background:{_REMOVED}"
    return f'<span style="{style}">{escape(line)}</span>'


def _columns(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    every = [columns, *rows]
    widths = [max(len(row[i]) for row in every) for i in range(len(columns))]
    for row in every:
        yield "  ".join(item.ljust(width) for item, width in zip(row, widths, strict=True)).rstrip()


def _ends(points: Sequence[Sequence[float]]) -> str:
    if not points:
        return "none"
    return f"{points[0][1]:.5g} -> {points[-1][1]:.5g} in {count(len(points), 'point')}"
