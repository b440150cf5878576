"""The figures of a column that a diff shows: those of the manifest, or made the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from .arrow_columns import arrow_column
from .pandas_columns import pandas_column
from .statistics import Statistics

__all__ = ["figures_of", "figures_of_stats"]

_FIGURES = ("missing", "min", "max", "mean")


def figures_of(values: Any) -> dict[str, Any]:
    """``missing``, ``distinct``, and of what has an order ``min``, ``max`` and ``mean``."""
    try:
        arrow = isinstance(values, (pa.Array, pa.ChunkedArray))
        column = arrow_column(values, "") if arrow else pandas_column(values)
        statistics = Statistics()
        statistics.add("", column, {})
        (found,) = statistics.result({})["columns"]
    except Exception:  # The diff is exact without them.
        return {}
    return figures_of_stats(found)


def figures_of_stats(stats: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a column's statistics in a manifest."""
    found = {name: stats[name] for name in _FIGURES if stats.get(name) is not None}
    distinct = stats.get("distinct")
    if isinstance(distinct, Mapping) and "count" in distinct:
        found["distinct"] = (
            distinct["count"] if distinct.get("exact") else f"~{distinct['count']:,}"
        )
    return found
