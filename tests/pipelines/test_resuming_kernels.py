"""Runs with real kernels, killed from outside, and gone on with by the command line."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from jupyter_mlops.pipelines.run_state import read_states, resumed_chain
from jupyter_mlops.project import Project

from . import five
from .five import STEPS, counts, make_five, run_five

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
SETTINGS = {
    "JUPYTER_MLOPS_AGENT": "off",
    "JUPYTER_MLOPS_CACHE": "off",
    "JUPYTER_MLOPS_DELIVERY_TIMEOUT": "1",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
}


def start(project: Project, *options: str) -> subprocess.Popen[bytes]:
    code = "from jupyter_mlops.cli.main import main; main()"
    with (project.root / "run.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code, "run", "five", "--jobs", "2", "--json", *options],
            cwd=project.root,
            env={**os.environ, **SETTINGS},
            stdout=subprocess.PIPE,
            stderr=log,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it, and wait until what it has started is gone, too."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def kernels_of(project: Project) -> list[psutil.Process]:
    """The processes that execute steps of the project's runs."""
    runs = {path.name for path in project.runs.iterdir()} if project.runs.is_dir() else set()
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("JUPYTER_MLOPS_PARENT_RUN") in runs:
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def made(project: Project, run_id: str) -> dict[str, bytes]:
    folder = project.runs / run_id
    return {name: (folder / name / f"{name}.json").read_bytes() for name in STEPS}


def finish(project: Project, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, (project.root / "run.log").read_text()
    outcome: dict[str, Any] = json.loads(out)
    return outcome


def test_kill_9_of_the_runner_and_its_resumption(project: Project) -> None:
    log = make_five(project)
    whole = made(project, run_five(project).run_id)
    log.unlink()
    notebook = project.pipelines / "five" / "d.ipynb"
    quick = notebook.read_text()
    notebook.write_text(quick.replace('"pass"', '"import time; time.sleep(60)"'))
    process = start(project)
    until(lambda: "d" in counts(log))
    kill(process)
    until(lambda: not kernels_of(project))
    killed = next(read_states(project))
    assert set(killed.steps) == {"a", "b", "c"}
    assert killed.running is False
    notebook.write_text(quick)
    outcome = finish(project, start(project, "--resume"))
    assert (outcome["resumes"], outcome["metrics"]) == (killed.run_id, {"e": 18.0})
    assert [step["status"] for step in outcome["steps"]] == [*["resumed"] * 3, *["finished"] * 2]
    assert made(project, outcome["run_id"]) == whole
    assert counts(log) == {"a": 1, "b": 1, "c": 1, "d": 2, "e": 1}


@pytest.mark.full
@pytest.mark.timeout(7200)
def test_kill_9_at_any_moment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that are killed again and again until one comes to its end.

    Last seen: 174 kills of 70 runs, each with the results of an uninterrupted one and no step that
    had finished executed twice (seeds 2021126560, 4153995223 and 997897679).
    """
    monkeypatch.setattr(five, "PAUSE", 0.2)
    log = make_five(project)
    whole = made(project, run_five(project, plain=False).run_id)
    seed = int(os.environ.get("KILL_SEED", "0")) or random.randrange(2**32)
    chance = random.Random(seed)
    kills = ended = 0
    while kills < int(os.environ.get("KILLS", "60")):
        log.unlink()
        first = max(path.name for path in project.runs.iterdir())
        resume: list[str] = []
        finished: dict[str, int] = {}
        while True:
            process = start(project, *resume)
            try:
                process.wait(chance.uniform(0.0, 12.0))
            except subprocess.TimeoutExpired:
                kill(process)
                kills += 1
                until(lambda: not kernels_of(project))
                state = next(read_states(project), None)
                if state is None or state.run_id <= first:
                    continue  # before it had begun: there is nothing to resume yet
                known = {n for one in resumed_chain(project, state) for n in one.steps}
                executed = counts(log)
                for name in known:
                    # From when it counted as finished it has not run again.
                    assert executed[name] == finished.setdefault(name, executed[name]), seed
                resume = ["--resume"]
                continue
            outcome = finish(project, process)
            ended += 1
            assert outcome["status"] == "FINISHED", seed
            assert made(project, outcome["run_id"]) == whole, seed
            executed = counts(log)
            assert {n: executed[n] for n in finished} == finished, seed
            break
    print(f"\nseed {seed}: {kills} kills, {ended} runs that came to their end")
