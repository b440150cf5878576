"""What a stream has in a manifest for each of its chunks, and the chunks that are named there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CorruptError

__all__ = ["chunks_of", "ids_in", "ids_of", "part_of"]

_ID = re.compile(r"[0-9a-f]{64}")
_ENTRY = ("base", "at", "to", "codes", "lengths", "bytes")


def chunks_of(tree: Any) -> Iterator[str]:
    """Yield the id of every chunk that a tree (or a part of one) needs; some more than once."""
    if isinstance(tree, dict):
        if "store" in tree and "chunks" in tree:
            for entry in tree["chunks"]:
                yield from ids_of(entry)
            return
        for value in tree.values():
            if isinstance(value, (dict, list)):
                yield from chunks_of(value)
    elif isinstance(tree, list):
        for value in tree:
            if isinstance(value, (dict, list)):
                yield from chunks_of(value)


def ids_of(entry: Any) -> list[str]:
    """The ids of the chunks that one entry needs."""
    if entry is None:
        return []
    if isinstance(entry, str):
        return [entry]
    if isinstance(entry, dict) and "of" in entry:
        return ids_of(entry["of"])
    found = entry if isinstance(entry, list) else [entry.get(key) for key in _ENTRY]
    return [i for i in found if i is not None]


def part_of(entry: Any, rows: int) -> tuple[Any, int, int]:
    """``(entry, its rows, the first that is wanted)`` of an entry of ``rows`` rows.

    Raises ``CorruptError`` for a part that lies outside of what it is a part of.
    """
    if not isinstance(entry, dict) or "of" not in entry:
        return entry, rows, 0
    whole, first, inner = int(entry["rows"]), int(entry["start"]), entry["of"]
    if not 0 <= first <= first + rows == int(entry["stop"]) <= whole or (
        isinstance(inner, dict) and "of" in inner
    ):
        raise CorruptError("a part of a chunk does not lie within it")
    return inner, whole, first


def ids_in(tree: object) -> Iterator[str]:
    """Every string in a tree that looks like the id of a chunk."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if len(item) == 64 and _ID.fullmatch(item):
                yield item
        elif isinstance(item, Mapping):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, (list, tuple)):
            stack.extend(reversed(item))
