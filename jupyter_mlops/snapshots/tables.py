"""Frames, tables and series: their columns one after the other, and back.

pandas, Polars and Arrow differ in what a ``Source`` says of them; cuts, lineage and statistics are
the same for all.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import NotFoundError, Refused
from .arrow_columns import arrow_column, arrow_of, read_schema, schema_text
from .chunking import Read, Reader, Writer
from .cuts import fixed_cuts, key_cuts, key_score
from .frames import column_arrays
from .lineage import Lineage, chosen, logical_column, logical_index
from .pandas_columns import index_column, index_of, label_of, pandas_column, pandas_of
from .splices import Splice
from .statistics import Statistics
from .streams import Column, Fixed

__all__ = ["ArrowSource", "PandasSource", "PolarsSource", "Source", "encode_columns", "table_of"]

Node = dict[str, Any]
_KEY_ROWS = 131_072  # A shorter frame has too few chunks for a key to matter.
_KEY_SCORE = 0.5
_KEY_KEPT = 0.5
_KEYS_TRIED = 50
_SHARED_SCORE = 0.02
_SHARED_ROWS = 1 << 20  # A longer frame is cut column by column, so that one may change at a time.


class Source(Protocol):
    """A frame as columns by position."""

    length: int
    names: list[str]

    def column(self, position: int) -> Column:
        """The column at a position."""

    def words(self, position: int) -> Any:
        """Its values as an array of 64 bits each, if it has no others and that costs nothing."""

    def index(self) -> Column | None:
        """Its index, if it has one."""


class PandasSource:
    """A frame or series of pandas."""

    def __init__(self, value: Any) -> None:
        self.length = len(value)
        self._index = value.index
        if value.ndim == 1:
            self.names = [str(value.name) if value.name is not None else ""]
            self._arrays = [value.array]
        else:
            self.names = [str(name) for name in value.columns]
            self._arrays = list(column_arrays(value))

    def column(self, position: int) -> Column:
        """The column at a position."""
        return pandas_column(self._arrays[position], self.names[position])

    def words(self, position: int) -> Any:
        """Its 64-bit values, or ``None``."""
        numpy: Any = sys.modules["numpy"]
        values = self._arrays[position]
        if type(values).__name__ == "NumpyExtensionArray":
            values = values.to_numpy()
        if not isinstance(values, numpy.ndarray):
            values = getattr(values, "asi8", None)
            if values is None:
                return None
        return _words(values)

    def index(self) -> Column:
        """Its index."""
        return index_column(self._index)


class ArrowSource:
    """A table, record batch or array of Arrow's."""

    def __init__(self, value: Any) -> None:
        import pyarrow

        self.length = len(value) if not hasattr(value, "num_rows") else value.num_rows
        self.of = type(value).__name__
        if isinstance(value, (pyarrow.Table, pyarrow.RecordBatch)):
            schema, self._data = value.schema, list(value.columns)
        else:
            self.of = self.of if self.of == "ChunkedArray" else "Array"
            schema, self._data = pyarrow.schema([pyarrow.field("", value.type)]), [value]
        self.names = list(schema.names)
        self.schema = schema_text(schema)

    def column(self, position: int) -> Column:
        """The column at a position."""
        return arrow_column(self._data[position], self.names[position])

    def words(self, position: int) -> Any:
        """Its 64-bit values, or ``None``."""
        return _arrow_words(self._data[position])

    def index(self) -> None:
        """There is none."""
        return


class PolarsSource:
    """A frame or series of Polars', by way of Arrow."""

    def __init__(self, value: Any) -> None:
        polars: Any = sys.modules["polars"]
        frame = value.to_frame() if isinstance(value, polars.Series) else value
        self.length = frame.height
        self.names = list(frame.columns)
        self._frame = frame
        for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
            if dtype == polars.Object:
                raise Refused(
                    f"column {name!r}: Polars' Object holds values that nothing else can read",
                    hint="Convert the column to a type of Polars' own.",
                    column=name,
                )
        sink = io.BytesIO()
        frame.clear().write_ipc_stream(sink)
        self.schema = base64.b64encode(sink.getvalue()).decode("ascii")

    def column(self, position: int) -> Column:
        """The column at a position."""
        return arrow_column(self._arrow(position), self.names[position])

    def words(self, position: int) -> Any:
        """Its 64-bit values, or ``None``."""
        polars: Any = sys.modules["polars"]
        kind = self._frame.dtypes[position]
        if kind not in (polars.Int64, polars.UInt64, polars.Float64, polars.Datetime):
            return None
        return _arrow_words(self._arrow(position))

    def index(self) -> None:
        """There is none."""
        return

    def _arrow(self, position: int) -> Any:
        polars: Any = sys.modules["polars"]
        series = self._frame.to_series(position)
        return series.to_arrow(compat_level=polars.CompatLevel.oldest())


