"""Turning the projects' change feeds into events of the Jupyter server.

Every known project's newest change number is one indexed read of SQLite.  A project becomes known
when a client asks about it; its number is taken before the client's answer is read, so nothing that
happens in between is missed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from logging import Logger
from pathlib import Path

from tornado.ioloop import PeriodicCallback

from .. import tracking
from ..errors import MlopsError
from ..project import Project
from ..state import Change, StateDB, changes_after, last_change
from .snapshot_feed import SnapshotWatch

__all__ = ["SCHEMA_ID", "ChangeFeed"]

SCHEMA_ID = "https://jupyter-mlops.org/events/change/v1"
_KNOWN = 64  # projects watched at most; the one asked about longest ago is dropped
_COARSE_NS = 3_000_000_000
_BURST = 50  # changes of one poll told one by one; more become one event a kind


@dataclass(slots=True)
class _Watched:
    project: Project
    seq: int
    stamp: tuple[int, ...] = ()
    journal: tuple[tuple[str, int], ...] = ()
    waiting: int = 0
    snapshots: SnapshotWatch | None = None
    problem: str | None = None


class ChangeFeed:
    """Polls the known projects every ``interval`` seconds and calls ``emit`` for each change.

    ``emit(kind, action, id, project key)`` is called in the event loop, the reading is done by
    ``executor``.
    """

    def __init__(
        self,
        emit: Callable[[str, str, str, str], None],
        executor: Executor,
        log: Logger,
        interval: float,
    ) -> None:
        self._emit = emit
        self._executor = executor
        self._log = log
        self._known: OrderedDict[Path, _Watched] = OrderedDict()
        self._timer = PeriodicCallback(self.poll, interval * 1000)

    async def watch(self, project: Project) -> None:
        """Watch a project from its present state on; watching it twice changes nothing."""
        if project.state in self._known:
            self._known.move_to_end(project.state)
            return
        watched = await asyncio.get_running_loop().run_in_executor(self._executor, _start, project)
        self._known.setdefault(project.state, watched)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        if not self._timer.is_running():
            self._timer.start()

    async def poll(self) -> None:
        """Look at every known project once."""
        loop = asyncio.get_running_loop()
        for watched in list(self._known.values()):
            changes = await loop.run_in_executor(self._executor, self._look, watched)
            for change in _few(changes):
                self._emit(change.kind, change.action, change.id, watched.project.key)

    def close(self) -> None:
        """Stop polling."""
        self._timer.stop()
        self._known.clear()

    def _look(self, watched: _Watched) -> list[Change]:
        try:
            changes = _changes(watched)
            changes += _delivery(watched)
            if watched.snapshots is not None:
                changes += watched.snapshots.changes()
        except (MlopsError, OSError) as error:
            # A damaged database is told to whoever asks; saying it twice a second helps nobody.
            if str(error) != watched.problem:
                self._log.warning("jupyter_mlops: %s", error)
            watched.problem = str(error)
            return []
        watched.problem = None
        return changes


def _start(project: Project) -> _Watched:
    watched = _Watched(project, 0)
    try:
        watched.snapshots = SnapshotWatch(project)
        if _has_database(project):
            with StateDB(project).read() as connection:
                watched.seq = last_change(connection)
        _delivery(watched)
    except (MlopsError, OSError) as error:
        watched.problem = str(error)
    return watched


def _changes(watched: _Watched) -> list[Change]:
    if not _has_database(watched.project):
        watched.seq, watched.stamp = 0, ()
        return []
    stamp = _stamp(watched.project)
    if stamp == watched.stamp:
        return []
    with StateDB(watched.project).read() as connection:
        last = last_change(connection)
        if last < watched.seq:  # The state was removed and made anew.
            watched.seq = 0
        changes = changes_after(connection, watched.seq) if last > watched.seq else []
    watched.seq = last
    # Two writes may bear the same time where the clock of the file system is coarse: only a stamp
    # that has come of age tells the next write from the last.
    written = max(stamp[0], stamp[3])
    watched.stamp = stamp if time.time_ns() - written > _COARSE_NS else ()
    return changes


def _stamp(project: Project) -> tuple[int, ...]:
    """Time, size and inode of the database and of its log: what a write to it changes.

    Looking at them costs a tenth of opening SQLite.
    """
    parts: list[int] = []
    for path in (project.database, project.database.with_name(f"{project.database.name}-wal")):
        try:
            status = path.stat()
            parts += [status.st_mtime_ns, status.st_size, status.st_ino]
        except FileNotFoundError:
            parts += [0, 0, 0]
    return tuple(parts)


def _delivery(watched: _Watched) -> list[Change]:
    """A change of what waits for delivery: the kernel journals it without touching the database."""
    journal = _journal_files(watched.project)
    if journal == watched.journal:
        return []
    watched.journal = journal
    before, watched.waiting = watched.waiting, tracking.waiting(watched.project)
    if watched.waiting == before:
        return []
    return [Change(0, "run", "updated", ""), Change(0, "sync", "updated", "")]


def _journal_files(project: Project) -> tuple[tuple[str, int], ...]:
    try:
        with os.scandir(project.journal) as entries:
            return tuple(
                sorted((e.name, e.stat().st_size) for e in entries if e.name.endswith(".journal"))
            )
    except FileNotFoundError:
        return ()


def _has_database(project: Project) -> bool:
    # Opening it would make it, and watching changes nothing.
    return project.exists and project.database.is_file()


def _few(changes: list[Change]) -> list[Change]:
    latest = {(c.kind, c.action, c.id): c for c in changes}
    if len(latest) > _BURST:
        latest = {(c.kind, "", ""): c for c in changes}
    return sorted(latest.values(), key=lambda change: change.seq)
