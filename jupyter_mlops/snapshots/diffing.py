"""The difference of two values of any kind: ``diff_values``."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import Refused, UsageError
from .diff_cells import pair_of_cells, unequal
from .diff_frames import FrameDiff, RowChange, diff_tables
from .diff_sides import Table, live_table
from .digest import digest
from .files import digest_file

__all__ = ["ArrayDiff", "Diff", "Paged", "Tree", "diff_values"]

_DEPTH = 8
_TEXT_LIMIT = 8 << 20  # Bytes of a file that is compared line by line.
_FILES = 100_000


class Paged(Protocol):
    """Rows that differ, read a page at a time."""

    @property
    def total(self) -> int:
        """How many there are."""
        ...

    def rows(self, start: int = 0, stop: int | None = None) -> list[RowChange]:
        """Some of them."""
        ...


@dataclass
class Diff:
    """What differs between ``a`` and ``b``.

    ``kind`` is ``frame``, ``array``, ``items`` (a dictionary, list or folder), ``text`` or
    ``value``; ``facts`` are sentences; ``schema`` rows of ``(what, in a, in b)``; ``statistics``
    rows of ``(column, figure, in a, in b)``; ``counts`` numbers by name; ``paged`` the rows or
    cells; ``lines`` a unified diff; ``items`` what differs inside, by name.
    """

    kind: str
    equal: bool
    names: tuple[str, str] = ("A", "B")
    facts: list[str] = field(default_factory=list)
    schema: list[tuple[str, str, str]] = field(default_factory=list)
    statistics: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    paged: Paged | None = None
    lines: str = ""
    items: dict[str, Diff] = field(default_factory=dict)
    start: int = 0  # The first of the rows that it shows by itself.

    @property
    def frame(self) -> FrameDiff | None:
        """The difference of two frames as arrays, for programs."""
        return self.paged if isinstance(self.paged, FrameDiff) else None

    def rows(self, start: int = 0, stop: int | None = None) -> list[RowChange]:
        """Rows (of an array: cells) that differ, from ``start`` to before ``stop``."""
        return [] if self.paged is None else self.paged.rows(start, stop)

    @property
    def total(self) -> int:
        """How many rows (of an array: cells) differ."""
        return 0 if self.paged is None else self.paged.total

    def page(self, number: int = 1, size: int = 50) -> list[RowChange]:
        """A page of ``rows``, counted from 1."""
        return self.rows((number - 1) * size, number * size)

    def text(self, rows: int = 20, start: int | None = None) -> str:
        """Everything as plain text, with so many rows from ``start``."""
        from .diff_text import text

        return text(self, rows, self.start if start is None else start)

    def to_dict(self, rows: int = 100, start: int = 0) -> dict[str, Any]:
        """Everything as JSON, with so many rows from ``start``."""
        from .diff_text import data

        return data(self, rows, start)

    def _repr_html_(self) -> str:
        from .diff_html import html

        return html(self)

    def __repr__(self) -> str:
        return self.text()


class Tree:
    """Files by name, read when they are asked for: a folder, stored or on disk.

    ``sizes`` maps names to (bytes, digest); the only name of a single file is empty.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, str]], read: Any) -> None:
        self.sizes = dict(sizes)
        self.read = read


@dataclass
class ArrayDiff:
    """The cells in which two arrays differ: ``at`` one array of numbers a dimension."""

    a: Any
    b: Any
    at: tuple[Any, ...]

    @property
    def total(self) -> int:
        """How many cells differ."""
        return len(self.at[0]) if self.at else 0

    def rows(self, start: int = 0, stop: int | None = None) -> list[RowChange]:
        """The cells in C order; ``key`` says where."""
        at = tuple(part[start:stop] for part in self.at)
        old, new = self.a[at].tolist(), self.b[at].tolist()
        places = zip(*(part.tolist() for part in at), strict=True)
        return [
            RowChange("changed", None, None, {"at": list(place)}, {"value": pair})
            for place, pair in zip(places, zip(old, new, strict=True), strict=True)
        ]


