"""Which process wrote a journal, precisely enough to tell later whether it still lives.

A pid alone is reused; a pid with its start time and the machine's boot id is not.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ProcessIdentity", "boot_id", "process_identity", "this_process"]

_PROC = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """``started`` is when the process began, to be compared, not shown.

    On Linux it is in seconds since the boot: seconds since the epoch would move with every step of
    the clock, and a live process would look like another one.  Elsewhere it is as psutil reports.
    """

    host: str
    boot_id: str
    pid: int
    started: float

    def alive(self) -> bool | None:
        """Whether the process lives; ``None`` where this machine cannot tell (another host)."""
        if self.host != socket.gethostname():
            return None
        if self.boot_id != boot_id():
            return False
        started = _start_time(self.pid)
        return started is not None and abs(started - self.started) < 1.0


def this_process() -> ProcessIdentity:
    """Identity of the calling process."""
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), boot_id(), pid, _start_time(pid) or 0.0)


def process_identity(pid: int) -> ProcessIdentity | None:
    """Identity of a process of this machine, ``None`` when there is no live one of that pid."""
    started = _start_time(pid)
    return (
        None if started is None else ProcessIdentity(socket.gethostname(), boot_id(), pid, started)
    )


@cache
def boot_id() -> str:
    """The kernel's boot id on Linux; elsewhere the boot time in whole seconds."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return f"boot-{round(psutil.boot_time() / 10)}"


def _start_time(pid: int) -> float | None:
    """When a live process began; ``None`` for none, and for a zombie that waits to be reaped."""
    if _PROC.exists():
        try:
            stat = (_PROC.parent / str(pid) / "stat").read_bytes()
        except OSError:
            return None
        # proc_pid_stat(5): the name, in parentheses, may itself hold spaces and parentheses.
        fields = stat[stat.rindex(b")") + 2 :].split()
        if fields[0] in (b"Z", b"X"):
            return None
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None
