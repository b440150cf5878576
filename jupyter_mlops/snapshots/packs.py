"""Packs: one immutable file a commit, holding its new chunks; the footer holds the truth.

::

    MLPACK1\\n                      8 bytes
    the chunks as stored, one after the other, without gaps
    footer: JSON, deflated (zlib)   {"chunks": [[id, length, size, codec, crc32], ...], "format": 1}
    trailer, 64 bytes               footer's offset, length, inflated length (u64 little-endian),
                                    BLAKE3 of the footer as stored (32 bytes), MLPKEND1

``length`` is stored bytes, ``size`` raw ones, ``crc32`` of the stored bytes: one flipped bit in
them may leave the raw bytes as they are, and is found all the same.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import re
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from blake3 import blake3

from ..errors import CorruptError
from .chunks import CODECS, MAX_CHUNK, ChunkId, Compressor, chunk_id, decode_chunk
from .durable import sync_folder, write_all

__all__ = [
    "HEADER",
    "TRAILER_SIZE",
    "Entry",
    "PackWriter",
    "footer_range",
    "pack_bytes",
    "parse_footer",
    "read_entry",
    "read_footer",
    "read_stored",
    "write_pack",
]

HEADER = b"MLPACK1\n"
_TRAILER = struct.Struct("<QQQ32s8s")
TRAILER_SIZE = _TRAILER.size
_END = b"MLPKEND1"
_MAX_FOOTER = 1 << 30
_ID = re.compile(r"[0-9a-f]{64}")
_BUFFER = 8 * 1024 * 1024  # Raw bytes that wait to be compressed.
_THREAD = 16 * 1024 * 1024  # Bytes: the usual stack of 8 MB and as much again.
_LOOK = 10.0  # Seconds.
_PATIENCE = 0.02  # Seconds that the caller waits before there is another thread.
# Raw bytes that the caller compresses by itself, in a tenth of a second or two: a thread beside it,
# where both share a core, makes that shorter by a quarter but takes a twentieth more of the CPU.
_ALONE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one chunk lies in its pack, and what it is."""

    id: ChunkId
    offset: int
    length: int
    size: int
    codec: str
    crc: int


