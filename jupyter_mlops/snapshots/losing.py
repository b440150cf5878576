"""Frames, series and tables that lose columns or rows, with every trace of these.

Categories, dictionaries and levels of an index that only the rows which go had are taken away as
well: they would hold the values for ever.  What stays is as it was.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = [
    "change_tables",
    "column_places",
    "lost_words",
    "matching",
    "unused_words",
    "without_columns",
    "without_rows",
]

Node = dict[str, Any]


def change_tables(value: Any, tree: Node, change: Callable[[Any, Node], Any]) -> Any:
    """A value with ``change(table, its tree)`` in place of each table in it."""
    kind = tree.get("kind")
    if tree.get("library") in ("pandas", "polars", "pyarrow"):
        return value if kind == "index" else change(value, tree)
    if kind == "dict":
        items = tree["values"]
        if items["of"] != "values":
            return value
        pairs = zip(value.items(), items["items"], strict=True)
        return {key: change_tables(item, node, change) for (key, item), node in pairs}
    if kind in ("list", "tuple") and tree["of"] == "values":
        pairs = zip(value, tree["items"], strict=True)
        return type(value)([change_tables(item, node, change) for item, node in pairs])
    return value


def column_places(tree: Node, column: str) -> list[int]:
    """The positions of the columns of a table that have this name, as text."""
    if tree.get("kind") == "series" or tree.get("of") in ("Array", "ChunkedArray"):
        return []
    return [n for n, node in enumerate(tree["columns"]) if str(node["name"]) == column]


def matching(value: Any, tree: Node, key: str, wanted: Sequence[str]) -> Any:
    """Which rows have one of ``wanted`` (as text) in the column or index level ``key``.

    Returns an array of bool, or ``None`` where there is no such column.  A text that is no value
    of the column's type matches nothing.
    """
    found = None
    for cells in _cells(value, tree, key):
        mask = _is_in(cells, wanted)
        found = mask if found is None else found | mask
    return found


def without_columns(value: Any, places: Sequence[int]) -> Any:
    """A table without the columns at these positions."""
    gone = set(places)
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        found = value.iloc[:, [n for n in range(value.shape[1]) if n not in gone]]
        if found.columns.nlevels > 1:
            found.columns = found.columns.remove_unused_levels()
        return found
    if library == "polars":
        return value.select([c for n, c in enumerate(value.columns) if n not in gone])
    return value.select([n for n in range(value.num_columns) if n not in gone])


def without_rows(value: Any, mask: Any, lost: set[str]) -> Any:
    """A table without the rows where ``mask`` (an array of bool) is true.

    ``lost`` are words, as text: categories of no row that are among them go as well.
    """
    return without_words(_select(value, ~mask) if mask.any() else value, lost)


def lost_words(value: Any, mask: Any) -> set[str]:
    """The categories, as text, that only the rows of ``mask`` have."""
    used: Callable[[Any], set[str]] = lambda part: {  # noqa: E731
        str(word) for _, _, words in _dictionaries(part) for word in words
    }
    return used(_select(value, mask)) - used(_select(value, ~mask))


def unused_words(value: Any, lost: set[str]) -> int:
    """How many categories of a table are among ``lost`` (as text) and no row has them."""
    return sum(len(_unused(words, used, lost)) for _, words, used in _dictionaries(value))


def without_words(value: Any, lost: set[str]) -> Any:
    """A table without the categories among ``lost`` (as text) that no row has."""
    gone = {
        place: unused
        for place, words, used in _dictionaries(value)
        if (unused := _unused(words, used, lost))
    }
    if not gone:
        return value
    library = type(value).__module__.partition(".")[0]
    make: Callable[[Any, dict[int, list[Any]]], Any] = {
        "pandas": _pandas_words, "polars": _polars_words, "pyarrow": _arrow_words,
    }[library]  # fmt: skip
    return make(value, gone)


def _unused(words: Sequence[Any], used: set[Any], lost: set[str]) -> list[Any]:
    return [word for word in words if str(word) in lost and word not in used]


def _select(value: Any, kept: Any) -> Any:
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        return value[kept]
    if library == "polars":
        polars: Any = sys.modules["polars"]
        return value.filter(polars.Series(kept))
    import pyarrow

    return value.filter(pyarrow.array(kept))


def _dictionaries(value: Any) -> Iterator[tuple[int, list[Any], set[Any]]]:
    """``(place, words, words that some row has)`` of what keeps words apart from its rows.

    Places of columns count from 0, those of an index's levels from -1 downwards.
    """
    library = type(value).__module__.partition(".")[0]
    if library == "pandas":
        yield from _pandas_dictionaries(value)
    elif library == "polars":
        polars: Any = sys.modules["polars"]
        columns = [value] if isinstance(value, polars.Series) else value.get_columns()
        for place, column in enumerate(columns):
            if column.dtype in (polars.Enum, polars.Categorical):
                used = set(column.unique().drop_nulls().cast(polars.String))
                if column.dtype == polars.Enum:
                    words = list(column.dtype.categories)
                else:
                    arrow = column.to_arrow(compat_level=polars.CompatLevel.oldest())
                    words = arrow.dictionary.to_pylist()
                yield place, words, used
    else:
        columns = value.columns if hasattr(value, "columns") else [value]
        for place, column in enumerate(columns):
            if _has_dictionary(column.type):
                chunks = getattr(column, "chunks", [column])
                lists = [chunk.dictionary.to_pylist() for chunk in chunks]
                words = list(dict.fromkeys(w for words in lists for w in words))
                yield place, words, set(column.unique().cast(column.type.value_type).to_pylist())


def _pandas_dictionaries(value: Any) -> Iterator[tuple[int, list[Any], set[Any]]]:
    pandas: Any = sys.modules["pandas"]
    columns = [value] if value.ndim == 1 else [value.iloc[:, n] for n in range(value.shape[1])]
    for place, column in enumerate(columns):
        if isinstance(column.dtype, pandas.CategoricalDtype):
            yield place, list(column.cat.categories), _used(column.cat.categories, column.cat.codes)
    index = value.index
    if isinstance(index, pandas.MultiIndex):
        for level, (words, codes) in enumerate(zip(index.levels, index.codes, strict=True)):
            yield -1 - level, list(words), _used(words, codes)
    elif isinstance(index, pandas.CategoricalIndex):
        yield -1, list(index.categories), _used(index.categories, index.codes)


def _used(words: Any, codes: Any) -> set[Any]:
    import numpy

    found = numpy.unique(numpy.asarray(codes))
    return set(words[found[found >= 0]])


def _cells(value: Any, tree: Node, key: str) -> list[Any]:
    """The columns or index levels called ``key``, as pandas or Polars series or Arrow arrays."""
    library = tree["library"]
    if library == "pandas":
        found = [value.iloc[:, n] for n in column_places(tree, key)] if value.ndim == 2 else []
        levels = [n for n, name in enumerate(value.index.names) if name is not None]
        named = [n for n in levels if str(value.index.names[n]) == key]
        return found + [value.index.get_level_values(n).to_series() for n in named]
    places = column_places(tree, key)
    if library == "polars":
        return [value.to_series(n).to_arrow() for n in places]
    return [value.column(n) for n in places]


def _is_in(cells: Any, wanted: Sequence[str]) -> Any:
    import numpy
    import pyarrow
    import pyarrow.compute

    try:
        array = pyarrow.Array.from_pandas(cells) if hasattr(cells, "iloc") else cells
        if isinstance(array, pyarrow.ChunkedArray):
            array = array.combine_chunks()
        if pyarrow.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError):
        # Objects of several types: by what they look like.
        texts = set(wanted)
        return numpy.fromiter((str(cell) in texts for cell in cells), bool, len(cells))
    values = []
    for text in wanted:
        with contextlib.suppress(
            pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, pyarrow.ArrowTypeError
        ):
            values.append(pyarrow.array([text]).cast(array.type))
    if not values:
        return numpy.zeros(len(array), bool)
    known = pyarrow.concat_arrays(values)
    return numpy.asarray(pyarrow.compute.is_in(array, value_set=known).to_numpy(False), bool)


def _pandas_words(value: Any, gone: dict[int, list[Any]]) -> Any:
    pandas: Any = sys.modules["pandas"]
    index = value.index
    if min(gone) < 0:
        multi = isinstance(index, pandas.MultiIndex)
        index = index.remove_unused_levels() if multi else index.remove_categories(gone[-1])
    if value.ndim == 1:
        found = value.cat.remove_categories(gone[0]) if 0 in gone else value.copy()
        found.index = index
        return found
    parts = {}
    for place in range(value.shape[1]):
        part = value.iloc[:, place]
        if place in gone:
            part = part.cat.remove_categories(gone[place])
        parts[place] = part
    found = pandas.DataFrame(parts, index=value.index, copy=False)
    found.columns = value.columns
    found.index = index
    found.attrs = value.attrs
    unique = not value.flags.allows_duplicate_labels
    return found.set_flags(allows_duplicate_labels=False) if unique else found


def _polars_words(value: Any, gone: dict[int, list[Any]]) -> Any:
    polars: Any = sys.modules["polars"]

    def without(column: Any, words: list[Any]) -> Any:
        kind = column.dtype
        if kind == polars.Enum:
            kind = polars.Enum([word for word in kind.categories if word not in words])
        return column.cast(polars.String).cast(kind)

    if isinstance(value, polars.Series):
        return without(value, gone[0])
    return value.with_columns([without(value.to_series(n), words) for n, words in gone.items()])


def _arrow_words(value: Any, gone: dict[int, list[Any]]) -> Any:
    if not hasattr(value, "columns"):
        return _arrow_column(value)
    columns = [_arrow_column(c) if n in gone else c for n, c in enumerate(value.columns)]
    return type(value).from_arrays(columns, schema=value.schema)


def _arrow_column(column: Any) -> Any:
    """A column of Arrow's without words of its dictionary that no row has."""
    import pyarrow

    kind = column.type
    chunks = column.chunks if isinstance(column, pyarrow.ChunkedArray) else [column]
    found = []
    for chunk in chunks:
        plain = chunk.cast(kind.value_type).dictionary_encode()
        indices = plain.indices.cast(kind.index_type)
        found.append(
            pyarrow.DictionaryArray.from_arrays(indices, plain.dictionary, ordered=kind.ordered)
        )
    if not isinstance(column, pyarrow.ChunkedArray):
        return found[0]
    return pyarrow.chunked_array(found, kind)


def _has_dictionary(kind: Any) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_dictionary(kind))
