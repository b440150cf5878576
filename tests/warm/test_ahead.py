"""A process that waits for the next run's cells: given away only where it is what a fork would be.

That its cells say what those of other kernels say is held in ``integrations/test_engine_fork``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.warm import client
from jupyter_mlops.warm.address import Address

from ..integrations.bench import ended
from ..integrations.forks import ForkBench, until_ahead, zygote_for_tests

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork engine needs Linux")


@pytest.fixture(scope="module")
def zygote() -> Iterator[Address]:
    with zygote_for_tests() as address:
        yield address


@pytest.fixture(autouse=True)
def _profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "notebooks").mkdir()


def run(tmp_path: Path, *cells: str, folder: str = "notebooks", **options: Any) -> Any:
    """Whether the kernel was there before, and what the last cell printed."""
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    bench = ForkBench(place)
    bench.write(*(cells or ("print(1)",)))
    result = bench.execute(**options)
    assert result.status == "completed", result.error
    assert bench.starts == ["fork"]
    said = "".join(output.get("text", "") for output in bench.code[-1].outputs)
    return bench.executed.metadata.mlops.kernel.get("ahead", False), said


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def waiting(zygote: Address) -> psutil.Process:
    until_ahead(zygote)
    (process,) = psutil.Process(client.ask(zygote, "hello")["pid"]).children()
    return process


def test_the_next_run_takes_it(
    zygote: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.integrations import engine_starting

    # What it is asked here, cells of people ask of kernels with sockets.
    monkeypatch.setattr(engine_starting, "obstacle", lambda notebook, folder: None)
    ahead, _ = run(tmp_path)
    assert not ahead
    process = waiting(zygote)
    cell = (
        "import os, sys, json\n"
        "print(json.dumps([os.getpid(), os.environ['JUPYTER_MLOPS_STEP'], 'GONE' in os.environ, "
        "os.getcwd(), sys.argv[2], get_ipython().config.IPKernelApp.connection_file, "
        "get_ipython().kernel.parent.connection_file]))"
    )
    ahead, said = run(tmp_path, cell, env={"JUPYTER_MLOPS_STEP": "second"})
    assert ahead
    pid, step, gone, folder, *files = json.loads(said)
    assert (pid, step, gone) == (process.pid, "second", False)
    assert folder == str(tmp_path / "notebooks")
    assert len(set(files)) == 1
    ahead, said = run(tmp_path, "import os; print(os.getpid())") if waiting(zygote) else (0, "")
    assert ahead
    assert int(said) != process.pid


def test_each_has_random_numbers_of_its_own(zygote: Address, tmp_path: Path) -> None:
    cell = "import random, numpy, os\nprint(random.random(), numpy.random.rand(), os.urandom(4))"
    seen = set()
    for number in range(3):
        ahead, said = run(tmp_path, cell)
        assert ahead is (number > 0)
        seen |= set(said.split(maxsplit=2))
        until_ahead(zygote)
    assert len(seen) == 9


def test_modules_that_came_meanwhile_are_found(zygote: Address, tmp_path: Path) -> None:
    run(tmp_path)
    until_ahead(zygote)
    (tmp_path / "notebooks" / "came_later.py").write_text("value = 7")
    assert run(tmp_path, "import came_later\nprint(came_later.value)") == (True, "7\n")


@pytest.mark.parametrize(
    ("change", "env"),
    [
        ("", {"IPYTHONDIR": "/nowhere"}),
        ("", {"OMP_NUM_THREADS": "1"}),
        ("", {"JUPYTER_MLOPS_STEP_EVIDENCE": "/nowhere"}),
        ("profile_default/ipython_config.py", {}),
        ("profile_default/ipython_kernel_config.json", {}),
        ("profile_default/startup/00-first.py", {}),
    ],
)
def test_what_would_be_another_kernel_is_forked(
    zygote: Address, tmp_path: Path, change: str, env: dict[str, str]
) -> None:
    run(tmp_path)
    until_ahead(zygote)
    if change:
        path = tmp_path / "ipython" / change
        path.write_text("{}")
    bench = ForkBench(tmp_path / "notebooks")
    bench.write("import os; print(os.environ['IPYTHONDIR'])")
    bench.execute(env=env)
    assert not bench.executed.metadata.mlops.kernel.get("ahead", False)
    asked = env.get("IPYTHONDIR", str(tmp_path / "ipython"))
    assert bench.code[0].outputs[0].text.strip() == asked


def test_another_folder_is_forked_and_then_waited_for(zygote: Address, tmp_path: Path) -> None:
    run(tmp_path)
    first = waiting(zygote)
    assert run(tmp_path, folder="other")[0] is False
    second = waiting(zygote)
    assert second.pid != first.pid
    assert ended(first.pid)
    assert run(tmp_path, folder="other")[0] is True


def test_there_is_none_where_code_runs_at_the_start(zygote: Address, tmp_path: Path) -> None:
    run(tmp_path)
    until_ahead(zygote)
    seen = tmp_path / "seen"
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    (startup / "a.py").write_text(f"begun = open({str(seen)!r}, 'a').write('once ')")
    assert run(tmp_path, "print(begun)") == (False, "5\n")
    time.sleep(1.5)  # it is tried once, and says that it cannot
    assert client.ask(zygote, "hello")["ahead"] is False
    assert run(tmp_path, "print(begun)") == (False, "5\n")
    time.sleep(1.5)
    assert seen.read_text() == "once once "  # as often as there were runs


def test_one_that_was_killed_is_not_missed(zygote: Address, tmp_path: Path) -> None:
    run(tmp_path)
    process = waiting(zygote)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert run(tmp_path, "print(2)")[1] == "2\n"
    assert waiting(zygote).pid != process.pid
    assert run(tmp_path, "print(3)") == (True, "3\n")


def test_it_ends_with_the_zygote(tmp_path: Path) -> None:
    with zygote_for_tests(("csv", "pandas")) as address:
        bench = ForkBench(tmp_path / "notebooks", modules=("csv", "pandas"))
        bench.write("print(1)")
        bench.execute()
        process = waiting(address)
        process.suspend()  # as one that hangs
        os.kill(client.ask(address, "hello")["pid"], signal.SIGKILL)
        until(lambda: ended(process.pid))
        address.path.unlink()  # nobody was left to do so
