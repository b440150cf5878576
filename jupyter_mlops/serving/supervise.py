"""Keeping wanted deployments running: the agent calls ``supervise`` about once a second.

A server that was started by anyone and still lives is left alone (it is told by pid, start time and
boot id).  One that ended is started again, after 1, 2, 4, 8 ... seconds while it does not last; a
deployment whose servers keep ending within a minute of their start is given up as ``failed``.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from ..errors import MlopsError, ProjectError
from ..project import Project
from ..state import StateDB
from ..state.deployments import DeploymentRow, deployment_row, deployment_rows, update_deployment
from .lifecycle import held
from .process import end, launch, reap, why_ended

__all__ = ["supervise", "wanted_deployments"]

_LASTED = 60.0
_ATTEMPTS = 5
_LONGEST_WAIT = 30.0
_READY_SECONDS = 300.0


def supervise(project: Project) -> None:
    """Look after the project's deployments once; returns at once and starts what is to be started.

    Raises ``ProjectError`` or ``CorruptError`` when ``state.db`` cannot be used.
    """
    reap()
    if not project.database.exists():
        return
    db = StateDB(project)
    for row in deployment_rows(db):
        if not row.wanted or not _needs_care(row):
            continue
        # Whoever holds it is starting or ending its server at this moment.
        with contextlib.suppress(ProjectError), held(project, row.id, timeout=0.0):
            now = deployment_row(db, row.id)
            if now is not None and now.wanted and _needs_care(now):
                _care(project, db, now)


def wanted_deployments(project: Project) -> int:
    """How many deployments should be running here: the agent stays while there are any."""
    if not project.database.exists():
        return 0
    return sum(row.wanted for row in deployment_rows(StateDB(project)))


def _needs_care(row: DeploymentRow) -> bool:
    if row.status == "waiting":
        wait = row.next_start - time.time()
        return wait <= 0 or wait > 2 * _LONGEST_WAIT  # or the clock was set back
    alive = row.alive
    if alive is None:
        return False
    return not alive or _overdue(row)


def _overdue(row: DeploymentRow) -> bool:
    return row.status == "starting" and abs(time.time() - (row.started or 0.0)) > _READY_SECONDS


def _care(project: Project, db: StateDB, row: DeploymentRow) -> None:
    if row.status == "waiting" or row.pid is None:
        _restart(project, db, row)
        return
    if row.process is not None and _overdue(row):
        end(row.process, grace=0)
    lasted = row.status == "running" and time.time() - (row.started or 0.0) >= _LASTED
    _gave_out(db, row, why_ended(project, row.id, row.epoch, row.pid), 1 if lasted else None)


def _restart(project: Project, db: StateDB, row: DeploymentRow) -> None:
    epoch = row.epoch + 1
    update_deployment(
        db,
        row.id,
        if_epoch=row.epoch,
        epoch=epoch,
        status="starting",
        restarts=row.restarts + 1,
        pid=None,
        started=time.time(),
    )
    try:
        process = launch(project, row, bundle=row.digest, epoch=epoch)
    except MlopsError as error:
        now = deployment_row(db, row.id)
        if now is not None:
            _gave_out(db, now, error, None)
        return
    update_deployment(db, row.id, if_epoch=epoch, process=process)


def _gave_out(db: StateDB, row: DeploymentRow, error: MlopsError, failures: int | None) -> None:
    """Note that a server ended; ``failures`` in a row, one more than before if not given."""
    count = row.failures + 1 if failures is None else failures
    if count >= _ATTEMPTS:
        changes: dict[str, Any] = {"status": "failed", "wanted": False}
    else:
        wait = min(_LONGEST_WAIT, 2.0 ** (count - 1))
        changes = {"status": "waiting", "next_start": time.time() + wait}
    update_deployment(
        db, row.id, if_epoch=row.epoch, failures=count, error=error, pid=None, **changes
    )
