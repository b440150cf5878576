"""The project's own store: made once, whole, in WAL."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_mlops
from jupyter_mlops.config import Config
from jupyter_mlops.errors import ProjectError
from jupyter_mlops.integrations import mlflow_store
from jupyter_mlops.integrations.mlflow_store import ensure_wal, initialise
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import open_backend

OPEN = """
import sys
from jupyter_mlops.config import Config
from jupyter_mlops.project import open_project
from jupyter_mlops.tracking import open_backend
backend = open_backend(open_project(sys.argv[1]), Config())
print(len(backend.models()))
"""


def journal_mode(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    finally:
        connection.close()


def test_three_processes_at_once_make_one_store(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(jupyter_mlops.__file__).parents[1]))
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, project.root],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for child in children:
        out, err = child.communicate(timeout=240)
        assert child.returncode == 0, err
        assert out.strip() == "0"
    path = project.state / "mlflow.db"
    assert journal_mode(path) == "wal"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = sqlite3.connect(path)
    (place,) = connection.execute("SELECT artifact_location FROM experiments").fetchone()
    connection.close()
    assert place == f"{project.artifacts.as_uri()}/0"
    assert not list(project.state.glob(".mlflow*"))


def test_a_store_that_plain_mlflow_has_made_is_taken_as_it_is(mlflow_project: Project) -> None:
    path = mlflow_project.state / "mlflow.db"
    open_backend(mlflow_project, Config())
    assert journal_mode(path) == "wal"


def test_what_a_killed_process_left_is_replaced(
    project: Project, mlflow_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.state / "mlflow.db"
    (project.state / ".mlflow.db.tmp").write_bytes(b"half a database")
    (project.state / ".mlflow.db.tmp-wal").write_bytes(b"half a log")

    def migrate(temporary: Path, artifact_root: Path) -> None:
        assert not path.exists()
        shutil.copy(mlflow_template, temporary)

    monkeypatch.setattr(mlflow_store, "_migrate", migrate)
    initialise(path, project.artifacts)
    assert [p.name for p in project.state.glob("*mlflow*")] == ["mlflow.db"]


def test_a_failure_leaves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(temporary: Path, artifact_root: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlflow_store, "_migrate", full)
    with pytest.raises(ProjectError, match="No space left"):
        initialise(project.state / "mlflow.db", project.artifacts)
    assert not list(project.state.glob("*mlflow*"))


def test_a_store_that_is_in_use_keeps_its_mode_until_later(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("BEGIN EXCLUSIVE")
    assert ensure_wal(path) is False
    connection.rollback()
    connection.close()
    assert ensure_wal(path) is True