def diff_values(
    a: Any, b: Any, *, key: Sequence[str] = (), names: tuple[str, str] = ("A", "B"), depth: int = 0
) -> Diff:
    """Compare two values.

    Frames, series and Arrow tables (also of different libraries) are compared by schema, rows and
    cells, rows by ``key`` if given; arrays and sparse matrices cell by cell; dictionaries, lists
    and folders item by item; text line by line; everything else by its digest.

    Raises ``UsageError`` for a key that does not fit.
    """
    first, second = _table(a), _table(b)
    if first is not None and second is not None:
        found = _frames(first, second, key)
    elif key:
        raise UsageError(
            "a key was given, and these are not two frames",
            hint="Leave the key away, or compare frames.",
        )
    else:
        found = _others(a, b, depth)
    found.names = names
    return found


def _table(value: Any) -> Table | None:
    if hasattr(value, "levels") and hasattr(value, "chunks") and not _is_library(value):
        table: Table = value
        return table
    return live_table(value)


def _is_library(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow", "numpy")


def _frames(a: Table, b: Table, key: Sequence[str]) -> Diff:
    frame = diff_tables(a, b, key)
    match = frame.matching
    schema = [(f"column {c.label}", "-", c.type) for c in frame.added]
    schema += [(f"column {c.label}", c.type, "-") for c in frame.removed]
    schema += [(f"column {label}", old, new) for label, old, new in frame.retyped]
    if frame.index:
        schema.append(("index", *frame.index))
    facts = []
    if frame.columns_reordered:
        facts.append("The columns stand in another order.")
    if match.reordered:
        facts.append("Rows that are in both stand in another order.")
    if not frame.equal:
        facts.append(f"Rows are matched by {match.how}.")
    counts = {
        "rows_a": a.rows, "rows_b": b.rows,
        "columns_a": len(a.columns), "columns_b": len(b.columns),
        "rows_added": len(match.added), "rows_removed": len(match.removed),
        "rows_changed": len(frame.changed_rows), "cells_changed": frame.changed_cells,
    }  # fmt: skip
    return Diff(
        "frame", frame.equal, facts=facts, schema=schema, counts=counts, paged=frame,
        statistics=list(_statistics(frame)),
    )  # fmt: skip


def _statistics(frame: FrameDiff) -> Iterator[tuple[str, str, Any, Any]]:
    """Cells changed and figures that differ, of every column in which something differs."""
    rows = bool(len(frame.matching.added) or len(frame.matching.removed))
    for label, (x, y) in frame.common.items():
        if label not in frame.cells and not rows and x.type == y.type:
            continue
        if label in frame.cells:
            yield label, "cells changed", None, len(frame.cells[label][0])
        first, second = figures(frame.a, x), figures(frame.b, y)
        for name in dict.fromkeys([*first, *second]):
            if repr(first.get(name)) != repr(second.get(name)):
                yield label, name, first.get(name), second.get(name)


def figures(table: Table, column: Any) -> dict[str, Any]:
    """Missing values, least, greatest and mean of a column; what was stored with it, if it was."""
    known = getattr(table, "figures", None)
    if known is not None:
        return dict(known(column))
    from .diff_figures import figures_of

    return figures_of(table.values(column))


def _others(a: Any, b: Any, depth: int) -> Diff:
    if isinstance(a, (Path, Tree)) and isinstance(b, (Path, Tree)):
        a, b = (_read_path(side) if isinstance(side, Path) else side for side in (a, b))
    if isinstance(a, Tree) and isinstance(b, Tree):
        return _folders(a, b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return _arrays(a, b)
    if _is_sparse(a) and _is_sparse(b):
        return _sparse(a, b)
    if type(a) is dict and type(b) is dict and depth < _DEPTH:
        return _items(a, b, depth)
    if type(a) in (list, tuple) and type(b) is type(a) and depth < _DEPTH:
        return _items(dict(enumerate(a)), dict(enumerate(b)), depth)
    if isinstance(a, (str, bytes, bytearray)) and isinstance(b, type(a)):
        return _texts(a, b)
    return _values(a, b)


def _arrays(a: Any, b: Any) -> Diff:
    schema = []
    if a.dtype != b.dtype:
        schema.append(("dtype", str(a.dtype), str(b.dtype)))
    if a.shape != b.shape:
        schema.append(("shape", str(a.shape), str(b.shape)))
    facts = []
    if a.ndim != b.ndim:
        return Diff("array", False, facts=["They have not the same dimensions."], schema=schema)
    part = tuple(slice(0, min(m, n)) for m, n in zip(a.shape, b.shape, strict=True))
    first, second = a[part], b[part]
    if a.shape != b.shape:
        facts.append("Only the cells of both are compared.")
    if first.dtype == second.dtype:
        differ = unequal(*pair_of_cells(first.reshape(-1), second.reshape(-1)))
    else:
        from .diff_frames import unequal_values

        differ = unequal_values(first.reshape(-1), second.reshape(-1))
    at = np.unravel_index(np.flatnonzero(differ), first.shape) if first.ndim else ()
    equal = not schema and not differ.any()
    if not first.ndim and differ.any():
        facts.append(f"{first.item()!r} became {second.item()!r}.")
    counts = {"cells": int(first.size), "cells_changed": int(differ.sum())}
    return Diff(
        "array", equal, facts=facts, schema=schema, counts=counts, paged=ArrayDiff(a, b, at)
    )


def _is_sparse(value: Any) -> bool:
    sparse: Any = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def _sparse(a: Any, b: Any) -> Diff:
    """Sparse matrices by what they stand for: the cells in which either has something."""
    schema = [
        (name, str(getattr(a, name)), str(getattr(b, name)))
        for name in ("shape", "dtype", "format")
        if getattr(a, name) != getattr(b, name)
    ]
    if a.shape != b.shape:
        return Diff("array", False, schema=schema)
    first, second = a.tocsr(), b.tocsr()
    apart = (abs(first) + abs(second)).tocoo() if first.dtype.kind != "b" else first + second
    coo = apart.tocoo()
    rows, columns = coo.coords if hasattr(coo, "coords") else (coo.row, coo.col)
    old = np.asarray(first[rows, columns]).reshape(-1)
    new = np.asarray(second[rows, columns]).reshape(-1)
    differ = (old != new) & ~((old != old) & (new != new))
    at = rows[differ], columns[differ]
    counts = {"cells_changed": int(differ.sum())}
    if not schema and not counts["cells_changed"] and digest(a).id != digest(b).id:
        return Diff("array", False, facts=["They hold the same, stored in another way."])
    return Diff(
        "array", not schema and not differ.any(), schema=schema, counts=counts,
        paged=_Cells(old[differ], new[differ], at),
    )  # fmt: skip


@dataclass
class _Cells:
    old: Any
    new: Any
    at: tuple[Any, ...]

    @property
    def total(self) -> int:
        return len(self.old)

    def rows(self, start: int = 0, stop: int | None = None) -> list[RowChange]:
        part = slice(start, stop)
        places = zip(*(numbers[part].tolist() for numbers in self.at), strict=True)
        pairs = zip(self.old[part].tolist(), self.new[part].tolist(), strict=True)
        return [
            RowChange("changed", None, None, {"at": list(place)}, {"value": pair})
            for place, pair in zip(places, pairs, strict=True)
        ]


def _items(a: Mapping[Any, Any], b: Mapping[Any, Any], depth: int) -> Diff:
    schema, items = [], {}
    for name in a:
        if name not in b:
            schema.append((f"item {name}", _what(a[name]), "-"))
    for name in b:
        if name not in a:
            schema.append((f"item {name}", "-", _what(b[name])))
            continue
        found = diff_values(a[name], b[name], depth=depth + 1)
        if not found.equal:
            items[str(name)] = found
    facts = []
    shared = [name for name in a if name in b]
    if shared != [name for name in b if name in a]:
        facts.append("The items stand in another order.")
    counts = {"items_a": len(a), "items_b": len(b), "items_changed": len(items)}
    equal = not schema and not items and not facts
    return Diff("items", equal, facts=facts, schema=schema, counts=counts, items=items)


def _folders(a: Tree, b: Tree) -> Diff:
    if a.sizes.keys() == b.sizes.keys() == {""}:
        return _file(a, b, "")
    schema, items = [], {}
    for name in sorted({*a.sizes, *b.sizes}):
        if name not in b.sizes:
            schema.append((f"file {name}", _bytes(a.sizes[name][0]), "-"))
        elif name not in a.sizes:
            schema.append((f"file {name}", "-", _bytes(b.sizes[name][0])))
        elif a.sizes[name] != b.sizes[name]:
            items[name] = _file(a, b, name)
    counts = {"files_a": len(a.sizes), "files_b": len(b.sizes), "files_changed": len(items)}
    return Diff("items", not schema and not items, schema=schema, counts=counts, items=items)


def _file(a: Tree, b: Tree, name: str) -> Diff:
    if a.sizes[name] == b.sizes[name]:
        return Diff("text", True)
    if max(a.sizes[name][0], b.sizes[name][0]) <= _TEXT_LIMIT:
        return _texts(a.read(name), b.read(name))
    return Diff("value", False, schema=_sizes(a.sizes[name], b.sizes[name]))


def _sizes(a: tuple[int, str], b: tuple[int, str]) -> list[tuple[str, str, str]]:
    rows = [("size", _bytes(a[0]), _bytes(b[0]))] if a[0] != b[0] else []
    return [*rows, ("digest", a[1], b[1])]


def _read_path(path: Path) -> Any:
    """A file's bytes, or a folder's files."""
    if path.is_dir():
        names = [p.relative_to(path).as_posix() for p in sorted(path.rglob("*")) if p.is_file()]
        if len(names) > _FILES:
            raise UsageError(f"{path} has more than {_FILES:,} files", hint="Compare a part of it.")
        sizes = {n: ((path / n).stat().st_size, digest_file(path / n).id) for n in names}
        return Tree(sizes, lambda name: (path / name).read_bytes())
    if not path.is_file():
        raise UsageError(f"{path} is neither a file nor a folder")
    size = path.stat().st_size
    return Tree({"": (size, digest_file(path).id)}, lambda _: path.read_bytes())


def _texts(a: Any, b: Any) -> Diff:
    if a == b:
        return Diff("text", True)
    texts = []
    for value in (a, b):
        try:
            text = value if isinstance(value, str) else bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        texts.append(text)
    if any("\0" in text for text in texts):
        return _values(a, b)
    first, second = (text.splitlines() for text in texts)
    lines = list(difflib.unified_diff(first, second, "A", "B", lineterm=""))
    counts = {
        "lines_added": sum(line.startswith("+") for line in lines[2:]),
        "lines_removed": sum(line.startswith("-") for line in lines[2:]),
    }
    facts = [] if lines else ["They differ in how their lines end."]
    return Diff("text", False, facts=facts, counts=counts, lines="\n".join(lines))


def _values(a: Any, b: Any) -> Diff:
    if a is b:
        return Diff("value", True)
    try:
        ids = digest(a).id, digest(b).id
    except Refused:
        try:
            equal = type(a) is type(b) and bool(a == b)
        except Exception:
            equal = False
        if equal:
            return Diff("value", True)
        return Diff("value", False, schema=[("value", _what(a), _what(b))])
    if ids[0] == ids[1]:
        return Diff("value", True)
    schema = [("value", _what(a), _what(b))]
    if schema[0][1] == schema[0][2]:
        schema.append(("digest", ids[0], ids[1]))
    return Diff("value", False, schema=schema)


def _what(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, (bytes, bytearray)):
        return _bytes(len(value))
    shape = getattr(value, "shape", None)
    if shape is not None and not callable(shape):
        return f"{type(value).__name__} {tuple(shape)}"
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _bytes(size: int) -> str:
    return f"{size:,} bytes"
