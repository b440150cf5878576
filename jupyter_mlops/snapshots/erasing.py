"""Erasing for good: a version's own chunks leave the packs, and a tombstone stays in its place."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, CorruptError, NotFoundError
from .chunks import ChunkId
from .garbage import Pack, condemning, gate, mark, remove_manifests, settle, survey, sweep
from .manifests import is_address
from .packs import Entry
from .specs import split_spec

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Erased", "purge"]


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: ``chunks`` that only this version used, ``freed`` bytes on disk.

    ``shared`` chunks stay, because other versions need them; ``shared_with`` are some of those.
    """

    spec: str
    chunks: int
    freed: int
    shared: int
    shared_with: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


def purge(
    store: SnapshotStore, spec: str, *, reason: str | None = None, wait: float = 30.0
) -> Erased:
    """Erase a version, removed or not: its manifest, and the chunks that no other version needs.

    Packs that hold them are written anew without them.  Its number is not given again; the
    tombstone says when and why.  A purge that was interrupted is completed by the same call.

    Raises ``NotFoundError``, ``CorruptError`` when it cannot be told what other versions need, and
    ``ConflictError`` when somebody is still at work after ``wait`` seconds: nothing was erased.
    """
    name, number = _which(store, spec)
    ref = store.refs.path(name, number)
    tomb = store.refs.path(name, number, "gone")
    with gate(store) as lease:
        address, own = _content(store, name, number)
        others = mark(store, expired_before=None, without=[ref])
        dead = own - others.chunks
        packs, _, damaged = survey(store, others.chunks, float("inf"))
        if damaged:
            raise CorruptError(
                f"pack {damaged[0]} cannot be read, and may hold what is to be erased",
                hint="`jupyter mlops snapshots verify` shows the damage.",
            )
        with condemning(store, lease, dead):
            held = settle(store, lease, wait)
            if held:
                raise ConflictError(
                    f"{name}@{number} was not erased: {held[0]} is at work",
                    hint="Try again when it has finished.",
                    held=held,
                )
            if not tomb.exists() or ref.exists():
                record = {"version": number, "erased": time.time(), "reason": reason}
                store.refs.bury(
                    name,
                    number,
                    record | {"manifest": address},
                    lease.temporary(store.refs.home(name), "gone"),
                )
            others = mark(store, expired_before=None)
            dead -= others.chunks
            everything = {e.id for p in packs for e in p.entries}
            holding = [p for p in packs if any(e.id in dead for e in p.entries)]
            freed, _, _ = sweep(store, lease, holding, everything - dead, _differs)
            if address not in others.manifests:
                # Last: it is what a purge that was interrupted goes on from.
                freed += remove_manifests(store, [address])
        shared = own - dead
        return Erased(f"{name}@{number}", len(dead), freed, len(shared), _users(store, shared))


def _which(store: SnapshotStore, spec: str) -> tuple[str, int]:
    name, selector = split_spec(spec)
    if isinstance(selector, int):
        return name, selector
    version = store.resolve(spec)
    return version.name, version.version


def _content(store: SnapshotStore, name: str, number: int) -> tuple[str, set[ChunkId]]:
    """The manifest's address and the chunks of a version that is there, removed, or half erased."""
    home = store.refs.home(name)
    kinds = store.refs.numbers(home).get(number, set())
    if "ref" in kinds:
        address = store.refs.version(home, number, {}).manifest
    elif "gone" in kinds:
        address = str(store.refs.read(store.refs.path(name, number, "gone")).get("manifest"))
        if not is_address(address) or not (store.manifests / address).exists():
            raise NotFoundError(f"{name}@{number} was erased already")
    else:
        raise NotFoundError(f"there is no {name}@{number} here")
    return address, set(store.manifest(address).chunks)


def _differs(pack: Pack, kept: list[Entry]) -> bool:
    return len(kept) < len(pack.entries)


def _users(store: SnapshotStore, chunks: set[ChunkId]) -> list[str]:
    if not chunks:
        return []
    return [
        version.spec
        for version in store.versions()
        if chunks.intersection(store.manifest(version.manifest).chunks)
    ][:20]