class PackWriter:
    """Writes one pack: compresses, appends in one file, durable at ``finish``.

    ``put`` compresses by itself up to 64 MB.  After that threads do, and it returns at once unless
    more than 8 MB wait; where it had to wait for long, one more of the ``threads`` is started.  An
    error in a thread is raised by the next call.  Nothing is visible before ``finish``.
    """

    def __init__(self, temporary: Path, *, threads: int = 2) -> None:
        self.path = temporary
        self.written = 0
        self._descriptor = -1
        self._entries: list[Entry] = []
        self._compressor = Compressor()
        self._queue: SimpleQueue[tuple[ChunkId, bytes, int, str] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._change = threading.Condition(self._lock)
        self._waiting = 0
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._wanted = threads
        self._waited = 0.0  # Seconds, for room in the buffer.
        self._taken = 0
        self._closed = False

    def put(self, id: ChunkId, raw: bytes, itemsize: int, hint: str) -> None:
        """Take a chunk over.  Raises what went wrong in a thread before, as ``OSError`` for one."""
        with self._change:
            self._check()
            if self._descriptor < 0:
                self._open()
            self._taken += len(raw)
            alone = self._taken <= _ALONE
        if alone:
            try:
                self._keep(id, raw, itemsize, hint)
            except BaseException as error:
                with self._lock:  # Part of the chunk may be in the file.
                    self._error = self._error or error
                raise
            return
        with self._change:
            # One chunk may always wait, however large it is.
            waits = 0.0
            while self._waiting and self._waiting + len(raw) > _BUFFER:
                began = time.monotonic()
                self._change.wait(_LOOK)
                waits += time.monotonic() - began
                self._check()
                if not any(thread.is_alive() for thread in self._threads):
                    raise MemoryError("the threads that compress are gone")
            self._waited += waits
            # More threads than are needed take the interpreter from each other.
            if len(self._threads) < self._wanted and self._waited >= _PATIENCE * len(self._threads):
                self._start()
            self._waiting += len(raw)
        self._queue.put((id, raw, itemsize, hint))

    def finish(self, path: Path) -> list[Entry]:
        """Write the footer, make it durable, give it its name; return what it holds.

        Order: chunks, footer, fsync, rename, fsync of the folder.  Raises ``OSError``; then the
        temporary file is gone.
        """
        try:
            self._join()
            self._check()
            if self._descriptor < 0:
                return []
            self.written += write_all(self._descriptor, *_ending(self._entries, self.written))
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            self.path.replace(path)
        except BaseException:
            self.abort()
            with contextlib.suppress(OSError):
                self.path.unlink()  # Closed already when only the rename failed.
            raise
        sync_folder(path.parent)
        return self._entries

    def abort(self) -> None:
        """Stop, and leave nothing behind.  Does nothing after ``finish``."""
        with self._change:
            if self._error is None:
                self._error = OSError("the pack was given up")
            self._change.notify_all()
        self._join()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):
                self.path.unlink()

    def forget(self) -> None:
        """In a forked child: the threads and the file are the parent's."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _start(self) -> None:
        """Start one more thread; ``MemoryError`` where not even one can be had."""
        thread = threading.Thread(target=self._work, name="snapshot-pack", daemon=True)
        try:
            # A thread that finds no memory for its first step dies unheard, and ``start`` waits
            # for it for ever: so it is asked for before, with what its stack takes.
            _ask_for(_THREAD)
            thread.start()
        except (MemoryError, RuntimeError) as error:
            if not self._threads:
                raise MemoryError("there is no memory for a thread that compresses") from error
            self._wanted = len(self._threads)
            return
        self._threads.append(thread)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        self.written = write_all(self._descriptor, HEADER)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise ValueError("the pack is finished")

    def _join(self) -> None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._wanted = 0

    def _keep(self, id: ChunkId, raw: bytes, itemsize: int, hint: str) -> None:
        codec, stored = self._compressor.encode(raw, itemsize, hint)
        crc = zlib.crc32(stored)
        with self._lock:
            if self._error is None:
                entry = Entry(id, self.written, len(stored), len(raw), codec, crc)
                self.written += write_all(self._descriptor, stored)
                self._entries.append(entry)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            id, raw, itemsize, hint = item
            try:
                if self._error is None:
                    self._keep(id, raw, itemsize, hint)
            except BaseException as error:
                with self._lock:
                    self._error = self._error or error
            finally:
                with self._change:
                    self._waiting -= len(raw)
                    self._change.notify_all()


def _ask_for(size: int) -> None:
    """Raise ``MemoryError`` if so many bytes cannot be had; they are not touched."""
    flags = getattr(mmap, "MAP_PRIVATE", None)
    if flags is None:  # pragma: no cover - Windows
        bytes(size)
        return
    try:
        mmap.mmap(-1, size, flags=flags | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError from error


def write_pack(
    path: Path, temporary: Path, parts: Iterable[tuple[Entry, bytes | memoryview]]
) -> list[Entry]:
    """Write a pack of chunks that are compressed already, durably; return where they lie."""
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600
    )
    entries = []
    try:
        try:
            offset = write_all(descriptor, HEADER)
            for entry, stored in parts:
                entries.append(
                    Entry(entry.id, offset, entry.length, entry.size, entry.codec, entry.crc)
                )
                offset += write_all(descriptor, stored)
            write_all(descriptor, *_ending(entries, offset))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)
    return entries


def pack_bytes(parts: Sequence[tuple[Entry, bytes | memoryview]]) -> bytes:
    """The bytes of a pack of chunks that are compressed already, as ``write_pack`` writes them."""
    entries = []
    offset = len(HEADER)
    for entry, stored in parts:
        entries.append(Entry(entry.id, offset, len(stored), entry.size, entry.codec, entry.crc))
        offset += len(stored)
    return b"".join([HEADER, *(stored for _, stored in parts), *_ending(entries, offset)])


def read_footer(path: Path) -> list[Entry]:
    """Return what a pack holds.

    Raises ``CorruptError`` when header, footer or trailer are not as written, and
    ``FileNotFoundError`` when the pack is gone.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < len(HEADER) + TRAILER_SIZE:
            raise CorruptError(f"pack {path.name} is cut off ({size} bytes)")
        file.seek(0)
        if file.read(len(HEADER)) != HEADER:
            raise CorruptError(f"pack {path.name} does not begin as a pack does")
        file.seek(size - TRAILER_SIZE)
        trailer = file.read(TRAILER_SIZE)
        start, stop = footer_range(path.name, size, trailer)
        file.seek(start)
        stored = file.read(stop - start)
    return parse_footer(path.name, size, stored, trailer)


