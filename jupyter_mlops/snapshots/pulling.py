"""Pull: versions of a remote become versions here, checked on arrival.

First the chunks that are missing, in packs of up to 32 MB; then the manifest, then the version.
A pull that was interrupted goes on from the packs it has made.  Nothing is ever unpickled: bytes
are compared with the hashes that name them, and stored.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, CorruptError, MlopsError, ServiceError, UsageError
from ..model.ids import new_id
from .chunks import ChunkId
from .descent import relation
from .durable import no_room, replace_file
from .inventory import Inventory, fetch_run, in_parallel, runs_of
from .leases import Lease
from .manifests import Manifest, is_address
from .naming import check_name
from .packs import Entry, write_pack
from .refs import Version, encode_line
from .remote_refs import RemoteRefs, read_remote_manifest, record_of
from .remotes import Remote, open_remote

if TYPE_CHECKING:
    from ..project import Project
    from .store import SnapshotStore

__all__ = ["Progress", "Pulled", "chunks_for", "clone", "fetch_chunks", "pull"]

# Called with the bytes done and the bytes that there are to do.
Progress = Callable[[int, int], None]

_BATCH = 32 * 1024 * 1024
_TOGETHER = 16  # Versions whose manifests are in memory at once.


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did: ``versions`` are here now, ``new`` of them were not before.

    ``chunks`` and ``bytes`` (as stored) came over; ``kept_tags`` name another version here, set
    later, and stay.  ``erased`` are versions here that, or something of which, was erased there:
    with ``erase`` it has been erased here, too.
    """

    versions: list[Version]
    new: int = 0
    chunks: int = 0
    bytes: int = 0
    kept_tags: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)


def pull(
    store: SnapshotStore,
    remote: Remote | str,
    specs: Iterable[str] | None = None,
    *,
    columns: Sequence[Any] | None = None,
    as_name: str | None = None,
    erase: bool = False,
    threads: int = 8,
    progress: Progress | None = None,
) -> Pulled:
    """Bring versions here.

    ``specs`` are as for ``RemoteRefs.resolve``; none means all.  With ``columns`` only these
    columns' chunks come (and what belongs to no column, as the index): the version is here, and
    reading another column says that it must be pulled.  ``as_name`` keeps them under another name.
    What was erased here is not brought back.  With ``erase`` what was erased there is erased here
    as well; without, it is only said: a remote is not believed in that by itself.

    Raises ``NotFoundError``; ``ConflictError`` where a version here is another snapshot than the
    remote's of that number (nothing is transferred then); ``CorruptError`` for what does not match
    its hash or claims sizes that it cannot have; ``ServiceError``; ``ProjectError`` when the disk
    is full.  Versions that came whole before an error stay.
    """
    if isinstance(remote, str):
        remote = open_remote(remote)
    refs = RemoteRefs(remote, threads=threads)
    found = refs.resolve(specs)
    if as_name is not None:
        check_name(as_name)
        if len({version.name for version in found}) > 1:
            raise UsageError("only versions of one name can be pulled as another name")
    pairs = [(v, v if as_name is None else replace(v, name=as_name)) for v in found]
    wanted = [(theirs, ours) for theirs, ours in pairs if not _erased(store, ours, specs)]
    erased, old = [], {}
    for pair in list(wanted):
        known = _known(store, pair[1])
        if known == "theirs":
            erased.append(pair[1].spec)
            old[pair[1].spec] = store.version(pair[1].name, pair[1].version).manifest
        if known in ("ours", "both") or (known == "theirs" and not erase):
            wanted.remove(pair)
    gone: list[str] = []
    if specs is None and as_name is None:
        from .remote_erasing import tombstones

        gone = tombstones(store, refs, store.versions())
    inventory: Inventory | None = None
    chunks = size = new = 0
    try:
        with store.lease("writer") as lease:
            for start in range(0, len(wanted), _TOGETHER):
                group = wanted[start : start + _TOGETHER]
                files: dict[str, bytes] = {}
                ids: dict[ChunkId, None] = {}
                read = in_parallel(lambda pair: _manifest(store, remote, pair[0]), group, threads)
                for manifest, address, data in read:
                    files[address] = data
                    ids.update(dict.fromkeys(chunks_for(manifest, columns)))
                missing = _missing(store, list(ids))
                if missing:
                    if inventory is None:
                        inventory = Inventory(remote, store.folder / "remotes", threads=threads)
                    count, length = fetch_chunks(
                        store, inventory, missing, lease, threads=threads, progress=progress
                    )
                    chunks += count
                    size += length
                for _, ours in group:
                    new += _publish(store, ours, files[ours.manifest], lease, old.get(ours.spec))
            kept = _pull_tags(store, refs, wanted, lease)
    except MlopsError:
        raise
    except OSError as error:
        raise no_room(error, "pulling snapshots", store.folder) or error from error
    if erase:
        _erase(store, refs, list(old.values()), gone)
    versions = [
        store.version(v.name, v.version)
        for _, v in pairs
        if "ref" in store.refs.numbers(store.refs.home(v.name)).get(v.version, set())
        and not store.refs.path(v.name, v.version, "removed").exists()
    ]
    return Pulled(versions, new, chunks, size, kept, erased + gone)