def encode_columns(
    source: Source, writer: Writer, read: Read | None, old: Node | None, statistics: Statistics
) -> Node:
    """Store the columns of a source; return ``length``, ``columns``, ``index`` and their like."""
    node: Node = {"length": source.length}
    splice = Splice.find(source, old, read, writer.find)
    index = source.index()
    lineage = None
    # Labels that were a rule before the edit are a rule and row numbers after it.
    rule = (old or {}).get("index") or {}
    if splice is None or (index is not None and index.meta["kind"] != rule.get("kind")):
        lineage = Lineage.find(source, old, read)
        splice = splice if lineage is None else None
    cuts = None
    key = (old or {}).get("key")
    if lineage is not None:
        node["lineage"] = lineage.store(source, writer)
    elif splice is None and (old is None or old["length"] != source.length):
        key, cuts = _key(source, key)
    elif splice is None and old is not None and key is not None and "lineage" not in old:
        # A column that is new is cut as the others.
        cuts = next((n["rows"] for n in old["columns"] if n["name"] == key["column"]), None)
    if key is not None:
        node["key"] = key
    if index is not None:
        taken = lineage.index(index) if lineage is not None else None
        before = _own((old or {}).get("index"))
        node["index"] = taken or writer.column(
            index, cuts if index.streams else None, before, splice
        )
    olds = _by_name(old)
    node["columns"] = []
    seen: dict[str, int] = {}
    for position, name in enumerate(source.names):
        seen[name] = number = seen.get(name, 0) + 1
        before = olds.get((name, number))
        column = source.column(position)
        stored = lineage.column(column, before, writer) if lineage is not None else None
        if stored is None and before is not None and before.get("taken"):
            before = None
        if stored is None:
            stored = writer.column(column, cuts, before, splice)
        node["columns"].append({"name": name, **stored})
        statistics.add(name, column, node["columns"][-1])
    parts = [node.get("index") or {}, *node["columns"]]
    if lineage is not None and not any(part.get("taken") for part in parts):
        del node["lineage"]
    return node


def table_of(
    tree: Node,
    reader: Reader,
    columns: Sequence[Any] | None,
    rows: slice | range | None,
    attrs: Any = None,
) -> Any:
    """The frame, series, table or array of a tree, or the part of it that was asked for."""
    low, high, step = chosen(int(tree["length"]), rows)
    labels = None
    if "labels" in tree:
        labels = index_of(reader.column(tree["labels"]))
    places = _places(tree, columns, labels)

    def read(place: int) -> Column:
        return logical_column(tree, tree["columns"][place], reader, low, high)

    library = tree["library"]
    if library == "pandas":
        return _pandas_table(tree, reader, read, places, labels, (low, high, step), attrs)
    if library == "polars":
        return _polars_table(tree, read, places, columns is not None, step)
    return _arrow_table(tree, read, places, step)


def _pandas_table(
    tree: Node,
    reader: Reader,
    read: Any,
    places: list[int],
    labels: Any,
    span: tuple[int, int, int],
    attrs: Any,
) -> Any:
    import pandas

    low, high, step = span
    index = logical_index(tree, reader, low, high)
    if tree["kind"] == "series":
        values = pandas_of(read(0))
        name = label_of(tree["label"])
        found: Any = pandas.Series(values, index=index, name=name, dtype=values.dtype, copy=False)
    else:
        arrays = {place: pandas_of(read(place)) for place in places}
        for place, values in arrays.items():
            if values.dtype == object:  # Or pandas would look for strings among the objects.
                arrays[place] = pandas.Series(values, index=index, dtype=object, copy=False)
        found = pandas.DataFrame(arrays, index=index, copy=False)
        found.columns = labels if len(places) == len(labels) else labels[places]
    if step != 1:
        found = found.iloc[::step]
    if attrs is not None:
        found.attrs = attrs
    if tree.get("unique_labels"):
        found = found.set_flags(allows_duplicate_labels=False)
    return found


def _polars_table(tree: Node, read: Any, places: list[int], partial: bool, step: int) -> Any:
    import polars

    empty = polars.read_ipc_stream(io.BytesIO(base64.b64decode(tree["schema"])))
    names, found = list(empty.columns), []
    for place in places:
        series = polars.Series(names[place], arrow_of(read(place)))
        dtype = empty.dtypes[place]
        found.append(series if series.dtype == dtype else series.cast(dtype, strict=True))
    if tree["kind"] == "series":
        return found[0] if step == 1 else found[0].gather_every(step)
    frame = polars.DataFrame(found)
    if not found and not partial and int(tree["length"]):
        frame = polars.DataFrame(height=int(tree["length"]))
    return frame if step == 1 else frame.gather_every(step)


