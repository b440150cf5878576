"""What the runs of a project keep: which runs there are, and the snapshots that they name."""

from __future__ import annotations

from ..journal import list_sessions, read_session
from ..project import Project
from ..snapshots.marking import Runs
from .amending import amended
from .queries import list_runs
from .target import has_state

__all__ = ["kept_by_runs"]

_ALL = 2**31


def kept_by_runs(project: Project) -> Runs | None:
    """The runs that exist, delivered or not, and which of them names which snapshot as an input.

    A run that was deleted, here or in MLflow, does not exist.  ``None`` where it is not known what
    MLflow has, or a journal cannot be read: then nothing may be taken away for want of a run.
    """
    if not has_state(project):
        return None
    ids = {run.run_id for run in list_runs(project, _ALL)}
    named: dict[str, str] = {}
    for path in list_sessions(project.journal):
        try:
            file = read_session(path)
        except OSError:
            return None
        for record in file.runs:
            if record.run_id not in ids:
                continue
            for item in amended(record, file.amendments).inputs:
                if item.snapshot is not None:
                    named.setdefault(item.snapshot, record.run_id)
    return Runs(frozenset(ids), named)
