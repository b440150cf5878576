"""``jupyter mlops run``: its log, its last words, its exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.cli.progress import RunLog
from jupyter_mlops.journal import list_sessions, read_session
from jupyter_mlops.model.events import RunRecord
from jupyter_mlops.model.ports import CellProgress, ExecutionResult
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.project import Project

from ..pipelines.conftest import WINE, write_notebook, write_pipeline
from .command_line import Mlops, command_line

AWAY = {
    "MLFLOW_TRACKING_URI": "http://ann:secret@127.0.0.1:9",
    "JUPYTER_MLOPS_DELIVERY_TIMEOUT": "1",
}


@pytest.fixture
def mlops(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Mlops:
    """The command line in this process, in the project's root, with a tracking server away."""
    monkeypatch.chdir(project.root)
    for name, value in AWAY.items():
        monkeypatch.setenv(name, value)
    return command_line(monkeypatch, capsys)


def records(project: Project) -> list[RunRecord]:
    return [run for path in list_sessions(project.journal) for run in read_session(path).runs]


class Writes:
    """An executor that shows two cells and writes the outputs of the pipeline ``wine``."""

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        pass

    def execute(
        self, notebook: Path, output: Path, parameters: Any, *, progress: Any, **options: Any
    ) -> ExecutionResult:
        for index, title in enumerate(["import x", "fit"]):
            progress(CellProgress(index, 2, "started", title))
            progress(CellProgress(index, 2, "completed", title, 0.25))
        output.write_text("{}")
        for name in ("data_path", "example_path"):
            if name in parameters:
                Path(parameters[name]).write_bytes(b"x")
        if "model_path" in parameters:
            import skops.io
            from sklearn.dummy import DummyClassifier

            skops.io.dump(DummyClassifier(), parameters["model_path"])
            Path(parameters["metrics_path"]).write_text('{"accuracy": 0.987654321}')
        return ExecutionResult("completed", output, 0.5)


@pytest.fixture
def wine(project: Project) -> Project:
    """The pipeline ``wine``; its notebooks declare their parameters and are never executed."""
    folder = write_pipeline(project, "wine", WINE)
    write_notebook(folder / "load.ipynb", "share = 0.5\ndata_path = ''", tags={0: "parameters"})
    write_notebook(folder / "train.ipynb", "depth = 3", tags={0: "parameters"})
    return project


def test_the_log_of_a_pipeline(wine: Project, mlops: Mlops) -> None:
    with replaced_port("executor", Writes):
        result = mlops("run", "wine", "-p", "depth", "2", "-p", "share", "1")
    assert result.code == 0
    (run,) = records(wine)
    lines = result.out.splitlines()
    shown = [line for line in lines if "done in" not in line and "Finished" not in line]
    assert shown[:8] == [
        f"Pipeline wine in {wine.root}: 2 steps, kernel python3",
        "Parameters: depth = 2, share = 1",
        "Step 1/2 load (pipelines/wine/load.ipynb)",
        "  [1/2] import x ... 0.25 s",
        "  [2/2] fit ... 0.25 s",
        "Step 2/2 train (pipelines/wine/train.ipynb)",
        "  [1/2] import x ... 0.25 s",
        "  [2/2] fit ... 0.25 s",
    ]
    assert lines[5].startswith("Step 1/2 load: done in ")
    assert f"run {run.run_id}" in result.out
    assert "  metrics   accuracy 0.98765" in lines
    assert f"  executed  .mlops/runs/{run.run_id}" in lines
    (warning,) = [line for line in lines if line.startswith("Warning: ")]
    assert "http://127.0.0.1:9" in warning
    assert "jupyter mlops sync" in warning
    assert "secret" not in result.out + result.err


def test_json_has_stdout_for_itself(wine: Project, mlops: Mlops) -> None:
    with replaced_port("executor", Writes):
        result = mlops("run", "wine", "--json", "--require-delivery")
    assert result.code == 5
    outcome = json.loads(result.out)
    assert outcome["exit_code"] == 5
    assert outcome["status"] == "FINISHED"
    assert outcome["metrics"] == {"accuracy": 0.987654321}
    assert outcome["delivered"] is False
    assert "  [2/2] fit ... 0.25 s" in result.err


def test_no_register(wine: Project, mlops: Mlops) -> None:
    with replaced_port("executor", Writes):
        assert mlops("run", "wine", "--no-register").code == 0
        assert mlops("run", "wine").code == 0
    assert [run.register for run in records(wine)] == [None, "wine"]


def test_a_value_that_is_a_secret_is_not_shown(project: Project, mlops: Mlops) -> None:
    write_notebook(project.root / "a.ipynb", "password = ''", tags={0: "parameters"})
    with replaced_port("executor", Writes):
        result = mlops("run", "a.ipynb", "-p", "password", "hunter2")
    assert result.code == 0
    assert "Parameters: password = ***" in result.out
    assert "hunter2" not in result.out + result.err