def _arrow_table(tree: Node, read: Any, places: list[int], step: int) -> Any:
    import pyarrow

    schema = read_schema(tree["schema"])
    arrays = [arrow_of(read(place)) for place in places]
    numbers = None
    if step != 1:
        numbers = pyarrow.array(range(0, len(arrays[0]) if arrays else 0, step), pyarrow.int64())
        arrays = [array.take(numbers) for array in arrays]
    if tree["of"] == "Array":
        return arrays[0]
    if tree["of"] == "ChunkedArray":
        return pyarrow.chunked_array(arrays, schema.field(0).type)
    part = pyarrow.schema([schema.field(place) for place in places], metadata=schema.metadata)
    if tree["of"] == "RecordBatch":
        if not arrays:
            return pyarrow.RecordBatch.from_struct_array(
                pyarrow.array([{}] * int(tree["length"]), pyarrow.struct([]))
            ).replace_schema_metadata(schema.metadata)
        return pyarrow.RecordBatch.from_arrays(arrays, schema=part)
    return pyarrow.Table.from_arrays(arrays, schema=part)


def _places(tree: Node, columns: Sequence[Any] | None, labels: Any) -> list[int]:
    """The positions of the columns that were asked for, in the order that they were."""
    nodes = tree["columns"]
    if columns is None:
        return list(range(len(nodes)))
    if tree["kind"] == "series":
        raise NotFoundError("a series has one column")
    names = list(labels) if labels is not None else [node["name"] for node in nodes]
    found: list[int] = []
    for wanted in [columns] if isinstance(columns, str) else columns:
        hits = [n for n, label in enumerate(names) if _is(label, wanted)]
        hits = hits or [n for n, node in enumerate(nodes) if node["name"] == wanted]
        if not hits:
            known = ", ".join(repr(node["name"]) for node in nodes[:20])
            raise NotFoundError(f"there is no column {wanted!r}", hint=f"There are {known}.")
        found.extend(hits)
    return found


def _is(label: Any, wanted: Any) -> bool:
    return type(label) is type(wanted) and bool(label == wanted)


def _key(source: Source, old: Node | None) -> tuple[Node | None, list[int] | None]:
    """``(key, rows of each chunk)`` by the column that a frame can be cut by, if it has one."""
    if source.length < _KEY_ROWS:
        return None, None
    if old is not None and old["column"] in source.names:
        words = source.words(source.names.index(old["column"]))
        if words is not None and not old["marks"] and source.length < _SHARED_ROWS:
            return old, _content_cuts(words)
        if words is not None:
            cuts, marks = key_cuts(words)
            if len(set(marks) & set(old["marks"])) >= _KEY_KEPT * min(
                len(marks), len(old["marks"])
            ):
                return {"column": old["column"], "marks": marks}, cuts
    best, score = -1, 0.0
    for position in range(min(len(source.names), _KEYS_TRIED)):
        words = source.words(position)
        if words is not None and (found := key_score(words)) > score:
            best, score = position, found
    if best < 0 or source.names.count(source.names[best]) > 1:
        return None, None
    if score >= _KEY_SCORE:
        cuts, marks = key_cuts(source.words(best))
        return {"column": source.names[best], "marks": marks}, cuts
    if source.length >= _SHARED_ROWS or score < _SHARED_SCORE:
        return None, None
    # Where none is a key, the content of the best says for all where to cut: it is read once.
    return {"column": source.names[best], "marks": []}, _content_cuts(source.words(best))


def _content_cuts(words: Any) -> list[int]:
    return fixed_cuts(words.view("u1"), len(words), 8)


def _by_name(old: Node | None) -> dict[tuple[str, int], Node]:
    found: dict[tuple[str, int], Node] = {}
    seen: dict[str, int] = {}
    for node in (old or {}).get("columns", []):
        seen[node["name"]] = number = seen.get(node["name"], 0) + 1
        found[node["name"], number] = node
    return found


def _own(node: Node | None) -> Node | None:
    return None if node is None or node.get("taken") else node


def _words(values: Any) -> Any:
    if values.dtype.kind not in "iufmM" or values.dtype.itemsize != 8:
        return None
    return values if values.flags.c_contiguous and values.dtype.isnative else None


def _arrow_words(data: Any) -> Any:
    pyarrow: Any = sys.modules["pyarrow"]
    kind = data.type
    if not pyarrow.types.is_primitive(kind) or pyarrow.types.is_boolean(kind):
        return None
    if kind.bit_width != 64 or data.null_count:
        return None
    stream = arrow_column(data).streams["values"]
    return _words(stream.values) if isinstance(stream, Fixed) else None
