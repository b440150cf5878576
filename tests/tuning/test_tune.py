"""Searches: Optuna's studies without runs, and one with runs that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.config import load_config
from jupyter_mlops.errors import (
    ConflictError,
    CorruptError,
    MissingDependencyError,
    NotFoundError,
    ParameterError,
    UsageError,
)
from jupyter_mlops.integrations.optuna_search import open_search
from jupyter_mlops.model.search import Dimension
from jupyter_mlops.project import Project
from jupyter_mlops.tuning import tune

from .conftest import logged

X = Dimension("x", "float", -5, 5)
KIND = Dimension("kind", "choice", choices=("a", None, 3))


def opened(path: Path, *space: Dimension, resume: bool = False, **options: Any) -> Any:
    given = {"direction": "lower", "sampler": "tpe", "seed": 1, "about": {"a": 1}} | options
    return open_search(
        path / "tuning.db", given.pop("study", "s"), space, resume=resume, parallel=False, **given
    )


def test_a_study_asks_for_what_its_space_allows(tmp_path: Path) -> None:
    log = Dimension("lr", "float", 1e-4, 1e-1, None, True)
    whole = Dimension("n", "int", 1, 10, 3)
    search = opened(tmp_path, X, KIND, log, whole)
    for _ in range(12):
        trial = search.ask()
        values = trial.parameters
        assert -5 <= values["x"] <= 5
        assert values["kind"] in ("a", None, 3)
        assert 1e-4 <= values["lr"] <= 1e-1
        assert values["n"] in (1, 4, 7, 10)
        search.tell(trial.number, values["x"] ** 2, "run", "{}")
    assert [one.state for one in search.trials()] == ["finished"] * 12
    assert search.trials()[0].run == "run"
    search.close()


def test_a_seed_gives_the_same_values(tmp_path: Path) -> None:
    one, two = (opened(tmp_path / name, X, seed=7) for name in "ab")
    assert [one.ask().parameters for _ in range(3)] == [two.ask().parameters for _ in range(3)]
    one.close()
    two.close()


def test_trials_that_were_lost_are_done_again_and_do_not_count(tmp_path: Path) -> None:
    search = opened(tmp_path, X, KIND)
    first, lost = search.ask(), search.ask()
    search.tell(first.number, None, None)
    search.close()
    search = opened(tmp_path, X, KIND, resume=True)
    assert search.recover() == 1
    assert [one.state for one in search.trials()] == ["failed", "lost"]
    assert search.ask().parameters == lost.parameters
    assert search.recover() == 1
    search.close()


def test_a_grid_is_tried_once_and_then_over(tmp_path: Path) -> None:
    steps = Dimension("x", "float", 0, 1, 0.5)
    search = opened(tmp_path, steps, KIND, sampler="grid")
    seen = []
    while (trial := search.ask()) is not None:
        seen.append((trial.parameters["x"], trial.parameters["kind"]))
        if len(seen) == 4:  # it is killed, and goes on
            search.close()
            search = opened(tmp_path, steps, KIND, sampler="grid", resume=True)
            search.recover()
            continue
        search.tell(trial.number, 1.0, None)
    assert seen.count(seen[3]) == 2
    assert len(set(seen)) == 9
    assert len(seen) == 10
    search.close()
    with pytest.raises(UsageError, match="a grid needs a step for x") as caught:
        opened(tmp_path, X, sampler="grid", study="t")
    assert caught.value.hint is not None
    assert "--space x=-5:5:2.5" in caught.value.hint


def test_a_study_is_continued_on_purpose_only(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no study 's' to resume"):
        opened(tmp_path, X, resume=True)
    opened(tmp_path, X).close()
    with pytest.raises(ConflictError, match="there is a study 's' already"):
        opened(tmp_path, X)
    with pytest.raises(UsageError, match="searches something else: a differ"):
        opened(tmp_path, X, resume=True, about={"a": 2})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tuning.db").write_text("no database, but long enough to be one " * 99)
    with pytest.raises(CorruptError, match=r"tuning\.db cannot be used"):
        opened(tmp_path / "other", X)


def test_without_optuna_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError) as caught:
        opened(tmp_path, X)
    assert caught.value.hint == f"{sys.executable} -m pip install 'jupyter-mlops[tune]'"


@pytest.mark.parametrize(
    ("space", "options", "error", "message"),
    [
        ({}, {}, ParameterError, "nothing to search"),
        ({"y": "1:2"}, {}, ParameterError, "unknown parameter 'y'"),
        ({"x": "1:2"}, {"parameters": {"x": 1}}, ParameterError, "given and searched"),
        ({"x": "1:2"}, {"sampler": "best"}, UsageError, "no sampler 'best'"),
        ({"x": "1:2"}, {"trials": 0}, UsageError, "at least one trial"),
        ({"x": "1:2"}, {"study": "a/b"}, UsageError, "cannot name a study"),
        ({"x": "1:2"}, {"jobs": 0}, UsageError, "at least one run"),
        ({"x": "1:2"}, {"resume": True}, NotFoundError, "no study"),
    ],
)
def test_bad_input_ends_before_anything_runs(
    quad: Project, space: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tune(quad, load_config(quad.root), "quad", space, metric="loss", **options)
    assert logged(quad) == []


def test_a_metric_that_is_not_there_ends_the_search(quad: Project) -> None:
    with pytest.raises(UsageError, match="without the metric 'lss'") as caught:
        tune(quad, load_config(quad.root), "quad", {"x": "0:1"}, metric="lss", trials=5)
    assert caught.value.hint == "Its metrics are: loss."
    assert len(logged(quad)) == 1


def command(*words: str) -> list[str]:
    return [
        sys.executable, "-m", "jupyter_mlops", "tune", "quad", "--metric", "loss",
        "--space", "x=-5:1", "--seed", "3", "--trials", "3", *words,
    ]  # fmt: skip


def test_a_search_is_killed_and_goes_on(quad: Project) -> None:
    (quad.root / "hang").touch()
    process = subprocess.Popen(
        command(), cwd=quad.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(logged(quad)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # Nobody would know of the run that goes on: it ends, and so does its kernel.
    assert not psutil.wait_procs(family, timeout=60)[1]
    (quad.root / "hang").unlink()

    refused = subprocess.run(command(), cwd=quad.root, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--resume goes on with it" in refused.stderr
    done = subprocess.run(
        command("--resume", "--json"), cwd=quad.root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    first, lost, *again = logged(quad)
    assert again[0] == lost
    assert len(again) == 2
    tried = [one["parameters"]["x"] for one in data["combinations"]]
    assert sorted(tried) == sorted([first, *again])
    assert sorted(one["state"] for one in data["combinations"]) == ["finished", "finished", "kept"]
    assert data["best"]["metrics"]["loss"] == min((x - 2) ** 2 for x in tried)
