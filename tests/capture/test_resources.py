from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.capture import resources
from jupyter_mlops.capture.git import Repository
from jupyter_mlops.capture.git_process import Git, children_cpu_seconds
from jupyter_mlops.capture.resources import Meter

from .git_repository import git

MIB = 2**20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def another_thread() -> Iterator[None]:
    """As a kernel has several."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


def in_process(code: str) -> str:
    """Run in a process whose memory nobody else uses."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_time_and_processor_of_threads_and_children() -> None:
    def work() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    meter = Meter()
    meter.start()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    subprocess.run(
        [sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"], check=True
    )
    time.sleep(0.05)
    found = meter.stop()
    assert 0.28 <= found["cpu_seconds"] < 2
    assert found["wall_seconds"] >= 0.25
    assert meter.stop() == {}


def test_idle_time_is_not_processor_time() -> None:
    meter = Meter()
    meter.start()
    time.sleep(0.2)
    found = meter.stop()
    assert found["wall_seconds"] >= 0.2
    assert found["cpu_seconds"] < 0.15


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_our_own_children_are_not_the_cells(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    meter = Meter()
    meter.start()
    spent = time.process_time()
    ours, children = children_cpu_seconds(), resources._children()
    with Git(Repository(tmp_path, tmp_path / ".git"), 20.0) as tool:
        for _ in range(20):
            tool.run("rev-parse", "--git-dir")
    spent = time.process_time() - spent
    ours, children = children_cpu_seconds() - ours, resources._children() - children
    assert ours == pytest.approx(children, abs=0.001)
    assert ours > 0.005
    assert meter.stop()["cpu_seconds"] == pytest.approx(spent, abs=0.02)


@LINUX
def test_a_peak_above_all_before_it_is_exact() -> None:
    found = in_process("""
        from jupyter_mlops.capture.resources import Meter
        meter = Meter()
        meter.start()
        del (block := bytearray(300 * 2**20))[:]
        del block
        found = meter.stop()
        print(found["peak_memory_bytes"] // 2**20, found["memory_delta_bytes"] // 2**20,
              "peak_memory_sampled" in found)
    """)
    peak, delta, sampled = found.split()
    assert 300 <= float(peak) < 500
    assert abs(float(delta)) < 50
    assert sampled == "False"


@LINUX
def test_a_lower_peak_is_the_most_that_was_seen(another_thread: None) -> None:
    block = bytearray(400 * MIB)  # An earlier cell's.
    del block
    meter = Meter()
    meter.start()
    base = resources._memory()
    assert base is not None
    block = bytearray(200 * MIB)
    time.sleep(0.4)
    del block
    found = meter.stop()
    assert found["peak_memory_sampled"] == 1.0
    assert base + 190 * MIB < found["peak_memory_bytes"] < base + 300 * MIB
    assert found["memory_delta_bytes"] < 100 * MIB

    meter.start()  # The next one has its own.
    time.sleep(0.3)
    assert meter.stop()["peak_memory_bytes"] < base + 100 * MIB


@LINUX
def test_what_the_persons_code_reads_stays_as_it_was() -> None:
    code = """
        from jupyter_mlops.capture.resources import Meter, _peak
        block = bytearray(200 * 2**20)
        del block
        meter = Meter({option})
        before = _peak()
        meter.start()
        block = bytearray(50 * 2**20)
        del block
        after = _peak()
        found = meter.stop()
        print(before == after, "peak_memory_sampled" in found, found["peak_memory_bytes"] > 2**27)
    """
    assert in_process(code.format(option="")) == "True True False"
    assert in_process(code.format(option="reset_peak=True")) == "False False False"


@LINUX
def test_a_process_without_threads_gets_none() -> None:
    assert (
        in_process("""
        import os, threading, warnings
        from jupyter_mlops.capture.resources import Meter
        meter = Meter()
        meter.start()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        assert meter.stop()["peak_memory_bytes"] > 0
        print(threading.active_count())
    """)
        == "1"
    )


def test_one_thread_for_all_cells(another_thread: None) -> None:
    before = threading.active_count()
    for _ in range(20):
        meter = Meter()
        meter.start()
        assert meter.stop()["wall_seconds"] >= 0
    assert threading.active_count() - before <= 1


@LINUX
def test_one_inside_the_other(another_thread: None) -> None:
    block = bytearray(400 * MIB)
    del block
    outer, inner = Meter(), Meter()
    outer.start()
    base = resources._memory()
    assert base is not None
    block = bytearray(200 * MIB)
    time.sleep(0.4)
    del block
    inner.start()
    time.sleep(0.3)
    assert inner.stop()["peak_memory_bytes"] < base + 100 * MIB
    assert outer.stop()["peak_memory_bytes"] > base + 190 * MIB


def test_the_cost(another_thread: None) -> None:
    meter, took = Meter(), []
    for _ in range(100):
        began = time.perf_counter()
        meter.start()
        middle = time.perf_counter()
        meter.stop()
        took.append(max(middle - began, time.perf_counter() - middle))
    assert sorted(took)[25] < 0.0006


class FakeCuda:
    """torch.cuda's figures; there is no card where tests run."""

    def __init__(self) -> None:
        self.used, self.most = 100, 1000

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 2

    def memory_stats_as_nested_dict(self, card: int) -> dict[str, Any]:
        return {"allocated_bytes": {"all": {"current": self.used, "peak": self.most}}}

    def reset_peak_memory_stats(self, card: int) -> None:
        self.most = self.used


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    torch = types.ModuleType("torch")
    torch.cuda = FakeCuda()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    return torch.cuda  # type: ignore[no-any-return]


def test_graphics_memory(cuda: FakeCuda) -> None:
    meter = Meter()
    meter.start()
    cuda.used, cuda.most = 300, 1500
    found = meter.stop()
    assert found["gpu_memory_bytes"] == 600
    assert found["gpu_memory_delta_bytes"] == 400
    assert found["gpu_peak_memory_bytes"] == 3000
    assert "gpu_peak_memory_sampled" not in found

    meter.start()
    cuda.used = 500
    found = meter.stop()
    assert (found["gpu_peak_memory_bytes"], found["gpu_peak_memory_sampled"]) == (1000, 1.0)

    meter = Meter(reset_peak=True)
    meter.start()
    cuda.most = 700
    assert meter.stop()["gpu_peak_memory_bytes"] == 1400


def test_graphics_memory_that_cannot_be_asked_for(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter()
    meter.start()
    monkeypatch.setattr(cuda, "memory_stats_as_nested_dict", None)
    assert not any(name.startswith("gpu") for name in meter.stop())
    meter.start()
    assert not any(name.startswith("gpu") for name in meter.stop())
