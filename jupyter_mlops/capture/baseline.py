"""What a run is compared with on its card: the champion of its model, else the run before it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.events import RunRecord
from ..model.registry import ModelVersion, RunSummary
from ..project import Project

__all__ = ["find_baseline"]

# For the database, which takes less than one of 25 ms where nothing is in its way: a cell that has
# ended waits for the answer, and a busy machine should not change what the card says.
_SECONDS = 0.025
_RUNS = 50  # As many of the newest are looked through.


def find_baseline(
    project: Project, run: RunRecord, last: RunRecord | Sequence[RunRecord] | None
) -> dict[str, Any] | None:
    """Return what ``run`` is held to: ``label``, ``kind``, ``run_id``, ``metrics``, ``params``.

    It is the champion of the registered model that it becomes a version of, else the champion
    that the same notebook made, else the last finished run of the same cell, notebook or (without a
    notebook) experiment: out of ``last``, the session's own runs with the newest last, else as
    ``state.db`` has it.  It has a metric in common with ``run``.  Never raises, makes nothing, and
    waits for milliseconds at most; what it cannot find out in that time is not there.
    """
    if not run.metrics:
        return None
    earlier = [last] if isinstance(last, RunRecord) else list(last or ())
    found = None
    with contextlib.suppress(sqlite3.Error, OSError, ValueError, TypeError, KeyError):
        found = _champion(project, run)
    if found is None:
        found = _in_memory(run, earlier)
    if found is None:
        with contextlib.suppress(sqlite3.Error, OSError, ValueError, TypeError, KeyError):
            found = _stored(project, run)
    return found


def _champion(project: Project, run: RunRecord) -> dict[str, Any] | None:
    if not project.database.is_file() or not (run.register or run.models):
        return None
    from ..state.peek import champions, peek

    with peek(project.database, _SECONDS) as connection:
        for version, made in champions(connection, run.register):
            if run.register is None and (run.notebook is None or version.notebook != run.notebook):
                continue
            if not _comparable(run, version.run_id, version.metrics):
                continue
            return _of_version(version, made.params if made is not None else {})
    return None


def _in_memory(run: RunRecord, earlier: Iterable[RunRecord]) -> dict[str, Any] | None:
    fits = [
        other
        for other in earlier
        if other.status == "FINISHED"
        and other.kind == run.kind
        and other.notebook == run.notebook
        and other.experiment == run.experiment
        and _comparable(run, other.run_id, other.metrics)
    ]
    same = [other for other in fits if run.cell_id is not None and other.cell_id == run.cell_id]
    for other in [*fits, *same][-1:]:
        params = {**other.hyperparameters, **other.params}
        return _last(other.run_id, other.name, other.metrics, params)
    return None


def _stored(project: Project, run: RunRecord) -> dict[str, Any] | None:
    if not project.database.is_file():
        return None
    from ..state.peek import finished_runs, peek

    with peek(project.database, _SECONDS) as connection:
        for other in finished_runs(connection, _RUNS):
            if _same_place(run, other) and _comparable(run, other.run_id, other.metrics):
                return _last(other.run_id, other.name, other.metrics, other.params)
    return None


def _same_place(run: RunRecord, other: RunSummary) -> bool:
    if other.kind != run.kind or other.notebook != run.notebook:
        return False
    if run.experiment is None and run.notebook is not None:
        return True  # What was delivered names the default experiment.
    return run.experiment is None or other.experiment == run.experiment


def _comparable(run: RunRecord, run_id: str | None, metrics: Mapping[str, float]) -> bool:
    return run_id != run.run_id and any(name in metrics for name in run.metrics)


def _of_version(version: ModelVersion, params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": f"champion {version.name}@{version.version}",
        "kind": "champion",
        "run_id": version.run_id,
        "metrics": dict(version.metrics),
        "params": dict(params),
    }


def _last(
    run_id: str, name: str, metrics: Mapping[str, float], params: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "label": f"last run {name}",
        "kind": "last",
        "run_id": run_id,
        "metrics": dict(metrics),
        "params": dict(params),
    }
