"""Repair: what ``verify`` finds is mended here, taken from another copy, or fetched again.

One flipped bit is undone in place (``mending.py``).  Otherwise a chunk comes from another pack or
from a remote, a manifest from a remote, a version's record from a remote or from its manifest.
Nothing that is damaged is thrown away before what versions need of it is whole elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CorruptError, MlopsError, NotFoundError
from ..model.ids import new_id
from .chunks import ChunkId
from .durable import replace_file
from .inventory import Inventory
from .leases import Lease
from .marking import name_of, needed, roots
from .mending import mend_chunk, mend_line, mend_manifest, mend_pack
from .naming import file_name
from .packs import Entry, read_entry, read_footer, read_stored, write_pack
from .pulling import Progress, fetch_chunks
from .refs import Version, decode_line, encode_line
from .remote_refs import RemoteRefs, read_remote_manifest, record_of
from .remotes import Remote, open_remote
from .verifying import Report, verify

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Repaired", "repair"]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did, and ``left``: what ``verify`` finds afterwards.

    ``mended`` files and chunks had one flipped bit; ``fetched`` chunks and files came from the
    remote; ``rebuilt`` version records were made of their manifests.
    """

    left: Report
    found: int = 0
    mended: int = 0
    fetched: int = 0
    rebuilt: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged any more."""
        return self.left.ok


def repair(
    store: SnapshotStore,
    remote: Remote | str | None = None,
    *,
    threads: int = 8,
    progress: Progress | None = None,
) -> Repaired:
    """Make whole what can be made whole; without damage nothing is written.

    Raises ``ServiceError`` when the remote does not answer (what was mended here before stays), and
    ``OSError`` when the disk is full.
    """
    if isinstance(remote, str):
        remote = open_remote(remote)
    report = verify(store)
    if report.ok:
        return Repaired(report)
    with store.lease("writer") as lease:
        work = _Repair(store, remote, lease, threads, progress)
        work.refs(report)
        work.manifests(report)
        work.packs(report)
        work.missing()
        work.clear()
    return Repaired(verify(store), len(report.problems), work.mended, work.fetched, work.rebuilt)


class _Repair:
    def __init__(
        self,
        store: SnapshotStore,
        remote: Remote | None,
        lease: Lease,
        threads: int,
        progress: Progress | None,
    ) -> None:
        self.store = store
        self.remote = remote
        self.lease = lease
        self.threads = threads
        self.progress = progress
        self.mended = self.fetched = self.rebuilt = 0
        self.damaged: set[str] = set()  # packs with a damaged chunk, or unreadable

    def refs(self, report: Report) -> None:
        """The records of versions, tags, and what was removed or erased."""
        for problem in report.problems:
            if problem.kind not in ("ref", "tag"):
                continue
            path = self.store.folder / problem.path
            if self._mend_line(path):
                continue
            if problem.kind == "tag":
                self._tag(path)
            elif path.suffix == ".ref":
                self._record(path)
            else:
                # The file itself says it; what it told beside is lost.
                what = "removed" if path.suffix == ".removed" else "erased"
                self._write(path, encode_line({"version": int(path.stem), what: time.time()}))
                self.rebuilt += 1

    def manifests(self, report: Report) -> None:
        """Manifests that are damaged or missing."""
        wanted = {Path(p.path) for p in report.problems if p.path.startswith("manifests/")}
        # A record that was repaired just now may name one that nobody missed before.
        for root in roots(self.store):
            if root.version is not None:
                path = Path("manifests") / root.version.manifest
                if not (self.store.folder / path).exists():
                    wanted.add(path)
        for path in sorted(wanted):
            target, address = self.store.folder / path, path.name
            with contextlib.suppress(FileNotFoundError):
                if (found := mend_manifest(target.read_bytes(), address)) is not None:
                    self._write(target, found)
                    self.mended += 1
                    continue
            if self.remote is not None:
                with contextlib.suppress(NotFoundError, CorruptError):
                    self._write(target, read_remote_manifest(self.remote, address)[1])
                    self.fetched += 1

    def packs(self, report: Report) -> None:
        """Packs: what is whole in a damaged one, or can be mended, is copied to a new one."""
        for name in dict.fromkeys(
            Path(p.path).name for p in report.problems if p.kind in ("pack", "chunk")
        ):
            path = self.store.packs / name
            with contextlib.suppress(FileNotFoundError):
                self.damaged.add(name)
                self._salvage(path)

    def missing(self) -> None:
        """Chunks that versions need and no pack holds whole any more."""
        self.store.index.rebuild()
        lost = [id for id in self._needed() if id not in self._whole()]
        if not lost or self.remote is None:
            return
        inventory = Inventory(self.remote, self.store.folder / "remotes", threads=self.threads)
        there = [id for id in lost if id in inventory]
        if there:
            count, _ = fetch_chunks(
                self.store,
                inventory,
                there,
                self.lease,
                threads=self.threads,
                progress=self.progress,
            )
            self.fetched += count
            self._good = None

    def clear(self) -> None:
        """Take damaged packs away of which nothing is needed any more."""
        lost = any(id not in self._whole() for id in self._needed())
        if lost and any(root.version is None for root in roots(self.store)):
            return
        for name in self.damaged:
            path = self.store.packs / name
            try:
                entries = read_footer(path)
            except CorruptError:
                gone = not lost  # It may hold what is lost.
            except FileNotFoundError:
                continue
            else:
                wanted = set(self._needed())
                gone = all(e.id in self._whole() for e in entries if e.id in wanted)
            if gone:
                path.unlink(missing_ok=True)
        self.store.index.rebuild()

    # -- one thing each

    _good: set[ChunkId] | None = None

    def _whole(self) -> set[ChunkId]:
        """Chunks that lie in a pack which is not damaged."""
        if self._good is None:
            self._good = set()
            for path in self.store.packs.glob("*.pack"):
                if path.name not in self.damaged:
                    with contextlib.suppress(CorruptError, FileNotFoundError):
                        self._good.update(entry.id for entry in read_footer(path))
        return self._good

    def _needed(self) -> list[ChunkId]:
        ids: dict[ChunkId, None] = {}
        for root in roots(self.store):
            with contextlib.suppress(CorruptError):
                ids.update(dict.fromkeys(needed(self.store, root).chunks))
        return list(ids)

    def _salvage(self, path: Path) -> None:
        source = path
        try:
            entries = read_footer(path)
        except CorruptError:
            found = mend_pack(path.name, path.read_bytes())
            if found is None:
                return
            source = self.lease.temporary(self.store.packs, "mend")
            source.write_bytes(found)
            self.mended += 1
            entries = read_footer(source)
        try:
            self._copy(source, entries)
        finally:
            if source != path:
                source.unlink(missing_ok=True)

    def _copy(self, source: Path, entries: list[Entry]) -> None:
        good: list[tuple[Entry, bytes]] = []
        file = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            for entry in entries:
                try:
                    read_entry(file, source, entry)
                    good.append((entry, read_stored(file, source, entry)))
                except CorruptError:
                    os.lseek(file, entry.offset, os.SEEK_SET)
                    mended = mend_chunk(os.read(file, entry.length), entry)
                    if mended is not None:
                        good.append((entry, mended))
                        self.mended += 1
        finally:
            os.close(file)
        if good:
            temporary = self.lease.temporary(self.store.packs, "repair")
            write_pack(self.store.packs / f"{new_id()}.pack", temporary, good)
            self._good = None

    def _mend_line(self, path: Path) -> bool:
        try:
            found = mend_line(path.read_bytes())
        except FileNotFoundError:
            return False
        if found is None:
            return False
        self._write(path, found)
        self.mended += 1
        return True

    def _tag(self, path: Path) -> None:
        """A tag, from the remote; one whose version is gone stays as it is."""
        if self.remote is None or _legible(path):
            return
        with contextlib.suppress(MlopsError):
            for record in RemoteRefs(self.remote).tags(name_of(path.parent.parent)).values():
                if file_name(record["tag"]) == path.name:
                    self._write(path, encode_line(record))
                    self.fetched += 1

    def _record(self, path: Path) -> None:
        """A version's record, from the remote or from the one manifest that can be its own."""
        number = int(path.stem)
        try:
            name = name_of(path.parent)
        except MlopsError:
            return
        if self.remote is not None:
            with contextlib.suppress(NotFoundError, CorruptError):
                version = RemoteRefs(self.remote).version(name, number)
                # A version of that number there may be somebody else's: the manifest tells.
                if (self.store.manifests / version.manifest).exists() or not _legible(path):
                    self._write(path, encode_line(record_of(version)))
                    self.fetched += 1
                    return
        version_here = self._from_manifest(name, number)
        if version_here is not None:
            self._write(path, encode_line(record_of(version_here)))
            self.rebuilt += 1

    def _from_manifest(self, name: str, number: int) -> Version | None:
        taken = {root.version.manifest for root in roots(self.store) if root.version is not None}
        found = []
        for path in self.store.manifests.iterdir():
            if path.name in taken or path.name.startswith("."):
                continue
            with contextlib.suppress(MlopsError):
                manifest = self.store.manifest(path.name)
                if manifest.name == name:
                    found.append((path.name, manifest))
        if len(found) != 1:
            return None
        address, manifest = found[0]
        sizes = self.store.index.sizes(manifest.chunks)
        meta = manifest.meta
        return Version(
            name=name,
            version=number,
            digest=manifest.digest,
            manifest=address,
            created=manifest.created,
            message="its record was damaged and made anew: what it said here is lost",
            kind=str(meta.get("kind") or manifest.object.get("kind") or "object"),
            rows=_count(meta.get("rows")),
            columns=_count(meta.get("columns")),
            size=sum(size for _, size in sizes.values()),
            meta=meta,
        )

    def _write(self, path: Path, data: bytes) -> None:
        replace_file(path, data, self.lease.temporary(path.parent, "repair"))


def _legible(path: Path) -> bool:
    try:
        decode_line(path.read_bytes(), path.name)
    except (OSError, ValueError):
        return False
    return True


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
