"""Digests of files, listings and probes: what a dependency was, and what it is now."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

from blake3 import blake3

from .code import module_digest, text_digest

__all__ = ["ABSENT", "RACY", "Places", "code_digest", "file_digest", "listing_digest", "probe"]

ABSENT = "absent"
RACY = 20_000_000  # nanoseconds: two changes nearer than this may have the same time
_KNOWN = 20_000

_memory: dict[str, tuple[tuple[int, ...], str]] = {}
_lock = threading.Lock()


class Places:
    """Names of paths that are the same in every run: those in the run's folder are relative."""

    def __init__(self, run: Path) -> None:
        self._run = str(run)

    def name(self, path: str) -> str:
        """The place of an absolute path."""
        if path == self._run or path.startswith(self._run + os.sep):
            return f"run:{os.path.relpath(path, self._run)}"
        return path

    def path(self, place: str) -> str:
        """The absolute path of a place, in this run."""
        if place.startswith("run:"):
            return os.path.normpath(os.path.join(self._run, place[4:]))
        return place


def file_digest(path: str | Path) -> str:
    """``blake3:`` and 64 hex digits of a file's content; ``absent``, or ``dir`` for a folder.

    Raises ``OSError`` where it cannot be read.
    """
    text = str(path)
    try:
        found = os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    if stat.S_ISDIR(found.st_mode):
        return "dir"
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{text} is no ordinary file")
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    with _lock:
        known = _memory.get(text)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = blake3()
    with open(text, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    made = f"blake3:{digest.hexdigest()}"
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > RACY:
        with _lock:
            if len(_memory) >= _KNOWN:
                _memory.clear()
            _memory[text] = (stamp, made)
    return made


def code_digest(path: str | Path) -> str:
    """The digest of a module's file: of its syntax tree where it is Python's source."""
    text = str(path)
    if not text.endswith(".py"):
        return file_digest(text)
    try:
        return module_digest(Path(text).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT


def listing_digest(path: str) -> str:
    """The digest of the names in a folder."""
    try:
        names = sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    # What Python and Jupyter put there by themselves is no result of anything.
    kept = [name for name in names if name not in ("__pycache__", ".ipynb_checkpoints")]
    return text_digest("listing", *kept)


def probe(path: str) -> str:
    """What is at a path: ``absent``, ``dir`` or ``file SIZE``, as evidence has it."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ABSENT
    return "dir" if stat.S_ISDIR(found.st_mode) else f"file {found.st_size}"