def clone(
    remote: Remote | str,
    project: Project,
    specs: Iterable[str] | None = None,
    *,
    columns: Sequence[Any] | None = None,
    threads: int = 8,
    progress: Progress | None = None,
) -> Pulled:
    """Make the snapshots of a remote those of a project that has none; else as ``pull``.

    Raises ``ConflictError`` when the project has snapshots; pull into it instead.  A clone that was
    interrupted is taken up by the same call.
    """
    from .store import open_store

    store = open_store(project)
    if isinstance(remote, str):
        remote = open_remote(remote, root=project.root)
    if store.versions():
        refs = RemoteRefs(remote)
        for version in store.versions():
            kinds = refs.numbers(version.name).get(version.version, set())
            if kinds != {"ref"} or (
                refs.version(version.name, version.version).manifest != version.manifest
            ):
                raise ConflictError(
                    f"{project.root} has snapshots of its own, {version.spec} for one",
                    hint="Use `jupyter mlops snapshots pull`, or clone into another folder.",
                )
    return pull(store, remote, specs, columns=columns, threads=threads, progress=progress)


def chunks_for(manifest: Manifest, columns: Sequence[Any] | None) -> list[ChunkId]:
    """The chunks that a version needs, or that these columns of it do.

    Columns are named as they are, or as text.  Raises ``UsageError`` that names a column which it
    has not.
    """
    if columns is None:
        return manifest.chunks
    parts = manifest.object.get("columns")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise UsageError(
            f"a snapshot of kind {manifest.object.get('kind')!r} has no columns to choose from",
            hint="Pull it whole.",
        )
    names = [part.get("name") for part in parts]
    for column in columns:
        if not any(_is_column(name, column) for name in names):
            known = ", ".join(str(name) for name in names[:12])
            raise UsageError(f"there is no column {column!r}", hint=f"There are: {known}.")
    chosen = [part for part in parts if any(_is_column(part.get("name"), c) for c in columns)]
    tree = {**manifest.object, "columns": chosen}
    needed = set(_ids(tree))
    return [id for id in manifest.chunks if id in needed]


