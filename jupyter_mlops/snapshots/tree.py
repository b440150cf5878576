"""The Merkle tree that a digest is the root of.

A node is a header (JSON), the digests of its leaves and those of its children.  A leaf is 65,536
rows of one column as a few byte strings, which are all that is hashed of the data: how a library
or a store cuts the rows into chunks leaves no trace.  ``docs/file-formats.md`` ("Digest of an
object") is the definition; the number in ``_LEAF`` and ``_NODE`` changes with it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from blake3 import blake3
from xxhash import xxh3_128

from ..errors import Undigested

__all__ = ["LEAF_ROWS", "BlakeTree", "Node", "Progress", "XxhTree", "walk"]

LEAF_ROWS = 65_536

_LEAF = b"mlops-leaf-1\n"
_NODE = b"mlops-node-1\n"
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode
# Contiguous bytes of one column, whatever has the buffer protocol, or a list of such pieces of it.
Buffer = Any

# Known only to this process, so that nobody can prepare two contents that look the same.
_SEED = int.from_bytes(os.urandom(8), "little")
_MEMO_LEAVES = 32_768  # About 4 MB of memory for 16 GB of 8-byte columns.
_MEMO_BYTES = 4096  # Below that the second hash costs more than it saves.


class Node(NamedTuple):
    """Part of a value: what is said of it, its rows cut into leaves, and the parts of it.

    ``leaf(start, stop)`` gives the byte strings of these rows; ``rows`` counts those that are cut
    into leaves (0 where there are only children).  ``lazy`` makes the children where that alone
    takes time.  ``size`` and ``cost`` are estimates, in bytes and seconds, of this node without
    ``children`` and with what ``lazy`` makes.
    """

    header: dict[str, Any]
    rows: int = 0
    leaf: Callable[[int, int], Iterable[Buffer]] | None = None
    children: tuple[Node, ...] = ()
    size: int = 0
    cost: float = 1e-5
    lazy: Callable[[], tuple[Node, ...]] | None = None

    def total_size(self) -> int:
        """Bytes of this node and everything in it, about."""
        return self.size + sum(child.total_size() for child in self.children)

    def total_cost(self) -> float:
        """Seconds that the digest takes, about."""
        return self.cost + sum(child.total_cost() for child in self.children)


class Progress:
    """What a walk may take and has seen.

    ``deadline`` is a moment of ``time.perf_counter``; ``pause`` is called between leaves, by the
    thread that has all the time in the world; ``size`` counts bytes of leaves.
    """

    __slots__ = ("deadline", "pause", "size", "started")

    def __init__(
        self, deadline: float | None = None, pause: Callable[[], None] | None = None
    ) -> None:
        self.deadline = deadline
        self.pause = pause
        self.size = 0
        self.started = time.perf_counter()

    def step(self) -> None:
        """Between two leaves: raise ``Undigested`` when the time is up."""
        if self.deadline is not None and time.perf_counter() > self.deadline:
            spent = (time.perf_counter() - self.started) * 1e3
            raise Undigested(f"the digest was not ready within its {spent:.0f} ms")
        if self.pause is not None:
            self.pause()


class BlakeTree:
    """BLAKE3, of those leaves alone whose content is not among the last ``kept`` that it hashed."""

    def __init__(self, kept: int = _MEMO_LEAVES) -> None:
        self._kept = kept
        self._memo: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def unlock(self) -> None:
        """Forget who held the lock: in a forked child nobody does."""
        self._lock = threading.Lock()

    def leaf(self, parts: list[Buffer], size: int) -> bytes:
        """The digest of a leaf (32 bytes)."""
        if size < _MEMO_BYTES or not self._kept:
            return _blake(parts)
        key = _xxh(parts)
        with self._lock:
            known = self._memo.get(key)
            if known is not None:
                self._memo.move_to_end(key)
                return known
        found = _blake(parts)
        with self._lock:
            self._memo[key] = found
            while len(self._memo) > self._kept:
                self._memo.popitem(last=False)
        return found

    def node(self, header: bytes, leaves: list[bytes], children: list[bytes]) -> bytes:
        """The digest of a node (32 bytes)."""
        return blake3(
            b"".join([_NODE, len(header).to_bytes(8, "little"), header, *leaves, *children])
        ).digest()


class XxhTree:
    """Keyed XXH3-128: notices change within this process, names nothing."""

    def leaf(self, parts: list[Buffer], size: int) -> bytes:
        """The digest of a leaf (16 bytes)."""
        return _xxh(parts)

    def node(self, header: bytes, leaves: list[bytes], children: list[bytes]) -> bytes:
        """The digest of a node (16 bytes)."""
        return xxh3_128(b"".join([header, *leaves, *children]), seed=_SEED).digest()


def walk(node: Node, tree: BlakeTree | XxhTree, progress: Progress) -> bytes:
    """Return the digest of ``node``.  Raises ``Undigested`` when the time is up."""
    leaves = []
    if node.leaf is not None:
        for start in range(0, node.rows, LEAF_ROWS):
            progress.step()
            parts = list(node.leaf(start, min(start + LEAF_ROWS, node.rows)))
            size = sum(map(_length, parts))
            progress.size += size
            leaves.append(tree.leaf(parts, size))
    parts_of_it = node.children
    if node.lazy is not None:
        progress.step()
        parts_of_it = node.lazy()
    children = [walk(child, tree, progress) for child in parts_of_it]
    header = node.header | {"rows": node.rows, "children": len(children)}
    return tree.node(_json(header), leaves, children)


def _length(part: Buffer) -> int:
    if isinstance(part, list):
        return sum(map(_length, part))
    return len(part) if isinstance(part, bytes) else memoryview(part).nbytes


def _blake(parts: list[Buffer]) -> bytes:
    return bytes(_hashed(blake3(_LEAF), parts).digest())


def _xxh(parts: list[Buffer]) -> bytes:
    return bytes(_hashed(xxh3_128(_LEAF, seed=_SEED), parts).digest())


def _hashed(hasher: Any, parts: list[Buffer]) -> Any:
    for part in parts:
        hasher.update(_length(part).to_bytes(8, "little"))
        for piece in part if isinstance(part, list) else (part,):
            hasher.update(piece)
    return hasher


def _json(header: dict[str, Any]) -> bytes:
    return _encode(header).encode()
