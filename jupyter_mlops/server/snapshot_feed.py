"""Noticing that snapshots came, went or changed, by the times of their folders.

A new version, a removed one and a tag each change the folder of a name or the one of its tags; the
store keeps no other record that many processes write.  Nothing is opened.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from ..project import Project
from ..snapshots.naming import plain_name
from ..state import Change

__all__ = ["SnapshotWatch"]

_SHARE = 20  # Looking takes at most one part in so many of the time.
_COARSE_NS = 3_000_000_000

# Of each name's folder: when it and its tags' changed, and how many files it holds.
_Stamps = dict[str, tuple[int, int, int]]


class SnapshotWatch:
    """The snapshots of one project; ``changes`` says what happened since it was last asked."""

    def __init__(self, project: Project) -> None:
        self._folder = project.state / "snapshots" / "refs"
        self._rest = 0.0
        self._known: _Stamps = {}
        self._known = self._look()

    def changes(self) -> list[Change]:
        """Names that came, changed or went; may wait with its answer where there are very many."""
        if time.monotonic() < self._rest:
            return []
        before, self._known = self._known, self._look()
        if before == self._known:
            return []
        found = []
        for file in before.keys() | self._known.keys():
            old, new = before.get(file), self._known.get(file)
            if old != new:
                action = "created" if old is None else "removed" if new is None else "updated"
                found.append(Change(0, "snapshot", action, plain_name(file) or ""))
        return sorted(found, key=lambda change: change.id)

    def _look(self) -> _Stamps:
        began = time.monotonic()
        stamps: _Stamps = {}
        for name in _names(self._folder):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                stamps[name] = self._stamp(name)
        now = time.monotonic()
        self._rest = now + _SHARE * (now - began)
        return stamps

    def _stamp(self, name: str) -> tuple[int, int, int]:
        home = self._folder / name
        changed, tagged = os.stat(home).st_mtime_ns, _time(home / "tags")
        known = self._known.get(name)
        # Two writes may bear the same time where the clock of the file system is coarse: only a
        # time that has come of age tells the next write from the last.
        if known is None or known[0] != changed or time.time_ns() - changed < _COARSE_NS:
            return changed, tagged, len(os.listdir(home))
        return changed, tagged, known[2]


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _time(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0
