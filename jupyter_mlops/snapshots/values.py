"""What a value is, and the node of it: the one place that knows every kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import Refused
from .arrays import array_node, sparse_node
from .arrow import arrow_node, bytes_of, type_text
from .frames import column_arrays, frame_node, index_node, series_node
from .plain import SIMPLE, encode, is_plain, object_node, type_name
from .tree import Node

__all__ = ["Shape", "kind_of", "node_of", "shape_of"]

_DEPTH = 8
_ITEMS = 100_000  # A longer list or dictionary is one of plain values, or refused.


@dataclass(frozen=True, slots=True)
class Shape:
    """What can be said of a value without reading it.

    ``kind`` is ``frame``, ``series``, ``array``, ``sparse``, ``table`` or ``object``; ``size`` is
    in bytes, about; ``schema`` maps columns to types, a name that comes again as ``name#2``.
    """

    kind: str
    rows: int | None = None
    columns: int | None = None
    size: int = 0
    schema: dict[str, str] = field(default_factory=dict)


def kind_of(value: Any) -> str | None:
    """The kind of a data set; ``None`` for everything else.  Looks at the type only."""
    found = _maker(type(value))
    return found[0] if found is not None else None


def node_of(value: Any, depth: int = 0) -> Node:
    """Return the node of a value.  Raises ``Refused`` for what has no canonical form."""
    if depth > _DEPTH:
        raise Refused(f"it is nested more than {_DEPTH} deep")
    found = _maker(type(value))
    if found is not None:
        return found[1](value)
    if type(value) in (list, tuple):
        return _sequence(value, type(value).__name__, depth)
    if type(value) is dict:
        keys = object_node(list(value), {"part": "keys"})
        values = _sequence(list(value.values()), "values", depth)
        return Node({"kind": "dict"}, children=(keys, values))
    if type(value) in (set, frozenset):
        items = sorted(value, key=encode)
        return Node(
            {"kind": type(value).__name__}, children=(object_node(items, {"dtype": "object"}),)
        )
    kind, data = encode(value)
    return Node({"kind": "plain", "type": kind}, 1, lambda start, stop: (data,), size=len(data))


def shape_of(value: Any) -> Shape:
    """Say what a value is; what cannot be told is left out."""
    kind = kind_of(value)
    try:
        if kind is None:
            rows = len(value) if isinstance(value, (list, tuple, dict, set, frozenset)) else None
            return Shape("object", rows)
        return _SHAPES[kind](value)
    except Exception:  # A look at somebody else's object.
        return Shape(kind or "object")


def _sequence(values: Iterable[Any], kind: str, depth: int) -> Node:
    """Plain values as one column of objects, others each on their own."""
    items = list(values)
    if len(items) > _ITEMS:  # To look at every type would take milliseconds.
        return Node(
            {"kind": kind, "of": "plain"},
            size=len(items) * 16,
            cost=len(items) * 4e-7,
            lazy=lambda: (object_node(items, {"dtype": "object"}),),
        )
    if _all_plain(items):
        column = object_node(items, {"dtype": "object"})
        return Node({"kind": kind, "of": "plain"}, children=(column,))
    children = tuple(node_of(item, depth + 1) for item in items)
    return Node({"kind": kind, "of": "values"}, children=children)


def _all_plain(items: list[Any]) -> bool:
    other = set(map(type, items)) - SIMPLE
    if not other:
        return True
    return all(is_plain(item) for item in items if type(item) in other)


def _attrs(value: Any) -> tuple[Node, ...]:
    attrs = value.attrs
    if not attrs:
        return ()
    try:
        return (node_of(dict(attrs), 1),)
    except Refused as error:
        raise Refused(f"attrs: {error.message}", column="attrs") from None


def _table(table: Any) -> Node:
    columns = [
        arrow_node(column, {"type": type_text(column.type)}, name)
        for column, name in zip(table.columns, table.schema.names, strict=True)
    ]
    names = object_node(list(table.schema.names), {"part": "names"})
    header = {"kind": f"pyarrow.{type(table).__name__}", "length": table.num_rows}
    return Node(header, children=(names, *columns))


def _arrow_column(array: Any) -> Node:
    tag = {"kind": "pyarrow.Array", "type": type_text(array.type)}
    return arrow_node(array, tag)


def _polars_frame(frame: Any) -> Node:
    names, types = list(frame.columns), [str(dtype) for dtype in frame.dtypes]

    def columns() -> tuple[Node, ...]:
        arrow = zip(frame.to_arrow().columns, names, types, strict=True)
        found = (arrow_node(column, {"type": kind}, name) for column, name, kind in arrow)
        return object_node(names, {"part": "names"}), *found

    header = {"kind": "polars.DataFrame", "length": frame.height}
    return _through_arrow(header, frame, columns)


def _polars_series(series: Any) -> Node:
    header = {"kind": "polars.Series", "name": series.name}
    tag = {"type": str(series.dtype)}
    return _through_arrow(
        header, series, lambda: (arrow_node(series.to_arrow(), tag, series.name),)
    )


def _through_arrow(header: dict[str, Any], data: Any, columns: Callable[[], Any]) -> Node:
    """Polars hands its columns over; the first time it imports Arrow for that, which takes."""
    size = int(data.estimated_size())
    cost = 1e-4 + size / 5e8 + (0 if "pyarrow" in sys.modules else 0.5)
    return Node(header, size=size, cost=cost, lazy=columns)


def _refuse_lazy(frame: Any) -> Node:
    raise Refused("a LazyFrame is a plan, not data", hint="Collect it.")


_Maker = tuple[str, Callable[[Any], Node]]
_known: dict[type, _Maker | None] = {}


def _maker(kind: type) -> _Maker | None:
    """``(kind, what makes its node)`` of an exact type; looked up once a type."""
    try:
        return _known[kind]
    except KeyError:
        pass
    found: _Maker | None = None
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        library = sys.modules.get(module)
        table = _LIBRARIES.get(module) if library is not None else None
        found = table(library, base) if table is not None else None
        if found is not None:
            found = found if base is kind else (found[0], _refuse_subclass)
            break
    if len(_known) > 10_000:
        _known.clear()
    _known[kind] = found
    return found


def _refuse_subclass(value: Any) -> Node:
    raise Refused(
        f"{type_name(value)} may hold more than the type that it derives from",
        hint="Convert it to that type.",
    )


def _in_pandas(pandas: Any, kind: type) -> _Maker | None:
    if kind is pandas.DataFrame:
        return "frame", lambda v: frame_node(v, _attrs(v))
    if kind is pandas.Series:
        return "series", lambda v: series_node(v, _attrs(v))
    if issubclass(kind, pandas.Index):
        return "series", index_node
    return None


def _in_numpy(numpy: Any, kind: type) -> _Maker | None:
    return ("array", array_node) if kind in (numpy.ndarray, numpy.memmap) else None


def _in_pyarrow(pyarrow: Any, kind: type) -> _Maker | None:
    if kind in (pyarrow.Table, pyarrow.RecordBatch):
        return "table", _table
    if kind is pyarrow.ChunkedArray or issubclass(kind, pyarrow.Array):
        return "series", _arrow_column
    return None


def _in_polars(polars: Any, kind: type) -> _Maker | None:
    if kind is polars.DataFrame:
        return "frame", _polars_frame
    if kind is polars.Series:
        return "series", _polars_series
    if kind is polars.LazyFrame:
        return "frame", _refuse_lazy
    return None


def _in_scipy(scipy: Any, kind: type) -> _Maker | None:
    sparse: Any = sys.modules.get("scipy.sparse")
    if sparse is not None and issubclass(kind, (sparse.sparray, sparse.spmatrix)):
        return "sparse", sparse_node
    return None


_LIBRARIES: dict[str, Callable[[Any, type], _Maker | None]] = {
    "pandas": _in_pandas,
    "numpy": _in_numpy,
    "pyarrow": _in_pyarrow,
    "polars": _in_polars,
    "scipy": _in_scipy,
}


def _frame_shape(frame: Any) -> Shape:
    if type(frame).__module__.startswith("polars"):
        if type(frame).__name__ == "LazyFrame":
            return Shape("frame")
        schema = _schema(frame.columns, frame.dtypes)
        return Shape("frame", frame.height, frame.width, int(frame.estimated_size()), schema)
    rows, columns = frame.shape
    size, types = 0, []
    for values in column_arrays(frame):
        size += int(values.nbytes)
        types.append(values.dtype)
    return Shape("frame", rows, columns, size, _schema(frame.columns, types))


def _series_shape(series: Any) -> Shape:
    if type(series).__module__.startswith("polars"):
        name, kind, size = series.name, series.dtype, int(series.estimated_size())
    elif type(series).__module__.startswith("pyarrow"):
        name, kind, size = "", series.type, bytes_of(series)
    else:
        name, size = series.name, int(series.nbytes)
        kind = getattr(series, "dtype", "")
    return Shape("series", len(series), 1, size, {str(name if name is not None else ""): str(kind)})


def _array_shape(array: Any) -> Shape:
    columns = int(array.shape[1]) if array.ndim == 2 else None
    rows = int(array.shape[0]) if array.ndim else None
    return Shape(
        "array", rows, columns, int(array.nbytes), {"": f"{array.dtype}{list(array.shape)}"}
    )


def _sparse_shape(matrix: Any) -> Shape:
    size = int(matrix.nnz) * (int(matrix.dtype.itemsize) + 4)
    rows, columns = (int(n) for n in matrix.shape)
    return Shape("sparse", rows, columns, size, {"": f"{matrix.format} {matrix.dtype}"})


def _table_shape(table: Any) -> Shape:
    schema = _schema(table.schema.names, table.schema.types)
    return Shape("table", table.num_rows, table.num_columns, bytes_of(table), schema)


_SHAPES: dict[str, Callable[[Any], Shape]] = {
    "frame": _frame_shape,
    "series": _series_shape,
    "array": _array_shape,
    "sparse": _sparse_shape,
    "table": _table_shape,
}


def _schema(names: Iterable[Any], types: Iterable[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    types = list(types)
    spelled: dict[int, str] = {}  # Wide frames have few types, and to spell one takes microseconds.
    for name, kind in zip(names, types, strict=True):
        text, count = str(name), 1
        while text in found:
            count += 1
            text = f"{name}#{count}"
        if id(kind) not in spelled:
            spelled[id(kind)] = str(kind)
        found[text] = spelled[id(kind)]
    return found
