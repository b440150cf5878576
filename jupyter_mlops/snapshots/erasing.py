"""Erasing for good: a version's own chunks leave the packs, and a tombstone stays in its place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, CorruptError, NotFoundError
from .chunks import ChunkId
from .descent import earlier
from .garbage import (
    Pack,
    condemning,
    gate,
    mark,
    remove_manifests,
    settle,
    survey,
    sweep,
    tidy,
)
from .leases import Lease
from .manifests import is_address
from .packs import Entry
from .specs import split_spec

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Erased", "erase", "plan_purge", "purge"]


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: ``chunks`` that only this version used, ``freed`` bytes on disk.

    ``shared`` chunks stay, because other versions need them; ``shared_with`` are some of those.
    ``apart`` are versions that were stored as changes of this one, and now are by themselves.
    """

    spec: str
    chunks: int
    freed: int
    shared: int
    shared_with: list[str]
    apart: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


def purge(
    store: SnapshotStore, spec: str, *, reason: str | None = None, wait: float = 30.0
) -> Erased:
    """Erase a version, removed or not: its manifest, and the chunks that no other version needs.

    Packs that hold them are written anew without them, and so are versions that were stored as
    changes of this one: they stay what they are.  Its number is not given again; the tombstone
    says when and why.  A purge that was interrupted is completed by the same call.

    Raises ``NotFoundError``, ``CorruptError`` when it cannot be told what other versions need, and
    ``ConflictError`` when somebody is still at work after ``wait`` seconds: nothing was erased.
    """
    from .apart import store_apart

    name, number = _which(store, spec)
    ref = store.refs.path(name, number)
    note = {"at": time.time(), "reason": reason}
    apart = store_apart(store, _content(store, name, number)[1], note, {f"{name}@{number}"})
    with gate(store) as lease:
        address, own = _content(store, name, number)

        def bury() -> None:
            if ref.exists():
                record: dict[str, Any] = {"version": number, "erased": time.time()}
                record["reason"] = reason
                with contextlib.suppress(CorruptError):
                    version = store.refs.version(store.refs.home(name), number, {})
                    record |= {"digest": version.digest, "before": sorted(earlier(version))}
                temporary = lease.temporary(store.refs.home(name), "gone")
                store.refs.bury(name, number, record | {"manifest": address}, temporary)

        dead, freed = erase(store, lease, own, without=[ref], then=bury, wait=wait)
        shared = own - dead
        found = _users(store, shared)
        return Erased(f"{name}@{number}", len(dead), freed, len(shared), found, apart)


def plan_purge(store: SnapshotStore, spec: str) -> Erased:
    """What ``purge`` would do; ``freed`` is what its own chunks take.  Raises as ``purge``."""
    from .apart import made_of

    name, number = _which(store, spec)
    _, chunks = _content(store, name, number)
    own, apart = made_of(store, chunks, {f"{name}@{number}"})
    sizes = store.index.sizes(own)
    shared = chunks - own
    found = [user for user in _users(store, shared) if user != f"{name}@{number}"]
    freed = sum(length for length, _ in sizes.values())
    return Erased(f"{name}@{number}", len(own), freed, len(shared), found, apart)


def erase(
    store: SnapshotStore,
    lease: Lease,
    own: set[ChunkId],
    *,
    without: Iterable[Path] = (),
    then: Callable[[], None] = lambda: None,
    wait: float,
) -> tuple[set[ChunkId], int]:
    """Erase what no version needs, of ``own`` and whatever else lies about; to be called in a gate.

    Old copies of what is to go may lie in any pack, stray manifest or file that a crash left.
    ``then`` is called when nobody may refer to the chunks any more, before they go.  Returns those
    of ``own`` that are gone, and the bytes freed.  Raises ``CorruptError`` and ``ConflictError``.
    """
    others = mark(store, expired_before=None, without=without)
    before = {path.name for path in store.manifests.iterdir() if is_address(path.name)}
    packs = _packs(store, others.chunks)
    dead = {e.id for pack in packs for e in pack.entries} - others.chunks | own
    with condemning(store, lease, dead - others.chunks):
        _settle(store, lease, wait)
        then()
        known = {pack.name for pack in packs}
        packs = _packs(store, others.chunks)
        if any(e.id in dead for pack in packs if pack.name not in known for e in pack.entries):
            # Made by those who were at work, or by others since: whose version is not there yet.
            _settle(store, lease, wait)
        others = mark(store, expired_before=None)
        dead -= others.chunks
        holding = [pack for pack in packs if any(e.id in dead for e in pack.entries)]
        everything = {e.id for pack in packs for e in pack.entries}
        freed, _, _ = sweep(store, lease, holding, everything - dead, _differs)
        # Last: they are what an erasure that was interrupted goes on from.
        freed += remove_manifests(store, sorted(before - others.manifests))
    tidy(store, lease)
    store.index.rebuild()  # A database keeps what was deleted in pages that are free.
    return own & dead, freed


def _packs(store: SnapshotStore, live: set[ChunkId]) -> list[Pack]:
    packs, _, damaged = survey(store, live, float("inf"))
    if damaged:
        raise CorruptError(
            f"pack {damaged[0]} cannot be read, and may hold what is to be erased",
            hint="`jupyter mlops snapshots verify` shows the damage.",
        )
    return packs


def _settle(store: SnapshotStore, lease: Lease, wait: float) -> None:
    held = settle(store, lease, wait)
    if held:
        raise ConflictError(
            f"nothing was erased: {held[0]} is at work",
            hint="Try again when it has finished.",
            held=held,
        )


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
