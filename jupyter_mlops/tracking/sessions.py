"""The journals of a project as delivery sees them: what each still holds, cheaply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..journal import SessionFile, list_sessions, read_session
from ..model.events import RunRecord, RunStarted
from ..project import Project
from ..state import StateDB
from ..state.delivery import Progress, all_progress
from .amending import killed_run
from .target import has_state

__all__ = ["Examined", "Session", "WaitingRuns", "open_sessions", "waiting", "what_waits"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What a session holds beyond the stored position.

    ``killed`` are the runs that its process began and cannot end any more, ``running`` those that
    it still may; ``ended`` says that the process is gone for certain.
    """

    file: SessionFile
    killed: tuple[RunRecord, ...] = ()
    running: tuple[RunStarted, ...] = ()
    ended: bool = False

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """The runs to deliver."""
        return (*self.file.runs, *self.killed)


@dataclass(frozen=True, slots=True)
class Session:
    """A journal that is not dealt with to its end."""

    path: Path
    progress: Progress

    def examine(self) -> Examined:
        """Read what was appended since the stored position, and whether more can follow.

        Raises ``OSError`` when the journal cannot be read.
        """
        position = self.progress.position
        file = read_session(self.path, position)
        if file.writer_alive() is not False:
            nested = position and file.header is not None and file.header.kind == "runner"
            return Examined(file, running=(read_session(self.path) if nested else file).unfinished)
        # It may have ended its run and then itself between the reading and the looking: only what
        # is read after it was seen dead is all there is.  A run may begin before the position.
        whole = read_session(self.path)
        file = read_session(self.path, position) if position else whole
        killed = tuple(killed_run(started, whole) for started in whole.unfinished)
        return Examined(file, killed=killed, ended=True)


def open_sessions(project: Project) -> Iterator[Session]:
    """Yield the sessions that may hold something to deliver, oldest first.

    One that grew since, or whose process may have died in a run, is among them; the others cost
    one look at the file's size.
    """
    progress: dict[str, Progress] = {}
    if has_state(project):
        with StateDB(project).read() as connection:
            progress = all_progress(connection)
    for path in list_sessions(project.journal):
        known = progress.get(path.stem, Progress(path.stem))
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        if size > known.position or not known.closed:
            yield Session(path, known)


@dataclass(frozen=True, slots=True)
class WaitingRuns:
    """The runs of one session that wait, and what went wrong the last time, if anything.

    ``next_try`` is when delivery tries again by itself, in seconds since the epoch.
    """

    session: str
    notebook: str | None
    runs: tuple[str, ...]
    error: str | None
    next_try: float


def waiting(project: Project) -> int:
    """How many ended runs have not been delivered yet, those of killed processes included."""
    return sum(len(session.runs) for session in what_waits(project))


def what_waits(project: Project) -> list[WaitingRuns]:
    """The runs that have not been delivered yet, by session, oldest first."""
    if not project.exists:
        return []
    found = []
    for session in open_sessions(project):
        try:
            examined = session.examine()
        except OSError:
            continue
        runs = tuple(run.run_id for run in examined.runs)
        if runs:
            header = examined.file.header
            notebook = header.notebook if header is not None else None
            progress = session.progress
            found.append(
                WaitingRuns(session.path.stem, notebook, runs, progress.error, progress.next_try)
            )
    return found
