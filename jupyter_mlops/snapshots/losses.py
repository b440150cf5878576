"""What a version can lose: a column, or rows by key.  Where it is, and what is left without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import MlopsError, NotFoundError, UsageError
from .apart import previous
from .chunking import Reader, chunks_of
from .chunks import ChunkId
from .encoding import decode
from .exposure import chunks_of_rows
from .losing import (
    column_places,
    lost_words,
    matching,
    unused_words,
    without_columns,
    without_rows,
)
from .manifests import Manifest
from .refs import Version
from .row_numbers import read_numbers

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Column", "Hit", "Loss", "Rows"]

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hit:
    """Chunks that hold what is to go, and how many rows, columns and words that is."""

    chunks: set[ChunkId]
    rows: int = 0
    columns: int = 0
    words: int = 0


class Column:
    """The loss of a column, by its name as text."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hit(self, store: SnapshotStore, manifest: Manifest) -> Hit | None:
        """What of a version is the column."""
        chunks: set[ChunkId] = set()
        count = 0
        for tree in tables_in(manifest.object):
            for place in column_places(tree, self.name):
                count += 1
                chunks.update(chunks_of(tree["columns"][place]))
        return Hit(chunks, columns=count) if count else None

    def left_over(self, store: SnapshotStore, manifest: Manifest) -> Hit | None:
        """Nothing: a version has the column or not."""
        return None

    def change(self, table: Any, tree: Node) -> Any:
        """A table without it."""
        places = column_places(tree, self.name)
        return without_columns(table, places) if places else table

    def parent(self, store: SnapshotStore, version: Version, manifest: Manifest) -> Manifest | None:
        """The version itself without the column: all the others stay in the chunks they are in."""
        return replace(manifest, object=_without(manifest.object, self.name), address=None)

    def missing(self, name: str, manifests: Sequence[Manifest]) -> MlopsError:
        """The error that says that no version of ``name`` has it."""
        known = dict.fromkeys(
            str(node["name"])
            for manifest in manifests
            for tree in tables_in(manifest.object)
            for node in tree["columns"]
        )
        return NotFoundError(
            f"no version of {name} has a column {self.name!r}",
            hint=f"There are: {', '.join(list(known)[:20]) or 'none'}.",
        )


class Rows:
    """The loss of the rows that have one of ``values`` (as text) in column or index level ``key``.

    Raises ``UsageError`` where there are none.
    """

    def __init__(self, key: str, values: Sequence[str]) -> None:
        self.key = key
        self.values = [str(value) for value in values]
        self._lost: set[str] = set()  # Categories that only such rows had.
        if not self.values:
            raise UsageError("no values are named", hint="For example: --key id --values 17,23")

    def hit(self, store: SnapshotStore, manifest: Manifest) -> Hit | None:
        """Which rows of a version have one of the values, and the chunks that hold them."""
        import numpy

        chunks: set[ChunkId] = set()
        count = 0
        for tree in tables_in(manifest.object):
            places = column_places(tree, self.key)
            if not places and tree["library"] != "pandas":
                continue
            columns = None
            if tree["kind"] != "series":
                columns = [tree["columns"][place]["name"] for place in places[:1]]
            part = decode({"format": 1, **tree}, store.read, columns=columns)
            narrow = {**tree, "columns": [tree["columns"][place] for place in places]}
            mask = matching(part, narrow, self.key, self.values)
            if mask is None or not mask.any():
                continue
            if _has_words(tree):
                self._lost |= lost_words(decode({"format": 1, **tree}, store.read), mask)
            positions = numpy.flatnonzero(mask)
            count += len(positions)
            numbers = None
            if "lineage" in tree:
                numbers = read_numbers(tree["lineage"], Reader(store.read))
            for node in [*tree["columns"], *([tree["index"]] if "index" in tree else [])]:
                chunks.update(chunks_of_rows(node, positions, numbers))
        return Hit(chunks, rows=count) if count else None

    def left_over(self, store: SnapshotStore, manifest: Manifest) -> Hit | None:
        """Categories without a row, in a version that lost such rows before it was taken."""
        chunks: set[ChunkId] = set()
        count = 0
        for tree in tables_in(manifest.object):
            if self._lost and _has_words(tree):
                count += unused_words(decode({"format": 1, **tree}, store.read), self._lost)
                chunks.update(chunks_of(tree))
        return Hit(chunks, words=count) if count else None

    def change(self, table: Any, tree: Node) -> Any:
        """A table without them."""
        import numpy

        mask = matching(table, tree, self.key, self.values)
        mask = numpy.zeros(len(table), bool) if mask is None else mask
        return without_rows(table, mask, self._lost)

    def parent(self, store: SnapshotStore, version: Version, manifest: Manifest) -> Manifest | None:
        """The version before, which has lost them already."""
        return previous(store, version)

    def missing(self, name: str, manifests: Sequence[Manifest]) -> MlopsError:
        """The error that says that no version of ``name`` has such rows."""
        return NotFoundError(
            f"no version of {name} has a row with {self.key} = {', '.join(self.values[:5])}",
            hint=f"`jupyter mlops snapshots show {name}` lists the columns.",
        )


Loss = Column | Rows


def tables_in(tree: Any) -> Iterator[Node]:
    """The tables in a tree, at any depth that ``change_tables`` reaches."""
    if not isinstance(tree, dict):
        return
    if tree.get("library") in ("pandas", "polars", "pyarrow"):
        if tree.get("kind") != "index":
            yield tree
    elif tree.get("kind") == "dict":
        yield from tables_in(tree["values"])
    elif tree.get("of") == "values":
        for item in tree["items"]:
            yield from tables_in(item)


def _has_words(tree: Node) -> bool:
    """Whether something in a table may keep words apart from its rows."""
    if tree["library"] == "polars":
        return True
    index = tree.get("index") or {}
    nodes = [*tree["columns"], index]
    return any("parts" in node for node in nodes) or index.get("kind") == "multi"


def _without(tree: Any, name: str) -> Any:
    """A tree of which the tables do not have a column any more."""
    if isinstance(tree, list):
        return [_without(item, name) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("library") not in ("pandas", "polars", "pyarrow") or tree.get("kind") == "index":
        return {key: _without(item, name) for key, item in tree.items()}
    gone = set(column_places(tree, name))
    found = {**tree, "columns": [n for p, n in enumerate(tree["columns"]) if p not in gone]}
    if (tree.get("key") or {}).get("column") == name:
        del found["key"]
    return found
