"""Deleting a run, so that it can be restored."""

from __future__ import annotations

from ..config import Config
from ..errors import ConflictError
from ..model.registry import RunSummary
from ..project import Project
from ..state import StateDB
from ..state.readmodel import forget_run
from .queries import find_run
from .target import open_backend

__all__ = ["delete_run"]


def delete_run(project: Project, config: Config, text: str) -> RunSummary:
    """Delete a run softly in MLflow, which keeps it and can restore it; return what it was.

    Raises ``NotFoundError`` for no such run, ``ConflictError`` for one that is not delivered yet or
    that a model version was made from, ``ServiceError`` when MLflow does not answer.
    """
    run = find_run(project, text)
    if run.mlflow_run_id is None:
        raise ConflictError(
            f"run {run.name} ({run.run_id}) has not been delivered yet",
            hint="Deliver it first: jupyter mlops sync",
        )
    if run.registered and "@" in run.registered:
        raise ConflictError(
            f"run {run.name} ({run.run_id}) is where {run.registered} comes from",
            hint="A version whose run is gone has no metrics for a gate to judge.",
        )
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    backend.delete_run(run.mlflow_run_id)
    with StateDB(project).write() as connection:
        forget_run(connection, run.run_id)
    return run
