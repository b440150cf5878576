"""Several processes deliver at once, and die at any moment: each run arrives exactly once."""

from __future__ import annotations

import collections
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.model.events import InputRecord
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.tracking import waiting

from .preloaded import Preloaded
from .rich import amend
from .sessions import Session, blob_names

Client = Callable[[Project | str], Any]


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Preloaded]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        process = Preloaded()
    yield process
    process.close()


def check_exactly_once(project: Project, plain: Any, wanted: set[str], versions: int) -> None:
    runs = plain.search_runs([e.experiment_id for e in plain.search_experiments()])
    count = collections.Counter(run.data.tags["mlops.run_id"] for run in runs)
    assert count == dict.fromkeys(wanted, 1)
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    made = plain.search_model_versions()
    keys = collections.Counter((v.name, v.tags["mlops.model_key"]) for v in made)
    assert sorted(keys.values()) == [1] * versions
    experiments = {run.info.experiment_id for run in runs}
    models = plain.search_logged_models(list(experiments))
    keys = collections.Counter(m.tags["mlops.model_key"] for m in models)
    assert set(keys.values()) <= {1}
    assert {str(m.status) for m in models} <= {"READY"}
    for run in runs:
        assert len(plain.get_metric_history(run.info.run_id, "loss")) == 5
        assert len(run.inputs.dataset_inputs) == 1
        names = {item.path for item in plain.list_artifacts(run.info.run_id)}
        assert names == {"a.txt", "late.txt", "mlops", "source.py"}
    assert waiting(project) == 0
    assert blob_names(project) == []


def fill(project: Project, forest: Any, sessions: int, runs: int) -> set[str]:
    wanted = set()
    for _ in range(sessions):
        session = Session(project)
        for i in range(runs):
            models = (session.model(forest),) if i == 0 else ()
            files = (session.file("a.txt", os.urandom(8)),)
            register = "m" if i == 0 else None
            run = session.run(
                models=models,
                files=files,
                register=register,
                series={"loss": [[step, 1 / (step + 1), 10.0 + step] for step in range(5)]},
                inputs=(InputRecord("X", "frame", "blake3:" + "a" * 64, 3, 1, 24),),
            )
            amend(session, run, files=(session.file("late.txt", os.urandom(8)),))
            wanted.add(run.run_id)
    return wanted


@pytest.mark.timeout(900)
def test_four_processes_at_once(
    mlflow_project: Project, client: Client, forest: Any, preloaded: Preloaded
) -> None:
    project = mlflow_project
    wanted = fill(project, forest, sessions=3, runs=3)
    children = [preloaded.deliver(project.root) for _ in range(4)]
    assert [preloaded.wait(child) for child in children] == [0, 0, 0, 0]
    check_exactly_once(project, client(project), wanted, versions=3)


def kill_and_finish(
    project: Project,
    client: Client,
    forest: Any,
    preloaded: Preloaded,
    *,
    kills: int,
    seed: int,
) -> None:
    chance = random.Random(seed)
    wanted = fill(project, forest, sessions=2, runs=3)
    for _ in range(kills):
        child = preloaded.deliver(project.root)
        time.sleep(chance.uniform(0.0, 0.6))
        os.kill(child, signal.SIGKILL)
        assert preloaded.wait(child) in (0, -signal.SIGKILL)
        with StateDB(project).write() as connection:
            # The dead one's lease runs out by itself after half a minute.
            connection.execute("UPDATE leases SET expires = 0")
    assert preloaded.wait(preloaded.deliver(project.root)) == 0
    check_exactly_once(project, client(project), wanted, versions=2)


@pytest.mark.timeout(900)
def test_killed_at_some_moments(
    mlflow_project: Project, client: Client, forest: Any, preloaded: Preloaded
) -> None:
    kill_and_finish(mlflow_project, client, forest, preloaded, kills=5, seed=7)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(40))
def test_killed_at_many_moments(
    mlflow_project: Project, client: Client, forest: Any, preloaded: Preloaded, seed: int
) -> None:
    kill_and_finish(mlflow_project, client, forest, preloaded, kills=10, seed=seed)
