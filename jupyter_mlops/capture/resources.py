"""What a cell used: time, processor, memory, graphics memory.

The peak of memory is what the operating system's own high-water mark says if the cell raised it.
Below an earlier peak the mark says nothing; then the largest size that was seen is reported, and
``peak_memory_sampled`` says so.  Linux can set the mark back (a 5 into ``/proc/self/clear_refs``,
10 microseconds whatever the process's size), but that changes what ``getrusage`` tells the person's
own code, so it is done only on request; the same holds for torch's marks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .git_process import children_cpu_seconds

__all__ = ["Meter"]

_FIRST = 0.1  # Seconds before a cell's memory is sampled,
_EVERY = 0.05  # between samples at first,
_LATER = 0.5  # and when the cell has gone on
_LONG = 60.0  # for so long.
_PROC = "/proc/self"
_LINUX: bool = sys.platform == "linux"
_MAC: bool = sys.platform == "darwin"


class Meter:
    """Measures one cell or block; ``start`` and ``stop`` take well under 0.3 ms.

    Several may measure at once, one inside the other.

    ``reset_peak`` makes the peaks exact by setting the operating system's and torch's marks back at
    the start of each cell, which the person's own code can see.
    """

    def __init__(self, *, reset_peak: bool = False) -> None:
        self._reset = reset_peak
        self._seen: _Seen | None = None
        self._begun: tuple[float, float, int | None, int | None] | None = None
        self._gpu: _Gpu | None = None

    def start(self) -> None:
        """Begin; a second call begins anew."""
        self._gpu = _gpu(self._reset)
        if self._reset:
            with contextlib.suppress(OSError), open(f"{_PROC}/clear_refs", "w") as file:
                file.write("5")  # proc_pid_clear_refs(5)
        memory, peak = _memory(), _peak()
        if self._seen is not None:
            _sampler.stop(self._seen)
        self._seen = _sampler.start() if memory is not None else None
        self._begun = (time.perf_counter(), _cpu(), memory, peak)

    def stop(self) -> dict[str, float]:
        """Return what was used since ``start``; empty without one.

        ``wall_seconds``; ``cpu_seconds`` (all threads, and children that have been waited for);
        ``memory_bytes`` (now), ``memory_delta_bytes`` and ``peak_memory_bytes`` (resident);
        ``peak_memory_sampled`` is 1.0 where the peak is the largest value seen and there may have
        been a larger one between.  With torch or pynvml in use ``gpu_memory_bytes``,
        ``gpu_memory_delta_bytes`` and ``gpu_peak_memory_bytes``, likewise.
        """
        if self._begun is None:
            return {}
        clock, cpu, before, mark = self._begun
        self._begun = None
        found = {
            "wall_seconds": max(0.0, time.perf_counter() - clock),
            "cpu_seconds": max(0.0, _cpu() - cpu),
        }
        seen = _sampler.stop(self._seen) if self._seen is not None else 0
        self._seen = None
        after, peak = _memory(), _peak()
        if before is not None and after is not None:
            found["memory_bytes"] = float(after)
            found["memory_delta_bytes"] = float(after - before)
            found |= _highest("peak_memory", mark, peak, (before, after, seen))
        if self._gpu is not None:
            found |= self._gpu.stop()
            self._gpu = None
        return found


def _highest(
    name: str, mark: int | None, peak: int | None, seen: tuple[int, ...]
) -> dict[str, float]:
    """The mark if it rose, else the most that was seen."""
    if mark is not None and peak is not None and peak > mark:
        return {f"{name}_bytes": float(max(peak, *seen))}
    highest = max(seen)
    if mark is not None and highest >= mark:  # At the mark all the time: nothing was above it.
        return {f"{name}_bytes": float(highest)}
    return {f"{name}_bytes": float(highest), f"{name}_sampled": 1.0}


class _Seen:
    """What the sampler has seen for one meter; ``since`` is monotonic, in seconds."""

    __slots__ = ("highest", "since")

    def __init__(self) -> None:
        self.highest = 0
        self.since = time.monotonic()


class _Sampler:
    """Looks at the process's memory while a cell runs that is not short.

    One thread for all cells: beginning one for each would take longer than most cells.  A process
    that has no other thread is left with one, because Python warns when such a process is forked.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._open: list[_Seen] = []

    def start(self) -> _Seen:
        if self._pid != os.getpid():  # A forked child has neither the thread nor its lock.
            self._pid, self._thread, self._open = os.getpid(), None, []
            self._condition = threading.Condition()
        if self._thread is None and threading.active_count() > 1:
            thread = threading.Thread(
                target=self._run, args=[self._condition], name="jupyter_mlops.memory", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # No more threads.
                thread.start()
                self._thread = thread
        seen = _Seen()
        with self._condition:
            self._open.append(seen)
            if len(self._open) == 1:
                self._condition.notify()
        return seen

    def stop(self, seen: _Seen) -> int:
        if self._pid == os.getpid():
            with self._condition:
                if seen in self._open:
                    self._open.remove(seen)
        return seen.highest

    def _run(self, condition: threading.Condition) -> None:
        while True:
            with condition:
                while not self._open:
                    condition.wait()
                first = self._open[0].since
            # Not by the condition: to be woken at the end of each short cell would cost it time.
            age = time.monotonic() - first
            time.sleep(_FIRST if age < _FIRST else _EVERY if age < _LONG else _LATER)
            with condition:
                now = time.monotonic()
                due = [seen for seen in self._open if now - seen.since >= _FIRST]
                memory = (_memory() or 0) if due else 0
                for seen in due:
                    seen.highest = max(seen.highest, memory)


_sampler = _Sampler()


class _Gpu:
    """The memory of graphics cards before a cell, by a library that is in use.

    ``look`` returns the bytes in use and the most there were, ``None`` where that is not known.
    """

    def __init__(self, look: Callable[[], tuple[int, int | None]]) -> None:
        self._look = look
        self._before, self._mark = look()

    def stop(self) -> dict[str, float]:
        try:
            after, peak = self._look()
        except Exception:  # The cell may have ended the library's use of the card.
            return {}
        return {
            "gpu_memory_bytes": float(after),
            "gpu_memory_delta_bytes": float(after - self._before),
        } | _highest("gpu_peak_memory", self._mark, peak, (self._before, after))


def _gpu(reset: bool) -> _Gpu | None:
    try:
        torch: Any = sys.modules.get("torch")
        cuda = vars(torch).get("cuda") if torch is not None else None
        if cuda is not None and cuda.is_initialized():
            if reset:
                for card in range(cuda.device_count()):
                    cuda.reset_peak_memory_stats(card)
            return _Gpu(lambda: _torch_memory(cuda))
        nvml: Any = sys.modules.get("pynvml")
        if nvml is not None:
            return _Gpu(lambda: (_nvml_memory(nvml), None))
    except Exception:  # Not started, no card, another version: then nothing is said.
        return None
    return None


def _torch_memory(cuda: Any) -> tuple[int, int]:
    """Bytes that torch has on all cards, and the most it had."""
    now = most = 0
    for card in range(cuda.device_count()):
        # `memory_allocated` makes a flat dictionary of some hundred entries to return one of them.
        found = cuda.memory_stats_as_nested_dict(card).get("allocated_bytes", {}).get("all", {})
        now += int(found.get("current", 0))
        most += int(found.get("peak", 0))
    return now, most


def _nvml_memory(nvml: Any) -> int:
    """What this process has on all cards, in bytes."""
    total = 0
    for number in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
            if process.pid == os.getpid():
                total += int(process.usedGpuMemory or 0)
    return total


def _cpu() -> float:
    """Processor seconds of the process and of children it has waited for, without our own."""
    return time.process_time() + _children() - children_cpu_seconds()


def _children() -> float:
    try:
        import resource
    except ImportError:
        times = os.times()
        return times.children_user + times.children_system
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # Finer than `os.times`.
    return used.ru_utime + used.ru_stime


def _memory() -> int | None:
    """Resident bytes now (proc_pid_statm(5)); elsewhere by psutil."""
    if _LINUX:
        fields = _read("statm").split()
        try:
            return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
        except (IndexError, ValueError):
            return None
    try:
        import psutil

        return int(psutil.Process().memory_info().rss)
    except Exception:
        return None


def _peak() -> int | None:
    """The most resident bytes so far (``VmHWM`` of proc_pid_status(5)); elsewhere by getrusage."""
    if _LINUX:
        _, found, rest = _read("status").partition(b"\nVmHWM:")
        return int(rest.split(None, 1)[0]) * 1024 if found else None
    try:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    except (ImportError, OSError, ValueError):
        return None
    return int(most) if _MAC else int(most) * 1024


def _read(name: str) -> bytes:
    try:
        file = os.open(f"{_PROC}/{name}", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(file, 8192)
    except OSError:
        return b""
    finally:
        os.close(file)
