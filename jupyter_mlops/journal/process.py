"""Which process wrote a journal, precisely enough to tell later whether it still lives.

A pid alone is reused; a pid with its start time and the machine's boot id is not.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache

__all__ = ["ProcessIdentity", "boot_id", "this_process"]


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """``started`` is in seconds since the epoch, as the operating system reports it."""

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
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None
