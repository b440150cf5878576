"""What lies in the packs of a remote, and how parts of them are fetched.

Footers are read by ranges and remembered in a cache folder: a pack never changes.  All of it comes
from outside, so sizes are compared before anything is fetched or unpacked.
"""

from __future__ import annotations

import contextlib
import re
import uuid
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from blake3 import blake3

from ..errors import CorruptError, NotFoundError
from .chunks import ChunkId, chunk_id, decode_chunk
from .packs import HEADER, TRAILER_SIZE, Entry, footer_range, parse_footer
from .remotes import Remote

__all__ = ["Inventory", "Run", "fetch_run", "in_parallel", "runs_of"]

T = TypeVar("T")
R = TypeVar("R")

_PACK = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,200}\.pack")
_TAIL = 64 * 1024  # Holds the footer of most packs: one request for each.
_MAX_FOOTER = 256 * 1024 * 1024
_GAP = 128 * 1024  # Bytes between two chunks that are cheaper to read than to ask twice.
_PLAUSIBLE = 64 * 1024 * 1024  # Raw bytes; a larger chunk must have a size in proportion.
_RUN = 16 * 1024 * 1024


class Inventory:
    """The chunks of a remote: in which pack each lies, and where.

    ``damaged`` names the packs whose footer could not be read, with the reason.  Raises
    ``ServiceError`` where the remote does not answer.
    """

    def __init__(self, remote: Remote, cache: Path, *, threads: int = 8) -> None:
        self.remote = remote
        self.damaged: dict[str, str] = {}
        self.packs: dict[str, int] = {}
        self._where: dict[ChunkId, tuple[str, Entry]] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._cache = cache / blake3(remote.public.encode()).hexdigest()[:16]
        self._threads = threads
        self.refresh()

    def refresh(self) -> None:
        """Look again which packs there are, and read the footers of new ones."""
        packs = {n: s for n, s in self.remote.files("packs").items() if _PACK.fullmatch(n)}
        new = [(name, size) for name, size in packs.items() if name not in self.packs]
        for name in self.packs.keys() - packs.keys():
            self._entries.pop(name, None)
            self.damaged.pop(name, None)
        self._where = {id: at for id, at in self._where.items() if at[0] in packs}
        self.packs = packs

        def footer(pack: tuple[str, int]) -> tuple[str, list[Entry] | str]:
            try:
                return pack[0], self._footer(*pack)
            except CorruptError as error:
                return pack[0], error.message

        for name, read in in_parallel(footer, new, self._threads):
            if isinstance(read, str):
                self.damaged[name] = read
            else:
                self._entries[name] = read
        # A chunk may lie in several packs, of which one has gone.
        for name, entries in self._entries.items():
            for entry in entries:
                self._where.setdefault(entry.id, (name, entry))

    def __contains__(self, id: ChunkId) -> bool:
        return id in self._where

    def locate(self, ids: Iterable[ChunkId]) -> dict[str, list[Entry]]:
        """Where these chunks lie: for each pack its entries, by offset.

        Raises ``NotFoundError`` when one is in no pack.
        """
        found: dict[str, list[Entry]] = {}
        missing = []
        for id in dict.fromkeys(ids):
            if id in self._where:
                pack, entry = self._where[id]
                found.setdefault(pack, []).append(entry)
            else:
                missing.append(id)
        if missing:
            damaged = "".join(f"; {reason}" for reason in self.damaged.values())
            raise NotFoundError(
                f"{len(missing)} chunks ({missing[0][:12]} ...) are not on "
                f"{self.remote.public}{damaged}",
                hint="Push the version again from a machine that holds it whole.",
                chunks=missing[:100],
            )
        for entries in found.values():
            entries.sort(key=lambda entry: entry.offset)
        return found

    def holding(self, ids: Container[ChunkId]) -> dict[str, list[Entry]]:
        """The packs that hold some of these chunks, each with all that it holds."""
        return {
            name: entries
            for name, entries in self._entries.items()
            if any(entry.id in ids for entry in entries)
        }

    def _footer(self, name: str, size: int) -> list[Entry]:
        path = self._cache / f"{name}.{size}"
        with contextlib.suppress(OSError, CorruptError):
            return self._parse(name, size, path.read_bytes())
        if size < len(HEADER) + TRAILER_SIZE:
            raise CorruptError(f"pack {name} on {self.remote.public} is cut off ({size} bytes)")
        tail = self.remote.read_range(f"packs/{name}", max(0, size - _TAIL), size)
        start = footer_range(name, size, tail)[0]
        if size - start > _MAX_FOOTER:
            raise CorruptError(f"the footer of pack {name} has {size - start} bytes")
        if size - start > len(tail):
            first = self.remote.read_range(f"packs/{name}", start, size - len(tail))
            tail = first + tail
        tail = tail[len(tail) - (size - start) :]
        entries = self._parse(name, size, tail)
        self._remember(path, tail)
        return entries

    @staticmethod
    def _parse(name: str, size: int, tail: bytes) -> list[Entry]:
        start, stop = footer_range(name, size, tail)
        if size - start != len(tail):
            raise CorruptError(f"the remembered footer of pack {name} has another length")
        return parse_footer(name, size, tail[: stop - start], tail[-TRAILER_SIZE:])

    def _remember(self, path: Path, tail: bytes) -> None:
        # Only saves requests: a full disk is the business of what really needs the room.
        aside = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside.write_bytes(tail)
            aside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink()


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring chunks of one pack that are fetched by one request."""

    pack: str
    entries: tuple[Entry, ...]

    @property
    def start(self) -> int:
        """The offset of its first byte."""
        return self.entries[0].offset

    @property
    def stop(self) -> int:
        """The offset after its last byte."""
        return self.entries[-1].offset + self.entries[-1].length


def runs_of(located: Mapping[str, Sequence[Entry]]) -> list[Run]:
    """Cut what is wanted of each pack into requests: gaps up to 128 KiB are read along."""
    runs = []
    for pack, entries in located.items():
        current: list[Entry] = []
        for entry in entries:
            if current:
                end = current[-1].offset + current[-1].length
                length = entry.offset + entry.length - current[0].offset
                if entry.offset - end > _GAP or length > _RUN:
                    runs.append(Run(pack, tuple(current)))
                    current = []
            current.append(entry)
        if current:
            runs.append(Run(pack, tuple(current)))
    return runs


def fetch_run(remote: Remote, run: Run) -> list[tuple[Entry, bytes]]:
    """Fetch the chunks of a run as they are stored, each checked down to its id.

    Raises ``CorruptError`` that names pack and chunk when one is not what its footer says.
    """
    data = memoryview(remote.read_range(f"packs/{run.pack}", run.start, run.stop))
    found = []
    for entry in run.entries:
        at = entry.offset - run.start
        stored = bytes(data[at : at + entry.length])
        where = f"chunk {entry.id[:12]} in pack {run.pack} on {remote.public}"
        if entry.size > max(_PLAUSIBLE, 256 * entry.length):
            raise CorruptError(f"{where} claims {entry.size} bytes")
        if zlib.crc32(stored) != entry.crc:
            raise CorruptError(f"{where} fails its checksum")
        if chunk_id(decode_chunk(entry.codec, stored, entry.size)) != entry.id:
            raise CorruptError(f"{where} does not match its id")
        found.append((entry, stored))
    return found


def in_parallel(work: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Yield the results as they come; at most ``threads`` are under way, and none is kept waiting.

    The first error stops it: what has not begun is dropped, what is under way is waited for.
    """
    queue = iter(items)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="snapshot-remote") as pool:
        pending: set[Future[Any]] = set()
        try:
            for item in queue:
                pending.add(pool.submit(work, item))
                if len(pending) < threads:
                    continue
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()
