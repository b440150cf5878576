"""The table of what a headless run must survive, each row with real processes.

Each docstring says what stock papermill 2.7 does there.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from jupyter_mlops.integrations import engine_kernel, engine_record
from jupyter_mlops.integrations.engine_processes import death_descriptor

from .bench import Bench, ended, kernelspec
from .engine_kinds import KindBench, heavy


@pytest.fixture
def bench(tmp_path: Path, engine_kind: str, plain_zygote: Callable[[], None]) -> Bench:
    if engine_kind != "cold":
        plain_zygote()
    return KindBench(tmp_path, engine_kind)


def test_killed_in_a_cell(bench: Bench) -> None:
    """papermill: DeadKernelError up to 1 s late; every cell ``completed``, also those never run."""
    bench.write("x = 1", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "y = 2")
    result = bench.execute()
    assert result.status == "died"
    assert result.error["evalue"] == "the kernel was ended by SIGSEGV while the cell was running"
    assert bench.states == ["completed", "failed", "pending"]
    assert bench.ours == ["completed", "died", "not run"]
    assert bench.code[1].metadata.mlops["signal"] == "SIGSEGV"
    assert bench.executed.metadata.mlops["state"] == "died"
    assert bench.executed.metadata.mlops["error"]["ename"] == "DeadKernelError"


def test_killed_between_cells(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """papermill: as in a cell."""
    bench.write("import os\nprint(os.getpid())", "y = 2", "z = 3")
    start = engine_record.Record.start

    def kill_before(record: Any, cell: Any) -> None:
        if cell["source"] == "y = 2":
            pid = int(record._notebook["cells"][1]["outputs"][0]["text"])
            end = death_descriptor(pid)
            assert end is not None
            os.kill(pid, 9)
            select.select([end], [], [])  # its threads end one by one, the process with the last
            os.close(end)
        start(record, cell)

    monkeypatch.setattr(engine_record.Record, "start", kill_before)
    result = bench.execute()
    assert result.status == "died"
    assert "ended by SIGKILL before the cell had begun" in result.error["evalue"]
    assert bench.states == ["completed", "failed", "pending"]
    assert bench.ours == ["completed", "died", "not run"]


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_killed_around_the_end_of_a_cell(bench: Bench, seconds: float) -> None:
    """papermill: as in a cell.  Not even a cell that has answered makes a killed kernel's exit."""
    kill = f"asyncio.get_running_loop().call_later({seconds}, os.kill, os.getpid(), 9)"
    bench.write(f"import asyncio, os\n{kill}", "import time\ntime.sleep(60)", "z = 3")
    result = bench.execute()
    assert result.status == "died"
    assert "ended by SIGKILL" in result.error["evalue"]
    ours = bench.ours
    assert ours in (["died", "not run", "not run"], ["completed", "died", "not run"])


def test_killed_at_start(bench: Bench) -> None:
    """papermill: RuntimeError, the output notebook says ``completed`` of all cells."""
    bench.write("x = 1")
    with kernelspec("suicidal", "import os; os.kill(os.getpid(), 9)"):
        result = bench.execute(kernel="suicidal")
    assert result.status == "died"
    assert "ended by SIGKILL while it was starting" in result.error["evalue"]
    assert bench.states == ["pending"]
    assert bench.executed.metadata.mlops["state"] == "died"


def test_memory_runs_out_at_a_limit(bench: Bench) -> None:
    """papermill: the same failure; nothing says how much memory the cells had."""
    bench.write(
        "held = bytearray(150_000_000)",
        "del held",
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))\n"
        "bytearray(8_000_000_000)",
        "y = 2",
    )
    result = bench.execute()
    assert (result.status, result.error["ename"]) == ("failed", "MemoryError")
    assert bench.ours == ["completed", "completed", "failed", "not run"]
    used = [cell.metadata.mlops for cell in bench.code[:3]]
    assert all(entry["cpu"] >= 0 and entry["wall"] > 0 for entry in used)
    # Peaks are the cell's own: the first filled 150 MB.
    assert used[0]["peak_memory"] > 150_000_000 > 10_000_000 < used[1]["peak_memory"]
    assert bench.executed.metadata.mlops["peak_memory"] >= used[0]["peak_memory"]


def test_a_cell_that_takes_too_long(bench: Bench) -> None:
    """papermill: CellTimeoutError; every cell ``completed``; the cell is not interrupted."""
    bench.write("x = 1", "while True:\n    pass", "y = 2")
    result = bench.execute(cell_timeout=1)
    assert result.status == "timeout"
    assert result.error["evalue"] == "the cell did not finish within 1 s"
    assert bench.states == ["completed", "failed", "pending"]
    assert bench.ours == ["completed", "timed out", "not run"]
    assert bench.code[1].metadata.mlops["cpu"] > 0.05
    assert bench.executed.metadata.mlops["state"] == "timed out"


