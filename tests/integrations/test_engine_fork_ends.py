"""The fork engine from start to end: when it is taken, how it ends, what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from jupyter_mlops.config import load_config
from jupyter_mlops.model.wiring import load_port, replaced_port
from jupyter_mlops.pipelines import run_pipeline
from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook
from .bench import ended
from .forks import MODULES, ForkBench, zygote_for_tests
from .test_engine import CHILD, SLEEPS, wait_for, wait_until_ended, write

# Also where the package is not installed, but only on the path.
REGISTER = "from jupyter_mlops.warm.provisioner import register\nregister()\n"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork engine needs Linux")


@pytest.fixture(scope="module", autouse=True)
def _zygote() -> Iterator[None]:
    with zygote_for_tests():
        yield


@pytest.fixture
def bench(tmp_path: Path) -> ForkBench:
    return ForkBench(tmp_path)


def kernel_of(bench: ForkBench) -> dict[str, str]:
    return dict(bench.executed.metadata.mlops["kernel"])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import ipywidgets", "it imports ipywidgets"),
        ("def ask():\n    return input('?')", "it asks for input"),
        ("get_ipython().kernel", "it uses the kernel object"),
        ("%matplotlib widget", "it uses %matplotlib widget"),
        ("import own", "it imports zmq"),
    ],
)
def test_a_notebook_that_needs_a_front_end_gets_a_kernel(
    bench: ForkBench, source: str, reason: str
) -> None:
    from jupyter_mlops.integrations.engine_eligible import obstacle

    (bench.folder / "own").mkdir()
    (bench.folder / "own" / "__init__.py").write_text("from .deep import x")
    (bench.folder / "own" / "deep.py").write_text("x = 1")
    (bench.folder / "zmq_user.py").write_text("import zmq")
    (bench.folder / "own" / "__init__.py").write_text("import zmq_user")
    cells = [{"cell_type": "code", "source": "y = 1"}, {"cell_type": "code", "source": source}]
    assert obstacle({"cells": cells}, bench.folder) == reason


def test_the_start_is_reported_with_its_reason(bench: ForkBench) -> None:
    bench.write("x = 1")
    assert bench.execute().status == "completed"
    assert kernel_of(bench) == {"start": "fork", "why": "forked"}
    bench.write("import comm")
    bench.execute()
    assert kernel_of(bench) == {"start": "warm", "why": "forked", "fork": "it imports comm"}
    bench.fork = False
    bench.write("x = 1")
    bench.execute()
    why = "the fork engine is switched off (setting 'fork')"
    assert kernel_of(bench) == {"start": "warm", "why": "forked", "fork": why}
    assert bench.starts == ["warm"]


def test_what_does_not_start_is_started_in_the_other_way(bench: ForkBench) -> None:
    fork = load_port("cell_forker")

    def broken(*args: object, **options: object) -> object:
        process = fork(*args, **options)
        os.kill(process.pid, signal.SIGKILL)
        return process

    bench.write("x = 1\nx")
    with replaced_port("cell_forker", lambda *args, **options: broken(*args, **options)):
        assert bench.execute().status == "completed"
    assert bench.code[0].outputs[0].data["text/plain"] == "1"
    assert kernel_of(bench)["start"] == "warm"
    assert "the forked process did not start" in kernel_of(bench)["fork"]


def test_what_was_flushed_before_a_death_is_kept(bench: ForkBench) -> None:
    bench.write(
        "import os, sys\nprint('kept', flush=True)\ndisplay('shown')\nos.write(2, b'native')\n"
        "sys.stderr.flush()\nos.kill(os.getpid(), 9)"
    )
    assert bench.execute().status == "died"
    outputs = bench.code[0].outputs
    assert outputs[0].text == "kept\n"
    assert outputs[1].data["text/plain"] == "'shown'"
    assert outputs[2].text == "native"
    assert outputs[3].ename == "DeadKernelError"


def test_a_cell_that_forks_goes_on_once(bench: ForkBench) -> None:
    bench.write(
        "import os\nif os.fork() == 0:\n    print('child', flush=True)\nelse:\n"
        "    os.wait()\n    print('parent')",
        "print('next')",
    )
    assert bench.execute().status == "completed"
    assert [cell.outputs[0].text for cell in bench.code] == ["child\nparent\n", "next\n"]


def test_what_the_cells_made_is_put_away_at_the_end(bench: ForkBench) -> None:
    """Open files are written, exit handlers run, threads are waited for, objects destroyed."""
    bench.write(
        "import atexit, threading, time, weakref\n"
        "file = open('left-open.txt', 'w')\nfile.write('written')\n"
        "note = lambda name: open(name, 'w').write(name)\n"
        "atexit.register(note, 'exit')\n"
        "class Thing:\n    def __del__(self):\n        open('destroyed', 'w').close()\n"
        "thing = Thing()\n"
        "def last():\n    time.sleep(0.2)\n    note('thread')\n"
        "threading.Thread(target=last).start()"
    )
    assert bench.execute().status == "completed"
    assert (bench.folder / "left-open.txt").read_text() == "written"
    assert all((bench.folder / name).exists() for name in ("exit", "thread", "destroyed"))


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        (signal.SIGTERM, -15),
        pytest.param(signal.SIGINT, -2, marks=pytest.mark.full),
        (signal.SIGKILL, -9),
    ],
)
def test_a_signal_to_the_runner(tmp_path: Path, number: int, exit_code: int) -> None:
    source = write(
        tmp_path / "in.ipynb",
        SLEEPS,
        "try:\n    time.sleep(600)\nfinally:\n    print('cleaned up')",
        "y = 2",
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    chosen = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "mlops-zygote"}
    chosen["JUPYTER_MLOPS_WARM_MODULES"] = ",".join(MODULES)
    child = subprocess.Popen(
        [sys.executable, "-c", REGISTER + CHILD, str(source), str(tmp_path / "out.ipynb")],
        cwd=tmp_path,
        env=env | chosen,
        stderr=subprocess.DEVNULL,
    )
    while child.poll() is None and not (tmp_path / "pids").exists():
        time.sleep(0.05)
    assert child.returncode is None
    pids = wait_for(tmp_path / "pids")
    time.sleep(0.3)  # into the second cell
    child.send_signal(number)
    assert child.wait(60) == exit_code
    wait_until_ended(pids)
    if number == signal.SIGKILL:
        return
    executed = nbformat.read(tmp_path / "out.ipynb", 4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [c.metadata.mlops.state for c in cells] == ["completed", "cancelled", "not run"]
    assert cells[1].outputs[0].text == "cleaned up\n"
    assert executed.metadata.mlops.kernel.start == "fork"


def test_tracked_cells_are_recorded_as_in_a_kernel(mlflow_project: Project) -> None:
    from jupyter_mlops.warm import imported_modules
    from jupyter_mlops.warm.choosing import warm_kernels

    path = write_notebook(
        mlflow_project.root / "one.ipynb",
        "%load_ext jupyter_mlops",
        "%%track\nalpha = 0.5\nscore = 1 / (1 + alpha)\nprint('scored')",
    )
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    found = []
    modules = imported_modules(path)
    for fork in ("on", "off"):
        with (
            zygote_for_tests(modules),
            pytest.MonkeyPatch.context() as patch,
            warm_kernels(modules) as choice,
        ):
            patch.setenv("JUPYTER_MLOPS_FORK", fork)
            outcome = run_pipeline(mlflow_project, load_config(mlflow_project.root), path, {})
            assert outcome.status == "FINISHED", outcome.error
            assert [one["start"] for one in choice.starts] == ["fork" if fork == "on" else "warm"]
        (child,) = outcome.children
        assert child.parent == outcome.run_id
        found.append((child.kind, child.status, child.notebook, child.params, child.metrics))
    assert found[0] == found[1]
    assert found[0][4] == {"score": 1 / 1.5}


def test_nothing_is_left_after_a_finished_run(bench: ForkBench) -> None:
    bench.write("import os\nprint(os.getpid())")
    for _ in range(3):
        assert bench.execute().status == "completed"
        pid = int(bench.code[0].outputs[0].text)
        while not ended(pid):
            time.sleep(0.01)
