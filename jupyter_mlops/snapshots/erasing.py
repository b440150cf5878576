"""Erasing for good: a version's own chunks leave the packs, and a tombstone stays in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, CorruptError, NotFoundError
from .chunks import ChunkId
from .garbage import Pack, condemning, gate, mark, remove_manifests, settle, survey, sweep
from .leases import Lease
from .manifests import Manifest, is_address
from .marking import roots
from .packs import Entry
from .refs import Version
from .specs import split_spec
from .transaction import Transaction

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Erased", "Rewritten", "Transform", "purge", "rewrite"]

Transform = Callable[[Version, Manifest, Transaction], Manifest | None]


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


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Versions that have lost something, and what that erased: chunks, and bytes on disk."""

    name: str
    versions: list[str]
    chunks: int
    freed: int

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
    with gate(store) as lease:
        address, own = _content(store, name, number)

        def bury() -> None:
            if ref.exists():
                record = {"version": number, "erased": time.time(), "reason": reason}
                temporary = lease.temporary(store.refs.home(name), "gone")
                store.refs.bury(name, number, record | {"manifest": address}, temporary)

        dead, freed = _erase(store, lease, own, [address], without=[ref], then=bury, wait=wait)
        shared = own - dead
        return Erased(f"{name}@{number}", len(dead), freed, len(shared), _users(store, shared))


def rewrite(
    store: SnapshotStore,
    name: str,
    transform: Transform,
    *,
    reason: str | None = None,
    wait: float = 30.0,
) -> Rewritten:
    """Let every version of a name lose something: a column, or rows.

    ``transform(version, manifest, transaction)`` returns the manifest without it (tree, digest and
    statistics; new chunks are added to the transaction), or ``None`` where there is nothing to
    lose.  Versions keep number, time, message and tags; their record says what happened.  What
    only the old manifests needed is then erased as by ``purge``.  A call that was interrupted is
    completed by the next.

    Raises ``CorruptError``, and ``ConflictError`` when somebody is still at work after ``wait``
    seconds: then the versions are rewritten, but the bytes are still on disk.
    """
    changed = _transform(store, name, transform, {"at": time.time(), "reason": reason})
    with gate(store) as lease:
        addresses = [
            address
            for root in roots(store)
            if root.version is not None and root.version.name == name
            for address in _earlier(root.version)
            if (store.manifests / address).exists()
        ]
        own = {id for address in addresses for id in store.manifest(address).chunks}
        dead, freed = _erase(store, lease, own, addresses, wait=wait)
    return Rewritten(name, changed, len(dead), freed)


def _transform(
    store: SnapshotStore, name: str, transform: Transform, note: dict[str, Any]
) -> list[str]:
    done: set[int] = set()
    changed: list[str] = []
    successors: dict[str, str] = {}
    # Versions may be committed in the meantime: until there is none that was not looked at.
    while True:
        todo = [
            root.version
            for root in roots(store)
            if root.version is not None and root.version.name == name
            if root.number not in done
        ]
        if not todo:
            return changed
        with store.begin() as transaction:
            found = []
            for version in todo:
                done.add(version.version)
                manifest = store.manifest(version.manifest)
                new = transform(version, manifest, transaction)
                if new is not None:
                    found.append((version, new))
            for version, new in found:
                new = replace(new, parent=successors.get(new.parent or "", new.parent))
                after = transaction.rewrite(version, new, note=note, last=False)
                successors[version.manifest] = after.manifest
                changed.append(version.spec)


def _erase(
    store: SnapshotStore,
    lease: Lease,
    own: set[ChunkId],
    addresses: list[str],
    *,
    without: Iterable[Path] = (),
    then: Callable[[], None] = lambda: None,
    wait: float,
) -> tuple[set[ChunkId], int]:
    """Erase what only these manifests need; return the chunks and the bytes freed.

    ``then`` is called when nobody may refer to them any more, before they go.
    """
    others = mark(store, expired_before=None, without=without)
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
                f"nothing was erased: {held[0]} is at work",
                hint="Try again when it has finished.",
                held=held,
            )
        then()
        others = mark(store, expired_before=None)
        dead -= others.chunks
        everything = {e.id for p in packs for e in p.entries}
        holding = [p for p in packs if any(e.id in dead for e in p.entries)]
        freed, _, _ = sweep(store, lease, holding, everything - dead, _differs)
        # Last: they are what an erasure that was interrupted goes on from.
        freed += remove_manifests(store, [a for a in addresses if a not in others.manifests])
    return dead, freed


def _earlier(version: Version) -> list[str]:
    """The manifests that a version had before it was rewritten."""
    notes = version.meta.get("erased")
    found = [note.get("manifest") for note in notes] if isinstance(notes, list) else []
    return [address for address in found if is_address(address)]


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
