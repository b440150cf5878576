"""Erasures carried over: what was erased on one side is erased on the other, when asked for.

Records say what was erased: a tombstone has the manifest of its version, a version that lost a
column or rows the manifests that it had.  Nothing else on the other side is touched.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ..errors import CorruptError, MlopsError, NotFoundError
from .apart import store_apart
from .chunks import ChunkId
from .descent import earlier
from .erasing import erase
from .garbage import gate
from .inventory import Inventory, fetch_run, in_parallel, runs_of
from .manifests import Manifest, is_address
from .marking import roots
from .packs import pack_bytes
from .pushing import send
from .refs import Version
from .remote_refs import RemoteRefs, read_remote_manifest
from .remotes import Remote

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["ErasedThere", "erase_rest", "erase_there", "tombstones"]


@dataclass(frozen=True, slots=True)
class ErasedThere:
    """What was erased on a remote: ``versions`` there, ``chunks``, and ``freed`` bytes.

    ``broken`` are versions that somebody pushed at the same moment and that relied on what went.
    """

    versions: list[str]
    chunks: int = 0
    freed: int = 0
    broken: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


def erase_there(store: SnapshotStore, remote: Remote, *, threads: int = 8) -> ErasedThere:
    """Erase on a remote what was erased here, under whatever name it was pushed.

    Versions that lost something here are replaced by what is left of them; whole ones get their
    tombstone.  Then packs that hold chunks which no version there needs any more are written anew
    without them, and removed.  What was interrupted is completed by the same call.

    Raises ``ServiceError``, ``NotFoundError`` where a chunk of what is left is not here, and
    ``CorruptError`` where a version there cannot be read: then no pack was removed.
    """
    erased = _erased_here(store)
    refs = RemoteRefs(remote, threads=threads)
    there = [v for v in refs.resolve(None) if v.manifest in erased]
    old = sorted(erased.keys() & remote.files("manifests").keys())
    if not there and not old:
        return ErasedThere([])
    inventory = Inventory(remote, store.folder / "remotes", threads=threads)
    left = {v.manifest: v for t in there if isinstance(v := erased[t.manifest], Version)}
    with store.lease("reader") as lease:
        manifests = {address: store.manifest(address) for address in left}
        send(store, inventory, manifests, lease, threads)
    for version in there:
        what = erased[version.manifest]
        if isinstance(what, Version):
            refs.replace(replace(what, name=version.name, version=version.version, tags=()))
        else:
            refs.bury(version.name, version.version, what | {"version": version.version})
    own: set[ChunkId] = set()
    for address in old:
        with contextlib.suppress(CorruptError, NotFoundError):
            own.update(read_remote_manifest(remote, address)[0].chunks)
    refs.look_again()
    dead = own - _needed(store, refs, threads).keys()
    inventory.refresh()
    freed = _sweep(inventory, dead)
    kept = {version.manifest for version in refs.resolve(None)}
    for address in old:
        if address not in kept:
            remote.remove(f"manifests/{address}")
    refs.look_again()
    inventory.refresh()
    needed = _needed(store, refs, threads)
    lost = {id for id in dead & needed.keys() if id not in inventory}
    # What is remembered of packs that have gone.
    shutil.rmtree(store.folder / "remotes", ignore_errors=True)
    broken = sorted({spec for id in lost for spec in needed[id]})
    return ErasedThere([version.spec for version in there], len(dead), freed, broken)


def tombstones(store: SnapshotStore, refs: RemoteRefs, versions: Iterable[Version]) -> list[str]:
    """Those of our ``versions`` that have a tombstone on the remote which means them."""
    found = []
    for version in versions:
        if "gone" in refs.numbers(version.name).get(version.version, set()):
            with contextlib.suppress(MlopsError):
                record = refs.tombstone(version.name, version.version)
                if record.get("manifest") in {version.manifest, *earlier(version)}:
                    found.append(version.spec)
    return found


def erase_rest(
    store: SnapshotStore, old: Iterable[str], note: dict[str, Any], *, wait: float = 30.0
) -> int:
    """Erase what only these manifests need; return the bytes freed.  Raises as ``purge``."""
    own: set[ChunkId] = set()
    for address in old:
        with contextlib.suppress(NotFoundError):
            own.update(store.manifest(address).chunks)
    store_apart(store, own, note)
    with gate(store) as lease:
        return erase(store, lease, own, wait=wait)[1]


def _erased_here(store: SnapshotStore) -> dict[str, Version | dict[str, Any]]:
    """Manifests of what was erased here: what is left of it, or its tombstone."""
    found: dict[str, Version | dict[str, Any]] = {}
    for root in roots(store):
        if root.version is not None:
            found.update(dict.fromkeys(earlier(root.version), root.version))
    for home in store.refs.homes():
        for number, kinds in store.refs.numbers(home).items():
            if "gone" not in kinds:
                continue
            with contextlib.suppress(CorruptError, FileNotFoundError):
                record = store.refs.read(home / f"{number:08d}.gone")
                for address in [record.get("manifest"), *(record.get("before") or [])]:
                    if is_address(address):
                        found[str(address)] = record
    return found


def _needed(store: SnapshotStore, refs: RemoteRefs, threads: int) -> dict[ChunkId, list[str]]:
    """The chunks that all versions of a remote need, each with the versions."""

    def read(version: Version) -> tuple[Version, Manifest]:
        if (store.manifests / version.manifest).exists():
            with contextlib.suppress(MlopsError):
                return version, store.manifest(version.manifest)
        return version, read_remote_manifest(refs.remote, version.manifest)[0]

    found: dict[ChunkId, list[str]] = {}
    for version, manifest in in_parallel(read, refs.resolve(None), threads):
        for id in manifest.chunks:
            found.setdefault(id, []).append(version.spec)
    return found


def _sweep(inventory: Inventory, dead: set[ChunkId]) -> int:
    """Write the packs that hold dead chunks anew without them; return the bytes freed."""
    remote, freed = inventory.remote, 0
    for name, entries in inventory.holding(dead).items():
        kept = [entry for entry in entries if entry.id not in dead]
        freed += inventory.packs[name]
        if kept:
            parts = [part for run in runs_of({name: kept}) for part in fetch_run(remote, run)]
            data = pack_bytes(parts)
            remote.write(f"packs/{blake3(data).hexdigest()[:40]}.pack", data)
            freed -= len(data)
        remote.remove(f"packs/{name}")
    return freed
