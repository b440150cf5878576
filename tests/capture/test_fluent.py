"""MLflow's own calls land in the run of the cell that makes them, and work as without us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops
from jupyter_mlops.capture.fluent import Adopted, Fluent, _imports_mlflow
from jupyter_mlops.capture.warner import Warner
from jupyter_mlops.config import Config
from jupyter_mlops.model.events import RunStarted
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import deliver, find_run
from tests.tracking.conftest import client
from tests.tracking.sessions import all_runs

__all__ = ["client"]

Client = Callable[[Project | str], Any]
ROOT = Path(jupyter_mlops.__file__).parents[1]


def run_cells(project: Project, *cells: Any, code: int = 0, **env: str) -> list[dict[str, Any]]:
    """Run cells (a source, or a dictionary) in a process of their own, in the project's folder."""
    wanted = [{"source": cell} if isinstance(cell, str) else cell for cell in cells]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.capture.fluent_cells", str(project.root)],
        input=json.dumps(wanted),
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1])) if done.stdout else []


@pytest.fixture
def delivered(mlflow_project: Project, client: Client) -> Callable[[], dict[str, Any]]:
    """Deliver; the runs by MLflow's id as plain MLflow shows them."""

    def go() -> dict[str, Any]:
        assert deliver(mlflow_project, Config()).errors == ()
        return {run.info.run_id: run for run in all_runs(client(mlflow_project))}

    return go


def test_what_a_cell_logs_lands_in_its_run(
    mlflow_project: Project, client: Client, delivered: Callable[[], dict[str, Any]]
) -> None:
    project = mlflow_project
    found = run_cells(
        project,
        "import mlflow\nmlflow.log_param('C', 1)\nmlflow.log_metric('acc', 0.5)",
        # The person's own run, named by them, and a value after it.
        "with mlflow.start_run(run_name='mine', tags={'t': '1'}):\n    mlflow.log_metric('a', 1)\n"
        "mlflow.log_metric('after', 2)",
        # A second one is a child; so is a nested one.
        "with mlflow.start_run():\n"
        "    mlflow.log_param('which', 'first')\n"
        "    with mlflow.start_run(nested=True):\n        mlflow.log_param('which', 'nested')\n"
        "with mlflow.start_run():\n    mlflow.log_param('which', 'second')",
        "raise ValueError('theirs')",
        "x = 1",
        {"source": "assert mlflow.active_run() is None", "tracked": False},
    )
    assert [bool(cell["error"]) for cell in found] == [False, False, False, True, False, False]
    assert all(cell["left"] == {} and cell["said"] == [] for cell in found)
    runs = delivered()
    first, named, family, failed, plain, _ = found
    assert (first["params"], first["metrics"]) == ({"C": "1"}, {"acc": 0.5})
    assert runs[first["adopted"]].data.metrics == {"acc": 0.5}
    assert runs[first["adopted"]].info.status == "FINISHED"
    assert runs[first["adopted"]].data.tags["mlflow.user"] == "me"
    assert runs[named["adopted"]].info.run_name == "mine"
    assert runs[named["adopted"]].data.tags["t"] == "1"
    assert named["metrics"] == {"a": 1.0, "after": 2.0}
    children = {
        run.data.params["which"]: run
        for run in runs.values()
        if run.data.tags.get("mlflow.parentRunId") == family["adopted"]
    }
    assert set(children) == {"nested", "second"}
    assert {r.info.experiment_id for r in runs.values()} == {
        runs[first["adopted"]].info.experiment_id
    }
    assert family["params"] == {"which": "first"}
    assert runs[failed["adopted"]].info.status == "FAILED"
    assert runs[plain["adopted"]].data.metrics == {}
    assert len(runs) == 7
    for cell in found[:5]:
        assert find_run(project, cell["run_id"]).mlflow_run_id == cell["adopted"]
    assert client(project).get_experiment_by_name(project.name) is not None


def test_mlflow_is_imported_only_where_the_cell_does(mlflow_project: Project) -> None:
    unused, later, used = run_cells(
        mlflow_project,
        "x = 'mlflow'",
        "def train():\n    import mlflow\n    mlflow.log_metric('m', 1)",
        "import mlflow.sklearn",
    )
    assert not unused["imported"]
    assert unused["adopted"] is None
    assert unused["seconds"] < 0.05
    assert not later["imported"]
    assert used["adopted"]


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import mlflow", True),
        ("import os, mlflow.sklearn as m", True),
        ("from mlflow import log_metric", True),
        ("try:\n    import mlflow\nexcept ImportError:\n    pass", True),
        ("class A:\n    import mlflow", True),
        ("def f():\n    import mlflow", False),
        ("async def f():\n    import mlflow", False),
        ("import mlflowers", False),
        ("from .mlflow import x", False),
        ("mlflow = 1", False),
        ("import mlflow +", False),
        ("(" * 500, False),
    ],
)
def test_which_cells_import_mlflow(source: str, imports: bool) -> None:
    assert _imports_mlflow(source) is imports


