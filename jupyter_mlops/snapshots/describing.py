"""Statistics of large values: made when the version is durable already, and kept beside it.

What is small has its statistics in the manifest.  To describe a gigabyte takes as long as to store
it, so of more than 64 MB they are made afterwards, of what was stored, in a thread or when somebody
asks.  ``statistics/<address of the manifest>`` keeps them::

    MLSTAT1\\n                 8 bytes
    length of the JSON         u64, little-endian
    the JSON, compressed       one zstd frame
    BLAKE3 of all before       32 bytes

A file that is missing, damaged or of a manifest that is gone means nothing but work: it is made
anew, or goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ..errors import CorruptError, NotFoundError
from .chunking import Read, Reader, chunks_of
from .chunks import decode_chunk
from .lineage import logical_column
from .manifests import Manifest, canonical
from .statistics import Statistics
from .streams import Column
from .values import kind_of, shape_of

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = [
    "column_statistics",
    "describe",
    "describe_later",
    "drop_statistics",
    "is_late",
    "statistics_of",
    "sweep_statistics",
]

Node = dict[str, Any]
_MAGIC = b"MLSTAT1\n"
_INLINE = 64_000_000  # Bytes in memory.
_MOST = 1 << 28
_TOGETHER = 1 << 19  # Rows of all columns that are read at once.
_NESTED = 1000  # A longer list is not one of frames.


def is_late(value: Any) -> bool:
    """Whether the statistics of a value are made after it is stored: of more than 64 MB."""
    return _volume(value, 0) > _INLINE


def describe(tree: Node, read: Read, known: Mapping[str, Any] | None = None) -> Node:
    """The statistics of a stored value, as ``encode`` makes them of one in memory.

    Long columns are read one at a time; those that ``known`` describes are not read.  Raises
    ``NotFoundError``, ``CorruptError``.
    """
    statistics = Statistics(dict(known or {}))
    ahead = _Ahead(read)
    reader = Reader(ahead, trust=True, coded=True)  # Bytes are counted; nothing is unpickled.
    for batch in _batches(_columns(tree)):
        wanted = [node for _, node in batch if not statistics.knows(node)]
        if len(wanted) > 1:
            ahead.fetch(wanted)
        for frame, node in batch:
            statistics.add(node.get("name", ""), _reading(frame, node, reader), node)
    return statistics.result(tree)


class _Ahead:
    """Reads the chunks of several columns at once: to ask for each takes longer than to read it."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._here: dict[str, memoryview] = {}

    def fetch(self, nodes: Sequence[Node]) -> None:
        """Read the chunks of these columns, and forget those of others."""
        ids = list(dict.fromkeys(id for node in nodes for id in chunks_of(node)))
        self._here = {}
        self._here = dict(zip(ids, self._read(ids), strict=True))

    def __call__(self, ids: Sequence[str]) -> list[memoryview]:
        if all(id in self._here for id in ids):
            return [self._here[id] for id in ids]
        return self._read(ids)


def _batches(columns: Iterator[tuple[Node, Node]]) -> Iterator[list[tuple[Node, Node]]]:
    """Columns together as long as they are short; a long one is read alone."""
    batch: list[tuple[Node, Node]] = []
    rows = 0
    for frame, node in columns:
        length = int(node["length"]) if node.get("streams") else _TOGETHER
        if batch and rows + length > _TOGETHER:
            yield batch
            batch, rows = [], 0
        batch.append((frame, node))
        rows += length
    if batch:
        yield batch


def statistics_of(
    store: SnapshotStore, address: str, manifest: Manifest, *, make: bool = True
) -> Node:
    """The statistics of a manifest: its own, those beside it, or made now and put beside it.

    Empty where they are not there and cannot be made (or, without ``make``, were not yet).
    """
    if manifest.stats:
        return manifest.stats
    found = _load(store, address)
    if found is not None or not make:
        return found or {}
    try:
        found = describe(manifest.object, store.read, _before(store, manifest))
    except (NotFoundError, CorruptError):  # Pulled in part, or damaged.
        return {}
    _save(store, address, found)
    return found


