"""``with track(...)``, ``@track`` and ``track.log``: in plain Python and inside a tracked cell."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.capture import hosts
from jupyter_mlops.capture.api import track
from jupyter_mlops.errors import UsageError
from jupyter_mlops.journal import list_sessions, read_session
from jupyter_mlops.model.events import RunRecord
from jupyter_mlops.project import Project

from .drivers import Shell

SCRIPT = """
import jupyter_mlops
from jupyter_mlops import track
from sklearn.linear_model import Ridge

with track("baseline", alpha=2.0, tags={"team": "pricing"}) as run:
    depth = 3
    model = Ridge(alpha=2.0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
    r2 = model.score([[0.0], [1.0]], [0.0, 1.0])
    for step in range(3):
        run.log(loss=1 / (step + 1), step=step)

@track
def train(rate=0.1, *, rounds=5):
    error = rate * rounds
    return {"error": error}

@track(name="pair")
def pair(x):
    model = Ridge().fit([[0.0], [1.0]], [0.0, x])
    return model, x / 4

train(0.5)
pair(8)
with track():
    with track("inner"):
        answer = 42.5 / 1
"""


def runs_of(project: Project) -> dict[str, RunRecord]:
    found = {}
    for path in list_sessions(project.journal):
        session = read_session(path)
        assert session.damage == ()
        assert session.unfinished == ()
        found |= {run.name: run for run in session.runs}
    return found


def test_a_plain_script(project: Project) -> None:
    script = project.root / "train.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True, text=True, cwd=project.root,
        env=_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 5, done.stderr
    assert lines[0].startswith("run baseline: finished in ")
    runs = runs_of(project)
    assert set(runs) == {"baseline", "train", "pair", "train #4", "inner"}

    run = runs["baseline"]
    assert (run.kind, run.status, run.seq) == ("block", "FINISHED", None)
    assert run.params == {"depth": 3, "alpha": 2.0}
    assert run.hyperparameters["alpha"] == 2.0
    assert set(run.metrics) == {"r2", "loss"}
    assert [point[:2] for point in run.series["loss"]] == [[0, 1.0], [1, 0.5], [2, 1 / 3]]
    assert run.tags["team"] == "pricing"
    assert run.tags["mlflow.source.name"] == "train.py"
    assert run.tags["mlflow.source.type"] == "LOCAL"
    (model,) = run.models
    assert (model.name, model.class_name) == ("model", "Ridge")
    assert model.blob is not None
    assert run.source is not None
    assert run.source.startswith("with track(")
    assert run.source.rstrip().endswith("run.log(loss=1 / (step + 1), step=step)")

    call = runs["train"]
    assert (call.kind, call.params, call.metrics) == (
        "function",
        {"rate": 0.5, "rounds": 5},
        {"error": 2.5},
    )
    two = runs["pair"]
    assert two.params == {"x": 8}
    assert [m.class_name for m in two.models] == ["Ridge"]
    assert list(two.metrics.values()) == [2.0]
    assert runs["inner"].parent == runs["train #4"].run_id
    assert runs["inner"].metrics == {"answer": 42.5}


def test_a_block_inside_a_tracked_cell_is_its_child(shell: Shell) -> None:
    outcome = shell.run(
        "%%track\nfrom jupyter_mlops import track\ntrack.log(loss=1.0)\n"
        "with track('fold') as fold:\n    fold.log(loss=2.0)\n    score = 1 / 2\n"
        "track.log(loss=0.5)\ntrack.param(folds=1)\ntrack.tag(kind='cv')"
    )
    assert outcome.ename is None, outcome.traceback
    assert outcome.stderr == ""
    fold, cell = shell.runs
    assert fold.parent == cell.run_id
    assert (fold.kind, fold.metrics) == ("block", {"score": 0.5, "loss": 2.0})
    assert cell.metrics["loss"] == 0.5
    assert [point[1] for point in cell.series["loss"]] == [1.0, 0.5]
    assert cell.params["folds"] == 1
    assert cell.tags["kind"] == "cv"


def test_what_is_logged_is_there_when_the_process_dies(project: Project) -> None:
    script = project.root / "train.py"
    script.write_text(
        "import os\nfrom jupyter_mlops import track\n"
        "with track('doomed', lr=0.5) as run:\n"
        "    run.log(loss=0.25)\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=project.root, env=_environment(), check=False
    )
    assert done.returncode == -9
    (path,) = list_sessions(project.journal)
    (started,) = read_session(path).unfinished
    assert started.name == "doomed"
    from jupyter_mlops.tracking import what_waits
    from jupyter_mlops.tracking.queries import list_runs

    assert [waiting.runs for waiting in what_waits(project)] == [(started.run_id,)]
    (run,) = list_runs(project)
    assert (run.status, run.metrics, run.params) == ("KILLED", {"loss": 0.25}, {"lr": 0.5})


def test_the_error_of_a_block_stays_its_own(shell: Shell) -> None:
    outcome = shell.run("from jupyter_mlops import track\nwith track('broken'):\n    1 / 0\n")
    assert outcome.ename == "ZeroDivisionError"
    (run,) = shell.runs
    assert (run.name, run.status) == ("broken", "FAILED")
    assert run.error == {"ename": "ZeroDivisionError", "evalue": "division by zero"}


def test_async_functions_and_errors_in_them(own_host: Any) -> None:
    @track
    async def work(x: int) -> float:
        await asyncio.sleep(0)
        return 1 / x

    assert asyncio.run(work(4)) == 0.25
    with pytest.raises(ZeroDivisionError):
        asyncio.run(work(0))
    assert [run.status for run in own_host()] == ["FINISHED", "FAILED"]


def test_what_cannot_be_recorded_breaks_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hosts, "_own", None)
    monkeypatch.setenv("JUPYTER_MLOPS_HOME", str(project.root / "pyproject.toml"))
    monkeypatch.chdir(project.root)
    with track("lost") as run:
        run.log(loss=1.0)
        value = 3
    assert value == 3
    assert "jupyter_mlops: this run is not recorded: " in capsys.readouterr().err


def test_names_are_checked_and_no_run_is_said_so() -> None:
    with pytest.raises(UsageError, match="no run is open here"):
        track.log(loss=1.0)
    with pytest.raises(UsageError, match="cannot name a model"):
        track("x", register="a/b")
    with pytest.raises(UsageError, match="cannot be the name of a tag"):
        track("x", tags={"a=b": "c"})
    with pytest.raises(UsageError, match="track decorates functions"):
        track("x")(3)
    assert repr(track) == "track: no run is open"


@pytest.fixture
def own_host(project: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host of this process's own in a fresh project; called, it returns its runs."""
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(hosts, "_own", None)
    monkeypatch.setenv("JUPYTER_MLOPS_HOME", "")

    def runs() -> list[RunRecord]:
        hosts.host().close()
        return [run for path in list_sessions(project.journal) for run in read_session(path).runs]

    return runs


def _environment() -> dict[str, str]:
    import os

    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root}
