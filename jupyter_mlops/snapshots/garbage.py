"""Collecting what no version needs, while others write.

1. Mark: the chunks that the manifests of all versions name.
2. Condemn: the ids of dead chunks in packs that are worth it go to ``condemned/``.  A transaction
   that begins from now on adds them anew instead of referring to them.
3. Wait for those that began before: they may refer to them.  When one goes on for too long,
   nothing is taken away.
4. Mark again: what those have committed is spared.
5. Rewrite what is live of packs that are less than half live, and remove the packs.

Removed versions older than the grace period become tombstones in between, unless a run names them.
Versions that were taken automatically for a run that is there no more are removed before: a run
that comes to name one meanwhile keeps it, and it can be brought back for the grace period.  A crash
at any moment leaves at most garbage and ``condemned`` files, which cost nothing but
duplicates.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, CorruptError, ProjectError
from ..model.ids import new_id
from ..project import file_lock
from .chunks import ChunkId
from .describing import sweep_statistics
from .durable import replace_file, sync_folder
from .leases import Lease
from .manifests import is_address
from .marking import Root, Runs, needed, roots
from .packs import Entry, read_footer, read_stored, write_pack

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Collected", "collect"]

_LIVE_ENOUGH = 0.5
_PACK_SIZE = 256 * 1024 * 1024
_TEMPORARY = re.compile(r"\.([0-9A-Z]{26})\.[a-z]+\.tmp")


@dataclass(frozen=True, slots=True)
class Collected:
    """What was, or with ``dry_run`` would be, taken away.

    ``freed`` is in bytes; ``young`` packs were left alone for the grace period, ``damaged`` ones
    because they cannot be read; ``held`` says who is at work: then nothing was taken away.
    ``retired`` are automatic versions of no run, removed now and collected after the grace period;
    ``kept`` are removed versions that stay for a run: version -> run.
    """

    dry_run: bool
    versions: list[str] = field(default_factory=list)
    removed_packs: int = 0
    rewritten_packs: int = 0
    chunks: int = 0
    manifests: int = 0
    freed: int = 0
    young: int = 0
    retired: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


@dataclass(slots=True)
class Marks:
    """What the versions need, those of ``without`` not counted."""

    chunks: set[ChunkId] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)
    expired: list[Root] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Pack:
    """A pack and which of its chunks stay: those with a better copy elsewhere do not."""

    name: str
    entries: list[Entry]
    size: int
    spare: set[ChunkId] = field(default_factory=set)

    def kept(self, live: set[ChunkId]) -> list[Entry]:
        """The entries that stay when these chunks are live."""
        return [e for e in self.entries if e.id in live and e.id not in self.spare]


def collect(
    store: SnapshotStore,
    *,
    dry_run: bool = True,
    grace: float = 3600.0,
    wait: float = 10.0,
    runs: Runs | None = None,
) -> Collected:
    """Take away chunks, manifests and removed versions that nothing needs.

    What is younger than ``grace`` seconds stays.  ``wait`` is how many seconds to wait for
    transactions that are at work.  ``runs`` are those that there are: what they name stays, and
    automatic versions of others go; ``None`` where that is not known: then no version goes for want
    of a run.  Raises ``CorruptError`` when some version's record or manifest
    is damaged (what it needs cannot be told) and ``ConflictError`` when another ``gc`` runs.
    """
    with gate(store) as lease:
        now = store.leases.now(lease)
        retired = _retire(store, lease, runs, now - grace, dry_run)
        now = store.leases.now(lease)
        without = [root.path for root in retired] if dry_run and not grace else []
        marks = mark(store, expired_before=now - grace, without=without, runs=runs)
        packs, young, damaged = survey(store, marks.chunks, now - grace)
        worth = [p for p in packs if _worth(p, p.kept(marks.chunks))]
        dead = {e.id for p in worth for e in p.entries} - marks.chunks
        strays = _stray_manifests(store, marks.manifests, now - grace)
        away = [root.spec for root in retired]
        versions = [root.spec for root in marks.expired] + (away if without else [])
        if dry_run:
            freed = sum(p.size - sum(e.length for e in p.kept(marks.chunks)) for p in worth)
            freed += sum((store.manifests / a).stat().st_size for a in strays)
            return Collected(
                dry_run=True,
                versions=versions,
                removed_packs=sum(not p.kept(marks.chunks) for p in worth),
                rewritten_packs=sum(bool(p.kept(marks.chunks)) for p in worth),
                chunks=len(dead),
                manifests=len(strays),
                freed=freed,
                young=young,
                retired=away,
                kept=marks.kept,
                damaged=damaged,
            )
        with condemning(store, lease, dead):
            held = settle(store, lease, wait)
            if held:
                return Collected(
                    dry_run=False, retired=away, young=young, damaged=damaged, held=held
                )
            buried = [root.spec for root in marks.expired if bury_removed(store, root)]
            again = mark(store, expired_before=None)
            live = again.chunks | {e.id for p in worth for e in p.entries if e.id not in dead}
            freed, gone, rewritten = sweep(store, lease, worth, live, _worth)
            strays = [address for address in strays if address not in again.manifests]
            freed += remove_manifests(store, strays)
        tidy(store, lease)
        return Collected(
            dry_run=False,
            versions=buried,
            removed_packs=gone,
            rewritten_packs=rewritten,
            chunks=len(dead - again.chunks),
            manifests=len(strays),
            freed=freed,
            young=young,
            retired=away,
            kept=marks.kept,
            damaged=damaged,
        )


@contextlib.contextmanager
def gate(store: SnapshotStore) -> Iterator[Lease]:
    """One collector at a time; the system frees the lock when its process ends."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(store.folder / "gc.lock", timeout=1.0))
        except ProjectError as error:
            raise ConflictError(
                "another `gc` or `purge` of these snapshots runs", hint="Try again later."
            ) from error
        yield stack.enter_context(store.lease("gc"))


