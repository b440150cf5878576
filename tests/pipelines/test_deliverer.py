"""The process that gets ready to deliver while the cells run."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import RunOutcome, delivering, run_pipeline
from jupyter_mlops.pipelines.deliverer import Deliverer
from jupyter_mlops.pipelines.delivering import deliver_outcome, deliverer
from jupyter_mlops.pipelines.resources import Capacity
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import find_run

from ..agent.living import config_of
from .conftest import write_notebook
from .test_runner import Writes

Started = Callable[[], list[psutil.Process]]


@pytest.fixture
def project(project: Project, mlflow_template: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT", "off")
    monkeypatch.setattr(delivering, "is_imported", lambda: False)
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    write_notebook(project.root / "one.ipynb", "1")
    return project


@pytest.fixture
def started() -> Started:
    """The processes that this one has started since; other tests may have left some."""
    before = set(psutil.Process().children())
    return lambda: [one for one in psutil.Process().children() if one not in before]


def run(project: Project, deliver: str) -> RunOutcome:
    with replaced_port("executor", lambda: Writes(lambda step, parameters: None)):
        return run_pipeline(
            project, config_of(project), project.root / "one.ipynb", deliver=deliver
        )


def test_it_delivers(project: Project, started: Started) -> None:
    outcome = run(project, "later")
    assert not outcome.delivered
    with deliverer(project, config_of(project), "now") as worker:
        assert worker is not None
        done = deliver_outcome(project, config_of(project), outcome, "now", worker=worker)
        (child,) = started()
    assert done.delivered
    assert done.warnings == ()
    assert find_run(project, outcome.run_id).mlflow_run_id is not None
    assert not child.is_running()


def test_a_run_is_delivered_by_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    monkeypatch.setattr(delivering, "_now", None)
    outcome = run(project, "now")
    assert outcome.delivered
    assert started() == []


def test_without_an_answer_this_process_delivers(project: Project, started: Started) -> None:
    outcome = run(project, "later")
    with Deliverer(project) as worker:
        (child,) = started()
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
        done = deliver_outcome(project, config_of(project), outcome, "now", worker=worker)
    assert done.delivered


def test_what_cannot_be_reached_is_a_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "1")
    outcome = run(project, "now")
    assert not outcome.delivered
    assert any("not delivered" in warning for warning in outcome.warnings)


def test_it_ends_with_an_interrupted_run(project: Project, started: Started) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        deliverer(project, config_of(project), "now") as worker,
    ):
        assert worker is not None
        (child,) = started()
        raise KeyboardInterrupt
    assert not child.is_running()


def test_it_is_not_started_in_vain(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(project)

    def started(how: str, config: object = config, **options: bool) -> bool:
        with deliverer(project, config, how, **options) as worker:  # type: ignore[arg-type]
            return worker is not None

    monkeypatch.delenv("CI", raising=False)
    assert not started("later")
    assert started("later", required=True)
    assert started("auto")  # the agent is off
    assert not started("auto", replace(config, agent=True))
    assert not started("now", replace(config, tracking_uri="http://127.0.0.1:9"))
    with monkeypatch.context() as patch:
        patch.setattr(delivering, "machine", lambda: Capacity(1.0))
        assert not started("now")
    monkeypatch.setattr(delivering, "is_imported", lambda: True)
    assert not started("now")
