"""The store of snapshots: chunks in packs, manifests, refs, and an index that can be made anew.

::

    .mlops/snapshots/
      packs/          one immutable file a commit (``packs.py``)
      manifests/      what each version is made of (``manifests.py``)
      refs/           which manifest each version is (``refs.py``)
      leases/         who is at work (``leases.py``)
      condemned/      chunks that ``gc`` is about to take away (``garbage.py``)
      secret          the key of the XXH3 that knows chunks again; never leaves this folder
      index.db        where each chunk lies; a cache (``index.py``)

Many processes may use one store.  A version is there when its ref is; the ref is written last, by
exclusive create, after everything that it names is durable.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xxhash import xxh3_128_digest

from ..config import Config
from ..errors import CorruptError, NotFoundError, ProjectError, UsageError
from ..project import Project
from .chunks import ChunkId
from .durable import create_exclusive, make_folder, no_room, sync_folder
from .index import Index, Place
from .leases import Lease, Leases
from .manifests import Manifest, is_address, read_manifest
from .naming import check_name, check_tag
from .packs import read_entry
from .refs import Refs, Version
from .specs import parse_moment, split_spec
from .transaction import Transaction

if TYPE_CHECKING:
    from .erasing import Erased
    from .garbage import Collected
    from .marking import Runs
    from .usage import Usage
    from .verifying import Report

__all__ = ["ChunkId", "Manifest", "SnapshotStore", "Transaction", "Version", "open_store"]

_FOLDERS = ("packs", "manifests", "refs", "leases", "condemned")
_PARALLEL = 4 * 1024 * 1024  # Raw bytes from which on chunks are read by several threads.
_stores: weakref.WeakSet[SnapshotStore] = weakref.WeakSet()


def open_store(project: Project, config: Config | None = None) -> SnapshotStore:
    """The store of a project.  Raises ``ProjectError`` when its folder cannot be made."""
    project.create()
    reserve = 0.0 if config is None else config.snapshot_reserve
    return SnapshotStore(project.state / "snapshots", reserve=reserve)


class SnapshotStore:
    """A folder of snapshots.  Thread-safe; usable after a fork; holds no lock.

    ``reserve`` is the part of the disk that transactions leave free, from 0 to 1.
    """

    def __init__(self, folder: Path, *, reserve: float = 0.0) -> None:
        self.folder = Path(folder)
        self.reserve = reserve
        self.packs = self.folder / "packs"
        self.manifests = self.folder / "manifests"
        self.refs = Refs(self.folder / "refs")
        self.leases = Leases(self.folder / "leases")
        self.sizes: dict[str, int] = {}  # Of files that never change: see ``bytes_on_disk``.
        self._seed: int | None = None
        self._durable = True
        with contextlib.suppress(OSError):  # ``begin`` says what is wrong.
            self._prepare()
        self.index = Index(self.folder / "index.db", self.packs)
        _stores.add(self)

    # Writing

    def begin(self, *, reserve: float | None = None) -> Transaction:
        """Begin a snapshot.  ``reserve`` overrides the store's (0: use the disk to its end).

        Raises ``ProjectError`` when the folder cannot be written.
        """
        try:
            self._prepare()
            lease = self.leases.take("writer")
        except OSError as error:
            full = no_room(error, "taking a snapshot", self.folder)
            if full is not None:
                raise full from error
            raise ProjectError(
                f"the snapshots' folder {self.folder} cannot be written: {error.strerror or error}",
                folder=str(self.folder),
            ) from error
        try:
            return Transaction(self, lease, reserve=self.reserve if reserve is None else reserve)
        except BaseException:
            lease.release()
            raise

    def tag(self, spec: str, tag: str) -> Version:
        """Let ``tag`` name a version, whatever it named before.

        Raises ``UsageError`` for a bad tag, ``NotFoundError`` for a version that is not there.
        """
        check_tag(tag)
        version = self.resolve(spec)
        with self.lease("writer") as lease:
            temporary = lease.temporary(self.refs.home(version.name), "tag")
            self.refs.put_tag(version.name, tag, version.version, time.time(), temporary)
        return self.version(version.name, version.version)

    def untag(self, spec: str, tag: str | None = None) -> Version:
        """Forget a tag: ``untag("name", "tag")`` or ``untag("name@tag")``; return its version.

        Raises ``NotFoundError`` when there is no such tag.
        """
        name, selector = split_spec(spec)
        wanted = tag if tag is not None else str(selector)
        for number, tags in self.refs.tags(self.refs.home(name)).items():
            if wanted in tags:
                self.refs.drop_tag(name, wanted)
                return self.version(name, number)
        raise NotFoundError(f"{name!r} has no tag {wanted!r}")

    def remove(self, spec: str) -> Version:
        """Hide a version; ``restore_removed`` shows it again until ``gc`` has run.

        Raises ``NotFoundError`` when it is not there.
        """
        version = self.resolve(spec)
        with self.lease("writer") as lease:
            temporary = lease.temporary(self.refs.home(version.name), "removed")
            self.refs.mark_removed(version.name, version.version, time.time(), temporary)
        return version

    def restore_removed(self, spec: str) -> Version:
        """Show a removed version again: ``name@3``, or ``name`` for the newest removed.

        Raises ``NotFoundError`` when none was removed or ``gc`` has collected it.
        """
        name, selector = split_spec(spec)
        removed = self.refs.live(self.refs.home(name), removed=True)
        number = selector if isinstance(selector, int) else next(iter(removed), None)
        if number is None or number not in removed:
            raise NotFoundError(
                f"no removed version {spec!r} is here",
                hint="What `jupyter mlops snapshots gc` has collected does not come back.",
            )
        self.refs.restore(name, number)
        return self.version(name, number)

    # Reading

    def versions(self, name: str | None = None) -> list[Version]:
        """The versions of a name, or of all, newest first; damaged ones are left out."""
        homes = self.refs.homes() if name is None else [self.refs.home(check_name(name))]
        found = []
        for home in homes:
            tags = self.refs.tags(home)
            for number in self.refs.live(home):
                with contextlib.suppress(CorruptError, FileNotFoundError):
                    found.append(self.refs.version(home, number, tags))
        if name is None:
            found.sort(key=lambda version: (version.created, version.version), reverse=True)
        return found

    def names(self) -> list[str]:
        """The names that have versions, sorted."""
        return sorted({version.name for version in self.versions()})

    def version(self, name: str, number: int, *, added: int | None = None) -> Version:
        """One version by its number; ``NotFoundError``, ``CorruptError``."""
        home = self.refs.home(name)
        self._look_for(home, name, number)
        try:
            found = self.refs.version(home, number, self.refs.tags(home))
        except FileNotFoundError:
            raise NotFoundError(f"{name}@{number} is not here any more") from None
        return found if added is None else replace(found, added=added)

    def newest(self, name: str) -> Version | None:
        """The newest version of a name that can be read."""
        home = self.refs.home(name)
        for number in self.refs.live(home):
            with contextlib.suppress(CorruptError, FileNotFoundError):
                return self.refs.version(home, number, {})
        return None

    def resolve(self, spec: str) -> Version:
        """The version that ``name``, ``name@3``, ``name@tag``, ``name@latest`` or ``name@time`` is.

        A moment (ISO 8601; local time without a zone) means the newest version of then; a date
        its end.  Raises ``UsageError`` for what is none of these, ``NotFoundError``, and
        ``CorruptError`` when the version's record is damaged.
        """
        name, selector = split_spec(spec)
        check_name(name)
        if isinstance(selector, int):
            return self.version(name, selector)
        home = self.refs.home(name)
        numbers = self.refs.live(home)
        if not numbers:
            raise NotFoundError(
                f"no snapshot is called {name!r}",
                hint="`jupyter mlops snapshots ls` shows those that are here.",
            )
        if selector == "latest":
            return self.version(name, numbers[0])
        for number, tags in self.refs.tags(home).items():
            if selector in tags:
                return self.version(name, number)
        moment = parse_moment(selector)
        if moment is None:
            raise NotFoundError(
                f"{name!r} has no tag {selector!r}",
                hint=f"Its newest version is {name}@{numbers[0]}.",
            )
        for number in numbers:
            version = self.version(name, number)
            if version.created <= moment:
                return version
        raise NotFoundError(f"{name!r} had no version yet at {selector}")

    def manifest(self, digest: str) -> Manifest:
        """The manifest at an address.

        Raises ``CorruptError`` when it is not as written, ``NotFoundError`` when it is not here.
        """
        if not is_address(digest):
            raise UsageError(f"{digest!r} is not the address of a manifest (64 hex digits)")
        try:
            return read_manifest(self.manifests / digest, digest)
        except FileNotFoundError:
            raise NotFoundError(
                f"manifest {digest[:12]} is not here",
                hint="`jupyter mlops snapshots pull` fetches it if a remote has it.",
                manifest=digest,
            ) from None

    def read(self, ids: Sequence[ChunkId], *, check: bool = True) -> list[memoryview]:
        """The raw bytes of chunks, in the order asked for; with ``check`` compared with their ids.

        Raises ``NotFoundError`` that names the versions which need what is not here, and
        ``CorruptError`` when no copy of a chunk is as written.
        """
        wanted = list(dict.fromkeys(ids))
        places = self._places(wanted)
        with self._opened() as opened:

            def one(id: ChunkId) -> memoryview:
                failure: Exception | None = None
                for name, entry in places[id]:
                    try:
                        raw = read_entry(opened(name), self.packs / name, entry, check=check)
                        return memoryview(raw)
                    except (CorruptError, FileNotFoundError) as error:
                        failure = error
                raise failure or FileNotFoundError(id)

            try:
                found = self._each(one, wanted, places)
            except (CorruptError, FileNotFoundError):
                # The index may be stale or damaged, the pack rewritten: ask the footers.
                self.index.rebuild()
                places = self._places(wanted)
                try:
                    found = self._each(one, wanted, places)
                except FileNotFoundError as error:
                    raise self._missing(wanted) from error
        by_id = dict(zip(wanted, found, strict=True))
        return [by_id[id] for id in ids]

    @contextlib.contextmanager
    def lease(self, kind: str = "reader") -> Iterator[Lease]:
        """Hold a lease: what was here when it was taken, ``gc`` leaves alone."""
        lease = self.leases.take(kind)
        try:
            yield lease
        finally:
            lease.release()

    # Care; each in a module of its own

    def verify(self, name: str | None = None, *, deep: bool = True) -> Report:
        """Look for damage; see ``verifying.verify``."""
        from .verifying import verify

        return verify(self, name, deep=deep)

    def gc(
        self,
        dry_run: bool = True,
        *,
        grace: float = 3600.0,
        wait: float = 10.0,
        runs: Runs | None = None,
    ) -> Collected:
        """Take away what no version needs; see ``garbage.collect``."""
        from .garbage import collect

        return collect(self, dry_run=dry_run, grace=grace, wait=wait, runs=runs)

    def du(self) -> Usage:
        """What takes how much space; see ``usage.usage``."""
        from .usage import usage

        return usage(self)

    def bytes_on_disk(self) -> int:
        """What packs and manifests take, in bytes: cheap enough to ask before each snapshot.

        Files that are being written count only when they are whole; 0 where there is no store.
        """
        from .usage import stored_bytes

        return stored_bytes(self)

    def purge(self, spec: str, *, reason: str | None = None, wait: float = 30.0) -> Erased:
        """Erase a version for good; see ``erasing.purge``."""
        from .erasing import purge

        return purge(self, spec, reason=reason, wait=wait)

    # For the modules beside this one

    def key_of(self, raw: bytes | memoryview) -> bytes:
        """What knows a chunk again in this store: keyed XXH3-128 and length, 24 bytes."""
        if self._seed is None:
            self._seed = int.from_bytes(self._secret()[:8], "little")
        return xxh3_128_digest(raw, self._seed) + len(raw).to_bytes(8, "little")

    def condemned(self) -> frozenset[ChunkId]:
        """Chunks that ``gc`` is about to take away: a transaction adds them anew."""
        found: set[ChunkId] = set()
        try:
            paths = sorted((self.folder / "condemned").glob("*.ids"))
        except OSError:
            return frozenset()
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                found.update(path.read_text(encoding="ascii").split())
        return frozenset(found)

    def _look_for(self, home: Path, name: str, number: int) -> None:
        kinds = self.refs.numbers(home).get(number, set())
        spec = f"{name}@{number}"
        if "gone" in kinds:
            from .tombstones import gone_text

            record: dict[str, object] = {}
            with contextlib.suppress(CorruptError, FileNotFoundError):
                record = self.refs.read(home / f"{number:08d}.gone")
            raise NotFoundError(f"{spec} was erased{gone_text(record)}", spec=spec)
        if "ref" not in kinds:
            raise NotFoundError(
                f"there is no {spec} here",
                hint="`jupyter mlops snapshots ls` shows those that are; `pull` fetches others.",
                spec=spec,
            )
        if "removed" in kinds:
            raise NotFoundError(
                f"{spec} was removed",
                hint=f"`jupyter mlops snapshots restore {spec}` brings it back.",
                spec=spec,
            )

    def _each(
        self,
        one: Callable[[ChunkId], memoryview],
        ids: Sequence[ChunkId],
        places: dict[ChunkId, list[Place]],
    ) -> list[memoryview]:
        if len(ids) > 1 and sum(places[id][0][1].size for id in ids) > _PARALLEL:
            with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
                return list(pool.map(one, ids))
        return [one(id) for id in ids]

    def _places(self, ids: Sequence[ChunkId]) -> dict[ChunkId, list[Place]]:
        for id in ids:
            if not is_address(id):
                raise UsageError(f"{id!r} is not the id of a chunk (64 hex digits)")
        found = self.index.find(ids)
        if len(found) < len(ids):
            self.index.rebuild()
            found = self.index.find(ids)
            if len(found) < len(ids):
                raise self._missing([id for id in ids if id not in found])
        return found

    def _missing(self, ids: Sequence[ChunkId]) -> NotFoundError:
        wanted = set(ids)
        needed_by = []
        for version in self.versions():
            with contextlib.suppress(CorruptError, NotFoundError):
                if wanted.intersection(self.manifest(version.manifest).chunks):
                    needed_by.append(version.spec)
        needing = f", needed by {', '.join(needed_by[:10])}," if needed_by else ""
        return NotFoundError(
            f"{len(wanted)} chunk{'s' * (len(wanted) != 1)} ({min(wanted)[:12]}){needing} "
            f"{'are' if len(wanted) != 1 else 'is'} not on this machine",
            hint=f"jupyter mlops snapshots pull {needed_by[0] if needed_by else 'NAME'}",
            versions=needed_by,
            chunks=sorted(wanted),
        )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Callable[[str], int]]:
        with contextlib.ExitStack() as stack:
            files: dict[str, int] = {}

            def opened(name: str) -> int:
                if name not in files:
                    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
                    descriptor = os.open(self.packs / name, flags)
                    stack.callback(os.close, descriptor)
                    files[name] = descriptor
                return files[name]

            yield opened

    def _secret(self) -> bytes:
        path = self.folder / "secret"
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                data = path.read_bytes()
                if len(data) == 32:
                    return data
                path.unlink()  # Damaged.  A new one costs one look at each chunk.
            temporary = self.folder / f".secret.{os.getpid()}.{secrets.token_hex(4)}.tmp"
            create_exclusive(path, secrets.token_bytes(32), temporary)
        return path.read_bytes()

    def _prepare(self) -> None:
        if self._durable and (self.folder / _FOLDERS[-1]).is_dir():
            return
        again, self._durable = not self._durable, False
        for folder in ("", *_FOLDERS):
            make_folder(self.folder / folder)
        if again:
            # Some were made before, and then a disk failed to say that they will stay.
            sync_folder(self.folder.parent)
            sync_folder(self.folder)
        self._durable = True


def _after_fork() -> None:
    for store in list(_stores):
        store.index.unlock()


with contextlib.suppress(AttributeError):
    os.register_at_fork(after_in_child=_after_fork)