def column_statistics(
    store: SnapshotStore, address: str, manifest: Manifest
) -> Callable[[int], Node]:
    """A function that says the statistics of a frame's column by position, reading it if it must.

    For a diff, which wants those few columns alone that changed.
    """
    known = statistics_of(store, address, manifest, make=False).get("columns")
    tree = manifest.object
    reader = Reader(store.read, trust=True, coded=True)

    def column(position: int) -> Node:
        if isinstance(known, list):
            return known[position] if 0 <= position < len(known) else {}
        if not 0 <= position < len(tree["columns"]):
            return {}
        node = tree["columns"][position]
        one = Statistics()
        try:
            one.add(node.get("name", ""), _reading(tree, node, reader), node)
        except (NotFoundError, CorruptError):
            return {}
        found: Node = one.result(tree)["columns"][0]
        return found

    return column


def describe_later(store: SnapshotStore, address: str) -> threading.Thread:
    """Make the statistics of a manifest in a thread; whoever asks sooner makes them himself.

    The thread ends with the process, finished or not.
    """

    def work() -> None:
        with contextlib.suppress(Exception):  # They are made when somebody asks.
            statistics_of(store, address, store.manifest(address))

    thread = threading.Thread(target=work, name="snapshot-statistics", daemon=True)
    thread.start()
    return thread


def drop_statistics(store: SnapshotStore, address: str) -> int:
    """Remove what is kept beside a manifest; return the bytes freed."""
    path = _path(store, address)
    with contextlib.suppress(FileNotFoundError):
        size = path.stat().st_size
        path.unlink()
        return size
    return 0


def sweep_statistics(store: SnapshotStore) -> int:
    """Remove the statistics of manifests that are gone; return the bytes freed."""
    freed = 0
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(store.folder / "statistics"):
            if not (store.manifests / name.partition(".")[0]).exists():
                freed += drop_statistics(store, name)
    return freed


def _volume(value: Any, depth: int) -> int:
    if isinstance(value, Path):
        return 0
    if kind_of(value) is not None:
        return shape_of(value).size
    items = value.values() if type(value) is dict else value
    if type(value) in (list, tuple, dict) and len(value) <= _NESTED and depth < 8:
        return sum(_volume(item, depth + 1) for item in items)
    return 0


def _columns(tree: Node) -> Iterator[tuple[Node, Node]]:
    """Each column that has statistics, with the tree that it is of, as ``encode`` meets them."""
    if tree.get("attrs"):
        yield from _columns(tree["attrs"])
    library, kind = tree.get("library"), tree["kind"]
    if library in ("pandas", "polars", "pyarrow", "numpy") and kind != "index":
        for node in tree["columns"]:
            yield tree, node
    if kind == "dict":
        yield from _columns(tree["values"])
    for item in tree.get("items", ()):
        yield from _columns(item)


def _reading(tree: Node, node: Node, reader: Reader) -> Callable[[], Column]:
    length = int(tree["length"] if "length" in tree else node["length"])
    return lambda: logical_column(tree, node, reader, 0, length)


def _before(store: SnapshotStore, manifest: Manifest) -> Node | None:
    """What is known of the version before: columns that are the same need no second look."""
    if manifest.parent is None:
        return None
    with contextlib.suppress(NotFoundError, CorruptError, OSError):
        return statistics_of(store, manifest.parent, store.manifest(manifest.parent), make=False)
    return None


def _path(store: SnapshotStore, address: str) -> Path:
    return store.folder / "statistics" / address


def _load(store: SnapshotStore, address: str) -> Node | None:
    try:
        data = _path(store, address).read_bytes()
    except OSError:
        return None
    if len(data) < 48 or data[:8] != _MAGIC or blake3(data[:-32]).digest() != data[-32:]:
        return None
    size = int.from_bytes(data[8:16], "little")
    if size > _MOST:
        return None
    with contextlib.suppress(CorruptError, ValueError, KeyError, TypeError):
        found = json.loads(decode_chunk("zstd", data[16:-32], size))
        if found["manifest"] == address and isinstance(found["statistics"], dict):
            return dict(found["statistics"])
    return None


def _save(store: SnapshotStore, address: str, statistics: Node) -> None:
    """Keep them, if that works: not durably, as they can be made again."""
    from numcodecs import zstd

    plain = canonical({"manifest": address, "statistics": statistics}, "the statistics")
    body = _MAGIC + len(plain).to_bytes(8, "little") + bytes(zstd.compress(plain, 3))
    path = _path(store, address)
    temporary = path.with_name(f"{address}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(body + blake3(body).digest())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        # Erased in the meantime: whoever erased it may have looked here before.
        if not (store.manifests / address).exists():
            drop_statistics(store, address)