@heavy
def test_a_cell_that_prints_for_ever(bench: Bench) -> None:
    """papermill: memory and file grow until the disk or the memory is full."""
    bench.write("n = 0\nwhile True:\n    print(n, 'x' * 1000)\n    n += 1")
    before = psutil.Process().memory_info().rss
    result = bench.execute(cell_timeout=3)
    assert result.status == "timeout"
    cell = bench.code[0]
    assert bench.output.stat().st_size < 12_000_000
    assert psutil.Process().memory_info().rss - before < 200_000_000
    assert cell.metadata.mlops["output_cut"]["characters"] > 0
    text = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    assert text.startswith("0 xxx")
    assert "characters of printed text. A cell keeps 10 MB of output, a notebook 100 MB." in text
    assert [o.ename for o in cell.outputs[-2:]] == ["TimeoutError", "KeyboardInterrupt"]


@heavy
@pytest.mark.parametrize("count", [4_000, pytest.param(20_000, marks=pytest.mark.full)])
def test_many_prints_and_displays(bench: Bench, count: int) -> None:
    """papermill: CellTimeoutError waiting for IOPub output, or lost lines, from 1,000 on."""
    bench.write(
        f"for i in range({count}):\n    print(i, flush=True)",
        f"for i in range({count}):\n    display(i)",
    )
    assert bench.execute().status == "completed"
    assert bench.code[0].outputs[0].text.splitlines() == [str(i) for i in range(count)]
    assert [o.data["text/plain"] for o in bench.code[1].outputs] == [str(i) for i in range(count)]


@heavy
def test_fifty_megabytes_of_output(bench: Bench) -> None:
    """papermill: all of it, written again after each cell."""
    bench.write(
        "for i in range(500_000):\n    print(f'{i:099}')",
        "display({'text/plain': 'x' * 11_000_000}, raw=True)\n'small'",
    )
    assert bench.execute().status == "completed"
    first, second = bench.code
    assert first.outputs[0].text.startswith("0" * 99 + "\n")
    assert first.outputs[-1].text.endswith("499999\n")
    kept = sum(len(output.text) for output in first.outputs)
    assert kept < 10_000_500
    cut = first.metadata.mlops["output_cut"]
    assert cut["characters"] == 50_000_000 - (kept - len(first.outputs[1].text))
    assert f"{cut['characters']:,} characters" in first.outputs[1].text
    assert "an output of 11.0 MB (text/plain)" in second.outputs[0].data["text/plain"]
    assert second.outputs[1].data["text/plain"] == "'small'"


def test_input_is_asked_for(bench: Bench) -> None:
    """papermill: the same error where the kernel refuses; a hang where it does not."""
    bench.write("input('name? ')")
    result = bench.execute()
    assert (result.status, result.error["ename"]) == ("failed", "StdinNotImplementedError")
    bench.write("get_ipython().kernel._allow_stdin = True\ninput('name? ')", "y = 2")
    result = bench.execute()
    assert (result.status, result.error["ename"]) == ("failed", "StdinNotImplementedError")
    assert result.error["evalue"] == "a headless run has nobody who could answer"
    assert bench.ours == ["failed", "not run"]


def test_tags_exits_and_async_cells(bench: Bench) -> None:
    """papermill: the same outputs; ``sys.exit(0)`` leaves ``failed``; nothing says "skipped"."""
    bench.write(
        "import asyncio\nawait asyncio.sleep(0.01)\nprint('slept')",
        "1 / 0",
        "raise SystemError('not reached')",
        "   ",
        "import sys\nprint('last')\nsys.exit()",
        "y = 2",
        tags={2: "raises-exception", 3: "skip-execution"},
    )
    assert bench.execute().status == "completed"
    assert bench.code[0].outputs[0].text == "slept\n"
    assert bench.ours == ["completed", "completed", "skipped", "skipped", "completed", "not run"]
    assert bench.code[1].metadata.mlops["allowed_error"] == "ZeroDivisionError"
    assert bench.states == ["completed"] * 5 + ["pending"]
    assert bench.executed.metadata.mlops["state"] == "completed"
    assert "exception" not in bench.executed.metadata.mlops


@pytest.mark.parametrize("leave", ["exit()", "quit", "import os\nos._exit(0)"])
def test_the_kernel_leaves(bench: Bench, leave: str) -> None:
    """papermill: DeadKernelError for all of them, some only at the next cell."""
    bench.write(leave, "y = 2")
    result = bench.execute()
    if "os._exit" in leave:
        assert result.status == "died"
        assert (
            result.error["evalue"] == "the kernel ended with exit code 0 while the cell was running"
        )
    else:
        assert result.status == "completed"
        assert bench.ours == ["completed", "not run"]