def test_autologging(mlflow_project: Project, delivered: Callable[[], dict[str, Any]]) -> None:
    """A metric computed after the fit lands on the run; a search's candidates are its children."""
    found = run_cells(
        mlflow_project,
        {
            "tracked": False,
            "source": """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
from sklearn.metrics import accuracy_score
X, y = load_iris(return_X_y=True, as_frame=True)
""",
        },
        "model = LogisticRegression(C=0.5, max_iter=300).fit(X, y)\n"
        "acc = accuracy_score(y, model.predict(X))\nmlflow.log_metric('mine', acc)",
        "grid = GridSearchCV(LogisticRegression(max_iter=300), {'C': [0.1, 1.0]}, cv=2).fit(X, y)\n"
        "mlflow.log_metric('best', grid.best_score_)",
    )
    assert [cell["error"] for cell in found] == [None] * 3
    runs = delivered()
    _, fit, grid = found
    one = runs[fit["adopted"]]
    assert one.data.params["C"] == "0.5"
    assert one.data.metrics["mine"] > 0.9
    assert "training_accuracy_score" in one.data.metrics
    assert any(name.startswith("accuracy_score") for name in one.data.metrics)
    assert fit["metrics"] == one.data.metrics
    parent = runs[grid["adopted"]]
    assert parent.data.metrics["best"] > 0.8
    children = [
        run for run in runs.values() if run.data.tags.get("mlflow.parentRunId") == grid["adopted"]
    ]
    assert len(children) == 2
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert len(runs) == 4


def test_an_experiment_that_the_person_sets(
    mlflow_project: Project, client: Client, delivered: Callable[[], dict[str, Any]]
) -> None:
    project = mlflow_project
    found = run_cells(
        project,
        {"source": "import mlflow\nmlflow.set_experiment('theirs')", "tracked": False},
        "mlflow.log_metric('a', 1)",
        {"source": "mlflow.log_metric('b', 1)", "experiment": "asked"},
        # Set in the cell: the run was made before, so that this one is its child.
        "mlflow.set_experiment('other')\nwith mlflow.start_run():\n    mlflow.log_metric('c', 1)",
        {"source": "mlflow.log_metric('d', 1); mlflow.end_run()", "tracked": False},
        "mlflow.log_metric('e', 1)",
        "mlflow.start_run(experiment_id='0')\nmlflow.log_metric('f', 1)",
    )
    assert [cell["error"] for cell in found] == [None] * 7
    assert (project.root / "mlflow.db").exists(), "the first cell is as without us"
    runs = delivered()
    plain = client(project)
    names = {e.experiment_id: e.name for e in plain.search_experiments()}
    where = {
        next(iter(run.data.metrics)): names[run.info.experiment_id]
        for run in runs.values()
        if run.data.metrics
    }
    assert where["a"] == "theirs"
    assert where["b"] == "asked"
    assert where["c"] == "other"
    # What they chose in the cell stays valid in the next, which is not tracked.
    assert where["d"] == "other"
    assert where["e"] == "other"
    assert where["f"] == "Default"
    parents = {
        next(iter(run.data.metrics)): run.data.tags.get("mlflow.parentRunId")
        for run in runs.values()
        if run.data.metrics
    }
    assert parents["c"] == found[3]["adopted"]
    assert parents["d"] is None
    assert [cell["experiment"] for cell in found] == [
        None, "theirs", "asked", "theirs", None, "other", "other",
    ]  # fmt: skip


def test_another_server_of_the_person_is_left_alone(
    mlflow_project: Project, tmp_path: Path, client: Client
) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    found = run_cells(
        mlflow_project,
        # Set in the cell itself: the offer does not hold there.
        f"import mlflow\nmlflow.set_tracking_uri({other!r})\nmlflow.log_metric('a', 1)\n"
        "mlflow.end_run()",
        "mlflow.log_metric('b', 1)\nmlflow.end_run()",
        "mlflow.log_metric('c', 1)",
        {"source": "mlflow.end_run()", "tracked": False},
    )
    assert [cell["error"] for cell in found] == [None] * 4
    first, second, third, _ = found
    assert first["metrics"] == {}
    assert (second["adopted"], third["adopted"]) == (None, None)
    assert len(second["said"]) == 1
    assert str(tmp_path / "other.db") in second["said"][0]
    assert third["said"] == []
    theirs = all_runs(client(other))
    assert sorted(next(iter(run.data.metrics)) for run in theirs) == ["a", "b", "c"]
    assert not any("mlflow.parentRunId" in run.data.tags for run in theirs)


