"""The agent delivers what sessions wrote: on a nudge, by itself, and after a server was away."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.errors import NotebookError, NotFoundError, UsageError
from jupyter_mlops.journal import SessionJournal, this_process
from jupyter_mlops.model.events import RunRecord, RunStarted, SessionHeader
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import list_runs, waiting

from .living import agent_process, config_of, until


def session(project: Project, *, pid_started: float | None = None) -> SessionJournal:
    """A new session's journal with its header."""
    me = this_process()
    id = new_id()
    journal = SessionJournal(project.journal, id)
    header = SessionHeader(
        session=id,
        started=time.time(),
        interpreter="/nowhere/python",
        python="3.11.0",
        version="1",
        pid=me.pid,
        pid_started=me.started if pid_started is None else pid_started,
        boot_id=me.boot_id,
        host=me.host,
        cwd=str(project.root),
    )
    journal.append(header.to_dict(), sync=True)
    return journal


def write_run(journal: SessionJournal, name: str) -> str:
    """A run that ended; its id."""
    now = time.time()
    run = RunRecord(
        run_id=new_id(), session=journal.session, name=name, status="FINISHED",
        started=now - 1, ended=now, kind="cell", metrics={"auc": 0.9},
    )  # fmt: skip
    journal.append(run.to_dict(), sync=True)
    return run.run_id


@pytest.fixture
def project(mlflow_project: Project) -> Project:
    return mlflow_project


def test_runs_are_delivered_nudged_or_not(living: Project) -> None:
    killed = session(living, pid_started=1.0)  # of a kernel that is no more
    started = RunStarted(
        run_id=new_id(), session=killed.session, started=time.time(), name="cut off"
    )
    killed.append(started.to_dict(), sync=True)
    killed.close()
    journal = session(living)
    first = write_run(journal, "nudged")
    assert waiting(living) == 2
    agent_client.nudge(living, config_of(living))  # starts the agent
    until(lambda: waiting(living) == 0, 200)
    second = write_run(journal, "found")  # nobody says so
    until(lambda: waiting(living) == 0, 200)
    runs = {run.run_id: run for run in list_runs(living)}
    assert set(runs) == {started.run_id, first, second}
    assert all(run.mlflow_run_id for run in runs.values())
    assert runs[started.run_id].status == "KILLED"
    # mlflow is in the worker, and not in the agent.
    agent = agent_process(living)
    (worker,) = agent.children()
    mapped = {m.path for m in agent.memory_maps()}
    assert not any("/pandas/" in path or "/numpy/" in path for path in mapped)
    assert any("/numpy/" in m.path for m in psutil.Process(worker.pid).memory_maps())
    journal.close()
    # Other operations find the worker warm, and their errors keep their class on the way.
    assert agent_client.call_op(living, "refresh") == {}
    with pytest.raises(NotFoundError):
        agent_client.call_op(
            living, "set_alias", {"name": "taxi", "version": 1, "alias": "champion", "by": "me"}
        )
    with pytest.raises(UsageError, match="model"):
        agent_client.call_op(living, "register", {"run": first, "name": "taxi"})
    with pytest.raises(NotebookError):
        agent_client.call_op(living, "promote", {"notebook": str(living.root / "none.ipynb")})
    assert [child.pid for child in agent.children()] == [worker.pid]


def test_a_server_that_is_away_is_waited_for(
    living: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "1")
    journal = session(living)
    write_run(journal, "patient")
    journal.close()
    agent_client.ensure(living, config_of(living))
    found = until(
        lambda: next(
            (
                status["delivery"]
                for status in [agent_client.call(living, "/v1/status")]
                if status["delivery"]["error"] and not status["delivery"]["running"]
            ),
            None,
        ),
        120,
    )
    assert found["waiting"] == 1
    assert str(port) in found["error"]
    # Something waits, so it stays however short its patience for idleness.
    time.sleep(1.5)
    assert agent_client.hello(living)["draining"] is False
    assert agent_client.call(living, "/v1/status")["ends_in"] is None
    assert waiting(living) == 1
