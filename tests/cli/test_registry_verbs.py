"""runs, models, status, sync and consent as typed."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.project import Project

from ..tracking.conftest import client, forest, iris
from ..tracking.sessions import Session
from .command_line import Mlops, command_line

__all__ = ["client", "forest", "iris"]


@pytest.fixture
def mlops(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Mlops:
    monkeypatch.chdir(project.root)
    return command_line(monkeypatch, capsys)


@pytest.fixture
def session(project: Project, mlflow_template: Path) -> Session:
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    return Session(project)


@pytest.fixture
def dead_server(monkeypatch: pytest.MonkeyPatch) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "2")
    return uri


def test_the_registry_from_the_first_run_to_the_last_revert(
    mlops: Mlops, session: Session, forest: Any, iris: tuple[Any, Any]
) -> None:
    model = session.model(forest, iris[0].head())
    record = session.run("forest", models=(model,), metrics={"auc": 0.9, "n": float("nan")})

    listed = mlops("runs", "ls")
    assert listed.code == 0
    assert "forest*" in listed.out
    assert "jupyter mlops sync" in listed.out
    (run,) = mlops("runs", "ls", "--json").json["runs"]
    assert (run["run_id"], run["delivered"], run["metrics"]) == (
        record.run_id,
        False,
        {"auc": 0.9, "n": None},
    )
    status = mlops("status", "--json").json
    assert status["waiting"] == 1
    assert status["waits"][0]["runs"] == [record.run_id]
    assert "1 run" in mlops("status").out

    done = mlops("sync")
    assert (done.code, done.err) == (0, "")
    assert "Delivered 1 run" in done.out
    assert "nothing" in mlops("status").out
    shown = mlops("runs", "show", record.run_id[:14])
    for word in ("forest", "FINISHED", "work.ipynb", "RandomForestClassifier", "models register"):
        assert word in shown.out

    made = mlops("models", "register", record.run_id, "taxi tips")
    assert made.code == 0
    assert "taxi tips@1" in made.out
    assert "models rm 'taxi tips@1'" in made.out
    assert "taxi tips" in mlops("models", "ls").out
    assert mlops("models", "show", "taxi tips@1", "--json").json["run_id"] == record.run_id
    assert 'load_model("taxi tips@1")' in mlops("models", "show", "taxi tips@1").out

    change = mlops("models", "set", "taxi tips@1", "champion")
    assert change.code == 0
    assert "No gate guards champion" in change.out
    assert "To take it back: jupyter mlops models revert 'taxi tips'" in change.out
    assert "already" in mlops("models", "set", "taxi tips@champion", "champion").out
    refused = mlops("models", "rm", "taxi tips@1", "--yes")
    assert refused.code == 2
    assert "is the champion" in refused.err
    shown = mlops("models", "show", "taxi tips")
    assert "champion: none -> version 1" in shown.out
    assert "has no champion now" in mlops("models", "revert", "taxi tips").out
    again = mlops("models", "revert", "taxi tips", "--json")
    assert again.code == 2
    assert again.json["error"]["reason"] == "conflict"

    asked = mlops("models", "rm", "taxi tips@1")
    assert asked.code == 2
    assert "--yes" in asked.err
    removed = mlops("models", "rm", "taxi tips@1", "--yes", "--json").json
    assert removed["undo"] == f"jupyter mlops models register {record.run_id} 'taxi tips'"
    gone = mlops("runs", "rm", record.run_id)
    assert gone.code == 0
    assert f"jupyter mlops runs restore {record.run_id}" in gone.out
    assert mlops("runs", "ls", "--json").json == {"runs": []}
    assert mlops("sync").code == 0


def test_a_dead_server_ends_sync_with_5_and_names_what_waits(
    mlops: Mlops, session: Session, dead_server: str
) -> None:
    record = session.run("kept")
    done = mlops("sync")
    assert done.code == 5
    assert dead_server in done.err
    assert record.run_id[:12] in done.err
    data = mlops("sync", "--json")
    assert data.code == 5
    assert data.json["waiting"] == 1
    assert dead_server in data.json["error"]["message"]
    status = mlops("status")
    assert status.code == 0
    assert dead_server in status.out
    registered = mlops("models", "register", record.run_id, "m")
    assert registered.code == 5
    assert "could not be delivered" in registered.err


def test_sync_with_nothing_to_do(mlops: Mlops, session: Session, dead_server: str) -> None:
    assert mlops("sync").code == 5, "it was asked to read, and nobody answered"


def test_consent(mlops: Mlops, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    local = mlops("consent")
    assert local.code == 2
    assert "needs no consent" in local.err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example")
    assert "minimal, not standard, until you consent" in mlops("status").out
    given = mlops("consent")
    assert given.code == 0
    assert "secret" not in given.out
    assert "consent --revoke" in given.out
    assert mlops("status", "--json").json["tracking"]["level"] == "standard"
    assert mlops("consent", "--revoke", "--json").json["level"] == "minimal"
    assert "no consent" in mlops("consent", "--revoke").out


def test_an_empty_project(mlops: Mlops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    (empty / ".git").mkdir(parents=True)
    monkeypatch.chdir(empty)
    assert "no runs yet" in mlops("runs", "ls").out
    assert "no registered models yet" in mlops("models", "ls").out
    status = mlops("status")
    assert status.code == 0
    assert "nothing tracked yet" in status.out
    for words in (
        ("runs", "show", "01ABC"),
        ("models", "show", "taxi"),
        ("models", "show", "taxi@1"),
        ("models", "set", "taxi", "champion"),
        ("models", "register", "01ABC", "taxi"),
        ("runs", "ls", "--limit", "0"),
        ("models", "rm", "taxi@champion"),
    ):
        result = mlops(*words)
        assert result.code == 2, words
        assert result.err
    assert not (empty / ".mlops").exists()


def test_names_are_never_read_as_markup(mlops: Mlops, session: Session) -> None:
    session.run("[bold red]<img src=x onerror=alert(1)>")
    assert "[bold red]<img src=x onerror=alert(1)>" in mlops("runs", "ls").out
