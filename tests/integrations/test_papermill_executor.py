"""Headless execution with real kernels: results, true states, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_mlops.errors import NotebookError, ProjectError, UsageError
from jupyter_mlops.model.ports import CellProgress

from .bench import Bench, ended, kernelspec


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_notebook_that_finishes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/somebody/elses.ipynb")
    bench.write(
        "C = 1\nname = 'default'",
        "import json, os\n"
        "ours = {k: os.environ.get(k) for k in ('OURS', 'JPY_SESSION_NAME')}\n"
        "cell = get_ipython().get_parent()['metadata'].get('cellId')\n"
        "print(json.dumps([os.getcwd(), ours, C, name, cell]))",
        "1 / 0",
        "for i in range(3000):\n    print(i, flush=True)",
        "import sys; sys.exit(0)",
        "never = 1",
        tags={1: "parameters", 3: "raises-exception"},
    )
    before = bench.source.read_bytes()
    working = bench.folder / "elsewhere"
    working.mkdir()
    name = 'quote " backslash \\ {brace} \n import os'
    result = bench.execute({"C": 0.5, "name": name}, cwd=working, env={"OURS": "1"})
    assert result.status == "completed"
    assert result.error is None
    assert result.output == bench.output
    assert bench.source.read_bytes() == before
    assert "OURS" not in os.environ
    assert Path.cwd() != working

    cells = [c for c in bench.executed.cells if c.cell_type == "code"]
    shown = json.loads(cells[2].outputs[0].text)
    cell_id = nbformat.read(bench.source, as_version=4).cells[2].id
    assert shown == [str(working), {"OURS": "1", "JPY_SESSION_NAME": None}, 0.5, name, cell_id]
    assert cells[1].metadata.tags == ["injected-parameters"]
    # More messages than a ZeroMQ queue holds by default: none is lost.
    assert cells[4].outputs[0].text.splitlines() == [str(i) for i in range(3000)]
    # An allowed error and sys.exit(0) are no failures; what never ran does not claim to have run.
    assert bench.states == ["completed"] * 6 + ["pending"]
    assert "Exception was encountered" not in bench.output.read_text()
    papermill = bench.executed.metadata.papermill
    assert papermill["parameters"] == {"C": 0.5, "name": name}
    assert papermill["input_path"] == str(bench.source)
    assert papermill["duration"] > 0

    assert [(e.index, e.state) for e in bench.events[:4]] == [
        (0, "started"),
        (0, "completed"),
        (1, "started"),
        (1, "completed"),
    ]
    assert {e.total for e in bench.events} == {7}
    assert [e.title for e in bench.events[::2]][:4] == [
        "C = 1",
        "Parameters",
        "import json, os",
        "1 / 0",
    ]
    assert os.listdir(bench.output.parent) == ["executed.ipynb"]


def test_a_cell_that_fails(bench: Bench) -> None:
    bench.write("x = 1", "print('before')\ndef f():\n    return 1 / 0\n\nf()", "y = 2")
    result = bench.execute()
    assert result.status == "failed"
    error = result.error
    assert error["ename"] == "ZeroDivisionError"
    assert error["evalue"] == "division by zero"
    assert (error["cell"], error["index"], error["lineno"]) == (2, 2, 3)
    assert error["line"] == "return 1 / 0"
    assert error["output"] == "before"
    assert error["cell_id"] == nbformat.read(bench.source, as_version=4).cells[2].id
    assert "\x1b" not in error["traceback"]
    assert bench.states == ["completed", "failed", "pending"]
    assert bench.executed.metadata.papermill["exception"] is True
    assert "An Exception was encountered at" in bench.executed.cells[0].source
    assert bench.events[-1].state == "failed"
    assert bench.events[-1].output == "before"


def test_a_kernel_that_dies(bench: Bench) -> None:
    bench.write("x = 1", "import os\nos.write(2, b'last words')\nos.kill(os.getpid(), 9)", "y = 2")
    result = bench.execute()
    assert result.status == "died"
    assert "ended by SIGKILL while the cell was running" in result.error["evalue"]
    assert "memory" in result.error["evalue"]
    assert (result.error["cell"], result.error["index"]) == (2, 2)
    assert bench.states == ["completed", "failed", "pending"]
    dead = [c for c in bench.executed.cells if c.cell_type == "code"][1]
    assert dead.outputs[-1].ename == "DeadKernelError"


def test_a_notebook_that_takes_too_long_and_what_it_started(bench: Bench) -> None:
    bench.write(
        "import subprocess, time\n"
        "sleep = ['sleep', '600']\n"
        "children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]\n"
        "print(*[c.pid for c in children], flush=True)",
        "while True:\n    time.sleep(600)",
        "y = 2",
    )
    result = bench.execute(timeout=4)
    assert result.status == "timeout"
    assert result.error["evalue"] == "the notebook did not finish within 4 s"
    assert result.error["line"] == "time.sleep(600)"  # where it was when it was interrupted
    assert bench.states == ["completed", "failed", "pending"]
    cells = [c for c in bench.executed.cells if c.cell_type == "code"]
    assert [o.ename for o in cells[1].outputs] == ["TimeoutError", "KeyboardInterrupt"]
    for pid in map(int, cells[0].outputs[0].text.split()):
        assert ended(pid)


def test_an_interrupt_ends_the_kernel_and_keeps_the_output(bench: Bench) -> None:
    bench.write(
        "import os, time\nprint(os.getpid(), flush=True)",
        "try:\n    time.sleep(600)\nfinally:\n    print('cleaned up')",
        "y = 2",
    )

    def interrupt(event: CellProgress) -> None:
        if event.index == 1 and event.state == "started":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        bench.execute(progress=interrupt)
    assert bench.states == ["completed", "failed", "pending"]
    cells = [c for c in bench.executed.cells if c.cell_type == "code"]
    assert ended(int(cells[0].outputs[0].text))
    assert cells[1].outputs[0].text == "cleaned up\n"
    assert bench.executed.metadata.papermill["exception"] is True


def test_what_progress_raises_ends_the_run_and_is_raised(bench: Bench) -> None:
    bench.write("import time\ntime.sleep(600)")

    def closed(event: CellProgress) -> None:
        raise BrokenPipeError("the log is closed")

    with pytest.raises(BrokenPipeError, match="the log is closed"):
        bench.execute(progress=closed)
    assert bench.states == ["failed"]


# --- bad input: before a kernel starts, and nothing is written ------------------------------------


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("jupyter_client.provisioning.local_provisioner.launch_kernel", refuse)


@pytest.mark.parametrize("text", ["{ not json", "", "[]", '{"nbformat": 4}', "{}"])
def test_a_file_that_is_no_notebook(bench: Bench, no_kernel: None, text: str) -> None:
    bench.source.write_text(text)
    for call in (bench.execute, lambda: bench.executor.check(bench.source, kernel=None)):
        with pytest.raises(NotebookError, match="is not a notebook"):
            call()
    assert not bench.output.parent.exists()


def test_a_kernel_that_is_not_installed(bench: Bench, no_kernel: None) -> None:
    bench.write("1")
    with pytest.raises(UsageError, match="the kernel 'nope' is not installed") as caught:
        bench.execute(kernel="nope")
    assert "Installed are: python3" in str(caught.value.hint)
    assert "pipeline.yaml" in str(caught.value.hint)
    node = nbformat.read(bench.source, as_version=4)
    node.metadata["kernelspec"] = {"name": "conda-gone", "display_name": "gone"}
    nbformat.write(node, bench.source)
    with pytest.raises(UsageError, match=r"'conda-gone', which .*source\.ipynb asks for"):
        bench.execute()
    assert not bench.output.parent.exists()


def test_a_kernel_whose_environment_is_gone(bench: Bench, no_kernel: None) -> None:
    bench.write("1")
    folder = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / "gone"
    folder.mkdir(parents=True)
    spec = {"argv": ["/gone/bin/python", "-m", "ipykernel"], "display_name": "gone"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    try:
        with pytest.raises(UsageError, match="'/gone/bin/python' does not exist"):
            bench.execute(kernel="gone")
    finally:
        (folder / "kernel.json").unlink()
        folder.rmdir()


def test_a_language_that_takes_no_parameters(bench: Bench, no_kernel: None) -> None:
    bench.write("1")
    node = nbformat.read(bench.source, as_version=4)
    node.metadata["language_info"] = {"name": "brainwave"}
    nbformat.write(node, bench.source)
    with pytest.raises(UsageError, match="its language is 'brainwave'"):
        bench.executor.check(bench.source, kernel=None)
    bench.executor.check(bench.source, kernel=None, parameters=False)


def test_a_place_that_cannot_be_written(bench: Bench, no_kernel: None) -> None:
    bench.write("1")
    bench.output.parent.write_text("a file where the folder should be")
    with pytest.raises(ProjectError, match="cannot be written"):
        bench.execute()
    with pytest.raises(UsageError, match=r"working folder .* does not exist"):
        bench.execute(cwd=bench.folder / "gone")


def test_a_kernel_that_cannot_start_says_what_it_printed(bench: Bench) -> None:
    bench.write("1")
    code = "import sys; sys.exit('No module named ipykernel')"
    with kernelspec("broken", code):
        result = bench.execute(kernel="broken")
    assert result.status == "died"
    assert "the kernel did not start" in result.error["evalue"]
    assert "exit code 1" in result.error["evalue"]
    assert "No module named ipykernel" in result.error["output"]
    assert result.error["cell"] is None
    assert bench.states == ["pending"]
    assert bench.ours == ["not run"]
