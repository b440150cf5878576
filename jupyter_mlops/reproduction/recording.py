"""The verdict of a reproduction, recorded on the run."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from ..config import Config
from ..errors import MlopsError
from ..model.events import RunAmended
from ..project import Project
from ..state import StateDB, record_change
from ..tracking import RunDetails, deliver, find_run, open_backend

__all__ = ["record_verdict"]


def record_verdict(
    project: Project, config: Config, details: RunDetails, verdict: str, where: str
) -> str | None:
    """Tag the run in MLflow with ``mlops.reproduced``, ``.at`` (UTC) and ``.where``.

    Returns why it could not be recorded, ``None`` when it was: a verdict that is not recorded is
    still one.
    """
    try:
        deliver(project, config, wait_lease=10.0)
        summary = find_run(project, details.run_id)
        if summary.mlflow_run_id is None:
            return "the run has not been delivered"
        tags = {
            "mlops.reproduced": verdict,
            "mlops.reproduced.at": datetime.now(UTC).isoformat(timespec="seconds"),
            "mlops.reproduced.where": where,
        }
        backend = open_backend(project, config)
        backend.check(config.delivery_timeout)
        changes = RunAmended(details.run_id, details.record.session, time.time(), tags=tags)
        record = replace(details.record, tags={**details.record.tags, **tags})
        done = backend.amend(record, changes, read_blob=_no_blob, full=True, guard=lambda: True)
        if done is None:
            return "MLflow does not have the run any more"
        with StateDB(project).write() as connection:
            record_change(connection, "run", "updated", details.run_id)
    except MlopsError as error:
        return error.message
    return None


def _no_blob(digest: str) -> bytes:
    raise KeyError(digest)  # a verdict has no files
