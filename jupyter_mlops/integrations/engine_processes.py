"""The processes of a headless run: their end, their cost, and that none of them is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Guard", "Meter", "Usage", "death_descriptor", "end_tree", "kill_group", "tree"]

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PROC = Path("/proc/self/stat").exists()
# Waits until its standard input ends, which the system sees to however the writer dies, and then
# ends a process, its group and its descendants.  Processes of sessions of their own are found as
# children while their parents live, so the children come first.
_GUARD = """
children() { cat /proc/$1/task/*/children 2>/dev/null || pgrep -P "$1" 2>/dev/null; }
tree() { for c in $(children "$1"); do echo "$c"; tree "$c"; done; }
while read -r line; do :; done
found=$(tree "$1")
kill -s KILL -- "-$1" 2>/dev/null
kill -s KILL "$1" 2>/dev/null
for c in $found; do kill -s KILL "$c" 2>/dev/null; done
for f in $(grep -lzx "JPY_PARENT_PID=$2" /proc/[0-9]*/environ 2>/dev/null); do
    f=${f#/proc/}
    kill -s KILL "${f%/environ}" 2>/dev/null
done
"""


class Guard:
    """Ends a kernel and what it started when this process dies, were it by ``kill -9``.

    A small shell waits on a pipe that only this process holds open.  A forked kernel dies at once
    with its runner, and is no parent any more then: what took a session of its own is known by
    the variable by which Jupyter tells a kernel, and so its children, who started it.  Nothing
    is there to do where there is no ``/bin/sh``: the kernel then notices by itself, within a
    second or so.
    """

    def __init__(self, pid: int) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if not os.path.exists("/bin/sh"):
            return
        with contextlib.suppress(OSError):
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "sh", str(pid), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a signal to our group, as CI systems send, is not for it
                cwd="/",
            )

    def dismiss(self) -> None:
        """The kernel has ended: the guard is not needed any more."""
        shell = self._shell
        if shell is None:
            return
        self._shell = None
        shell.kill()
        shell.wait()
        if shell.stdin is not None:
            shell.stdin.close()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used: ``cpu`` in seconds, ``peak`` memory in bytes (resident)."""

    cpu: float
    peak: int


class Meter:
    """Measures CPU and memory of a process and its descendants, for one stretch after another.

    The peak is the highest sum of the processes' own peaks that a sample has seen, so an upper
    bound of what they had at one time; what lives only between two samples is not in it.  On Linux
    the peaks are the kernel's own, elsewhere the memory at the moments of the samples.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._cpu = 0.0
        self._highest = 0.0
        self._known: list[int] | None = None  # the processes at the end of the last stretch

    def begin(self) -> None:
        """Start a stretch: peaks count from here, CPU from the end of the last stretch."""
        pids = self._known
        if pids is None:
            pids = [self._pid, *tree(self._pid)]
            self._seconds(pids)
        for pid in pids if _PROC else ():
            with contextlib.suppress(OSError):
                _write(f"/proc/{pid}/clear_refs", b"5")  # resets VmHWM, nothing else
        self._cpu = self._highest
        self._peak = 0

    def sample(self) -> None:
        """Note the memory now; called every second or so."""
        pids = [self._pid, *tree(self._pid)]
        self._peak = max(self._peak, sum(map(_peak_memory, pids)))

    def end(self) -> Usage:
        """What was used since ``begin``; also when the processes have ended meanwhile."""
        pids = self._known = [self._pid, *tree(self._pid)]
        self._peak = max(self._peak, sum(map(_peak_memory, pids)))
        return Usage(max(0.0, self._seconds(pids) - self._cpu), self._peak)

    def _seconds(self, pids: list[int]) -> float:
        now = sum(_cpu_seconds(pid, root=pid == self._pid) for pid in pids)
        self._highest = max(self._highest, now)
        return self._highest


def death_descriptor(pid: int) -> int | None:
    """A file descriptor that becomes readable when the process ends; ``None`` where there is none.

    The caller closes it.  Linux 5.3 and later.
    """
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return int(opener(pid))
    except OSError:
        return None


def tree(pid: int) -> list[int]:
    """The descendants of a process, parents first; empty when it has ended."""
    found: list[int] = []
    if not _PROC:
        with contextlib.suppress(psutil.Error):
            found = [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return found
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def end_tree(pid: int, descendants: Iterable[psutil.Process] = ()) -> None:
    """End a kernel's process group at once, and ``descendants``, wherever they are."""
    kill_group(pid)
    for process in descendants:
        with contextlib.suppress(psutil.Error):
            process.kill()  # psutil compares the start time: never another's pid


def kill_group(pid: int) -> None:
    """End the process group of a kernel, whatever is left of it."""
    # Each kernel has a session of its own: its pid is its group's.
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _read(path: str) -> bytes:
    """A small file of /proc, without what a file object costs."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
    return data


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _cpu_seconds(pid: int, *, root: bool) -> float:
    """CPU of one process and of the children it has waited for."""
    if not _PROC:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            return 0.0
        waited = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return float(times.user + times.system + waited)
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return 0.0
    own, waited = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    seconds = own / _TICK
    if root:
        # The process's own clock (clock_getcpuclockid(3)) counts finer than in ticks of 10 ms.
        with contextlib.suppress(OSError):
            seconds = time.clock_gettime((~pid << 3) | 2)
    return seconds + waited / _TICK


def _peak_memory(pid: int) -> int:
    if not _PROC:
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
        return 0
    try:
        _before, _key, after = _read(f"/proc/{pid}/status").partition(b"VmHWM:")
        return int(after.split(None, 1)[0]) * 1024
    except (OSError, IndexError, ValueError):
        return 0
