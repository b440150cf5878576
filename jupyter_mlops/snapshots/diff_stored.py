"""A stored frame as a diff sees it: chunks that both versions name alike are never read."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .arrow_columns import arrow_of
from .chunking import Read, Reader
from .diff_figures import figures_of_stats
from .diff_sides import Column, live_table
from .encoding import decode
from .lineage import logical_column, logical_index
from .pandas_columns import pandas_of

__all__ = ["RecentChunks", "Stored", "is_table"]

_LIBRARIES = ("pandas", "polars", "pyarrow")
_Pieces = list[tuple[int, int, Any]]
_RECENT = 128 * 1000 * 1000  # Bytes.


def is_table(tree: Mapping[str, Any]) -> bool:
    """Whether a tree is that of a frame, a series or a table."""
    return tree.get("library") in _LIBRARIES and tree.get("kind") != "index" and "columns" in tree


class RecentChunks:
    """The chunks that were read last: two versions are made of the same ones, largely."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[str, memoryview] = OrderedDict()
        self._size = 0

    def reading(self, read: Read) -> Read:
        """The same as ``read``, without reading a chunk again that is still here."""

        def remembered(ids: Sequence[str]) -> list[memoryview]:
            new = [id for id in dict.fromkeys(ids) if id not in self._chunks]
            found = dict(zip(new, read(new), strict=True)) if new else {}
            result = [found[id] if id in found else self._chunks[id] for id in ids]
            for id, chunk in found.items():
                self._chunks[id] = chunk
                self._size += chunk.nbytes
            while self._size > _RECENT and len(self._chunks) > 1:
                self._size -= self._chunks.popitem(last=False)[1].nbytes
            return result

        return remembered


class Stored:
    """The frame of a manifest; ``trust`` is as for ``decode``.

    ``stats`` are those of the manifest, or a function that says a column's by its position.
    """

    def __init__(
        self,
        tree: dict[str, Any],
        read: Read,
        stats: Mapping[str, Any] | Callable[[int], Mapping[str, Any]],
        *,
        trust: bool = False,
    ) -> None:
        # Without rows it says what its types and its index are, in the words of its library.
        empty = live_table(decode(tree, read, rows=slice(0, 0), trust=trust))
        assert empty is not None  # noqa: S101  ``is_table`` said so.
        self.rows = int(tree["length"])
        self.columns: tuple[Column, ...] = empty.columns
        self.levels: tuple[Column, ...] = empty.levels
        self.index = empty.index
        self._tree = tree
        self._stats = stats
        self._reader = Reader(read, trust)
        self._last: tuple[Any, Any] | None = None

    def values(self, column: Column, start: int = 0, stop: int | None = None) -> Any:
        """The values of these rows, read and checked."""
        stop = self.rows if stop is None else min(stop, self.rows)
        wanted = (column.position, start, stop)
        if self._last is not None and self._last[0] == wanted:
            return self._last[1]
        if column.position < 0:
            index = logical_index(self._tree, self._reader, start, stop)
            level = -1 - column.position
            many = index.nlevels > 1
            found = index.get_level_values(level).array if many else index.array
        else:
            node = self._tree["columns"][column.position]
            stored = logical_column(self._tree, node, self._reader, start, stop)
            library = self._tree["library"]
            found = pandas_of(stored) if library == "pandas" else arrow_of(stored)
        self._last = (wanted, found)
        return found

    def chunks(self, column: Column) -> _Pieces | None:
        """``(start, stop, what is stored)`` of each chunk; ``None`` for rows taken from others."""
        if column.position < 0:
            node = self._tree["index"]
        else:
            node = self._tree["columns"][column.position]
        if node.get("taken") or not node["rows"] or sum(node["rows"]) != self.rows:
            return None
        shared = json.dumps(node.get("parts", {}), sort_keys=True)
        pieces: _Pieces = []
        start = 0
        for number, count in enumerate(node["rows"]):
            names = _entries(node, number)
            if names is None:
                return None
            pieces.append((start, start + count, (shared, *names)))
            start += count
        return pieces

    def figures(self, column: Column) -> dict[str, Any]:
        """What was stored with the column."""
        if callable(self._stats):
            return figures_of_stats(self._stats(column.position))
        known = self._stats.get("columns")
        if not isinstance(known, list) or not 0 <= column.position < len(known):
            return {}
        return figures_of_stats(known[column.position])


def _entries(node: Mapping[str, Any], number: int) -> list[str] | None:
    """The entries of one chunk of every stream, as text; ``None`` where chunks are not alike."""
    found = []
    for name, stream in sorted(node["streams"].items()):
        if number >= len(stream["chunks"]):
            return None
        entry = json.dumps(stream["chunks"][number], sort_keys=True)
        found.append(f"{name} {stream['store']} {stream.get('type')} {entry}")
    for name, below in sorted(node.get("aligned", {}).items()):
        if below["rows"] != node["rows"]:
            return None
        inside = _entries(below, number)
        if inside is None:
            return None
        parts = json.dumps(below.get("parts", {}), sort_keys=True)
        found += [name, parts, *inside]
    return found
