"""Where each chunk lies: a cache in SQLite of what the packs' footers say.

Nothing here is the truth.  A missing, damaged or stale ``index.db`` is made anew from the footers;
where it cannot be written it lives in memory.  What it also remembers is the keyed XXH3-128 of
chunks that passed by: a chunk seen before costs that alone.  The key is a secret of this store, so
nobody can prepare two contents that look the same.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import CorruptError
from .chunks import CODECS, ChunkId
from .packs import Entry, read_footer

__all__ = ["Index", "Place"]

T = TypeVar("T")
Place = tuple[str, Entry]

_VERSION = 1
_SCHEMA = """
CREATE TABLE packs (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL);
CREATE TABLE chunks (
    id BLOB NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    size INTEGER NOT NULL, codec INTEGER NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (id, pack)
) WITHOUT ROWID;
CREATE INDEX chunks_pack ON chunks (pack);
CREATE TABLE keys (key BLOB PRIMARY KEY, id BLOB NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "packs.name, chunks.id, offset, length, chunks.size, codec, crc"
_MEMO = 500_000
_SIZED = 8  # Manifests.
_NETWORK = frozenset(
    f"{prefix}{kind}"
    for prefix in ("", "fuse.")
    for kind in (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"),
        *("beegfs", "sshfs", "s3fs", "rclone", "gcsfuse", "ncpfs", "davfs", "davfs2"),
    )
)

_left_to_parents: list[sqlite3.Connection] = []


class Index:
    """Chunks by id and by key.  Thread-safe; a forked child opens its own."""

    def __init__(self, path: Path, packs: Path) -> None:
        self.path = path
        self.packs = packs
        self.damaged: dict[str, str] = {}
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._in_memory = False
        self._known: set[str] = set()
        self._memo: dict[bytes, ChunkId] = {}
        self._sized: dict[str, dict[ChunkId, tuple[int, int]]] = {}

    def refresh(self) -> None:
        """Take in packs that came, and drop those that went, since the last look."""
        self._do(self._refresh)

    def rebuild(self) -> None:
        """Make it anew from the packs' footers."""
        with self._lock:
            self._discard()
            self._do(self._refresh)

    @property
    def empty(self) -> bool:
        """Whether there was no pack when it was refreshed last."""
        return not self._known

    def has(self, id: ChunkId) -> bool:
        """Whether a pack holds this chunk."""
        return bool(self.find([id]))

    def find(self, ids: Iterable[ChunkId]) -> dict[ChunkId, list[Place]]:
        """Where these chunks lie; one that is nowhere is left out."""
        wanted = [bytes.fromhex(id) for id in ids]

        def look(connection: sqlite3.Connection) -> dict[ChunkId, list[Place]]:
            found: dict[ChunkId, list[Place]] = {}
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM chunks JOIN packs ON packs.number = chunks.pack "  # noqa: S608
                    f"WHERE chunks.id IN ({','.join('?' * len(part))}) ORDER BY packs.name",
                    part,
                )
                for name, id, offset, length, size, codec, crc in rows:
                    entry = Entry(id.hex(), offset, length, size, CODECS[codec], crc)
                    found.setdefault(entry.id, []).append((name, entry))
            return found

        return self._do(look)

    def present(self, ids: Iterable[ChunkId]) -> set[ChunkId]:
        """Those of these chunks that a pack holds."""
        wanted = [bytes.fromhex(id) for id in dict.fromkeys(ids)]

        def look(connection: sqlite3.Connection) -> set[ChunkId]:
            found: set[ChunkId] = set()
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                query = f"SELECT DISTINCT id FROM chunks WHERE id IN ({marks})"  # noqa: S608
                found.update(id.hex() for (id,) in connection.execute(query, part))
            return found

        return self._do(look)

    def by_key(self, key: bytes) -> ChunkId | None:
        """The chunk that had this key, if a pack holds it."""
        known = self._memo.get(key)
        if known is not None:
            return known

        def look(connection: sqlite3.Connection) -> ChunkId | None:
            row = connection.execute(
                "SELECT keys.id FROM keys JOIN chunks ON chunks.id = keys.id WHERE key = ?", (key,)
            ).fetchone()
            return None if row is None else str(row[0].hex())

        found = self._do(look)
        if found is not None:
            self._remember({key: found})
        return found

    def name(self, key: bytes) -> str | None:
        """The hash that was learned under a key, whether or not it is a chunk's."""
        known = self._memo.get(key)
        if known is not None:
            return known

        def look(connection: sqlite3.Connection) -> str | None:
            row = connection.execute("SELECT id FROM keys WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0].hex())

        found = self._do(look)
        if found is not None:
            self._remember({key: found})
        return found

    def learn(self, keys: dict[bytes, ChunkId]) -> None:
        """Remember the keys of chunks that packs hold, and other hashes under keys of their own."""
        if not keys:
            return

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO keys VALUES (?, ?)",
                    [(key, bytes.fromhex(id)) for key, id in keys.items()],
                )

        self._do(write)
        self._remember(keys)

    def add_pack(self, name: str, entries: Sequence[Entry]) -> None:
        """Take in a pack that has just been made."""
        self._do(lambda connection: self._insert(connection, [(name, entries)]))

    def drop_packs(self, names: Iterable[str]) -> None:
        """Forget packs: they are about to go."""
        gone = list(names)
        self._do(lambda connection: self._delete(connection, gone))

    def sizes(self, ids: Iterable[ChunkId]) -> dict[ChunkId, tuple[int, int]]:
        """Stored and raw bytes of each chunk that is here."""
        wanted = [bytes.fromhex(id) for id in ids]

        def look(connection: sqlite3.Connection) -> dict[ChunkId, tuple[int, int]]:
            found: dict[ChunkId, tuple[int, int]] = {}
            for start in range(0, len(wanted), 500):
                part = wanted[start : start + 500]
                marks = ",".join("?" * len(part))
                query = f"SELECT id, length, size FROM chunks WHERE id IN ({marks})"  # noqa: S608
                for id, length, size in connection.execute(query, part):
                    found[id.hex()] = length, size
            return found

        return self._do(look)

    def sizes_of(self, manifest: str, ids: Sequence[ChunkId]) -> dict[ChunkId, tuple[int, int]]:
        """The same of the chunks of a manifest at an address; those of the last few are known."""
        with self._lock:
            known = self._sized.get(manifest) if self._pid == os.getpid() else None
            if known is None:
                known = self.sizes(ids)
                self.remember_sizes(manifest, known)
            return known

    def remember_sizes(self, manifest: str, sizes: dict[ChunkId, tuple[int, int]]) -> None:
        """Remember what ``sizes`` said of the chunks of a manifest, until a pack goes."""
        with self._lock:
            self._sized[manifest] = sizes
            while len(self._sized) > _SIZED:
                del self._sized[next(iter(self._sized))]

    def all_sizes(self) -> dict[ChunkId, int]:
        """Stored bytes of every chunk that is here."""
        return self._do(
            lambda connection: {
                id.hex(): length
                for id, length in connection.execute("SELECT id, length FROM chunks")
            }
        )

    def pack_chunks(self, name: str) -> set[ChunkId]:
        """What is known to be, or to have been, in a pack."""
        return self._do(
            lambda connection: {
                id.hex()
                for (id,) in connection.execute(
                    "SELECT id FROM chunks JOIN packs ON packs.number = pack WHERE name = ?",
                    (name,),
                )
            }
        )

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with self._lock:
            self._drop()

    def unlock(self) -> None:
        """In a forked child: nobody holds the lock, and the connection is the parent's."""
        self._lock = threading.RLock()

    def _remember(self, keys: dict[bytes, ChunkId]) -> None:
        if len(self._memo) > _MEMO:
            self._memo.clear()
        self._memo.update(keys)

    def _forget(self) -> None:
        """What is remembered is of packs that may be gone."""
        self._memo.clear()
        self._sized.clear()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call ``work``; where SQLite fails, with a database made anew, at last in memory."""
        with self._lock:
            for attempt in range(3):
                try:
                    return work(self._open())
                except (sqlite3.Error, IndexError) as error:
                    # IndexError: a codec number that is none.  The cache is damaged.
                    if attempt == 2:
                        raise CorruptError(f"the index of snapshots failed: {error}") from error
                    busy = "locked" in str(error) or "busy" in str(error)
                    self._discard(keep=busy)
                    self._in_memory = self._in_memory or attempt == 1 or busy
        raise AssertionError("unreachable")  # pragma: no cover

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        self._drop()
        self._pid = os.getpid()
        self._forget()
        connection = self._connect()
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    (version,) = connection.execute("PRAGMA user_version").fetchone()
                    if version != _VERSION:
                        for (table,) in connection.execute(
                            "SELECT name FROM sqlite_master WHERE type = 'table'"
                        ).fetchall():
                            connection.execute(f'DROP TABLE "{table}"')
                        for statement in _SCHEMA.split(";"):
                            connection.execute(statement)
                        connection.execute(f"PRAGMA user_version = {_VERSION}")
            self._known = {name for (name,) in connection.execute("SELECT name FROM packs")}
            self._refresh(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _connect(self) -> sqlite3.Connection:
        if self._in_memory:
            return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        with contextlib.suppress(OSError):
            # The mode of the file that SQLite makes follows the umask; ours must be private.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=10.0, isolation_level=None, check_same_thread=False
        )
        try:
            # A new database need not be on the disk before it holds anything.
            connection.execute("PRAGMA synchronous = OFF")
            mode = "DELETE" if on_network(self.path.parent) else "WAL"
            connection.execute(f"PRAGMA journal_mode = {mode}")
            # Losing the last changes to a power cut costs a look at some footers.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            if self._pid == os.getpid():
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
            else:
                # Closed here it would take the write-ahead log away from under the parent.
                _left_to_parents.append(self._connection)
        self._connection = None

    def _discard(self, *, keep: bool = False) -> None:
        self._drop()
        self._forget()
        self.damaged.clear()
        if not keep:
            for suffix in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(OSError):
                    self.path.with_name(self.path.name + suffix).unlink()

    def _refresh(self, connection: sqlite3.Connection) -> None:
        try:
            here = {name for name in os.listdir(self.packs) if name.endswith(".pack")}
        except FileNotFoundError:
            here = set()
        if here - self.damaged.keys() == self._known:
            return
        if self._known - here:
            self._forget()
        # Another process may have noticed before.
        self._known = {name for (name,) in connection.execute("SELECT name FROM packs")}
        gone = self._known - here
        if gone:
            self._delete(connection, sorted(gone))
        for name in self.damaged.keys() - here:
            del self.damaged[name]
        new = []
        for name in sorted(here - self._known - self.damaged.keys()):
            try:
                new.append((name, read_footer(self.packs / name)))
            except FileNotFoundError:
                continue
            except CorruptError as error:
                self.damaged[name] = str(error)
        self._insert(connection, new)

    def _insert(
        self, connection: sqlite3.Connection, packs: Sequence[tuple[str, Sequence[Entry]]]
    ) -> None:
        if not packs:
            return
        with _transaction(connection):
            for name, entries in packs:
                cursor = connection.execute(
                    "INSERT OR IGNORE INTO packs (name, size) VALUES (?, ?)",
                    (name, sum(entry.length for entry in entries)),
                )
                if cursor.rowcount != 1:
                    continue
                number = cursor.lastrowid
                connection.executemany(
                    "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            bytes.fromhex(e.id),
                            number,
                            e.offset,
                            e.length,
                            e.size,
                            CODECS.index(e.codec),
                            e.crc,
                        )
                        for e in entries
                    ],
                )
        self._known.update(name for name, _ in packs)

    def _delete(self, connection: sqlite3.Connection, names: Sequence[str]) -> None:
        self._forget()
        with _transaction(connection):
            for name in names:
                row = connection.execute(
                    "SELECT number FROM packs WHERE name = ?", (name,)
                ).fetchone()
                if row is not None:
                    connection.execute("DELETE FROM chunks WHERE pack = ?", row)
                    connection.execute("DELETE FROM packs WHERE number = ?", row)
            connection.execute("DELETE FROM keys WHERE id NOT IN (SELECT id FROM chunks)")
        self._known.difference_update(names)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def on_network(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether a folder lies on a network file system, where SQLite's WAL does not work."""
    if os.name == "nt":  # pragma: no cover
        return str(folder.resolve()).startswith("\\\\")
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    best, kind = -1, ""
    path = folder.resolve()
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " ").replace("\\011", "\t"))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind in _NETWORK
