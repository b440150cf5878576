"""Push: versions of this store become versions of a remote.

Immutable packs first, then manifests, then the versions, each claimed exclusively: whoever looks
at the remote at any moment sees whole versions only, and of two who push the same number one is
told.  A push that was interrupted goes on from the packs that have arrived.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from ..errors import CorruptError, NotFoundError, UsageError
from .chunks import ChunkId
from .descent import relation
from .inventory import Inventory, in_parallel
from .leases import Lease
from .manifests import Manifest
from .naming import check_name, file_name
from .packs import Entry, pack_bytes, read_entry, read_stored
from .pulling import Progress
from .refs import Version
from .remote_refs import RemoteRefs
from .remotes import Remote, open_remote

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Pushed", "push", "send"]

_PACK = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: ``versions`` are on the remote now, ``new`` of them were not before.

    ``chunks`` and ``bytes`` (as stored) went over; ``kept_tags`` name another version there, set
    later, and stay.  ``erased`` were left alone, because they or something of them was erased here
    or there.
    """

    versions: list[Version]
    new: int = 0
    chunks: int = 0
    bytes: int = 0
    kept_tags: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)


def push(
    store: SnapshotStore,
    remote: Remote | str,
    specs: Iterable[str] | None = None,
    *,
    as_name: str | None = None,
    threads: int = 4,
    progress: Progress | None = None,
) -> Pushed:
    """Send versions to a remote; only chunks that are not there yet are sent.

    A spec is what ``SnapshotStore.resolve`` takes, or ``name@*`` for all versions of a name; none
    means every version.  ``as_name`` gives them another name there.

    Raises ``NotFoundError`` where a chunk is missing here and there, ``CorruptError`` where one is
    damaged here, ``ConflictError`` where a version there is another snapshot (before anything is
    sent, and again at the end if somebody was faster), ``ServiceError``.
    """
    if isinstance(remote, str):
        remote = open_remote(remote)
    ours = _resolve(store, specs)
    if as_name is not None:
        check_name(as_name)
        if len({version.name for version in ours}) > 1:
            raise UsageError("only versions of one name can be pushed as another name")
    theirs = [v if as_name is None else replace(v, name=as_name) for v in ours]
    refs = RemoteRefs(remote, threads=threads)
    erased = []
    if specs is None:
        erased = [v.spec for v in theirs if _erased(refs, v)]
        ours = [v for v, t in zip(ours, theirs, strict=True) if t.spec not in erased]
        theirs = [v for v in theirs if v.spec not in erased]
    for version in theirs:
        refs.check(version)
    if not ours:
        return Pushed([], erased=erased)
    with store.lease("reader") as lease:
        manifests = {v.manifest: store.manifest(v.manifest) for v in ours}
        inventory = Inventory(remote, store.folder / "remotes", threads=threads)
        chunks, size = send(store, inventory, manifests, lease, threads, progress)
        new = sum(refs.claim(version) for version in theirs)
        # Somebody may have erased there, meanwhile, what was relied on.
        refs.look_again()
        for version in theirs:
            if "gone" in refs.numbers(version.name).get(version.version, set()):
                remote.remove(f"refs/{file_name(version.name)}/{version.version:08d}.ref")
                refs.look_again()
                refs.claim(version)  # Says that it was erased.
        inventory.refresh()
        again = send(store, inventory, manifests, lease, threads)
        kept = _push_tags(store, refs, ours, theirs)
    return Pushed(theirs, new, chunks + again[0], size + again[1], kept, erased)