def footer_range(name: str, size: int, tail: bytes) -> tuple[int, int]:
    """Where the footer of a pack of ``size`` bytes lies, by the last bytes of it.

    Raises ``CorruptError`` when they are not a pack's end.
    """
    if len(tail) < TRAILER_SIZE:
        raise CorruptError(f"pack {name} is cut off ({size} bytes)")
    offset, length, inflated, _, end = _TRAILER.unpack(tail[-TRAILER_SIZE:])
    if end != _END or offset < len(HEADER) or offset + length + TRAILER_SIZE != size:
        raise CorruptError(f"pack {name} does not end as a pack does")
    # Half of a footer is hashes, which no compression makes small: more is a bomb.
    if inflated > min(_MAX_FOOTER, 16 * length + 4096):
        raise CorruptError(f"the footer of pack {name} claims {inflated} bytes")
    return offset, offset + length


def parse_footer(name: str, size: int, stored: bytes, trailer: bytes) -> list[Entry]:
    """What a pack holds, by its footer as stored and its trailer; ``CorruptError``."""
    start, _ = footer_range(name, size, trailer)
    _, _, inflated, digest, _ = _TRAILER.unpack(trailer)
    if blake3(stored).digest() != digest:
        raise CorruptError(f"the footer of pack {name} does not match its checksum")
    return _parse(name, _inflate(name, stored, inflated), start)


def read_entry(file: int, path: Path, entry: Entry, *, check: bool = True) -> bytes:
    """Return a chunk's raw bytes from the open pack ``file``.

    Raises ``CorruptError`` when they do not match the footer's checksum or the chunk's id.
    """
    stored = read_stored(file, path, entry)
    raw = decode_chunk(entry.codec, stored, entry.size)
    if check and chunk_id(raw) != entry.id:
        raise CorruptError(f"chunk {entry.id[:12]} in pack {path.name} does not match its id")
    return raw


def read_stored(file: int, path: Path, entry: Entry) -> bytes:
    """Return a chunk as it is stored; ``CorruptError`` when it does not match its checksum."""
    parts = []
    offset, missing = entry.offset, entry.length
    while missing:
        part = _read_at(file, missing, offset)
        if not part:
            raise CorruptError(f"pack {path.name} ends within chunk {entry.id[:12]}")
        parts.append(part)
        offset += len(part)
        missing -= len(part)
    stored = parts[0] if len(parts) == 1 else b"".join(parts)
    if zlib.crc32(stored) != entry.crc:
        raise CorruptError(f"chunk {entry.id[:12]} in pack {path.name} fails its checksum")
    return stored


def _ending(entries: Sequence[Entry], offset: int) -> tuple[bytes, bytes]:
    chunks = [[e.id, e.length, e.size, e.codec, e.crc] for e in entries]
    text = json.dumps({"chunks": chunks, "format": 1}, separators=(",", ":"), sort_keys=True)
    plain = text.encode("ascii")
    footer = zlib.compress(plain, 1)
    digest = blake3(footer).digest()
    return footer, _TRAILER.pack(offset, len(footer), len(plain), digest, _END)


def _inflate(name: str, stored: bytes, inflated: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(stored, inflated + 1)
    except zlib.error as error:
        raise CorruptError(f"the footer of pack {name} cannot be read: {error}") from error
    if len(plain) != inflated or not inflater.eof or inflater.unused_data:
        raise CorruptError(f"the footer of pack {name} has another length than it says")
    return plain


def _parse(name: str, plain: bytes, end: int) -> list[Entry]:
    try:
        footer: Any = json.loads(plain)
        if footer["format"] != 1:
            raise CorruptError(f"pack {name} has format {footer['format']!r}, not 1")
        entries = []
        offset = len(HEADER)
        for id, length, size, codec, crc in footer["chunks"]:
            if not (
                isinstance(id, str)
                and _ID.fullmatch(id)
                and all(type(n) is int and n >= 0 for n in (length, size, crc))
                and size <= MAX_CHUNK
                and codec in CODECS
            ):
                raise ValueError(f"chunk {id!r}")
            entries.append(Entry(id, offset, length, size, codec, crc))
            offset += length
        if offset != end:
            raise ValueError("gaps")
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CorruptError):
            raise
        raise CorruptError(f"the footer of pack {name} is not one: {error}") from error
    return entries


if hasattr(os, "pread"):

    def _read_at(file: int, count: int, offset: int) -> bytes:
        return os.pread(file, count, offset)

else:  # pragma: no cover
    _seek_lock = threading.Lock()

    def _read_at(file: int, count: int, offset: int) -> bytes:
        with _seek_lock:
            os.lseek(file, offset, os.SEEK_SET)
            return os.read(file, count)