def mark(
    store: SnapshotStore,
    *,
    expired_before: float | None,
    without: Iterable[Path] = (),
    runs: Runs | None = None,
) -> Marks:
    """What all versions need; those removed before ``expired_before`` need nothing more.

    ``without`` are the files of refs that do not count; what one of ``runs`` needs does not expire.
    Raises ``CorruptError``.
    """
    marks = Marks()
    left_out = set(without)
    for root in roots(store):
        if root.path in left_out:
            continue
        if runs is not None and root.removed and root.version is not None:
            keeper = runs.keeper(root.version)
            if keeper is not None:
                marks.kept[root.spec] = keeper
        if expired_before is not None and root.removed and root.spec not in marks.kept:
            with contextlib.suppress(FileNotFoundError):
                if root.path.with_suffix(".removed").stat().st_mtime <= expired_before:
                    marks.expired.append(root)
                    continue
        try:
            manifest = needed(store, root)
        except CorruptError as error:
            if not root.path.exists() or root.path.with_suffix(".gone").exists():
                continue
            raise CorruptError(
                f"what {root.spec} needs cannot be told, so nothing is taken away: {error}",
                hint="`jupyter mlops snapshots verify` shows the damage; repair or remove it.",
                version=root.spec,
            ) from error
        marks.chunks.update(manifest.chunks)
        if root.version is not None:
            marks.manifests.add(root.version.manifest)
    return marks


def _retire(
    store: SnapshotStore, lease: Lease, runs: Runs | None, older_than: float, dry_run: bool
) -> list[Root]:
    """Remove the automatic versions that no run needs and no tag names; return them."""
    found: list[Root] = []
    if runs is None:
        return found
    for root in roots(store):
        version = root.version
        if root.removed or version is None or version.meta.get("automatic") is not True:
            continue
        if version.created > older_than or runs.keeper(version) is not None:
            continue
        if version.version in store.refs.tags(root.home):
            continue
        if not dry_run:
            temporary = lease.temporary(root.home, "removed")
            store.refs.mark_removed(version.name, version.version, time.time(), temporary)
        found.append(root)
    return found


def survey(
    store: SnapshotStore, live: set[ChunkId], older_than: float
) -> tuple[list[Pack], int, list[str]]:
    """All packs old enough, how many are too young, and the names of those that are damaged.

    Of live chunks that lie in several packs, the first good copy stays.
    """
    packs, damaged = [], []
    young = 0
    first: dict[ChunkId, Pack] = {}
    for path in sorted(store.packs.glob("*.pack")):
        try:
            pack = Pack(path.name, read_footer(path), path.stat().st_size)
            is_young = path.stat().st_mtime > older_than
        except FileNotFoundError:
            continue
        except CorruptError:
            damaged.append(path.name)
            continue
        for entry in pack.entries:
            if entry.id not in live:
                continue
            other = first.get(entry.id)
            if other is None:
                first[entry.id] = pack
            elif is_young:
                continue
            elif _readable(store, other, entry.id):
                pack.spare.add(entry.id)
        if is_young:
            young += 1
        else:
            packs.append(pack)
    return packs, young, damaged


@contextlib.contextmanager
def condemning(store: SnapshotStore, lease: Lease, ids: set[ChunkId]) -> Iterator[None]:
    """Within this, transactions that begin do not refer to these chunks."""
    folder = store.folder / "condemned"
    path = folder / f"{lease.id}.ids"
    replace_file(path, "\n".join(sorted(ids)).encode("ascii"), lease.temporary(folder, "condemned"))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        sync_folder(folder)


def settle(store: SnapshotStore, lease: Lease, wait: float) -> list[str]:
    """Wait for all who are at work now; return those who still are after ``wait`` seconds."""
    now = store.leases.now(lease)
    # One whose holder cannot be asked may come back; it then finds its lease gone and gives up.
    store.leases.sweep(now)
    ids = {info.id for info in store.leases.all(now) if info.id != lease.id}
    return [info.describe() for info in store.leases.wait(ids, wait, lease)]