def send(
    store: SnapshotStore,
    inventory: Inventory,
    manifests: Mapping[str, Manifest],
    lease: Lease,
    threads: int,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Send manifests (by address), first the chunks of theirs that are not there.

    Returns how many chunks and their stored bytes.
    """
    remote = inventory.remote
    needed = dict.fromkeys(id for m in manifests.values() for id in m.chunks)
    missing = [id for id in needed if id not in inventory]
    packs = _plan(store, missing)
    total = sum(entry.length for pack in packs for _, entry in pack)
    size = 0

    def send_pack(pack: list[tuple[str, Entry]]) -> int:
        data = pack_bytes(list(_parts(store, pack)))
        remote.write(f"packs/{blake3(data).hexdigest()[:40]}.pack", data)
        return sum(entry.length for _, entry in pack)

    for length in in_parallel(send_pack, packs, threads):
        lease.renew()
        size += length
        if progress is not None:
            progress(size, total)

    there = remote.files("manifests")

    def send_manifest(address: str) -> None:
        data = (store.manifests / address).read_bytes()
        if there.get(address) != len(data):
            remote.write(f"manifests/{address}", data)

    for _ in in_parallel(send_manifest, manifests, threads):
        lease.renew()
    return len(missing), size


def _erased(refs: RemoteRefs, version: Version) -> bool:
    """Whether it, or something of it, was erased on one of the two sides."""
    kinds = refs.numbers(version.name).get(version.version, set())
    if "gone" in kinds:
        return True
    if "ref" not in kinds:
        return False
    return relation(version, refs.version(version.name, version.version)) in ("ours", "theirs")


def _resolve(store: SnapshotStore, specs: Iterable[str] | None) -> list[Version]:
    if specs is None:
        found = list(store.versions())
    else:
        found = []
        for spec in specs:
            name, _, rest = spec.partition("@")
            if rest == "*":
                versions = store.versions(name)
                if not versions:
                    raise NotFoundError(f"there is no snapshot {name!r} here")
                found.extend(versions)
            else:
                found.append(store.resolve(spec))
    once = {(v.name, v.version): v for v in found}
    return [once[key] for key in sorted(once)]


def _plan(store: SnapshotStore, missing: list[ChunkId]) -> list[list[tuple[str, Entry]]]:
    """The packs to send: chunks in the order they lie here, up to 32 MB in each."""
    store.index.refresh()
    places = store.index.find(missing)
    lost = [id for id in missing if id not in places]
    if lost:
        raise NotFoundError(
            f"{len(lost)} chunks ({lost[0][:12]} ...) are neither here nor on the remote",
            hint="Pull the version whole from where it came, then push it.",
            chunks=lost[:100],
        )
    flat = sorted((places[id][0] for id in missing), key=lambda place: (place[0], place[1].offset))
    packs: list[list[tuple[str, Entry]]] = []
    room = 0
    for place in flat:
        if not packs or place[1].length > room:
            packs.append([])
            room = _PACK
        packs[-1].append(place)
        room -= place[1].length
    return packs


def _parts(store: SnapshotStore, pack: list[tuple[str, Entry]]) -> Iterator[tuple[Entry, bytes]]:
    """The chunks as they are stored here, checked: damage is not passed on."""
    opened: dict[str, int] = {}
    try:
        for name, entry in pack:
            path = Path(store.packs / name)
            try:
                if name not in opened:
                    opened[name] = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                read_entry(opened[name], path, entry)
                yield entry, read_stored(opened[name], path, entry)
            except CorruptError as error:
                raise CorruptError(
                    f"{error.message}: it was not pushed",
                    hint="`jupyter mlops snapshots repair` mends it, or fetches it again.",
                ) from error
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _push_tags(
    store: SnapshotStore, refs: RemoteRefs, ours: list[Version], theirs: list[Version]
) -> list[str]:
    kept = []
    for name, there in {(o.name, t.name): None for o, t in zip(ours, theirs, strict=True)}:
        pushed = {version.version for version in ours if version.name == name}
        home = store.refs.home(name)
        mine = [r for _, r in store.refs.tag_records(home) if r and r["version"] in pushed]
        if not mine:
            continue
        known = refs.tags(there)
        for record in mine:
            held = known.get(record["tag"])
            if held is not None and held["version"] == record["version"]:
                continue
            created = record.get("created", 0.0)
            if held is not None and _number(held.get("created")) > _number(created):
                kept.append(f"{there}@{record['tag']}")
                continue
            refs.put_tag(there, {k: record[k] for k in ("tag", "version", "created")})
    return kept


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
