"""Rows of the table whose runner is a process of its own: signals, memory, disk, two at once.

In CI limits of the process stand for the control group and the full disk: ``test_engine_table``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook
from .bench import Bench, ended
from .engine_kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
CHILD = (sys.executable, "-W", "ignore", "-m", "tests.integrations.run_child")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@LINUX
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param(kind, number, marks=() if (kind, number) == ("warm", 9) else pytest.mark.full)
        for kind in KINDS
        for number in SIGNALS
    ],
)
def test_a_signal_to_the_command(project: Project, kind: str, number: int) -> None:
    """papermill: SIGTERM leaves the cell ``running`` and the kernel alive for seconds.

    After kill -9 what the kernel has started lives on.
    """
    notebook = write_notebook(
        project.root / "long.ipynb",
        "import os, subprocess, time\nsleep = ['sleep', '600']\n"
        "children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]\n"
        "pids = [os.getpid(), *[c.pid for c in children]]\n"
        "open('pids', 'w').write(' '.join(map(str, pids)) + '.')",
        "try:\n    open('second', 'w').close()\n    time.sleep(600)\n"
        "finally:\n    print('cleaned')",
        "y = 2",
    )
    child = subprocess.Popen(
        [*CHILD, kind, "run", str(notebook)],
        cwd=project.root,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (project.root / "second").exists():
        time.sleep(0.02)
        assert child.poll() is None
    pids = [int(w) for w in (project.root / "pids").read_text().rstrip(".").split()]
    assert (psutil.Process(pids[0]).ppid() == child.pid) == (kind == "cold")
    time.sleep(0.3)  # into the sleep
    child.send_signal(number)
    assert child.wait(60) == SIGNALS[signal.Signals(number)]
    (output,) = project.runs.glob("*/long.ipynb")
    node = nbformat.read(output, as_version=4)
    if number == signal.SIGKILL:
        while not all(ended(pid) for pid in pids):
            time.sleep(0.02)
        assert [cell.source for cell in node.cells][2] == "y = 2"  # the last save, whole
        return
    assert all(ended(pid) for pid in pids)
    assert [c.metadata.mlops.state for c in node.cells if c.cell_type == "code"] == [
        "completed",
        "cancelled",
        "not run",
    ]
    assert any(out.get("text") == "cleaned\n" for c in node.cells for out in c.get("outputs", []))


@pytest.fixture
def control_group() -> Iterator[Path]:
    """A control group that may hold 400 MB."""
    for top, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        folder = top / f"test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / limit).exists():
                (folder / limit).write_text("400000000")
                yield folder
                return
        finally:
            for _ in range(100):
                with contextlib.suppress(OSError):  # until the last process has left
                    folder.rmdir()
                    break
                time.sleep(0.05)
    pytest.skip("this machine lets nobody make control groups")


@LINUX
@pytest.mark.full
def test_memory_runs_out_in_a_control_group(
    tmp_path: Path, control_group: Path, engine_kind: str
) -> None:
    """papermill: DeadKernelError, all cells ``completed``, and no word of the signal."""
    bench = Bench(tmp_path)
    bench.write("x = 1", "much = b'x' * 1_000_000_000", "y = 2")
    done = execute(bench, engine_kind, str(control_group))
    assert done["status"] == "died"
    assert done["evalue"] == (
        "the kernel was ended by SIGKILL while the cell was running; that is what the system does "
        "to a process when memory runs out"
    )
    assert bench.states == ["completed", "failed", "pending"]
    assert bench.ours == ["completed", "died", "not run"]


def execute(bench: Bench, kind: str, *more: str, before: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [*before, *CHILD, kind, "execute", str(bench.source), str(bench.output), *more]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    refused = "unshare failed" in done.stderr or "permission denied" in done.stderr.lower()
    if refused and before:  # Without a mount of its own that is a failure like any other.
        pytest.skip("this machine lets nobody mount")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    found["more"] = done.stdout.splitlines()[1:]
    return found


@LINUX
@pytest.mark.full
def test_the_disk_is_really_full(tmp_path: Path, engine_kind: str) -> None:
    """papermill: the output, written in place, is cut off in the middle: no JSON any more."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    bench = Bench(tmp_path)
    bench.write("print('x' * 200_000)", "print('y' * 2_000_000)", "z = 3")
    bench.output.parent.mkdir()
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    # What is on the full disk is shown before it goes with the command.
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && "$@" && ls "$0" && cat "$0"/*'
    mounted = ("unshare", *user, "--mount", "sh", "-c", script, str(bench.output.parent))
    done = execute(bench, engine_kind, before=mounted)
    assert done["status"] == "raised"
    assert done["evalue"].endswith("cannot be written: No space left on device")
    assert done["more"][0] == "executed.ipynb"  # and nothing beside it
    cells = json.loads("\n".join(done["more"][1:]))["cells"]
    assert ["".join(cell["source"]) for cell in cells][1:] == [
        "print('x' * 200_000)",
        "print('y' * 2_000_000)",
        "z = 3",
    ]


PIPELINE = """\
version: 1
name: sums
parameters:
  size: {type: integer, default: 3}
steps:
  - {name: make, notebook: make.ipynb, outputs: {made: made.json}}
  - name: add
    notebook: add.ipynb
    needs: [make]
    inputs: {made: make.made}
    outputs: {total: total.json}
metrics: add.total
"""
TWICE = """
import json, sys
from jupyter_mlops.config import load_config
from jupyter_mlops.errors import ConflictError
from jupyter_mlops.pipelines import run_pipeline
from jupyter_mlops.project import open_project
project = open_project(".")
sys.stdin.readline()
try:
    outcome = run_pipeline(
        project, load_config(project.root), "sums", {"size": int(sys.argv[1])}, deliver="later"
    )
except ConflictError as refusal:
    print(json.dumps({"refused": refusal.message}))
else:
    print(json.dumps({"exit_code": outcome.exit_code, "metrics": outcome.metrics}))
"""


def test_two_runs_of_one_pipeline(project: Project) -> None:
    """papermill: has no pipelines; two runs into one output overwrite each other's."""
    folder = project.pipelines / "sums"
    tagged = {0: "parameters"}
    write_notebook(
        folder / "make.ipynb",
        "size = 3\nmade = 'made.json'",
        "import json, time\nwith open(made, 'w') as file:\n"
        "    json.dump(list(range(size)), file)\ntime.sleep(0.5)",
        tags=tagged,
    )
    write_notebook(
        folder / "add.ipynb",
        "made = 'made.json'\ntotal = 'total.json'",
        "import json\nnumbers = json.load(open(made))\n"
        "json.dump({'sum': sum(numbers)}, open(total, 'w'))",
        tags=tagged,
    )
    (folder / "pipeline.yaml").write_text(PIPELINE)
    pipe = subprocess.PIPE
    runs = {
        size: subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TWICE, str(size)],
            cwd=project.root, env=environment(), stdin=pipe, stdout=pipe, text=True,
        )
        for size in (4, 7)
    }  # fmt: skip
    for process in runs.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = {size: json.loads(process.communicate(timeout=120)[0]) for size, process in runs.items()}
    finished = {size: one for size, one in said.items() if "refused" not in one}
    assert finished
    for size, one in finished.items():
        assert one == {"exit_code": 0, "metrics": {"sum": size * (size - 1) / 2}}
    for one in said.values():
        assert "refused" not in one or "sums" in one["refused"]
