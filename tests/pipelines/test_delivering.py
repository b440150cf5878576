"""Who delivers a run: this process or the agent, and what the outcome says of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.capture import agent_client
from jupyter_mlops.capture.delivery_key import delivery_key
from jupyter_mlops.config import Config
from jupyter_mlops.errors import UsageError
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import RunOutcome, run_pipeline
from jupyter_mlops.pipelines.delivering import in_ci
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import find_run

from ..agent.living import config_of, living, until
from .conftest import write_notebook
from .test_runner import Writes

__all__ = ["living"]
AWAY = "http://127.0.0.1:9"


@pytest.fixture
def project(project: Project, mlflow_template: Path) -> Project:
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    write_notebook(project.root / "one.ipynb", "1")
    return project


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def write(step: str, parameters: Any) -> None:
    """What the notebooks would write: nothing, or the results of the pipeline ``wine``."""
    if step == "load":
        Path(parameters["data_path"]).write_text("data")
    elif step == "train":
        import numpy as np
        import skops.io
        from sklearn.dummy import DummyClassifier

        Path(parameters["metrics_path"]).write_text('{"accuracy": 1}')
        np.save(parameters["example_path"], np.zeros((2, 1)))
        model = DummyClassifier().fit(np.zeros((2, 1)), [0, 1])
        skops.io.dump(model, parameters["model_path"])


def run(project: Project, target: str = "one.ipynb", **options: Any) -> RunOutcome:
    with replaced_port("executor", lambda: Writes(write)):
        return run_pipeline(project, config_of(project), project.root / target, **options)


@pytest.mark.parametrize("word", ["", "0", "false", "OFF"])
def test_no_ci(word: str) -> None:
    assert not in_ci({"CI": word})


def test_ci() -> None:
    assert in_ci({"CI": "true"})
    assert in_ci({"CI": "1"})
    assert not in_ci({})


def test_what_leads_elsewhere_has_another_key() -> None:
    base = {"MLFLOW_TRACKING_URI": "http://a", "HOME": "/x"}
    assert delivery_key(base) == delivery_key({**base, "HOME": "/y", "MLFLOW_RUN_ID": "1"})
    for name in ("MLFLOW_TRACKING_TOKEN", "AWS_PROFILE", "JUPYTER_MLOPS_EXPERIMENT"):
        assert delivery_key(base) != delivery_key({**base, name: "z"})


def test_without_an_agent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="deliver must be one of"):
        run(project, deliver="never")
    kept = run(project, deliver="later")
    assert (kept.delivered, kept.handed, kept.warnings) == (False, "kept", ())
    assert kept.to_dict()["handed"] == "kept"
    assert find_run(project, kept.run_id).mlflow_run_id is None
    # What is required is done now, whatever else was said; and so is it without an agent.
    for options in ({"deliver": "later", "require_delivery": True}, {"deliver": "auto"}):
        done = run(project, **options)
        assert (done.delivered, done.handed) == (True, "")
    assert find_run(project, kept.run_id).mlflow_run_id is not None


def test_in_ci_an_agent_is_not_waited_for(living: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert run(living, deliver="auto").delivered
    assert agent_client.read_pointer(living) is None


def test_the_agent_delivers_and_tells_the_version(
    wine: Project, living: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = run(living, deliver="auto")  # starts the agent
    assert (handed.delivered, handed.handed, handed.warnings) == (False, "agent", ())
    until(lambda: find_run(living, handed.run_id).mlflow_run_id)
    assert agent_client.hello(living)["delivers"] == delivery_key(os.environ)
    handed = run(living, deliver="later")  # tells the one that runs
    assert handed.handed == "agent"
    made = run(living, "pipelines/wine", deliver="auto")
    assert (made.delivered, made.handed) == (True, "")
    (version,) = made.versions
    assert (version.name, version.version, version.run_id) == ("wine", 1, made.run_id)
    # With another address than the agent's, the agent would deliver to the wrong one.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "1")
    elsewhere = run(living, deliver="auto")
    assert not elsewhere.delivered
    assert not elsewhere.handed
    assert AWAY in elsewhere.warnings[0]


def test_an_agent_that_cannot_be_told_is_none(project: Project) -> None:
    from jupyter_mlops.pipelines.delivering import deliver_outcome

    (project.agent / "pointer.json").write_text("{}")
    outcome = run(project, deliver="later")
    asked = deliver_outcome(project, Config(agent=False), outcome, "later")
    assert asked.handed == "kept"