@heavy
def test_widgets(bench: Bench) -> None:
    """papermill: the same; nbclient's own account is compared."""
    bench.write(
        "import ipywidgets as w\n"
        "from IPython.display import display\n"
        "slider, out = w.IntSlider(value=7), w.Output()\n"
        "display(slider, out)",
        "with out:\n    print('caught')\n    print('too')\nslider.value = 9\nprint('outside')",
        "with out:\n    display('shown')",
    )
    assert bench.execute().status == "completed"
    ours = bench.executed
    assert bench.code[1].outputs[0].text == "outside\n"
    assert bench.code[2].outputs == []

    # In a process of its own: nbclient takes the signals of this one, and leaves them taken.
    program = (
        "import sys, nbformat, nbclient\n"
        "nb = nbformat.read(sys.argv[1], 4)\n"
        "nbformat.write(nbclient.NotebookClient(nb).execute(), sys.argv[2])"
    )
    place = bench.folder / "theirs.ipynb"
    for attempt in range(3):
        try:
            command = [sys.executable, "-c", program, bench.source, place]
            subprocess.run(command, check=True, timeout=60)
            break
        except subprocess.TimeoutExpired:  # now and then it waits for ever
            if attempt == 2:
                raise
    theirs = nbformat.read(place, as_version=4)
    assert _widgets(ours) == _widgets(theirs)
    output = next(entry for name, entry in _widgets(ours) if name == "OutputModel")
    assert [part["output_type"] for part in output["outputs"]] == ["stream", "display_data"]


def _widgets(notebook: Any) -> list[tuple[str, Any]]:
    """The widgets' states without their random names."""
    found = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    states = []
    for entry in found.values():
        state = {k: v for k, v in entry["state"].items() if not str(v).startswith("IPY_MODEL_")}
        assert set(entry) >= {"model_name", "model_module", "model_module_version"}
        states.append((entry["model_name"], state))
    return sorted(states, key=lambda pair: pair[0])


def test_a_port_that_another_process_has_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill: fails (#511, #239); dagstermill tries three times around it."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    write = engine_kernel._Manager.write_connection_file
    ports = []

    def clash(manager: Any, **kwargs: Any) -> None:
        if not ports:
            manager.shell_port = taken.getsockname()[1]
        write(manager, **kwargs)
        ports.append(manager.shell_port)

    monkeypatch.setattr(engine_kernel._Manager, "write_connection_file", clash)
    bench.write("x = 1")
    try:
        assert bench.execute().status == "completed"
    finally:
        taken.close()
    assert len(set(ports)) == 2


def test_the_disk_is_full(bench: Bench) -> None:
    """papermill: the output, written in place, is cut off in the middle."""
    from jupyter_mlops.errors import ProjectError

    bench.write("print('x' * 400_000)")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # Python ignores SIGXFSZ
        with pytest.raises(ProjectError, match="cannot be written: File too large"):
            bench.execute()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # The first write is still there, whole, and nothing beside it.
    assert [c.source for c in bench.executed.cells] == ["# Title", "print('x' * 400_000)"]
    assert os.listdir(bench.output.parent) == ["executed.ipynb"]


@heavy
def test_what_was_started_ends_with_a_failed_run(bench: Bench) -> None:
    """papermill: what took a session of its own lives on."""
    bench.write(
        "import multiprocessing, subprocess, sys\n"
        'code = \'import subprocess, time; p = subprocess.Popen(["sleep", "600"], \'\\\n'
        "    'start_new_session=True); print(p.pid, flush=True); time.sleep(600)'\n"
        "p = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)\n"
        "print(p.pid, p.stdout.readline().strip(), flush=True)\n"
        "1 / 0"
    )
    assert bench.execute().status == "failed"
    pids = [int(word) for word in bench.code[0].outputs[0].text.split()]
    assert len(pids) == 2
    assert all(ended(pid) for pid in pids)


@pytest.mark.parametrize("count", [4, pytest.param(50, marks=pytest.mark.full)])
def test_many_at_once(tmp_path: Path, count: int) -> None:
    """papermill: its working folder is the process's; ports clash in up to a quarter of starts."""

    def one(number: int) -> tuple[str, str]:
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = Bench(folder)
        bench.write("n = 0", "import os\nprint(n, os.getcwd())", tags={1: "parameters"})
        return bench.execute({"n": number}).status, bench.code[2].outputs[0].text

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(one, range(count)))
    assert results == [("completed", f"{n} {tmp_path / str(n)}\n") for n in range(count)]
