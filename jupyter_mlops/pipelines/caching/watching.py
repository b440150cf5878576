"""Sees which files of a folder are opened, also by native code that tells Python nothing.

Linux's inotify, in this process: it tells of every process's opens, so it may name too many files,
never too few.  Its queue is read when the step has ended; nothing runs meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Seen", "Watch"]

_ACCESS, _MODIFY, _CLOSE_WRITE, _OPEN = 0x1, 0x2, 0x8, 0x20
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED, _ISDIR = 0x4000, 0x8000, 0x40000000
_ONLYDIR = 0x01000000
_CHANGES = _MODIFY | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_EVENT = struct.Struct("iIII")
_MOST = 2000  # folders
_SKIPPED = frozenset(
    {".mlops", ".git", ".hg", ".svn", "node_modules", "__pycache__", ".ipynb_checkpoints",
     "site-packages", ".venv", "venv", ".tox", ".nox", ".mypy_cache", ".ruff_cache",
     ".pytest_cache", ".hypothesis", "mlruns"}
)  # fmt: skip


@dataclass(slots=True)
class Seen:
    """Files that were opened and files that were changed while a watch went on.

    ``whole`` is false where something may be missing, with ``why``.
    """

    opened: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    whole: bool = True
    why: str = ""


class Watch:
    """Watches the trees below ``folders``, and single folders; ``why`` says if it cannot."""

    def __init__(self, folders: Iterable[Path], single: Iterable[Path] = ()) -> None:
        self.why = ""
        self._descriptor = -1
        self._folders: dict[int, str] = {}
        if sys.platform != "linux":
            self.why = "this system does not tell which files native code opens"
            return
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            self.why = f"files cannot be watched: {os.strerror(ctypes.get_errno())}"
            return
        wanted = (*_trees(folders), *map(str, single))
        if len(wanted) > _MOST:
            self.why = f"there are more than {_MOST} folders to watch"
        for folder in wanted[:_MOST]:
            mask = _OPEN | _CHANGES | _ONLYDIR
            number = libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
            if number >= 0:
                self._folders[number] = folder
            elif os.path.isdir(folder):
                self.why = f"{folder} cannot be watched: {os.strerror(ctypes.get_errno())}"
        if self.why:
            self.close()

    def seen(self) -> Seen:
        """What has happened so far; ends the watch."""
        found = Seen(whole=not self.why, why=self.why)
        with contextlib.suppress(BlockingIOError):
            while self._descriptor >= 0 and (data := os.read(self._descriptor, 1 << 16)):
                self._add(found, data)
        self.close()
        return found

    def close(self) -> None:
        """End it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _add(self, found: Seen, data: bytes) -> None:
        at = 0
        while at < len(data):
            number, mask, _cookie, size = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = os.fsdecode(data[at : at + size].rstrip(b"\0"))
            at += size
            if mask & _OVERFLOW:
                found.whole, found.why = False, "more files were opened than could be noted"
            folder = self._folders.get(number)
            if folder is None or not name or mask & _IGNORED:
                continue
            path = os.path.join(folder, name)
            if mask & _ISDIR:
                if mask & (_CREATE | _MOVED_TO) and name not in _SKIPPED:
                    found.changed.add(path)
            elif mask & _CHANGES:
                found.changed.add(path)
            else:
                found.opened.add(path)


def _trees(folders: Iterable[Path]) -> list[str]:
    found: list[str] = []
    for folder in folders:
        for place, names, _files in os.walk(folder):
            found.append(place)
            names[:] = [name for name in names if not _is_skipped(place, name)]
            if len(found) > _MOST:
                return found
    return found


def _is_skipped(folder: str, name: str) -> bool:
    return name in _SKIPPED or os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
