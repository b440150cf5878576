"""A store in memory with the interface of the one on disk: for tests of what goes into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_mlops.errors import NotFoundError
from jupyter_mlops.snapshots.chunks import blake3_of, chunk_id
from jupyter_mlops.snapshots.encoding import decode, digest_of, encode


@dataclass
class MemoryManifest:
    """What ``encode`` needs of a manifest."""

    object: dict[str, Any]
    stats: dict[str, Any]
    digest: str


@dataclass
class MemoryStore:
    """Chunks by id; ``reads`` lists the ids that were asked for."""

    chunks: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def begin(self) -> MemoryTransaction:
        return MemoryTransaction(self)

    def read(self, ids: Sequence[str]) -> list[memoryview]:
        self.reads.extend(ids)
        try:
            return [memoryview(self.chunks[id]) for id in ids]
        except KeyError as error:
            raise NotFoundError(f"no chunk {error}") from None


class MemoryTransaction:
    """Adds chunks at once; ``added`` are the bytes that the store did not have."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.added = 0
        self.all = 0
        self.new_chunks = 0
        self.old_chunks = 0

    def add(self, raw: Any, *, itemsize: int = 1, hint: str = "") -> str:
        data = bytes(raw)
        assert data, "nothing is stored for nothing"
        assert len(data) % itemsize == 0
        id = chunk_id(data)
        self.all += len(data)
        if id in self.store.chunks:
            self.old_chunks += 1
        else:
            self.new_chunks += 1
            self.added += len(data)
            self.store.chunks[id] = data
        return id

    def find(self, raw: Any) -> str | None:
        id = chunk_id(bytes(raw))
        return id if id in self.store.chunks else None

    def whole(self, *parts: Any) -> str:
        return blake3_of(parts)

    def expect(self, ids: Iterable[str]) -> None:
        assert all(isinstance(id, str) for id in ids)

    def has(self, id: str) -> bool:
        return id in self.store.chunks


def put(
    value: Any, store: MemoryStore, parent: MemoryManifest | None = None
) -> tuple[MemoryManifest, MemoryTransaction]:
    """Encode a value into a store."""
    tx = store.begin()
    tree, stats = encode(value, tx, parent, store)
    return MemoryManifest(tree, stats, digest_of(value, tree)), tx


def back(manifest: MemoryManifest, store: MemoryStore, **options: Any) -> Any:
    """Decode what a manifest says."""
    return decode(manifest.object, store.read, **options)
