"""A diff as HTML that needs nothing but itself: no scripts, no style sheet, everything escaped.

Its colours are laid over those around it, so that it reads in light and dark.  Rows beyond the
first page unfold a page at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from .diff_text import figure, headline, row_cells, row_label
from .diffing import Diff

__all__ = ["html"]

_PAGE, _PAGES = 25, 8
_LINES = 400
_COLOURS = {
    "added": "rgba(46,160,67,.22)",
    "removed": "rgba(248,81,73,.22)",
    "changed": "rgba(210,153,34,.20)",
}
_CELL = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"


def html(diff: Diff) -> str:
    """The whole diff as one fragment."""
    return f'<div class="mlops-diff">{"".join(_parts(diff))}</div>'


def _parts(diff: Diff) -> Iterator[str]:
    yield f'<div style="font-weight:600;margin:4px 0">{escape(headline(diff))}</div>'
    for fact in diff.facts:
        yield f"<div>{escape(fact)}</div>"
    if diff.kind == "frame" and not diff.equal:
        c = diff.counts
        yield (
            f"<div>Rows: {c['rows_a']:,} &rarr; {c['rows_b']:,}. "
            f"Columns: {c['columns_a']:,} &rarr; {c['columns_b']:,}.</div>"
        )
    if diff.schema:
        yield _title("Schema")
        yield _table(("", *diff.names), [tuple(map(str, row)) for row in diff.schema])
    if diff.statistics:
        yield _title("Columns")
        rows = [(c, f, *(figure(v) for v in both)) for c, f, *both in diff.statistics]
        yield _table(("column", "", *diff.names), rows)
    yield from _pages(diff)
    if diff.lines:
        yield _lines(diff.lines)
    for name, item in diff.items.items():
        item.names = diff.names
        yield f'<details style="margin:4px 0"><summary>{escape(name)}</summary>'
        yield from _parts(item)
        yield "</details>"


def _pages(diff: Diff) -> Iterator[str]:
    total = diff.total
    if not total:
        return
    yield _title("Rows" if diff.kind == "frame" else "Cells")
    # All that is shown is read at once: a stored column is decoded once, not once a page.
    first = diff.start
    shown = diff.rows(first, first + _PAGE * _PAGES)
    for start in range(0, len(shown), _PAGE):
        rows = shown[start : start + _PAGE]
        body = "".join(
            f'<tr style="background:{_COLOURS[row.change]}"><td style="{_CELL}">{row.change}</td>'
            f'<td style="{_CELL}">{escape(row_label(row))}</td>'
            f'<td style="{_CELL}">{_cells(row_cells(row))}</td></tr>'
            for row in rows
        )
        page = f'<table style="border-collapse:collapse"><tbody>{body}</tbody></table>'
        if start:
            name = f"{first + start + 1:,}&ndash;{first + start + len(rows):,} of {total:,}"
            page = f"<details><summary>{name}</summary>{page}</details>"
        yield page
    if total > first + len(shown):
        more = total - first - len(shown)
        yield f"<div>{more:,} more: <code>%diff A B --page N</code> shows them.</div>"


def _cells(cells: Sequence[tuple[str, str]]) -> str:
    return "<br>".join(f"<b>{escape(name)}</b> {escape(what)}" for name, what in cells)


def _lines(lines: str) -> str:
    shown = lines.splitlines()
    parts = []
    for line in shown[:_LINES]:
        kind = {"+": "added", "-": "removed"}.get(line[:1], "")
        colour = f"background:{_COLOURS[kind]}" if kind else ""
        parts.append(f'<div style="{colour}">{escape(line) or "&nbsp;"}</div>')
    if len(shown) > _LINES:
        parts.append(f"<div>... and {len(shown) - _LINES:,} more lines</div>")
    return f'<pre style="margin:4px 0;line-height:1.3">{"".join(parts)}</pre>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(item)}</td>' for item in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _title(name: str) -> str:
    return f'<div style="font-weight:600;margin:8px 0 2px">{escape(name)}</div>'
