"""Which chunks hold what of a value, and which of them hold more than the value has.

A chunk that a version is made of may hold what the version does not show: the parent's values under
a patch, the parent's rows beside those that were taken, small files of an earlier folder.  Erasing
has to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .chunking import chunks_of
from .chunks import ChunkId
from .entries import ids_of as ids_of_entry

__all__ = ["Held", "chunks_of_rows", "held"]

Node = dict[str, Any]
Sizes = Callable[[Iterable[ChunkId]], dict[ChunkId, tuple[int, int]]]


@dataclass(slots=True)
class Held:
    """The chunks of a tree: ``shown`` whole by its value, and ``hidden``, which hold more."""

    shown: set[ChunkId] = field(default_factory=set)
    hidden: set[ChunkId] = field(default_factory=set)


def held(tree: Node, sizes: Sizes) -> Held:
    """Tell the chunks of a tree apart; ``sizes`` gives stored and raw bytes of chunks."""
    found = Held()
    pieces: dict[ChunkId, set[tuple[int, int]]] = {}
    _walk(tree, False, found, pieces)
    known = sizes(pieces)
    for id, parts in pieces.items():
        whole = id in known and sum(length for _, length in parts) >= known[id][1]
        (found.shown if whole else found.hidden).add(id)
    found.hidden -= found.shown
    return found


def chunks_of_rows(node: Node, positions: Any, numbers: Any = None) -> Iterator[ChunkId]:
    """The chunks of a column that hold the rows at ``positions`` (an array of integers).

    ``numbers`` are the rows of the base that the frame consists of, where it has a lineage.
    """
    import numpy

    if node.get("taken"):
        if not node.get("rows") or numbers is None:
            return  # An index that is a rule.
        positions = numbers[positions]
    ends = numpy.cumsum(numpy.asarray(node["rows"], "i8"))
    at = set(numpy.searchsorted(ends, positions, side="right").tolist())
    for stream in node["streams"].values():
        chunks = stream["chunks"]
        # Of what is not cut by rows, all.
        chosen = at if len(chunks) == len(ends) else range(len(chunks))
        for number in chosen:
            yield from ids_of_entry(chunks[number])
    for below in node.get("aligned", {}).values():
        plain = {**below, "taken": False}
        yield from chunks_of_rows(plain, positions)
    for below in node.get("parts", {}).values():
        yield from chunks_of(below)


def _walk(node: Any, taken: bool, found: Held, pieces: dict[ChunkId, set[tuple[int, int]]]) -> None:
    if isinstance(node, list):
        for below in node:
            _walk(below, taken, found, pieces)
    elif isinstance(node, dict):
        if "store" in node and "chunks" in node:
            for entry in node["chunks"]:
                ids = set(ids_of_entry(entry))
                if taken:
                    found.hidden |= ids
                    continue
                if isinstance(entry, dict) and "of" in entry:
                    found.hidden |= ids  # A part of them is shown.
                    continue
                if isinstance(entry, dict) and "base" in entry:
                    found.hidden.add(entry["base"])
                    ids.discard(entry["base"])
                found.shown |= ids
        elif "pieces" in node and "digest" in node:
            for chunk, offset, length in node["pieces"]:
                pieces.setdefault(chunk, set()).add((offset, length))
        else:
            taken = taken or bool(node.get("taken"))
            for below in node.values():
                _walk(below, taken, found, pieces)
