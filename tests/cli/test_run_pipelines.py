"""``jupyter mlops run`` of several steps, what its options mean, and ``runs cancel``."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from jupyter_mlops.cli.progress import RunLog
from jupyter_mlops.cli.run import run
from jupyter_mlops.cli.run_pipelines import RunCommand, pipeline_options
from jupyter_mlops.model.ports import CellProgress
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.pipelines import run_state
from jupyter_mlops.pipelines.interrupts import Terminated
from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook
from ..pipelines.five import Plain, make_five
from .command_line import Mlops
from .test_run import Terminal, mlops

__all__ = ["mlops"]

RUN = "01M80036PRY8JYNNB9HTS5CPSA"


@pytest.mark.parametrize(
    ("words", "target", "given"),
    [
        ("five", "five", {"resume": None, "wait": False, "jobs": None, "fail_fast": False}),
        ("five --resume", "five", {"resume": "last"}),
        ("--resume five", "five", {"resume": "last"}),
        (f"--resume {RUN} five", "five", {"resume": RUN}),
        (f"five --resume {RUN[:8].lower()}", "five", {"resume": RUN[:8].lower()}),
        ("five --resume=wine", "five", {"resume": "wine"}),
        ("five --resume last", "five", {"resume": "last"}),
        ("five --resume --wait --jobs 3", "five", {"resume": "last", "wait": True, "jobs": 3}),
        ("--wait five", "five", {"wait": True}),
        ("--wait 2.5 five", "five", {"wait": 2.5}),
        ("--wait=0 five", "five", {"wait": 0.0}),
        ("five --cell-timeout 9 --fail-fast", "five", {"cell_timeout": 9.0, "fail_fast": True}),
        ("-- --resume", "--resume", {"resume": None}),
    ],
)
def test_options_with_and_without_a_value(words: str, target: str, given: dict[str, Any]) -> None:
    caught: dict[str, Any] = {}

    @click.command(cls=RunCommand)
    @click.argument("target")
    @pipeline_options
    def command(**options: Any) -> None:
        caught.update(options)

    result = CliRunner().invoke(command, words.split())
    assert result.exit_code == 0, result.output
    assert caught["target"] == target
    assert {name: caught[name] for name in given} == given


@pytest.mark.parametrize("words", ["--wait=x", "--wait=-1", "--jobs 0", "--cell-timeout 0"])
def test_options_that_mean_nothing(words: str) -> None:
    assert CliRunner().invoke(run, ["five", *words.split()]).exit_code == 2


class Breaks(Plain):
    """The step ``d`` fails, as long as there is a file ``broken``."""

    def execute(self, notebook: Path, output: Path, *rest: Any, **options: Any) -> Any:
        result = super().execute(notebook, output, *rest, **options)
        if notebook.stem == "d" and Path("broken").exists():
            said = {"ename": "ValueError", "evalue": "no"}
            return type(result)("failed", output, 0.0, said)
        return result


def test_a_failed_run_says_how_to_go_on(
    project: Project, mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_CACHE", "off")
    make_five(project)
    Path("broken").touch()
    with replaced_port("executor", Breaks):
        failed = mlops("run", "five", "--jobs", "2")
        Path("broken").unlink()
        assert failed.code == 1
        run_id = failed.out.partition("FAILED after ")[2].partition(": run ")[2].split()[0]
        assert f"  go on     jupyter mlops run five --resume {run_id}\n" in failed.out
        gone_on = mlops("run", "five", "--resume", run_id)
        again = mlops("run", "five", "--resume", run_id, "--json")
    assert gone_on.code == 0
    lines = [line for line in gone_on.out.splitlines() if line.startswith("Step ")]
    # The second and the third are looked at side by side.
    taken = [f"Step {n}/5 {s}: taken over" for n, s in ((1, "a"), (2, "b"), (3, "c"))]
    assert sorted(lines[:3]) == taken
    assert "Step 4/5 d (pipelines/five/d.ipynb)" in lines
    assert f"\n  resumes   run {run_id}\n" in gone_on.out
    outcome = json.loads(again.out)
    assert (outcome["resumes"], outcome["metrics"]) == (run_id, {"e": 18.0})
    assert {step["status"] for step in outcome["steps"]} == {"resumed", "finished"}


def test_ending_a_run_that_is_not_running(project: Project, mlops: Mlops) -> None:
    make_five(project)
    nothing = mlops("runs", "cancel", "last")
    assert nothing.code == 2
    assert "no headless run of this project is running" in nothing.err
    with replaced_port("executor", Plain):
        outcome = json.loads(mlops("run", "five", "--json").out)
    ended = mlops("runs", "cancel", outcome["run_id"])
    assert ended.code == 2
    assert f"run {outcome['run_id']} is not running: FINISHED" in ended.err


def test_ending_a_run_that_does_not_end(project: Project, mlops: Mlops) -> None:
    folder = project.runs / RUN
    folder.mkdir()
    run_state.StateFile(run_state.new_state(RUN, "five", "five", "s", folder))
    result = mlops("runs", "cancel", RUN[:5], "--timeout", "0")
    assert result.code == 1
    assert f"kill -9 {os.getpid()}" in result.err
    assert (folder / run_state.CANCEL_FILE).exists()
    result = mlops("runs", "cancel", "last", "--timeout", "0", "--json")
    assert json.loads(result.out)["status"] == "RUNNING"


def test_a_notebook_cannot_be_resumed(project: Project, mlops: Mlops) -> None:
    write_notebook(project.root / "a.ipynb", "1")
    result = mlops("run", "a.ipynb", "--resume", "--wait")
    assert result.code == 2
    assert "a notebook has no steps that could be taken over" in result.err


# --- the log of steps that run at once ------------------------------------------------------------


def beside(log: RunLog) -> None:
    log.parallel = True
    for step, index, state in (
        ("b", 0, "started"),
        ("b", 0, "completed"),
        ("b", 1, "started"),
        ("c", 0, "started"),
        ("c", 0, "completed"),
        ("b", 1, "failed"),
    ):
        log.cell(CellProgress(index, 2, state, f"cell {index}", 1.0, step=step))


def test_cells_of_several_steps_in_a_log() -> None:
    stream = io.StringIO()
    beside(RunLog(stream))
    assert stream.getvalue().splitlines() == [
        "  b [1/2] cell 0 ... 1.0 s",
        "  b [2/2] cell 1 ...",
        "  c [1/2] cell 0 ... 1.0 s",
        "  b [2/2] cell 1 ... failed after 1.0 s",
    ]


def test_cells_of_several_steps_in_a_terminal() -> None:
    stream = Terminal()
    beside(RunLog(stream))
    assert stream.getvalue().split("\n") == [
        "  b [1/2] cell 0 ...\r\x1b[2K  b [1/2] cell 0  1.0 s",
        "  b [2/2] cell 1 ...",
        "  c [1/2] cell 0 ...\r\x1b[2K  c [1/2] cell 0  1.0 s",
        "  b [2/2] cell 1 ... failed after 1.0 s",
        "",
    ]


def test_a_signal_before_there_is_a_run(
    project: Project, mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_end(*arguments: Any, **options: Any) -> Any:
        raise Terminated

    monkeypatch.setattr("jupyter_mlops.cli.run.run_pipeline", told_to_end)
    result = mlops("run", "five")
    assert (result.code, result.err) == (143, "Interrupted.\n")
