"""Sweeps with real runs: few, tiny ones."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from jupyter_mlops.config import load_config
from jupyter_mlops.errors import ParameterError, UsageError
from jupyter_mlops.journal import BlobStore, list_sessions, read_session
from jupyter_mlops.model.events import RunRecord
from jupyter_mlops.project import Project
from jupyter_mlops.tuning import Combination, sweep
from jupyter_mlops.tuning.outcome import SweepOutcome
from jupyter_mlops.tuning.workers import Workers

from ..cli.command_line import Mlops
from ..cli.test_run import mlops
from ..pipelines.conftest import write_notebook
from .conftest import logged

__all__ = ["mlops"]


def records(project: Project) -> list[RunRecord]:
    return [run for path in list_sessions(project.journal) for run in read_session(path).runs]


def test_a_sweep_that_fails_in_one_and_is_resumed(quad: Project, mlops: Mlops) -> None:
    (quad.root / "all.yaml").write_text("- {x: 1}\n- {x: 3}\n- {x: 2}\n")
    result = mlops("run", "quad", "--sweep-file", "all.yaml", "--sweep", "kind=a", "--jobs", "2")
    assert result.code == 1, result.err
    assert "FAILED: AssertionError: three is too much" in result.out
    assert "best      x=2, kind=a: lowest loss, 0" in result.out
    assert "jupyter mlops run quad -p x 2 -p kind a" in result.out
    assert sorted(logged(quad)) == [1, 2, 3]

    *children, parent = sorted(records(quad), key=lambda run: run.kind == "sweep")
    assert {child.parent for child in children} == {parent.run_id}
    assert [child.tags["mlops.sweep"] for child in children] == [parent.run_id] * 3
    assert parent.metrics == {"loss": 0.0}
    best = next(child for child in children if child.metrics == {"loss": 0.0})
    assert parent.tags["mlops.best_run"] == best.run_id
    (file,) = parent.files
    rows = list(csv.DictReader(io.StringIO(BlobStore(quad.journal).get(file.blob).decode())))
    assert [row["state"] for row in rows] == ["finished", "failed", "finished"]

    # What has finished is not run again, unless the code has changed.
    words = ("run", "quad", "--sweep-file", "all.yaml", "--sweep", "kind=a", "--json", "--resume")
    data = json.loads(mlops(*words).out)
    assert [one["state"] for one in data["combinations"]] == ["kept", "kept", "failed"]
    assert data["best"]["run_id"] == best.run_id
    assert sorted(logged(quad)) == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sweep", "x=1,a"), "expected a number"),
        (("--sweep", "y=1"), "unknown parameter 'y'"),
        (("--sweep", "x=1", "--sweep", "x=2"), "--sweep x is given twice"),
        (("--sweep", "x=1", "-p", "x", "2"), "'x' is given and swept"),
        (("--sweep", "x=1", "--junit", "a.xml"), "--junit is about one run"),
        (("--metric", "loss"), "--metric and --direction rank a sweep"),
        (("--sweep-file", "away.yaml"), "away.yaml cannot be read"),
        (("--sweep-file", "pipelines/quad/pipeline.yaml"), "must be a list of combinations"),
    ],
)
def test_bad_input_ends_before_anything_runs(
    quad: Project, mlops: Mlops, words: tuple[str, ...], message: str
) -> None:
    result = mlops("run", "quad", *words)
    assert result.code == 2
    assert message in result.err
    assert not records(quad)


def test_a_notebook_from_python_delivered_to_mlflow(mlflow_project: Project) -> None:
    import mlflow

    write_notebook(mlflow_project.root / "n.ipynb", "x = 1", "print(x)", tags={0: "parameters"})
    seen: list[tuple[int, int]] = []

    def on_result(one: Combination, ended: int, count: int) -> None:
        seen.append((ended, count))

    config = load_config(mlflow_project.root)
    notebook = mlflow_project.root / "n.ipynb"
    outcome = sweep(mlflow_project, config, notebook, {"x": [1, 2]}, on_result=on_result)
    assert (outcome.status, outcome.exit_code, outcome.delivered) == ("FINISHED", 0, True)
    assert seen == [(1, 2), (2, 2)]
    assert outcome.best is None
    client = mlflow.MlflowClient(mlflow_project.default_tracking_uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    tags = {run.data.tags["mlops.run_id"]: (run.info.run_id, run.data.tags) for run in runs}
    parent = tags.pop(outcome.run_id)[0]
    assert [tag.get("mlflow.parentRunId") for _, tag in tags.values()] == [parent, parent]


def test_a_process_that_dies_costs_its_own_run_only(quad: Project) -> None:
    workers = Workers(quad, 1)
    request: dict[str, Any] = {
        "target": "away", "parameters": {}, "parent": None, "trigger": {}, "timeout": None,
        "data": "auto",
    }  # fmt: skip
    try:
        workers.submit(0, request)
        assert not workers.free
        workers._workers[0]._process.kill()
        found = None
        while found is None:
            found = workers.wait()
        assert found == (0, {"error": {
            "message": "the process of this run was killed by signal 9", "exit_code": 1,
        }})  # fmt: skip
        workers.submit(1, request)
        found = None
        while found is None:
            found = workers.wait()
        assert found[0] == 1
        assert "there is no pipeline or notebook 'away'" in found[1]["error"]["message"]
    finally:
        workers.close()


def test_what_is_best() -> None:
    def outcome(metric: str, direction: str, *values: float | None) -> SweepOutcome:
        made = tuple(
            Combination({"x": n}, "failed" if v is None else "finished", None, {metric: v or 0.0})
            for n, v in enumerate(values)
        )
        return SweepOutcome("r", "sweep", "t", "FINISHED", 0, 0.0, metric, direction, made)

    def order(*given: Any) -> list[int]:
        return [one.parameters["x"] for one in outcome(*given).ranked]

    assert order("loss", "lower", 2.0, 1.0, None, float("nan")) == [1, 0, 3, 2]
    assert order("accuracy", "higher", 2.0, 1.0, None, float("nan")) == [0, 1, 3, 2]
    assert outcome("loss", "lower", None).best is None


def test_a_word_that_is_no_direction(quad: Project) -> None:
    with pytest.raises(UsageError, match="better higher or lower"):
        sweep(quad, load_config(quad.root), "quad", {"x": [1]}, direction="up")
    with pytest.raises(ParameterError, match="expected a number"):
        sweep(quad, load_config(quad.root), "quad", {"x": ["a"]})


def test_a_sweep_that_is_told_to_end(quad: Project) -> None:
    (quad.root / "hang").touch()
    words = [sys.executable, "-m", "jupyter_mlops", "run", "quad", "--sweep", "x=1,2,4"]
    process = subprocess.Popen(words, cwd=quad.root, stdout=subprocess.PIPE, text=True)
    while len(logged(quad)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "1 of 3 finished" in out
    assert "--sweep x=1,2,4 --resume" in out
    assert not psutil.wait_procs(family, timeout=30)[1]
    states = sorted((run.kind, run.status) for run in records(quad))
    assert states == [("pipeline", "FINISHED"), ("pipeline", "KILLED"), ("sweep", "KILLED")]
