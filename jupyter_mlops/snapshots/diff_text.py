"""A diff as plain text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from .diff_frames import RowChange
from .diffing import Diff

__all__ = ["aligned", "cell", "data", "figure", "headline", "row_cells", "row_label", "text"]

_WIDTH = 40  # Characters of a cell that are shown.
_LINES = 400
_CELLS = 8  # Columns of an added or removed row that are shown.
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def text(diff: Diff, rows: int = 20, start: int = 0) -> str:
    """Everything as plain text: nothing in it depends on the terminal."""
    return "\n".join(_lines(diff, rows, start, ""))


def headline(diff: Diff) -> str:
    """One sentence."""
    a, b = diff.names
    if diff.equal:
        return f"{a} and {b} are equal."
    parts = [_count(diff.counts.get(f"rows_{name}", 0), "row", name) for name in _ROWS]
    changed = diff.counts.get("cells_changed", 0)
    if changed and "rows_changed" in diff.counts:
        parts[-1] += f" in {_count(changed, 'cell', '')}".rstrip()
    elif changed:
        parts.append(_count(changed, "cell", "changed"))
    parts += [
        _count(diff.counts.get(name, 0), noun, word)
        for name, noun, word in (
            ("lines_added", "line", "added"), ("lines_removed", "line", "removed"),
            ("items_changed", "item", "changed"), ("files_changed", "file", "changed"),
        )
    ]  # fmt: skip
    if diff.schema:
        parts.append(_count(len(diff.schema), "difference", "of the schema"
                            if diff.kind in ("frame", "array") else ""))  # fmt: skip
    said = ", ".join(part.strip() for part in parts if part)
    return f"{a} and {b} differ" + (f": {said}." if said else ".")


_ROWS = ("added", "removed", "changed")


def row_label(change: RowChange) -> str:
    """What a row is known by: its key, or its numbers."""
    if "at" in change.key:
        return str(change.key["at"])
    if change.key:
        return ", ".join(f"{name.strip('[]')}={cell(v)}" for name, v in change.key.items())
    if change.a is not None and change.b is not None and change.a != change.b:
        return f"row {change.a} -> {change.b}"
    return f"row {change.b if change.b is not None else change.a}"


def row_cells(change: RowChange, limit: int = _CELLS) -> list[tuple[str, str]]:
    """``(column, what happened)`` of a row, the columns beyond ``limit`` counted."""
    known = set(change.key)
    items = [(name, pair) for name, pair in change.cells.items() if name not in known]
    if not items:
        items = list(change.cells.items())
    shown = [
        (name, f"{cell(old)} -> {cell(new)}") if change.change == "changed"
        else (name, cell(old if change.change == "removed" else new))
        for name, (old, new) in items[:limit]
    ]  # fmt: skip
    if len(items) > limit:
        shown.append(("...", f"and {len(items) - limit} more columns"))
    return shown


def cell(value: Any) -> str:
    """A value in at most 40 characters."""
    try:
        shown = repr(value) if isinstance(value, (float, str)) else str(value)
    except Exception:
        shown = f"a {type(value).__name__}"
    shown = shown.replace("\n", " ")
    return shown if len(shown) <= _WIDTH else f"{shown[: _WIDTH - 3]}..."


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table with columns of equal width."""
    if not rows:
        return
    everything = [head, *rows]
    widths = [max(len(row[i]) for row in everything) for i in range(len(head))]
    for row in everything:
        line = "  ".join(item.ljust(width) for item, width in zip(row, widths, strict=True))
        yield "  " + line.rstrip()


def data(diff: Diff, rows: int = 100, start: int = 0) -> dict[str, Any]:
    """Everything as JSON."""
    found: dict[str, Any] = {
        "a": diff.names[0], "b": diff.names[1], "kind": diff.kind, "equal": diff.equal,
        "summary": headline(diff), "counts": diff.counts, "facts": diff.facts,
        "schema": [{"what": what, "a": a, "b": b} for what, a, b in diff.schema],
        "statistics": [
            {"column": column, "figure": figure, "a": plain(a), "b": plain(b)}
            for column, figure, a, b in diff.statistics
        ],
    }  # fmt: skip
    if diff.paged is not None:
        found["total"] = diff.total
        found["start"] = start
        found["rows"] = [
            {
                "change": row.change, "a": row.a, "b": row.b,
                "key": {name: plain(value) for name, value in row.key.items()},
                "cells": {n: [plain(old), plain(new)] for n, (old, new) in row.cells.items()},
            }
            for row in diff.rows(start, start + rows)
        ]  # fmt: skip
    if diff.lines:
        found["lines"] = diff.lines
    if diff.items:
        found["items"] = {name: data(item, rows) for name, item in diff.items.items()}
    return found


def plain(value: Any) -> Any:
    """A value as JSON holds it, else as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    try:
        return str(value)
    except Exception:
        return f"a {type(value).__name__}"


def _lines(diff: Diff, rows: int, start: int, indent: str) -> Iterator[str]:
    def say(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
        for line in lines:
            yield f"{indent}{line}".rstrip()

    yield from say([headline(diff)])
    yield from say(diff.facts)
    if diff.kind == "frame" and not diff.equal:
        counts = diff.counts
        yield from say([
            f"Rows: {counts['rows_a']:,} -> {counts['rows_b']:,}. "
            f"Columns: {counts['columns_a']:,} -> {counts['columns_b']:,}."
        ])  # fmt: skip
    if diff.schema:
        yield from say(["", "Schema"])
        yield from say(aligned(("", *diff.names), [tuple(map(str, row)) for row in diff.schema]))
    if diff.statistics:
        yield from say(["", "Columns"])
        table = [(c, f, figure(a), figure(b)) for c, f, a, b in diff.statistics]
        yield from say(aligned(("column", "", *diff.names), table))
    if diff.total and rows > 0:
        name = "Rows" if diff.kind == "frame" else "Cells"
        shown = diff.rows(start, start + rows)
        last = start + len(shown)
        part = "" if len(shown) == diff.total else f" {start + 1:,}-{last:,} of {diff.total:,}"
        yield from say(["", f"{name}{part}"])
        for row in shown:
            said = "; ".join(
                f"{column}: {what}" if column != "value" or diff.kind == "frame" else what
                for column, what in row_cells(row)
            )
            yield from say([f"  {_SIGNS[row.change]} {row_label(row)}  {said}"])
    if diff.lines:
        lines = diff.lines.splitlines()
        yield from say(["", *lines[:_LINES]])
        if len(lines) > _LINES:
            yield from say([f"... and {len(lines) - _LINES:,} more lines"])
    for name, item in diff.items.items():
        item.names = diff.names
        yield from say(["", f"{name}:"])
        yield from _lines(item, rows, 0, indent + "  ")


def figure(value: Any) -> str:
    """A number of a statistic, short."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value if len(value) <= _WIDTH else f"{value[: _WIDTH - 3]}..."
    return f"{value:,}" if isinstance(value, int) else cell(value)


def _count(number: int, noun: str, what: str) -> str:
    if not number:
        return ""
    return f"{number:,} {noun}{'' if number == 1 else 's'} {what}"