def sweep(
    store: SnapshotStore,
    lease: Lease,
    packs: list[Pack],
    live: set[ChunkId],
    worth: Callable[[Pack, list[Entry]], bool],
) -> tuple[int, int, int]:
    """Rewrite or remove those packs; return bytes freed, packs removed and packs rewritten."""
    freed = removed = rewritten = 0
    batch: list[tuple[Pack, list[Entry]]] = []
    size = 0
    for pack in packs:
        kept = pack.kept(live)
        if not worth(pack, kept):
            continue
        if not kept:
            _remove_packs(store, [pack])
            removed += 1
            freed += pack.size
            continue
        batch.append((pack, kept))
        size += sum(e.length for e in kept)
        if size >= _PACK_SIZE:
            freed += _rewrite(store, lease, batch)
            rewritten += len(batch)
            batch, size = [], 0
    if batch:
        freed += _rewrite(store, lease, batch)
        rewritten += len(batch)
    return freed, removed, rewritten


def bury_removed(store: SnapshotStore, root: Root) -> bool:
    """Turn a removed version into a tombstone; ``False`` when it was brought back meanwhile."""
    try:
        # One step: whoever wants it back finds the mark either there or not.
        root.path.with_suffix(".removed").rename(root.path.with_suffix(".gone"))
    except FileNotFoundError:
        return False
    store.refs.clean(root.home, root.number)
    return True


def remove_manifests(store: SnapshotStore, addresses: Iterable[str]) -> int:
    """Remove manifests that no version names; return the bytes freed."""
    freed = 0
    for address in addresses:
        path = store.manifests / address
        with contextlib.suppress(FileNotFoundError):
            freed += path.stat().st_size
            path.unlink()
    sync_folder(store.manifests)
    return freed + sweep_statistics(store)


def _worth(pack: Pack, kept: list[Entry]) -> bool:
    if len(kept) == len(pack.entries):
        return not kept
    return sum(e.length for e in kept) < _LIVE_ENOUGH * sum(e.length for e in pack.entries) or (
        not kept
    )


def _rewrite(store: SnapshotStore, lease: Lease, batch: list[tuple[Pack, list[Entry]]]) -> int:
    def parts() -> Iterator[tuple[Entry, bytes]]:
        for pack, kept in batch:
            path = store.packs / pack.name
            file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                for entry in kept:
                    yield entry, read_stored(file, path, entry)
            finally:
                os.close(file)

    name = f"{new_id()}.pack"
    entries = write_pack(store.packs / name, lease.temporary(store.packs, "rewritten"), parts())
    size = (store.packs / name).stat().st_size
    store.index.add_pack(name, entries)
    _remove_packs(store, [pack for pack, _ in batch])
    return sum(pack.size for pack, _ in batch) - size


def _remove_packs(store: SnapshotStore, packs: list[Pack]) -> None:
    store.index.drop_packs([pack.name for pack in packs])
    for pack in packs:
        # Windows does not remove a file that somebody reads: it goes the next time.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            (store.packs / pack.name).unlink()
    sync_folder(store.packs)


def _readable(store: SnapshotStore, pack: Pack, id: ChunkId) -> bool:
    path = store.packs / pack.name
    entry = next(e for e in pack.entries if e.id == id)
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError:
        return False
    try:
        read_stored(file, path, entry)
    except (CorruptError, OSError):
        return False
    finally:
        os.close(file)
    return True


def _stray_manifests(store: SnapshotStore, live: set[str], older_than: float) -> list[str]:
    found = []
    for path in sorted(store.manifests.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            if (
                is_address(path.name)
                and path.name not in live
                and path.stat().st_mtime <= older_than
            ):
                found.append(path.name)
    return found


def tidy(store: SnapshotStore, lease: Lease) -> None:
    """Take away what crashes have left: temporary files, marks of dead collectors, dead refs."""
    homes = store.refs.homes()
    tags = [home / "tags" for home in homes]
    others = [store.leases.folder, store.folder / "condemned"]
    folders = [store.packs, store.manifests, *others, *homes, *tags]
    left = {path: path.stem for path in (store.folder / "condemned").glob("*.ids")}
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if match := _TEMPORARY.fullmatch(path.name):
                left[path] = match[1]
    # After the files: each is younger than the lease it belongs to.
    now = store.leases.now(lease)
    live = {info.id for info in store.leases.all(now) if info.live}
    for path, id in left.items():
        if id not in live:
            path.unlink(missing_ok=True)
    for path in store.folder.glob(".secret.*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < now - 3600:
                path.unlink()
    for home in homes:
        for number, kinds in store.refs.numbers(home).items():
            if "gone" in kinds and kinds & {"ref", "removed"}:
                store.refs.clean(home, number)
