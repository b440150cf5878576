"""A quick look at ``state.db`` from the kernel: it makes nothing, waits for nobody, writes nothing.

``StateDB`` creates the project, migrates, and waits half a minute for a lock.  A cell that has just
ended can do none of that.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..model.registry import ModelVersion, RunSummary
from .readmodel import load_run, load_version, runs_by_mlflow_id

__all__ = ["champions", "finished_runs", "peek"]

_LOCKED = 0.003  # Seconds to wait for a lock: readers of a WAL hardly ever meet one.


@contextlib.contextmanager
def peek(path: Path, seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection for reading to an existing database, for at most about ``seconds``.

    Raises ``sqlite3.Error`` when there is none, it is locked, or the time is over.
    """
    deadline = time.perf_counter() + seconds
    address = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(
        sqlite3.connect(address, uri=True, timeout=_LOCKED, isolation_level=None)
    ) as connection:
        connection.row_factory = sqlite3.Row
        connection.set_progress_handler(lambda: int(time.perf_counter() > deadline), 2000)
        yield connection


def champions(
    connection: sqlite3.Connection, name: str | None = None, alias: str = "champion"
) -> list[tuple[ModelVersion, RunSummary | None]]:
    """The versions that bear ``alias``, of one registered model or of all, newest first.

    Each with the run that it was made from, where that is here; a version's run id, metrics and
    notebook are then the run's.
    """
    rows = connection.execute(
        "SELECT detail FROM model_versions WHERE (? IS NULL OR name = ?) AND instr(detail, ?) > 0 "
        "ORDER BY created DESC",
        (name, name, json.dumps(alias)),
    )
    found = [version for row in rows if alias in (version := load_version(row)).aliases]
    runs = runs_by_mlflow_id(connection, [v.mlflow_run_id for v in found if v.mlflow_run_id])
    pairs: list[tuple[ModelVersion, RunSummary | None]] = []
    for version in found:
        run = runs.get(version.mlflow_run_id or "")
        if run is not None:
            notebook = run.notebook or version.notebook
            version = replace(version, run_id=run.run_id, metrics=run.metrics, notebook=notebook)
        pairs.append((version, run))
    return pairs


def finished_runs(connection: sqlite3.Connection, limit: int) -> Iterator[RunSummary]:
    """The newest runs that finished, newest first; read one by one."""
    for row in connection.execute(
        "SELECT summary FROM runs WHERE status = 'FINISHED' ORDER BY started DESC LIMIT ?",
        (limit,),
    ):
        yield load_run(row)