def fetch_chunks(
    store: SnapshotStore,
    inventory: Inventory,
    ids: Sequence[ChunkId],
    lease: Lease,
    *,
    threads: int = 8,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Fetch chunks into new packs here; return how many, and their stored bytes.

    What has arrived when the remote fails is kept.
    """
    runs = runs_of(inventory.locate(ids))
    total = sum(entry.length for run in runs for entry in run.entries)
    batch: list[tuple[Entry, bytes]] = []
    waiting = done = count = 0

    def flush() -> None:
        if batch:
            name = f"{new_id()}.pack"
            entries = write_pack(store.packs / name, lease.temporary(store.packs, "pull"), batch)
            store.index.add_pack(name, entries)
            batch.clear()

    results = in_parallel(lambda run: fetch_run(inventory.remote, run), runs, threads)
    try:
        for parts in results:
            lease.renew()
            batch.extend(parts)
            length = sum(len(stored) for _, stored in parts)
            waiting += length
            done += length
            count += len(parts)
            if progress is not None:
                progress(done, total)
            if waiting >= _BATCH:
                flush()
                waiting = 0
    except (ServiceError, CorruptError, KeyboardInterrupt):
        with contextlib.suppress(OSError):
            flush()
        raise
    flush()
    return count, done


def _manifest(store: SnapshotStore, remote: Remote, theirs: Version) -> tuple[Manifest, str, bytes]:
    path = store.manifests / theirs.manifest
    try:
        manifest, data = store.manifest(theirs.manifest), path.read_bytes()
    except (MlopsError, OSError):
        manifest, data = read_remote_manifest(remote, theirs.manifest)
    if manifest.digest != theirs.digest:
        raise CorruptError(
            f"{theirs.spec} on {remote.public} says it is {theirs.digest[:20]}, and its manifest "
            f"{manifest.digest[:20]}"
        )
    return manifest, theirs.manifest, data


def _missing(store: SnapshotStore, ids: Sequence[ChunkId]) -> list[ChunkId]:
    store.index.refresh()
    here = store.index.find(ids)
    condemned = store.condemned()
    return [id for id in dict.fromkeys(ids) if id not in here or id in condemned]


def _erased(store: SnapshotStore, ours: Version, specs: Iterable[str] | None) -> bool:
    """Whether it was removed here: pulling everything leaves it so, naming it is refused."""
    kinds = store.refs.numbers(store.refs.home(ours.name)).get(ours.version, set())
    if not kinds & {"gone", "removed"}:
        return False
    if specs is None:
        return True
    if "gone" in kinds:
        raise ConflictError(
            f"{ours.spec} was erased here: its number is not given again",
            hint=f"Pull it under another name: `jupyter mlops snapshots pull {ours.spec} "
            "--as NAME`.",
        )
    raise ConflictError(
        f"{ours.spec} was removed here",
        hint=f"Bring it back with `jupyter mlops snapshots restore {ours.spec}`.",
    )


def _known(store: SnapshotStore, ours: Version) -> str | None:
    """How the version of this number here, if there is one, goes together with the remote's.

    Raises ``ConflictError`` when it is another one.
    """
    kinds = store.refs.numbers(store.refs.home(ours.name)).get(ours.version, set())
    if not kinds:
        return None
    here = store.version(ours.name, ours.version)
    known = relation(here, ours)
    if known == "other":
        raise ConflictError(
            f"{ours.spec} here is another snapshot than the remote's, and neither was changed",
            hint=f"Pull theirs under another name: `jupyter mlops snapshots pull {ours.spec} "
            f"--as {ours.name}-theirs`.",
            version=ours.spec,
            theirs=ours.manifest,
            ours=here.manifest,
        )
    return known


def _erase(store: SnapshotStore, refs: RemoteRefs, old: list[str], gone: list[str]) -> None:
    """Erase here what was erased there: what versions had before, and whole versions."""
    from .erasing import purge
    from .remote_erasing import erase_rest

    where = refs.remote.public
    if old:
        erase_rest(store, old, {"at": time.time(), "reason": f"erased on {where}"})
    for spec in gone:
        name, _, number = spec.rpartition("@")
        reason = refs.tombstone(name, int(number)).get("reason")
        text = f"erased on {where}" + (f": {reason}" if isinstance(reason, str) else "")
        purge(store, spec, reason=text)


def _publish(
    store: SnapshotStore, ours: Version, data: bytes, lease: Lease, instead: str | None
) -> bool:
    """Manifest, then version, durably; return whether it is new.

    ``instead`` is the manifest of the version here of which something was erased there.
    """
    path = store.manifests / ours.manifest
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data, lease.temporary(store.manifests, "manifest"))
    if not lease.held():
        raise ConflictError(
            "this pull took so long without a sign of life that its lease was taken away",
            hint="Start it again: what has arrived is found.",
        )
    home = store.refs.home(ours.name)
    if instead is not None:
        if store.version(ours.name, ours.version).manifest == instead:
            ref = store.refs.path(ours.name, ours.version)
            replace_file(ref, encode_line(record_of(ours)), lease.temporary(home, "ref"))
        return False
    if _known(store, ours) is not None:
        return False
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = lease.temporary(home, "ref")
    if store.refs.append(ours.name, record_of(ours), ours.version, temporary):
        return True
    _known(store, ours)  # Another pull or snapshot was faster.
    return False


def _pull_tags(
    store: SnapshotStore, refs: RemoteRefs, wanted: list[tuple[Version, Version]], lease: Lease
) -> list[str]:
    kept = []
    for name, here in {(theirs.name, ours.name): None for theirs, ours in wanted}:
        pulled = {ours.version for theirs, ours in wanted if theirs.name == name}
        home = store.refs.home(here)
        ours_now = {r["tag"]: r for _, r in store.refs.tag_records(home) if r is not None}
        for tag, record in refs.tags(name).items():
            if record["version"] not in pulled:
                continue
            mine = ours_now.get(tag)
            created = record.get("created")
            created = float(created) if isinstance(created, (int, float)) else 0.0
            if mine is None or (
                mine["version"] != record["version"] and mine.get("created", 0.0) < created
            ):
                temporary = lease.temporary(home, "tag")
                store.refs.put_tag(here, tag, record["version"], created, temporary)
            elif mine["version"] != record["version"]:
                kept.append(f"{here}@{tag}")
    return kept


def _ids(tree: object) -> Iterable[str]:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if is_address(item):
                yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _is_column(name: object, wanted: object) -> bool:
    return name == wanted or str(name) == str(wanted)
