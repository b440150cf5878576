"""Files that a cell wrote without Python seeing it: by C++, Rust or a shell.

Every path that the cell's text names, or that a text of its variables is, is looked at before and
after; where a shell may write, the working directory's entries, too.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable

__all__ = ["FileChanges"]

_PATH = re.compile(r"[\w./~-]*[/.][\w./-]+")
_QUOTED = re.compile(r"'([^'\n\\]{1,200})'|\"([^\"\n\\]{1,200})\"")
_SHELL = re.compile(r"^\s*(?:\w+\s*=\s*)?[!%]|\bsubprocess\b|\bos\.(?:system|popen|spawn)", re.M)
_MOST = 120  # Paths named by one cell.
_ENTRIES = 1000
_EARLIER = 40  # Paths of cells before that are still looked at.
_ENDING = re.compile(r"\.[A-Za-z]\w{0,9}$|/")

Stamp = tuple[int, int, int]


class FileChanges:
    """``begin`` before a cell, ``end`` after it; paths of earlier cells are remembered."""

    def __init__(self) -> None:
        self._earlier: dict[str, None] = {}

    def begin(self, source: str, texts: Iterable[str]) -> dict[str, Stamp | None]:
        """Look at the paths; ``texts`` are variables that the cell mentions."""
        paths = dict.fromkeys(_absolute([*_named(source), *texts]))
        for path in list(self._earlier):
            paths.setdefault(path)
        for path in list(paths)[:_MOST]:
            self._earlier.pop(path, None)
            self._earlier[path] = None
        while len(self._earlier) > _EARLIER:
            del self._earlier[next(iter(self._earlier))]
        found = {path: _stamp(path) for path in paths}
        if _SHELL.search(source):
            found |= _entries()
        return found

    def end(self, source: str, before: dict[str, Stamp | None]) -> set[str]:
        """The paths (absolute) that are not as they were."""
        after = {path: _stamp(path) for path in before}
        if _SHELL.search(source):
            after |= _entries()
        return {path for path, stamp in after.items() if stamp != before.get(path)}


def _named(source: str) -> list[str]:
    found = [m for m in _PATH.findall(source) if _ENDING.search(m)]
    found += [a or b for a, b in _QUOTED.findall(source) if "." in (a or b) or "/" in (a or b)]
    return found[:_MOST]


def _absolute(texts: list[str]) -> list[str]:
    with contextlib.suppress(OSError):
        here = os.getcwd()
        return [
            os.path.normpath(os.path.join(here, os.path.expanduser(t)))
            for t in texts
            if 2 < len(t) < 250 and "\n" not in t and "\0" not in t and "://" not in t
        ]
    return []


def _stamp(path: str) -> Stamp | None:
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    if os.path.isdir(path):
        # A folder changes when something is made in it; ours is below some of them.
        return (
            (0, 0, 0) if os.path.isdir(os.path.join(path, ".mlops")) else (state.st_mtime_ns, 0, 1)
        )
    return (state.st_mtime_ns, state.st_size, state.st_ino)


def _entries() -> dict[str, Stamp | None]:
    found: dict[str, Stamp | None] = {}
    with contextlib.suppress(OSError), os.scandir(os.getcwd()) as entries:
        for entry in entries:
            if len(found) >= _ENTRIES:
                break
            if not entry.name.startswith(".") and entry.is_file():
                state = entry.stat()
                found[entry.path] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return found
