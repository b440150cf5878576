"""A project with one registered model of two versions, in a real store, made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops
from jupyter_mlops.config import Config
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.tracking import deliver

from ..tracking.conftest import client, forest, iris
from ..tracking.sessions import Session

__all__ = ["client", "forest", "iris"]


@pytest.fixture(autouse=True)
def _children_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(jupyter_mlops.__file__).parents[1]))


@pytest.fixture
def registered(project: Project, mlflow_template: Path, forest: Any, iris: Any) -> Project:
    """``taxi``: version 1 with auc 0.9, version 2 with auc 0.8; a run without a model."""
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    session = Session(project)
    model = session.model(forest, iris[0].head())
    for auc in (0.9, 0.8):
        session.run(
            f"auc {auc}", metrics={"auc": auc}, models=(model,), register="taxi", pipeline="taxi"
        )
    session.run("bare")
    report = deliver(project, Config())
    assert len(report.versions) == 2, report
    return open_project(project.root)
