"""Runs whose process was killed are closed with what they had."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.delivery import all_progress
from jupyter_mlops.tracking import (
    deliver,
    list_runs,
    sessions,
    waiting,
)

from .sessions import Session, all_runs

Client = Callable[[Project | str], Any]


def test_a_killed_kernels_run_is_closed(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    session = Session(project, dead=True)
    done = session.run("done")
    lost = session.start("lost")
    alive = Session(project)
    running = alive.start("running")
    assert waiting(project) == 2
    assert {r.run_id: r.status for r in list_runs(project)} == {
        done.run_id: "FINISHED",
        lost: "KILLED",
        running: "RUNNING",
    }
    assert deliver(project, Config()).delivered == 2
    runs = {r.data.tags["mlops.run_id"]: r for r in all_runs(client(project))}
    assert runs[lost].info.status == "KILLED"
    assert runs[lost].info.end_time >= round(done.ended * 1000)
    assert running not in runs
    with StateDB(project).read() as connection:
        progress = all_progress(connection)
    assert progress[session.id].closed
    assert alive.id not in progress
    assert waiting(project) == 0
    assert alive.path.exists()
    assert session.path.exists(), "promote needs the journal"


def test_a_pipeline_whose_process_is_killed_after_a_step(
    mlflow_project: Project, client: Client
) -> None:
    """Its beginning lies before what was delivered already."""
    project = mlflow_project
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        session = Session(project, process=process, kind="runner")
        parent = session.start("pipeline", kind="pipeline")
        step = session.run("step", kind="notebook", parent=parent)
        assert deliver(project, Config()).delivered == 1
        assert {r.run_id: r.status for r in list_runs(project)} == {
            parent: "RUNNING",
            step.run_id: "FINISHED",
        }
    finally:
        process.kill()
        process.communicate()
    assert waiting(project) == 1
    assert deliver(project, Config()).delivered == 1
    runs = {r.data.tags["mlops.run_id"]: r for r in all_runs(client(project))}
    assert runs[parent].info.status == "KILLED"
    assert runs[parent].info.end_time == round(step.ended * 1000)
    assert runs[step.run_id].data.tags["mlflow.parentRunId"] == runs[parent].info.run_id


def test_a_run_that_ends_while_its_process_is_looked_at_is_not_killed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(project, dead=True)
    run_id = session.start("just in time")
    read = sessions.read_session

    def then_it_ends(path: Path, start: int = 0) -> Any:
        file = read(path, start)
        monkeypatch.setattr(sessions, "read_session", read)
        session.run("just in time", run_id=run_id)
        return file

    monkeypatch.setattr(sessions, "read_session", then_it_ends)
    (waits,) = sessions.open_sessions(project)
    found = waits.examine()
    assert [(run.run_id, run.status) for run in found.runs] == [(run_id, "FINISHED")]
