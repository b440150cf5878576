"""Secrets in what firings leave behind: their logs, and the errors in ``state.db``."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from jupyter_mlops.agent.log import start_logging
from jupyter_mlops.errors import ServiceError
from jupyter_mlops.journal import REDACTED
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import add_schedule, fire
from jupyter_mlops.scheduling.launch import start_worker, worker_log
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.delivery import get_progress, postpone
from jupyter_mlops.state.deployments import DeploymentRow, deployment_row, insert_deployment
from jupyter_mlops.state.schedules import get_slot

SECRET = "fl-9f8e7d6c5b4a"


def leaks(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]


def test_a_firing_that_fails_with_a_secret(
    project: Project, pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHTS_API_KEY", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "0.5")
    notebook = project.pipelines / pipeline / "train.ipynb"
    text = notebook.read_text()
    broken = (
        "import os\\nprint('with', os.environ['FLIGHTS_API_KEY'])\\n"
        "raise ValueError(os.environ['FLIGHTS_API_KEY'])"
    )
    notebook.write_text(text.replace("import time\\ntime.sleep(seconds)", broken))
    schedule = add_schedule(project, pipeline, "0 6 * * *", "UTC", now=time.time())
    slot = fire(project, schedule)
    process = start_worker(project, slot)
    assert process.wait(timeout=120) == 1
    log = worker_log(project, slot).read_text()
    assert "ValueError" in log or "failed" in log
    assert REDACTED.search(log)
    stored = get_slot(StateDB(project), slot.schedule, slot.slot)
    assert stored is not None
    assert REDACTED.search(stored.detail or "")
    assert leaks(project.state) == []


def test_errors_that_are_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTS_API_KEY", SECRET)
    db = StateDB(project)
    with db.write() as connection:
        postpone(connection, "01S", f"the server refused the key {SECRET}")
        error = get_progress(connection, "01S").error
    assert error is not None
    assert error.startswith("the server refused the key ***[FLIGHTS_API_KEY:")
    row = DeploymentRow(
        id="a", model="m", selector="champion", version=1, digest="d", port=0, token="t",
        interpreter="p", created=1.0, error=ServiceError(f"no answer with {SECRET}", key=SECRET),
    )  # fmt: skip
    insert_deployment(db, row)
    stored = deployment_row(db, "a")
    assert stored is not None
    assert stored.error is not None
    assert "no answer with ***[" in stored.error.message
    assert leaks(project.state) == []


def test_the_agents_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTS_API_KEY", SECRET)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    root, before = logging.getLogger(), list(logging.getLogger().handlers)
    logger = logging.getLogger("jupyter_mlops.agent")
    level = logger.level
    try:
        # In the foreground, so that this process keeps its own stderr.
        logger = start_logging(tmp_path / "agent.log", foreground=True)
        logger.handlers.clear()
        try:
            raise ServiceError(f"refused {SECRET}")
        except ServiceError:
            logger.exception("with %s", SECRET)
    finally:
        for handler in [h for h in root.handlers if h not in before]:
            root.removeHandler(handler)
            handler.close()
        logger.setLevel(level)
    text = (tmp_path / "agent.log").read_text()
    assert "Traceback" in text
    assert text.count("***[FLIGHTS_API_KEY:") == 2
    assert SECRET not in text
