"""Which runs used a snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import Config
from ..journal import SessionFile, read_session
from ..model.events import InputRecord
from ..model.registry import RunSummary
from ..project import Project
from .amending import amended
from .details import details_of
from .queries import list_runs

__all__ = ["SnapshotUse", "runs_using"]


@dataclass(frozen=True, slots=True)
class SnapshotUse:
    """A run, and what the snapshot was called among its inputs."""

    run: RunSummary
    input: str


def runs_using(
    project: Project, config: Config, spec: str, limit: int = 200
) -> tuple[list[SnapshotUse], int]:
    """The runs among the newest ``limit`` whose input is kept as ``spec`` (``name@3``).

    Also returns how many were looked at.  Of runs whose record is not on this machine nothing is
    known.
    """
    runs = list_runs(project, limit)
    sessions: dict[str, SessionFile | None] = {}
    found = []
    for run in runs:
        for item in _inputs(project, config, run, sessions):
            if item.snapshot == spec:
                found.append(SnapshotUse(run, item.name))
                break
    return found, len(runs)


def _inputs(
    project: Project, config: Config, run: RunSummary, sessions: dict[str, SessionFile | None]
) -> tuple[InputRecord, ...]:
    """A run's inputs; each journal is read once."""
    if run.session is not None and run.session.isalnum():
        if run.session not in sessions:
            try:
                sessions[run.session] = read_session(project.journal / f"{run.session}.journal")
            except OSError:
                sessions[run.session] = None
        file = sessions[run.session]
        for record in () if file is None else file.runs:
            if file is not None and record.run_id == run.run_id:
                return amended(record, file.amendments).inputs
    return details_of(project, config, run, ask=False).record.inputs
