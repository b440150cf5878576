"""Where kept results lie: ``.mlops/cache/``, whole or not at all, whoever is killed when.

    key                       32 bytes that key digests of values; made once
    lock                      shared by who keeps or restores, exclusive for who removes
    locks/<key>               held by who computes a step, so that others wait for it
    objects/<aa>/<blake3>     contents: outputs and executed notebooks
    entries/<pipeline>/<step>/<key>.<id>.json    one result: its parts, dependencies and contents
    refused/<pipeline>.<step>.json               why the step was not kept when it last ran

An entry is written after its contents, by rename; its time is that of its last use.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blake3 import blake3

from ...project import Project
from .locking import hold

__all__ = ["CacheStore", "Entry", "Removed", "Summary"]

_STALE = 3600.0  # seconds after which what a killed process left is nobody's
_MOST_OF_ONE_KEY = 24  # entries that differ only in what their steps had seen
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A kept result: its file and what that says; ``used`` is the time of its last use."""

    path: Path
    data: dict[str, Any]
    used: float

    @property
    def key(self) -> str:
        """The key, 64 hex digits."""
        return self.path.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Summary:
    """One entry in a list; ``size`` is that of its contents in bytes."""

    pipeline: str
    step: str
    key: str
    run: str
    kept: float
    used: float
    size: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What a clearing removed: entries, and bytes on disk."""

    entries: int
    size: int


class CacheStore:
    """The cache of one project.  Every method may be called by several processes at once."""

    def __init__(self, project: Project) -> None:
        self.folder = project.state / "cache"
        self._entries = self.folder / "entries"
        self._objects = self.folder / "objects"

    def create(self) -> None:
        """Make the folders (0700).  Raises ``OSError``."""
        for folder in (self.folder, self._entries, self._objects, self.folder / "locks",
                       self.folder / "refused"):  # fmt: skip
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret(self) -> bytes:
        """The key of keyed digests.  Raises ``OSError``."""
        path = self.folder / "key"
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            if len(data) == 32:
                return data
        self.create()
        with hold(self.folder / "lock", exclusive=True):
            with contextlib.suppress(FileNotFoundError):
                data = path.read_bytes()
                if len(data) == 32:
                    return data
            data = secrets.token_bytes(32)
            self._write(path, data)
            return data

    def entries(self, pipeline: str, step: str, key: str = "", most: int = 1000) -> list[Entry]:
        """The entries of a step, of one key or all; the last used first, at most ``most``."""
        found: list[tuple[float, Path]] = []
        with contextlib.suppress(OSError):
            for item in os.scandir(self._place(pipeline, step)):
                if item.name.endswith(".json") and item.name.startswith(key):
                    found.append((item.stat().st_mtime, Path(item.path)))
        found.sort(reverse=True)
        entries = (_read(path) for _used, path in found[:most])
        return [entry for entry in entries if entry is not None]

    def add(self, key: str, data: dict[str, Any], contents: dict[str, Path | bytes]) -> None:
        """Keep a result under ``key``: ``data`` and, by name, its ``contents``.

        ``data["contents"]`` becomes ``{name: [digest, size]}``.  Raises ``OSError``.
        """
        self.create()
        with hold(self.folder / "lock", exclusive=False):
            data = {**data, "contents": {n: self._put(c) for n, c in contents.items()}}
            folder = self._place(data["pipeline"], data["step"])
            for made in (folder.parent, folder):
                made.mkdir(mode=0o700, exist_ok=True)
            body = json.dumps(data, sort_keys=True, separators=(",", ":"))
            text = json.dumps({"digest": _digest(body.encode("ascii")), "entry": body})
            self._write(folder / f"{key}.{secrets.token_hex(4)}.json", text.encode("ascii"))
            for old in self.entries(data["pipeline"], data["step"], key)[_MOST_OF_ONE_KEY:]:
                old.path.unlink(missing_ok=True)

    def use(self, entry: Entry) -> None:
        """Note that an entry was used now."""
        with contextlib.suppress(OSError):
            os.utime(entry.path)

    def copy(self, entry: Entry, name: str, target: Path) -> bool:
        """Write one of an entry's contents to ``target``; false if it is not what was kept."""
        known = entry.data["contents"].get(name)
        if known is None:
            return False
        digest = blake3()
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as out, open(self._object(known[0]), "rb") as source:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
            if digest.hexdigest() != known[0]:
                return False
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, target)
        except OSError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return True

    def read(self, entry: Entry, name: str) -> bytes | None:
        """One of an entry's contents; ``None`` if it is not what was kept."""
        known = entry.data["contents"].get(name)
        try:
            data = self._object(known[0]).read_bytes() if known else None
        except OSError:
            return None
        return data if data is not None and _digest(data) == known[0] else None

    def drop(self, entry: Entry) -> None:
        """Remove an entry that turned out to be damaged, and its contents that are."""
        with contextlib.suppress(OSError):
            entry.path.unlink()
        for digest, _size in entry.data["contents"].values():
            path = self._object(digest)
            with contextlib.suppress(OSError):
                if _digest(path.read_bytes()) != digest:
                    path.unlink()

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """Nothing is removed meanwhile.  Raises ``OSError``."""
        self.create()
        with hold(self.folder / "lock", exclusive=False):
            yield

    def refuse(self, pipeline: str, step: str, reasons: list[str], key: str) -> None:
        """Note why a step was not kept; without reasons, forget it."""
        path = self.folder / "refused" / f"{quote(pipeline, '')}.{quote(step, '')}.json"
        with contextlib.suppress(OSError):
            if reasons:
                self._write(path, json.dumps({"key": key, "reasons": reasons}).encode("ascii"))
            else:
                path.unlink(missing_ok=True)

    def refused(self, pipeline: str, step: str) -> tuple[str, list[str]]:
        """The key with which a step was last refused, and why; empty for none."""
        path = self.folder / "refused" / f"{quote(pipeline, '')}.{quote(step, '')}.json"
        try:
            data = json.loads(path.read_bytes())
            return str(data["key"]), [str(reason) for reason in data["reasons"]]
        except (OSError, ValueError, KeyError, TypeError):
            return "", []

    def summaries(self) -> list[Summary]:
        """All entries, the last used first."""
        found = []
        for entry in self._all():
            data = entry.data
            size = sum(size for _digest, size in data["contents"].values())
            found.append(
                Summary(data["pipeline"], data["step"], entry.key, data["run"], data["kept"],
                        entry.used, size)
            )  # fmt: skip
        return sorted(found, key=lambda summary: -summary.used)

    def size(self) -> int:
        """Bytes that entries and contents take."""
        return sum(size for _path, size, _time in _files(self._objects, self._entries))

    def evict(self, limit: int) -> Removed:
        """Remove entries that were not used for the longest until at most ``limit`` bytes are left.

        Contents that nothing names go, and what killed processes have left.
        """
        if not self.folder.is_dir():
            return Removed(0, 0)
        if limit > 0 and self.size() <= limit:
            return Removed(0, 0)
        with hold(self.folder / "lock", exclusive=True):
            before = self.size()
            entries = sorted(self._all(), key=lambda entry: entry.used)
            names: dict[str, int] = {}
            for entry in entries:
                for digest, _size in entry.data["contents"].values():
                    names[digest] = names.get(digest, 0) + 1
            left = self._sweep(set(names))
            removed = 0
            for entry in entries:
                if left <= limit and limit > 0:
                    break
                left -= entry.path.stat().st_size
                entry.path.unlink()
                removed += 1
                for digest, size in entry.data["contents"].values():
                    names[digest] -= 1
                    if not names[digest]:
                        self._object(digest).unlink(missing_ok=True)
                        left -= size
            return Removed(removed, before - self.size())

    def clear(self, pipeline: str | None = None, step: str | None = None) -> Removed:
        """Remove all entries, those of one pipeline, or of one of its steps."""
        if not self.folder.is_dir():
            return Removed(0, 0)
        with hold(self.folder / "lock", exclusive=True):
            before = self.size()
            kept: set[str] = set()
            removed = 0
            for entry in self._all():
                data = entry.data
                if (pipeline is None or data["pipeline"] == pipeline) and (
                    step is None or data["step"] == step
                ):
                    entry.path.unlink(missing_ok=True)
                    removed += 1
                else:
                    kept.update(digest for digest, _size in data["contents"].values())
            self._sweep(kept)
            return Removed(removed, before - self.size())

    def _sweep(self, kept: set[str]) -> int:
        """Remove contents that nothing names and unreadable entries; return the bytes left."""
        left = 0
        for path, size, _changed in _files(self._objects):
            if path.name in kept:
                left += size
            else:  # nobody is keeping: the lock is ours
                path.unlink(missing_ok=True)
        for path, size, changed in _files(self._entries):
            if path.name.endswith(".json") and _read(path) is not None:
                left += size
            elif not path.name.startswith(".") or time.time() - changed > _STALE:
                path.unlink(missing_ok=True)
        return left

    def _all(self) -> Iterator[Entry]:
        for path, _size, _changed in _files(self._entries):
            entry = _read(path) if path.name.endswith(".json") else None
            if entry is not None:
                yield entry

    def _place(self, pipeline: str, step: str) -> Path:
        return self._entries / quote(pipeline, "") / quote(step, "")

    def _object(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest

    def _put(self, content: Path | bytes) -> list[Any]:
        digest = blake3()
        size = 0
        descriptor, temporary = tempfile.mkstemp(prefix=".new.", dir=self._objects)
        try:
            with os.fdopen(descriptor, "wb") as out:
                for block in _blocks(content):
                    digest.update(block)
                    size += len(block)
                    out.write(block)
                out.flush()
                os.fsync(out.fileno())
            target = self._object(digest.hexdigest())
            target.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return [digest.hexdigest(), size]

    def _write(self, path: Path, data: bytes) -> None:
        descriptor, temporary = tempfile.mkstemp(prefix=".new.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _read(path: Path) -> Entry | None:
    """An entry; ``None`` for a file that is none, is damaged or went away."""
    try:
        used = path.stat().st_mtime
        outer = json.loads(path.read_bytes())
        body = outer["entry"]
        if _digest(body.encode("ascii")) != outer["digest"]:
            return None
        data = json.loads(body)
        if not {"pipeline", "step", "contents", "parts", "depends", "kept", "run"} <= data.keys():
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Entry(path, data, used)


def _digest(data: bytes) -> str:
    return blake3(data).hexdigest()


def _blocks(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _files(*folders: Path) -> Iterator[tuple[Path, int, float]]:
    for folder in folders:
        for place, _names, files in os.walk(folder):
            for name in files:
                path = Path(place, name)
                with contextlib.suppress(OSError):
                    found = path.stat()
                    yield path, found.st_size, found.st_mtime
