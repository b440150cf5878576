"""What a diff sees of a frame, a series or a table: columns by position, read in ranges of rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from .arrow import type_text
from .frames import column_arrays

__all__ = ["Column", "Live", "Table", "live_table", "unique_labels"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``label`` is unique within its table, ``position`` is that of the values; the
    levels of an index have negative ones, the first -1."""

    label: str
    type: str
    position: int


class Table(Protocol):
    """A frame, live or stored.

    ``levels`` are the index's columns, none where it only counts the rows from 0; ``index`` says
    what the index is.
    """

    rows: int
    columns: tuple[Column, ...]
    levels: tuple[Column, ...]
    index: str

    def values(self, column: Column, start: int = 0, stop: int | None = None) -> Any:
        """The values of these rows: an array of NumPy's, pandas' or Arrow's."""
        ...

    def chunks(self, column: Column) -> list[tuple[int, int, Any]] | None:
        """``(start, stop, identity)`` of the pieces that are stored; ``None`` where unknown."""
        ...


class Live:
    """An object in memory."""

    def __init__(
        self, rows: int, arrays: list[Any], columns: tuple[Column, ...],
        levels: tuple[Column, ...] = (), level_arrays: list[Any] | None = None, index: str = "",
    ) -> None:  # fmt: skip
        self.rows = rows
        self.columns = columns
        self.levels = levels
        self.index = index
        self._arrays = arrays
        self._levels = level_arrays or []

    def values(self, column: Column, start: int = 0, stop: int | None = None) -> Any:
        """The values of these rows."""
        at = column.position
        found = self._arrays[at] if at >= 0 else self._levels[-1 - at]
        if start == 0 and (stop is None or stop == self.rows):
            return found
        return found[start:stop]

    def chunks(self, column: Column) -> list[tuple[int, int, Any]] | None:
        """Nothing is known of memory."""
        return None


def live_table(value: Any) -> Live | None:
    """The table of a frame, series or Arrow table; ``None`` for everything else."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and hasattr(pandas, "Series"):
        if isinstance(value, pandas.Index):
            value = value.to_series(index=pandas.RangeIndex(len(value)))
        if isinstance(value, pandas.Series):
            return _pandas([value.array], [value.name], value.index, pandas)
        if isinstance(value, pandas.DataFrame):
            return _pandas(list(column_arrays(value)), list(value.columns), value.index, pandas)
    polars: Any = sys.modules.get("polars")
    if polars is not None and hasattr(polars, "DataFrame"):
        if isinstance(value, polars.Series):
            value = value.to_frame()
        if isinstance(value, polars.DataFrame):
            types = [str(dtype) for dtype in value.dtypes]
            return _arrow(value.to_arrow(), types)
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        value = pa.table({"": value})
    if isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return _arrow(value, [type_text(kind) for kind in value.schema.types])
    return None


def unique_labels(names: Iterable[Any]) -> list[str]:
    """The names as text; one that comes again is ``name#2``."""
    found: dict[str, None] = {}
    for name in names:
        text = "" if name is None else str(name)
        label, count = text, 1
        while label in found:
            count += 1
            label = f"{text}#{count}"
        found[label] = None
    return list(found)


def _pandas(arrays: list[Any], names: list[Any], index: Any, pandas: Any) -> Live:
    labels = unique_labels(names)
    columns = tuple(
        Column(label, str(values.dtype), position)
        for position, (label, values) in enumerate(zip(labels, arrays, strict=True))
    )
    default = isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1
    if default and index.name is None:
        return Live(len(index), arrays, columns, index="counts rows")
    if isinstance(index, pandas.MultiIndex):
        levels = [index.get_level_values(level).array for level in range(index.nlevels)]
    else:
        levels = [index.array]
    names = [f"index{'' if n == 0 else n}" if v is None else v for n, v in enumerate(index.names)]
    known = tuple(
        Column(f"[{label}]", str(values.dtype), -1 - number)
        for number, (label, values) in enumerate(zip(unique_labels(names), levels, strict=True))
    )
    text = f"{type(index).__name__} of " + ", ".join(f"{c.label[1:-1]} ({c.type})" for c in known)
    return Live(len(index), arrays, columns, known, levels, text)


def _arrow(table: Any, types: list[str]) -> Live:
    labels = unique_labels(table.schema.names)
    columns = tuple(Column(*item, n) for n, item in enumerate(zip(labels, types, strict=True)))
    return Live(table.num_rows, list(table.columns), columns)
