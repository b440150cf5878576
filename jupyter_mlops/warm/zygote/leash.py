"""Ties a process to whoever holds the other end of a socket: closed, however, it is killed.

No thread watches: the system itself sends the signal (``F_SETSIG`` with ``O_ASYNC``, Linux), so it
also reaches a process that holds Python's lock in native code.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal

__all__ = ["off", "on"]

_F_SETSIG = 10  # Linux; the fcntl module names it from Python 3.12 only on some builds


def on(descriptor: int) -> None:
    """Be killed when the other end of ``descriptor`` (a socket nobody writes to) is closed."""
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if poller.poll(0):  # closed before we listened: no signal will come for it
        os.kill(os.getpid(), signal.SIGKILL)


def off(descriptor: int) -> None:
    """Undo ``on``."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_ASYNC)