def test_the_last_words_of_a_failed_cell(project: Project, mlops: Mlops) -> None:
    write_notebook(
        project.root / "a b.ipynb",
        "n = 1",
        "print('\\x1b[31m::error::red\\x1b[0m')\nfor i in range(30):\n    print(i)\n"
        "raise ValueError('two\\nlines')",
        "n = 3",
        tags={0: "parameters"},
    )
    result = mlops("run", "a b.ipynb", "-p", "n", "2")
    assert result.code == 1
    (run,) = records(project)
    block = result.out[result.out.index("\nFAILED after") :].splitlines()
    assert block[2:6] == [
        "  notebook  a b.ipynb",
        "  cell      In [3], line 4",
        "  code      raise ValueError('two\\nlines')",
        "  error     ValueError: two",
    ]
    assert block[7] == "  output    the last 20 lines"
    assert block[8:28] == [f"    | {n}" for n in range(10, 30)]
    assert block[28:30] == [
        f"  executed  .mlops/runs/{run.run_id}/a b.ipynb",
        "  again     jupyter mlops run 'a b.ipynb' -p n 2",
    ]
    assert "\x1b" not in result.out
    assert "\r" not in result.out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["run", "wine", "-p", "deep", "1"], "unknown parameter 'deep'", "depth, share"),
        (["run", "wine", "-p", "depth", "x"], "expected a whole number", ""),
        (["run", "whine"], "did you mean 'wine'?", "The pipelines are: wine."),
        (["run", "plain.ipynb", "-p", "n", "1"], "no cell tagged 'parameters'", "Inspector"),
        (["run", "gone.ipynb"], "there is no notebook gone.ipynb", "The pipelines are: wine."),
    ],
)
def test_bad_input_ends_with_2_and_what_to_do(
    wine: Project, mlops: Mlops, arguments: list[str], message: str, hint: str
) -> None:
    write_notebook(wine.root / "plain.ipynb", "n = 1")
    result = mlops(*arguments)
    assert result.code == 2
    assert message in result.err
    assert hint in result.err
    assert result.out == ""
    assert list(wine.runs.iterdir()) == []
    as_json = mlops(*arguments, "--json")
    assert as_json.code == 2
    assert message in json.loads(as_json.out)["error"]["message"]


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--timeout", "x"], ["-p", "n"]])
def test_bad_options_end_with_2(wine: Project, mlops: Mlops, arguments: list[str]) -> None:
    assert mlops("run", "wine", *arguments).code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_kernel_and_keeps_what_there_is(
    project: Project, number: signal.Signals, code: int
) -> None:
    write_notebook(
        project.root / "slow.ipynb",
        "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\n"
        "print(os.getpid(), child.pid, flush=True)",
        "time.sleep(600)",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_mlops", "run", "slow.ipynb"],
        cwd=project.root,
        env=os.environ | AWAY | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    seen = b""
    while b"[2/2] time.sleep(600) ..." not in seen:  # the line begins before the cell ends
        chunk = os.read(process.stdout.fileno(), 65536)
        assert chunk, (seen, process.communicate()[1])
        seen += chunk
    process.send_signal(number)
    rest, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    text = (seen + rest).decode()
    assert "\nInterrupted after " in text
    assert "again     jupyter mlops run slow.ipynb" in text
    assert "\r" not in text
    assert errors == b""
    (run,) = records(project)
    assert run.status == "KILLED"
    executed = json.loads((project.runs / run.run_id / "slow.ipynb").read_text())
    states = [c["metadata"]["papermill"]["status"] for c in executed["cells"] if "outputs" in c]
    assert states == ["completed", "failed"]
    for pid in map(int, "".join(executed["cells"][1]["outputs"][0]["text"]).split()):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


# --- the log itself -------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def cells(log: RunLog, *states: tuple[str, float]) -> None:
    for state, seconds in states:
        log.cell(CellProgress(0, 12, state, "model.fit(X, y)", seconds))


def test_elsewhere_a_line_begins_with_the_cell_and_ends_with_it() -> None:
    stream = io.StringIO()
    log = RunLog(stream)
    cells(log, ("started", 0.0))
    assert stream.getvalue() == "  [ 1/12] model.fit(X, y) ..."
    cells(log, ("completed", 75.0), ("started", 0.0), ("failed", 0.5), ("started", 0.0))
    log.line("Step 1")
    log.end()
    assert stream.getvalue().splitlines() == [
        "  [ 1/12] model.fit(X, y) ... 1 min 15 s",
        "  [ 1/12] model.fit(X, y) ... failed after 0.50 s",
        "  [ 1/12] model.fit(X, y) ...",
        "Step 1",
    ]


def test_in_a_terminal_the_line_is_redrawn_and_never_wraps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    log = RunLog(stream)
    cells(log, ("started", 0.0), ("completed", 2.0))
    before, _, after = stream.getvalue().partition("\r\x1b[2K")
    assert before == "  [ 1/12] model.fit(X, y) ..."
    assert after == "  [ 1/12] model.fit...  2.0 s\n"
    assert max(map(len, (before, after.rstrip("\n")))) < 30


def test_a_log_that_nobody_reads_does_not_stop_the_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        log = RunLog(stream)
        cells(log, ("started", 0.0), ("completed", 1.0))
        log.line("last words")


def test_a_stream_that_cannot_say_everything_says_what_it_can() -> None:
    raw = io.BytesIO()
    log = RunLog(io.TextIOWrapper(raw, encoding="ascii"))
    log.line("größe")
    assert raw.getvalue() == b"gr??e\n"
