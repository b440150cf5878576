"""Files and folders of anything: content-defined pieces, small files together, a tree of names.

``{"kind": "folder", "entries": [...]}``: each entry has ``path`` (its parts as text, or as ``hex``
where they are not UTF-8), ``type`` ``file``, ``folder`` or ``link``; a file ``size``, ``mode``,
``digest`` (BLAKE3 of its bytes) and ``pieces``: ``[chunk, offset, length]`` one after the other.
A small file is a part of a chunk that holds several.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3
from pyfastcdc import FastCDC

from ..errors import ConflictError, CorruptError, NotFoundError, Refused, UsageError
from .chunking import Read

__all__ = ["StoredFiles", "encode_path", "files_digest"]

Node = dict[str, Any]
_SMALL = 64 * 1024
_BATCH = 1024 * 1024
_AVERAGE = 1024 * 1024
_FRESH = 50_000_000  # Nanoseconds.
_WINDOW = 16 * 1024 * 1024
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC if hasattr(os, "O_NOFOLLOW") else 0


def encode_path(path: Path, writer: Any, old: Node | None) -> Node:
    """Store a file or a folder; return its tree.

    Links are kept as links.  A file that is unchanged since the version before (size, time of
    change, inode) is not read again.  Raises ``Refused`` for sockets, devices and pipes, and for a
    file that changes while it is read.
    """
    status = os.stat(path)
    packer = _Packer(writer, old)
    if stat.S_ISREG(status.st_mode):
        entry = packer.file(os.fsencode(path), [os.fsencode(path.name)], status)
        packer.finish()
        return {"kind": "file", "entries": [entry]}
    if not stat.S_ISDIR(status.st_mode):
        raise Refused(f"{path} is not a file or a folder")
    entries = list(_walk(packer, os.fsencode(path), []))
    packer.finish()
    before = (old or {}).get("entries")
    if before is not None and list(map(_unstamped, before)) == list(map(_unstamped, entries)):
        entries = before  # Touched, or restored elsewhere: it is the same version.
    return {"kind": "folder", "entries": entries}


def files_digest(tree: Node) -> str:
    """The digest of a file (BLAKE3 of its bytes) or of a folder.

    A folder's is BLAKE3 of the lines that ``b3sum`` prints for its files, sorted; then one line for
    each link (``link TARGET  NAME``) and each empty folder (``folder  NAME``).
    """
    if tree["kind"] == "file":
        return f"blake3:{tree['entries'][0]['digest']}"
    lines, others = [], []
    holding = {tuple(e["path"][:-1]) if _plain(e) else None for e in tree["entries"]}
    for entry in sorted(tree["entries"], key=_name):
        name = _name(entry)
        if entry["type"] == "file":
            lines.append(entry["digest"].encode() + b"  " + name + b"\n")
        elif entry["type"] == "link":
            others.append(b"link " + _bytes(entry["target"]) + b"  " + name + b"\n")
        elif tuple(entry["path"]) not in holding if _plain(entry) else True:
            others.append(b"folder  " + name + b"\n")
    return f"blake3:{blake3(b''.join(lines + others)).hexdigest()}"


class StoredFiles:
    """A file or a folder in the store; nothing is read until it is asked for."""

    def __init__(self, tree: Node, read: Read) -> None:
        self._tree = tree
        self._read = read
        self._entries = {_name(e).decode("utf-8", "surrogateescape"): e for e in tree["entries"]}
        for entry in tree["entries"]:
            _parts(entry)

    def __repr__(self) -> str:
        return f"<stored {self._tree['kind']}: {len(self._entries)} names>"

    def names(self) -> list[str]:
        """The names of all files, folders and links, with ``/``."""
        return list(self._entries)

    def read(self, name: str | None = None) -> bytes:
        """The bytes of one file.  Raises ``NotFoundError`` and ``CorruptError``."""
        if name is None and self._tree["kind"] == "file":
            (name,) = self._entries
        entry = self._entries.get(name or "")
        if entry is None or entry["type"] != "file":
            raise NotFoundError(f"there is no file {name!r} in the snapshot")
        return b"".join(self._pieces(entry))

    def restore(self, folder: Path | str) -> Path:
        """Write it all into ``folder``, which is made; return its path, or that of the one file.

        Nothing that exists is written over (``ConflictError``), and nothing outside of the folder
        is touched, whatever the manifest says.  Every file is compared with its digest.
        """
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        if os.open not in os.supports_dir_fd:  # pragma: no cover - Windows
            raise UsageError("files cannot be restored safely on this system")
        base = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        made: list[tuple[list[bytes], Node]] = []
        try:
            for entry in sorted(self._tree["entries"], key=lambda e: e["type"] == "link"):
                parts = _parts(entry)
                with _opened(base, parts[:-1]) as parent:
                    self._write(parent, parts[-1], entry)
                if entry["type"] == "folder":
                    made.append((parts, entry))
            for parts, entry in reversed(made):  # Last: a folder may be read-only.
                with _opened(base, parts) as here:
                    os.fchmod(here, entry["mode"] & 0o777)
        finally:
            os.close(base)
        if self._tree["kind"] == "file":
            return root / next(iter(self._entries))
        return root

    def _write(self, parent: int, name: bytes, entry: Node) -> None:
        kind = entry["type"]
        try:
            if kind == "folder":
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
                os.close(os.open(name, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=parent))
            elif kind == "link":
                os.symlink(_bytes(entry["target"]), name, dir_fd=parent)
            elif kind == "file":
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
                with os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "wb") as file:
                    try:
                        for piece in self._pieces(entry):
                            file.write(piece)
                    except BaseException:
                        os.unlink(name, dir_fd=parent)
                        raise
                    os.fchmod(file.fileno(), entry["mode"] & 0o777)
            else:
                raise CorruptError(f"an entry of type {kind!r} is not known")
        except FileExistsError:
            raise ConflictError(
                f"{os.fsdecode(name)!r} exists already",
                hint="Restore into a folder that does not exist or is empty.",
            ) from None
        except NotADirectoryError:
            raise CorruptError(f"{os.fsdecode(name)!r} is not a folder") from None

    def _pieces(self, entry: Node) -> Iterator[bytes]:
        hasher, size = blake3(), 0
        for chunk, offset, length in entry["pieces"]:
            (raw,) = self._read([chunk])
            part = bytes(memoryview(raw)[offset : offset + length])
            if offset < 0 or len(part) != length:
                raise CorruptError("a file's pieces do not fit their chunks")
            hasher.update(part)
            size += length
            yield part
        if hasher.hexdigest() != entry["digest"] or size != entry["size"]:
            name = _name(entry).decode("utf-8", "replace")
            raise CorruptError(
                f"the file {name!r} does not have the digest that it was stored with"
            )


class _Packer:
    """Puts files into chunks: large ones cut by content, small ones together."""

    def __init__(self, writer: Any, old: Node | None) -> None:
        self._add = writer.add
        self._batch = bytearray()
        self._waiting: list[list[Any]] = []
        entries = (old or {}).get("entries", [])
        self._old = {_name(e): e for e in entries if e["type"] == "file"}
        self._seen: dict[str, list[list[Any]]] = {
            e["digest"]: e["pieces"] for e in self._old.values()
        }

    def file(self, path: bytes, parts: list[bytes], status: os.stat_result) -> Node:
        node = _entry(parts, "file", status)
        stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
        before = self._old.get(b"/".join(parts))
        if before is not None and before.get("stamp") == stamp:
            return {**before, **node}
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = self._small(file) if status.st_size < _SMALL else self._large(file)
            after = os.fstat(file.fileno())
        if [after.st_size, after.st_mtime_ns, after.st_ino] != stamp or found[0] != after.st_size:
            raise Refused(f"{os.fsdecode(path)} changed while it was read", hint="Try again.")
        size, digest, pieces = found
        found_node = {**node, "size": size, "digest": digest, "pieces": pieces}
        # A clock that ticks seldom gives a file that is written again at once the same time.
        if time.time_ns() - after.st_mtime_ns > _FRESH:
            found_node["stamp"] = stamp
        return found_node

    def finish(self) -> None:
        """Store the small files that wait."""
        if not self._batch:
            return
        chunk = self._add(bytes(self._batch))
        for piece in self._waiting:
            piece[0] = chunk
        self._batch, self._waiting = bytearray(), []

    def _small(self, file: Any) -> tuple[int, str, list[list[Any]]]:
        data = file.read(2 * _SMALL)
        digest = blake3(data).hexdigest()
        pieces = self._seen.get(digest)
        if pieces is None:
            pieces = []
            if data:
                piece = [None, len(self._batch), len(data)]
                self._batch += data
                self._waiting.append(piece)
                pieces.append(piece)
            self._seen[digest] = pieces
            if len(self._batch) >= _BATCH:
                self.finish()
        return len(data), digest, pieces

    def _large(self, file: Any) -> tuple[int, str, list[list[Any]]]:
        cutter = FastCDC(avg_size=_AVERAGE, min_size=_AVERAGE // 4, max_size=_AVERAGE * 4)
        hasher, size, pieces = blake3(), 0, []
        for chunk in cutter.cut_stream(_Stream(file)):
            data = bytes(chunk.data)
            hasher.update(data)
            size += len(data)
            pieces.append([self._add(data), 0, len(data)])
        return size, hasher.hexdigest(), pieces


class _Stream:
    """What FastCDC reads from: whole blocks, whatever the system gives at once."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there is something."""
        return int(self._file.readinto(buffer) or 0)

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes."""
        return bytes(self._file.read(min(size, _WINDOW) if size > 0 else _WINDOW))


def _walk(packer: _Packer, folder: bytes, parts: list[bytes]) -> Iterator[Node]:
    for item in sorted(os.scandir(folder), key=lambda e: e.name):
        here = [*parts, item.name]
        status = item.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(item.path)
            yield _entry(here, "link", status) | {"target": _text(target)}
        elif stat.S_ISDIR(status.st_mode):
            yield _entry(here, "folder", status)
            yield from _walk(packer, item.path, here)
        elif stat.S_ISREG(status.st_mode):
            yield packer.file(item.path, here, status)
        else:
            raise Refused(f"{os.fsdecode(item.path)} is neither a file, a folder nor a link")


def _entry(parts: list[bytes], kind: str, status: os.stat_result) -> Node:
    return {
        "path": [_text(part) for part in parts],
        "type": kind,
        "mode": stat.S_IMODE(status.st_mode),
    }


@contextlib.contextmanager
def _opened(base: int, parts: list[bytes]) -> Iterator[int]:
    """The folder ``parts`` below ``base``, no step of the way through a link."""
    here = os.dup(base)
    try:
        for part in parts:
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=here)
            except OSError as error:
                raise CorruptError(
                    f"{os.fsdecode(part)!r} is not a folder of the snapshot: {error.strerror}"
                ) from None
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _parts(entry: Node) -> list[bytes]:
    """The parts of an entry's path.  Raises ``CorruptError`` for one that leads elsewhere."""
    parts = [_bytes(part) for part in entry["path"]]
    for part in parts:
        if part in (b"", b".", b"..") or b"/" in part or b"\0" in part:
            raise CorruptError(f"the path {parts!r} does not stay in its folder")
    if not parts:
        raise CorruptError("an entry has no path")
    return parts


def _name(entry: Node) -> bytes:
    return b"/".join(_bytes(part) for part in entry["path"])


def _unstamped(entry: Node) -> Node:
    return {key: value for key, value in entry.items() if key != "stamp"}


def _plain(entry: Node) -> bool:
    return all(isinstance(part, str) for part in entry["path"])


def _text(name: bytes) -> Any:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": name.hex()}


def _bytes(text: Any) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else bytes.fromhex(text["hex"])
