"""One snapshot in the making: chunks go in, and a version comes out whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, CorruptError, ProjectError, UsageError
from ..journal.writer import sync_folder
from ..model.ids import new_id
from .chunks import ChunkId, blake3_of, bytes_of, chunk_id
from .durable import no_room, replace_file, size_text
from .entries import ids_in
from .leases import Lease
from .manifests import Manifest, canonical, pack_manifest
from .naming import check_name, check_tag
from .packs import PackWriter
from .refs import Version, encode_line

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Transaction"]

_ID = re.compile(r"[0-9a-f]{64}")
_LOOK_AT_DISK = 32 * 1024 * 1024
_DIGEST = "blake3:"


class Transaction:
    """What one commit needs; made by ``SnapshotStore.begin``.

    ``add`` may be called from many threads.  As a context it ends itself: what was not committed
    leaves nothing behind.  A crash at any moment does the same, and no lock stays.
    """

    def __init__(self, store: SnapshotStore, lease: Lease, *, reserve: float) -> None:
        self._store = store
        self._lease = lease
        self._reserve = reserve
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._new: dict[ChunkId, int] = {}
        self._keys: dict[bytes, ChunkId] = {}
        self._fresh: dict[bytes, ChunkId] = {}  # Keys that the index does not have yet.
        self._here: set[ChunkId] = set()
        self._reused: tuple[Manifest, dict[ChunkId, tuple[int, int]]] | None = None
        self._memory: bytes | None = None
        self._news = False
        self._since_look = _LOOK_AT_DISK
        self._open = True
        self._finished = False
        # Read after the lease was taken: what gc condemns from now on it takes from nobody who
        # holds a lease that is older.
        self._condemned = store.condemned()
        store.index.refresh()
        self._empty = store.index.empty  # Then there is nothing to look for.
        self._writer = PackWriter(lease.temporary(store.packs, "pack"), threads=_threads())
        self._finalizer = weakref.finalize(self, _give_up, self._writer, lease, self._pid)
        self._finalizer.atexit = True

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()

    @property
    def new_bytes(self) -> int:
        """Raw bytes of the chunks that were not here yet."""
        return sum(self._new.values())

    @property
    def written(self) -> int:
        """Bytes of its pack so far; what still waits to be compressed does not count."""
        return self._writer.written

    def add(self, raw: bytes | memoryview, *, itemsize: int = 1, hint: str = "") -> ChunkId:
        """Take the bytes in, unless they are here; return their id.

        They are copied before this returns: what the caller does to the buffer afterwards leaves
        no trace.  ``itemsize`` is the width in bytes of the items they are; chunks of one ``hint``
        (a column's position, say) are compressed in the way that the first of them liked best;
        ``raw`` as a hint means that they are compressed already.

        Raises ``UsageError`` for more than 1 GiB or a buffer with gaps, ``ProjectError`` when the
        disk is full or would be.
        """
        self._check()
        view = bytes_of(raw)
        # After a chunk that was new the next will be, too: what is copied is not looked at twice.
        copy = bytes(view) if self._news else None
        key = self._store.key_of(view if copy is None else copy)
        id = self._keys.get(key)
        if id is not None:
            return id
        id = None if self._empty else self._store.index.by_key(key)
        self._news = id is None
        if id is not None and id not in self._condemned:
            self._lease.renew()
            self._keys[key] = id
            return id
        if copy is None:
            copy = bytes(view)
            # Of the copy: somebody may have written into the buffer since the first look.
            key = self._store.key_of(copy)
        id = chunk_id(copy)
        with self._lock:
            self._keys[key] = self._fresh[key] = id
            if id in self._new or self._is_here(id):
                return id
            self._new[id] = len(copy)
            self._since_look += len(copy)
            look = self._since_look >= _LOOK_AT_DISK
            if look:
                self._since_look = 0
        try:
            if look:
                self._lease.renew()
                self._look_at_disk(len(copy))
            self._writer.put(id, copy, itemsize, hint)
        except OSError as error:
            raise self._full(error) from error
        return id

    def _is_here(self, id: ChunkId) -> bool:
        if self._empty or id in self._condemned:
            return False
        return bool(self._store.index.present([id]))

    def find(self, raw: bytes | memoryview) -> ChunkId | None:
        """The id of these bytes if they are here, at the cost of a keyed XXH3; else ``None``."""
        self._check()
        key = self._store.key_of(bytes_of(raw))
        id = self._keys.get(key) or self._store.index.by_key(key)
        return None if id in self._condemned and id not in self._new else id

    def has(self, id: ChunkId) -> bool:
        """Whether a commit may refer to this chunk without adding it."""
        if id in self._new or id in self._here:
            return True
        if id in self._condemned or not self._store.index.present([id]):
            return False
        self._here.add(id)
        return True

    def expect(self, ids: Iterable[ChunkId]) -> None:
        """Look at once for the chunks that ``has`` will be asked for."""
        self._here |= self._store.index.present(ids) - self._condemned

    def memory_key(self, value: Any) -> bytes | None:
        """What a value is known by as it lies in memory; see ``sameness.memory_key``."""
        from .sameness import memory_key

        return memory_key(value, self._store.key_of)

    def remember(self, key: bytes | None) -> None:
        """Let what is committed be known by the memory key of its value."""
        self._memory = key

    def reuse(self, parent: Manifest, key: bytes) -> bool:
        """Whether ``parent`` holds the value of a memory key: then its tree may be committed."""
        if parent.address is None or self._name_of(_same_key(key, parent.address)) is None:
            return False
        sizes = self._store.index.sizes_of(parent.address, parent.chunks)
        if len(sizes) < len(parent.chunks) or not self._condemned.isdisjoint(sizes):
            return False
        self._reused = parent, sizes
        self._memory = key
        return True

    def whole(self, *parts: bytes | memoryview) -> str:
        """BLAKE3 of the parts one after the other, as hex: a keyed XXH3 where it was asked before.

        For contents that a tree names by hash without that they are a chunk.
        """
        views = [bytes_of(part) for part in parts]
        key = b"whole" + b"".join(self._store.key_of(view) for view in views)
        return self._named(key, lambda: blake3_of(views))

    def digest(self, tree: Mapping[str, Any], make: Callable[[], str]) -> str:
        """The digest of the value that became this tree: what ``make`` says, once for each tree.

        A tree that was made in this store before, chunk for chunk, is of a value whose digest is
        known.  What other stores say of theirs is not believed.
        """
        if self._reused is not None and tree is self._reused[0].object:
            return self._reused[0].digest
        key = b"digest" + self._store.key_of(canonical(tree, "the tree"))
        known = f"{_DIGEST}{self._named(key, lambda: '')}"
        if known != _DIGEST:
            return known
        found = make()
        if found.startswith(_DIGEST) and _ID.fullmatch(found[len(_DIGEST) :]):
            self._fresh[key] = found[len(_DIGEST) :]
        return found

    def _is_reused(self, tree: object) -> bool:
        return self._reused is not None and tree is self._reused[0].object

    def _name_of(self, key: bytes) -> str | None:
        return self._fresh.get(key) or self._store.index.name(key)

    def _named(self, key: bytes, make: Callable[[], str]) -> str:
        self._check()
        name = self._name_of(key)
        if name is None:
            name = make()
            if name:
                self._fresh[key] = name
        return name

    def commit(
        self,
        name: str,
        object: dict[str, Any],
        *,
        digest: str,
        stats: dict[str, Any] | None = None,
        message: str | None = None,
        tags: Sequence[str] = (),
        meta: dict[str, Any] | None = None,
        chunks: Sequence[ChunkId] | None = None,
    ) -> Version:
        """Make the next version of ``name``, durable when this returns.

        ``object`` is the tree of plain JSON with chunk ids in it.  ``chunks`` are all that it
        needs; by default every string in it that is the id of a chunk here.  ``meta`` may say
        ``kind``, ``rows`` and ``columns`` where the tree does not.

        When the newest version has this digest and tree, that version is returned with ``added``
        0 (and the tags, if any, put to it).  Raises ``UsageError`` for a bad name, tag or tree,
        ``ConflictError`` when the lease was lost, ``ProjectError`` when the disk is full.
        """
        self._check()
        check_name(name)
        for tag in tags:
            check_tag(tag)
        needed = self._needed(object) if chunks is None else self._present(chunks)
        store = self._store
        try:
            version = self._same(name, object, digest)
            if version is None or self._new:
                added = self._finish_pack()
                if version is None:
                    version = self._publish(
                        name, object, digest, stats or {}, message, meta or {}, needed, added
                    )
            if self._memory is not None:
                self._fresh[_same_key(self._memory, version.manifest)] = version.manifest
            store.index.learn(self._fresh)
            for tag in tags:
                store.refs.put_tag(name, tag, version.version, time.time(), self._tag_file(name))
            if tags:
                version = store.version(name, version.version, added=version.added)
        except OSError as error:
            raise self._full(error) from error
        finally:
            self.abort()
        return version

    def rewrite(
        self, version: Version, manifest: Manifest, *, note: dict[str, Any], last: bool = True
    ) -> Version:
        """Put another manifest in a version's place, durably: for erasing, and nothing else.

        The new record keeps number, time, message and tags; ``meta["erased"]`` gains ``note`` with
        the address of the manifest that was there.  ``manifest.chunks`` is made of its tree.
        Unless ``last`` more may follow, but no chunks may be added any more.
        """
        self._check()
        store = self._store
        manifest = replace(manifest, chunks=self._needed(manifest.object))
        try:
            self._finish_pack()
            sizes = store.index.sizes(manifest.chunks)
            address, data = pack_manifest(manifest.encode())
            erased = [*version.meta.get("erased", []), {**note, "manifest": version.manifest}]
            version = replace(
                version,
                digest=manifest.digest,
                manifest=address,
                rows=_count(manifest.meta.get("rows", manifest.object.get("rows"))),
                columns=_count(manifest.meta.get("columns", manifest.object.get("columns"))),
                size=sum(size for _, size in sizes.values()),
                meta={**version.meta, **manifest.meta, "erased": erased},
            )
            sync_folder(store.packs)
            temporary = self._lease.temporary(store.manifests, "manifest")
            replace_file(store.manifests / address, data, temporary)
            if not self._lease.held():
                raise ConflictError("the lease was taken away", hint="Try again.")
            record = version.to_dict()
            del record["tags"]
            path = store.refs.path(version.name, version.version)
            replace_file(path, encode_line(record), self._lease.temporary(path.parent, "ref"))
        except OSError as error:
            raise self._full(error) from error
        if last:
            self.abort()
        return version

    def abort(self) -> None:
        """End without a version; nothing stays.  Does nothing after ``commit``."""
        if self._open:
            self._open = False
            self._finalizer()

    def _publish(
        self,
        name: str,
        object: dict[str, Any],
        digest: str,
        stats: dict[str, Any],
        message: str | None,
        meta: dict[str, Any],
        needed: list[ChunkId],
        added: int,
    ) -> Version:
        store = self._store
        reused = self._reused if self._is_reused(object) else None
        sizes = reused[1] if reused is not None else store.index.sizes(needed)
        created = time.time()
        newest = store.newest(name)
        manifest = Manifest(
            object=object,
            digest=digest,
            name=name,
            parent=None if newest is None else newest.manifest,
            stats=stats,
            created=created,
            chunks=needed,
            meta=meta,
        )
        address, data = pack_manifest(
            manifest.encode() if reused is None else manifest.encode_as(reused[0])
        )
        store.index.remember_sizes(address, sizes)
        record: dict[str, Any] = {
            "digest": digest,
            "manifest": address,
            "created": created,
            "message": message,
            "kind": str(meta.get("kind") or object.get("kind") or "object"),
            "rows": _count(meta.get("rows", object.get("rows"))),
            "columns": _count(meta.get("columns", object.get("columns"))),
            "size": sum(size for _, size in sizes.values()),
            "added": added + len(data),
            "meta": meta,
        }
        canonical(record, "the version")
        # A chunk of somebody else's may have been renamed into place and not yet be durable.
        sync_folder(store.packs)
        replace_file(
            store.manifests / address, data, self._lease.temporary(store.manifests, "manifest")
        )
        if not self._lease.held():
            (store.manifests / address).unlink(missing_ok=True)
            raise _taken_away()
        home = store.refs.home(name)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(store.refs.folder)
        temporary = self._lease.temporary(home, "ref")
        number = store.refs.next_number(home)
        while not store.refs.append(name, record, number, temporary):
            number = max(number + 1, store.refs.next_number(home))
        return Version(name=name, version=number, **record)

    def _finish_pack(self) -> int:
        if not self._new or self._finished:
            return 0
        store = self._store
        self._finished = True
        pack = f"{new_id()}.pack"
        entries = self._writer.finish(store.packs / pack)
        store.index.add_pack(pack, entries)
        return self._writer.written

    def _same(self, name: str, object: dict[str, Any], digest: str) -> Version | None:
        """The newest version, when it is what is to be committed."""
        try:
            newest = self._store.newest(name)
            if newest is None or newest.digest != digest:
                return None
            reused = self._reused
            if (
                reused is not None
                and object is reused[0].object
                and (newest.manifest == reused[0].address)
            ):
                sync_folder(self._store.refs.home(name))
                return self._store.version(name, newest.version, added=0)
            manifest = self._store.manifest(newest.manifest)
        except (CorruptError, LookupError):
            return None
        if canonical(manifest.object, "it") != canonical(object, "the tree"):
            return None
        # Whoever made it may not have come to this yet.
        sync_folder(self._store.refs.home(name))
        return self._store.version(name, newest.version, added=0)

    def _needed(self, tree: object) -> list[ChunkId]:
        if self._reused is not None and tree is self._reused[0].object:
            return self._reused[0].chunks
        ids = list(dict.fromkeys(ids_in(tree)))
        here = self._store.index.find(id for id in ids if id not in self._new)
        mine = set(self._keys.values())
        for id in ids:
            if id in here:
                self._refuse_condemned(id)
            elif id in mine and id not in self._new:
                raise ConflictError(
                    f"chunk {id[:12]} went while the snapshot was taken", hint="Take it again."
                )
        return [id for id in ids if id in self._new or id in here]

    def _present(self, chunks: Sequence[ChunkId]) -> list[ChunkId]:
        ids = list(dict.fromkeys(chunks))
        here = self._store.index.find(id for id in ids if id not in self._new)
        for id in ids:
            if id not in self._new and id not in here:
                raise UsageError(f"chunk {id[:12]} is not in the store", chunk=id)
            self._refuse_condemned(id)
        return ids

    def _refuse_condemned(self, id: ChunkId) -> None:
        if id in self._condemned and id not in self._new:
            raise ConflictError(
                f"chunk {id[:12]} is being collected as garbage", hint="Take the snapshot again."
            )

    def _tag_file(self, name: str) -> Path:
        return self._lease.temporary(self._store.refs.home(name), "tag")

    def _look_at_disk(self, size: int) -> None:
        usage = shutil.disk_usage(self._store.packs)
        floor = usage.total * self._reserve
        if self._reserve and usage.free - size < floor:
            raise ProjectError(
                f"the disk of {self._store.folder} has {size_text(usage.free)} left, and "
                f"{size_text(floor)} ({self._reserve:.0%} of it) are kept free: nothing was kept",
                hint="Free some space (`jupyter mlops snapshots gc`), or lower the setting "
                "`snapshot-reserve`.",
                free=usage.free,
                reserve=floor,
            )

    def _full(self, error: OSError) -> Exception:
        if isinstance(error, ProjectError):
            return error
        if isinstance(error, FileNotFoundError) and not self._lease.held():
            return _taken_away()  # And its files with it.
        return no_room(error, "taking a snapshot", self._store.folder, self.new_bytes) or error

    def _check(self) -> None:
        if not self._open:
            raise UsageError("this transaction has ended; begin another")
        if os.getpid() != self._pid:
            raise UsageError("this transaction belongs to the process that this one was forked of")


def _taken_away() -> ConflictError:
    return ConflictError(
        "this snapshot took so long without a sign of life that its lease was taken away",
        hint="Take it again.",
    )


def _same_key(key: bytes, address: str) -> bytes:
    return b"memory" + key + bytes.fromhex(address)


def _give_up(writer: PackWriter, lease: Lease, pid: int) -> None:
    if os.getpid() == pid:
        writer.abort()
        lease.release()


def _threads() -> int:
    return max(1, min(4, os.cpu_count() or 1))


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return len(value) if isinstance(value, (list, tuple)) else None
