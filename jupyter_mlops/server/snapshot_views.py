"""Snapshots as the REST API shows them: bounded, whatever was kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..snapshots.diff_frames import RowChange
from ..snapshots.diff_text import figure, headline, row_label
from ..snapshots.diffing import Diff
from ..snapshots.refs import Version
from ..snapshots.service import Details

__all__ = ["details_json", "diff_json", "snapshot_json"]

_TEXT = 200  # Characters of one cell.
_CELLS = 40  # Cells of one row.
_LISTED = 500  # Differences of the schema, and figures of columns.
_LINES = 60_000  # Characters of a unified diff.
_PARTS = 100  # Things inside that differ.
_INNER = 20  # Rows of one of those.


def snapshot_json(version: Version) -> dict[str, Any]:
    """One version as it is listed."""
    run = version.meta.get("run")
    return {
        "name": version.name,
        "version": version.version,
        "spec": version.spec,
        "created": version.created,
        "message": version.message,
        "tags": list(version.tags),
        "kind": version.kind,
        "rows": version.rows,
        "columns": version.columns,
        "size": version.size,
        "added": version.added,
        "digest": version.digest,
        "automatic": bool(version.meta.get("automatic")),
        "run": run if isinstance(run, str) else None,
    }


def details_json(details: Details, offset: int, limit: int) -> dict[str, Any]:
    """A version with some of its columns."""
    known = details.stats.get("columns")
    stats: list[Mapping[str, Any]] = known if isinstance(known, list) else []
    # What is no table may have statistics none the less: an array, a list of numbers.
    columns = list(details.columns) or [
        (str(item.get("name") or "values"), str(item.get("type", ""))) for item in stats
    ]
    shown = range(offset, min(offset + limit, len(columns)))
    return {
        "version": snapshot_json(details.version),
        "parent": details.parent,
        "index": "" if details.index == "-" else details.index,
        "columns": [_column(*columns[n], stats[n] if n < len(stats) else {}) for n in shown],
        "total": len(columns),
        "chunks": details.chunks,
    }


def _column(name: str, kind: str, stats: Mapping[str, Any]) -> dict[str, Any]:
    distinct, lengths = stats.get("distinct"), stats.get("lengths")
    return {
        "name": name,
        "type": kind,
        "missing": stats.get("missing"),
        "distinct": None
        if not isinstance(distinct, Mapping)
        else {"count": int(distinct["count"]), "exact": bool(distinct.get("exact"))},
        **{name: _scalar(stats.get(name)) for name in ("min", "max", "mean", "std")},
        "quantiles": {q: _scalar(v) for q, v in (stats.get("quantiles") or {}).items()},
        "top": [
            {"value": _scalar(value), "count": int(count)}
            for value, count in stats.get("top") or []
        ],
        "top_of": stats.get("top_of"),
        "lengths": None
        if not isinstance(lengths, Mapping)
        else {name: lengths[name] for name in ("unit", "min", "max", "mean")},
    }


def _scalar(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return str(value)  # JavaScript would round it.
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def diff_json(diff: Diff, a: Version, b: Version, offset: int, limit: int) -> dict[str, Any]:
    """What differs, with rows from ``offset`` on."""
    inside = [] if diff.equal else list(_inside(diff, ""))
    return {
        "a": snapshot_json(a),
        "b": snapshot_json(b),
        "equal": diff.equal,
        "offset": offset,
        "whole": _part(diff, "", offset, limit),
        "items": [_part(item, name, 0, _INNER) for name, item in inside[:_PARTS]],
        "items_total": len(inside),
    }


def _inside(diff: Diff, prefix: str) -> Iterator[tuple[str, Diff]]:
    for name, item in diff.items.items():
        item.names = diff.names
        path = f"{prefix}/{name}" if prefix else name
        if item.items:
            yield from _inside(item, path)
        else:
            yield path, item


def _part(diff: Diff, name: str, offset: int, limit: int) -> dict[str, Any]:
    if diff.frame is not None:
        # Of a wide frame fewer rows: each holds a cell of every column until it is cut.
        wide = max(1, diff.counts.get("columns_a", 0) + diff.counts.get("columns_b", 0))
        limit = max(1, min(limit, 200_000 // wide))
    return {
        "name": name,
        "kind": diff.kind,
        "summary": headline(diff),
        "facts": diff.facts,
        "counts": diff.counts,
        "schema": [
            {"what": what, "a": str(a), "b": str(b)} for what, a, b in diff.schema[:_LISTED]
        ],
        "schema_total": len(diff.schema),
        "statistics": [
            {"column": column, "figure": word, "a": figure(a), "b": figure(b)}
            for column, word, a, b in diff.statistics[:_LISTED]
        ],
        "statistics_total": len(diff.statistics),
        "total": diff.total,
        "rows": [_row(row) for row in diff.rows(offset, offset + limit)],
        "lines": diff.lines[:_LINES],
        "cut": len(diff.lines) > _LINES,
    }


def _row(row: RowChange) -> dict[str, Any]:
    items = [item for item in row.cells.items() if item[0] not in row.key]
    items = items or list(row.cells.items())
    return {
        "change": row.change,
        "label": row_label(row),
        "a": row.a,
        "b": row.b,
        "cells": [
            {
                "column": str(column),
                "a": None if row.change == "added" else _text(old),
                "b": None if row.change == "removed" else _text(new),
            }
            for column, (old, new) in items[:_CELLS]
        ],
        "more": max(0, len(items) - _CELLS),
    }


def _text(value: Any) -> str:
    """A cell as text: strings in quotes, so that '1' is not 1."""
    if isinstance(value, (str, bytes)):
        value = value[: _TEXT + 1]
    try:
        shown = repr(value) if isinstance(value, (float, str, bytes)) else str(value)
    except Exception:
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= _TEXT else f"{shown[: _TEXT - 3]}..."
