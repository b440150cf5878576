"""The canonical form of pandas' frames, series and indexes.  pandas is never imported here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import Refused
from .arrays import RAW, masked_node, numpy_column, packed_bits
from .arrow import arrow_node
from .plain import lengths_of, name_in_header, text_parts, type_name
from .tree import Node

__all__ = ["column_arrays", "column_node", "frame_node", "index_node", "series_node"]


def frame_node(frame: Any, attrs: tuple[Node, ...]) -> Node:
    """The node of a ``DataFrame``: labels, index, columns by position, ``attrs`` if any."""
    names = [str(name) for name in frame.columns]
    columns = [
        column_node(values, name) for values, name in zip(column_arrays(frame), names, strict=True)
    ]
    header = {"kind": "pandas.DataFrame", "columns": len(columns), "attrs": len(attrs)}
    labels = index_node(frame.columns, labels=True)
    return Node(header, children=(labels, index_node(frame.index), *columns, *attrs))


def series_node(series: Any, attrs: tuple[Node, ...]) -> Node:
    """The node of a ``Series``: its name, index, values, ``attrs`` if there are any."""
    header = {
        "kind": "pandas.Series",
        "name": name_in_header(series.name),
        "attrs": len(attrs),
    }
    values = column_node(series.array, str(series.name))
    return Node(header, children=(index_node(series.index), values, *attrs))


def index_node(index: Any, *, labels: bool = False) -> Node:
    """The node of an index; a ``RangeIndex`` of rows is its rule, one of ``labels`` its numbers."""
    pandas: Any = sys.modules["pandas"]
    names = [name_in_header(name) for name in index.names]
    if isinstance(index, pandas.RangeIndex):
        if not labels:
            rule = {"start": index.start, "stop": index.stop, "step": index.step}
            return Node({"kind": "pandas.RangeIndex", "names": names} | rule)
        values = numpy_column(index.to_numpy())
        return Node({"kind": "pandas.Index", "names": names, "freq": None}, children=(values,))
    if isinstance(index, pandas.MultiIndex):
        count = index.nlevels
        return Node(
            {"kind": "pandas.MultiIndex", "names": names},
            size=len(index) * 8 * count,
            cost=1e-4 + len(index) * count * 1e-8,
            # The levels may hold values that no row has: rows are what counts.
            lazy=lambda: tuple(
                column_node(index.get_level_values(level).array, "index") for level in range(count)
            ),
        )
    header = {"kind": "pandas.Index", "names": names, "freq": _freq(index)}
    return Node(header, children=(column_node(index.array, "index"),))


def column_arrays(frame: Any) -> Iterator[Any]:
    """Yield the values of each column by position."""
    inside = getattr(frame, "_iter_column_arrays", None)  # Ten times cheaper than what is public.
    if inside is not None:
        yield from inside()
        return
    for _, series in frame.items():
        yield series.array


def column_node(values: Any, column: str = "") -> Node:
    """The node of a column's values: an array of NumPy's or one of pandas' own.

    Raises ``Refused`` for a dtype without a canonical form.
    """
    pandas: Any = sys.modules["pandas"]
    numpy: Any = sys.modules["numpy"]
    if isinstance(values, numpy.ndarray):
        return numpy_column(values, column)
    if type(values) is pandas.arrays.NumpyExtensionArray:  # Its subclass holds strings.
        return numpy_column(values.to_numpy(), column)
    dtype = values.dtype
    if isinstance(dtype, numpy.dtype):  # dates and durations without a zone
        return _stamps(values, str(dtype))
    if isinstance(dtype, (pandas.DatetimeTZDtype, pandas.PeriodDtype)):
        return _stamps(values, str(dtype))
    if isinstance(dtype, pandas.CategoricalDtype):
        return _categorical(values, dtype, column)
    if isinstance(dtype, pandas.StringDtype):
        return _strings(values, dtype, column)
    if isinstance(dtype, pandas.ArrowDtype):
        return arrow_node(values.__arrow_array__(), {"dtype": str(dtype)}, column)
    if isinstance(dtype, pandas.IntervalDtype):
        ends = (column_node(values.left.array, column), column_node(values.right.array, column))
        return Node({"dtype": str(dtype)}, children=ends)
    if isinstance(dtype, pandas.SparseDtype):
        return _sparse(values, dtype, column)
    if hasattr(values, "_mask") and type(dtype).__module__.partition(".")[0] == "pandas":
        return masked_node(values._data, values._mask, str(dtype))
    raise Refused(
        f"column {column!r}: the dtype {dtype} of {type_name(dtype)} has no canonical form",
        column=column,
    )


def _stamps(values: Any, name: str) -> Node:
    """Dates, durations and periods: their signed 64-bit numbers; what is missing is the lowest."""
    numbers = numpy_column(values.asi8)
    return Node({"dtype": name}, numbers.rows, numbers.leaf, (), numbers.size, numbers.cost)


def _categorical(values: Any, dtype: Any, column: str) -> Node:
    """Codes (-1: missing) in the least signed integer that pandas takes, and the categories."""
    numpy: Any = sys.modules["numpy"]
    count = len(dtype.categories)
    width = next(w for w in (1, 2, 4, 8) if count <= 2 ** (8 * w - 1) - 1)
    codes = numpy_column(numpy.asarray(values.codes, dtype=f"i{width}"), column)
    categories = index_node(dtype.categories, labels=True)
    return Node({"dtype": "category", "ordered": bool(dtype.ordered)}, children=(codes, categories))


def _strings(values: Any, dtype: Any, column: str) -> Node:
    numpy: Any = sys.modules["numpy"]
    pandas: Any = sys.modules["pandas"]
    missing = "NA" if dtype.na_value is pandas.NA else "NaN"
    tag = {"dtype": "string", "storage": dtype.storage, "missing": missing}
    if dtype.storage == "pyarrow":
        return arrow_node(values.__arrow_array__(), tag, column)
    array = numpy.asarray(values, dtype=object)

    def leaf(start: int, stop: int) -> Iterable[Any]:
        items = array[start:stop].tolist()
        if set(map(type, items)) <= {str}:
            return b"", *text_parts(items)
        valid = numpy.fromiter((isinstance(v, str) for v in items), bool, len(items))
        chunks = [v.encode("utf-8", "surrogatepass") if isinstance(v, str) else b"" for v in items]
        return packed_bits(valid), lengths_of(chunks), b"".join(chunks)

    rows = len(array)
    return Node(tag, rows, leaf, size=rows * 40, cost=1e-5 + rows * 1e-7)


def _sparse(values: Any, dtype: Any, column: str) -> Node:
    """A sparse column as it is stored: where something is, and what."""
    numpy: Any = sys.modules["numpy"]
    positions = numpy_column(values.sp_index.to_int_index().indices.astype("<i8"))
    fill = numpy_column(numpy.array([dtype.fill_value], dtype=dtype.subtype), column)
    stored = column_node(values.sp_values, column)
    header = {"dtype": "Sparse", "length": len(values)}
    return Node(header, children=(positions, stored, fill), cost=positions.size / RAW)


def _freq(index: Any) -> str | None:
    freq = getattr(index, "freq", None) if hasattr(index, "freqstr") else None
    return None if freq is None else str(getattr(freq, "freqstr", freq))