def test_a_run_that_the_person_keeps_open_is_left_alone(
    mlflow_project: Project, delivered: Callable[[], dict[str, Any]]
) -> None:
    found = run_cells(
        mlflow_project,
        {"source": "import mlflow\nmine = mlflow.start_run()", "tracked": False},
        "mlflow.log_metric('a', 1)",
        {"source": "mlflow.end_run()", "tracked": False},
        # Begun in the cell and not ended: it ends with it.
        "mlflow.start_run()\nmlflow.start_run(nested=True)",
        {"source": "assert mlflow.active_run() is None", "tracked": False},
        MLFLOW_TRACKING_URI=mlflow_project.default_tracking_uri,
    )
    assert [cell["error"] for cell in found] == [None] * 5
    assert found[1]["adopted"] is None
    assert found[3]["adopted"]
    runs = delivered()
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert sum(run.data.metrics == {"a": 1.0} for run in runs.values()) == 1


def test_a_run_whose_process_died_is_closed_with_what_it_had(
    mlflow_project: Project, client: Client
) -> None:
    run_cells(
        mlflow_project,
        {"source": "import mlflow\nmlflow.log_metric('a', 1)", "die": True},
        code=9,
    )
    report = deliver(mlflow_project, Config())
    assert report.delivered == 1
    (run,) = all_runs(client(mlflow_project))
    assert run.info.status == "KILLED"
    assert run.data.metrics == {"a": 1.0}
    assert run.data.tags["mlops.delivered"] == "true"


def test_a_server_that_does_not_answer_is_asked_once(mlflow_project: Project) -> None:
    import socket

    with socket.socket() as silent:  # accepts and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        before = time.monotonic()
        first, second = run_cells(
            mlflow_project,
            "import mlflow",
            "x = mlflow",
            MLFLOW_TRACKING_URI=uri,
        )
    assert time.monotonic() - before < 60
    assert (first["adopted"], second["adopted"]) == (None, None)
    assert first["error"] is None
    assert len(first["said"]) == 1
    assert second["said"] == []
    assert second["seconds"] < 0.5


@pytest.mark.parametrize("order", ["inner first", "outer first"])
def test_runs_within_runs(mlflow_project: Project, client: Client, order: str) -> None:
    """Blocks of several threads need not end in the order in which they began."""
    plain = client(mlflow_project)
    import mlflow
    from mlflow.tracking import fluent as mlflow_fluent

    mlflow.set_tracking_uri(None)
    watched = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_CONTEXT")
    before = {name: os.environ.get(name) for name in watched}
    variable = mlflow_fluent.MLFLOW_RUN_ID
    warned: list[str] = []

    class Told(Warner):
        def __call__(self, text: str) -> None:
            warned.append(text)

    fluent = Fluent(Told())

    def begin(name: str) -> Adopted:
        started = RunStarted(new_id(), "S", time.time(), name)
        found = fluent.begin(started, mlflow_project, Config(), "import mlflow", {})
        assert found is not None, warned
        return found

    outer = begin("outer")
    mlflow.log_metric("before", 1)
    mlflow.end_run()
    inner = begin("inner")
    mlflow.log_metric("in", 2)
    mlflow.end_run()
    with mlflow.start_run():  # a second one: a child of the inner run
        mlflow.log_metric("child", 3)
    if order == "inner first":
        assert fluent.end(inner).metrics == {"in": 2.0}
        mlflow.log_metric("after", 4)
        assert fluent.end(outer).metrics == {"before": 1.0, "after": 4.0}
    else:
        assert fluent.end(outer).metrics == {"before": 1.0}
        mlflow.log_metric("after", 4)
        assert fluent.end(inner).metrics == {"in": 2.0, "after": 4.0}
    assert mlflow.active_run() is None
    assert {name: os.environ.get(name) for name in watched} == before
    assert mlflow_fluent.MLFLOW_RUN_ID is variable
    assert mlflow_fluent._active_experiment_id is None
    assert warned == []
    parents = {
        next(iter(run.data.metrics)): run.data.tags.get("mlflow.parentRunId")
        for run in all_runs(plain)
    }
    assert parents["child"] == inner.mlflow_run_id


def test_a_fresh_project_gets_its_store(project: Project, client: Client) -> None:
    secret = "correct-horse-battery-staple"
    found = run_cells(
        project,
        {
            "source": "import mlflow\nmlflow.log_metric('a', 1)",
            "name": f"with {secret}",
            "tags": {"note": f"and {secret}"},
        },
        MY_API_KEY=secret,
    )
    assert found[0]["metrics"] == {"a": 1.0}
    assert not (project.root / "mlflow.db").exists()
    assert deliver(project, Config()).errors == ()
    (run,) = all_runs(client(project))
    assert run.data.metrics == {"a": 1.0}
    assert secret not in json.dumps(run.to_dictionary())
