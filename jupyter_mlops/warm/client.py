"""Asks a zygote for a kernel, and stands for that kernel as ``subprocess.Popen`` would."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .address import Address
from .zygote.wire import PROTOCOL, WireError, receive, send

__all__ = ["UNKNOWN_EXIT", "Refused", "WarmKernel", "ask", "fork_kernel"]

_ANSWER_SECONDS = 10.0
UNKNOWN_EXIT = 255  # the zygote died first: nobody was left to be told the exit status


class Refused(Exception):
    """There is no zygote, or it does not fork for this request; ``kind`` says of which sort.

    ``absent``, ``broken`` (it went away or answered nonsense), or the zygote's own: ``protocol``,
    ``key``, ``stale``, ``environment``, ``standing``, ``shadow``, ``cells``, ``request``.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why


class WarmKernel:
    """A kernel that is the zygote's child; has what ``LocalProvisioner`` uses of ``Popen``."""

    stdin = stdout = stderr = None

    def __init__(
        self,
        pid: int,
        pidfd: int,
        connection: socket.socket,
        leash: socket.socket | None,
        *,
        ahead: bool = False,
    ) -> None:
        self.pid = pid
        self.ahead = ahead  # whether it had been begun before it was asked for
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._connection: socket.socket | None = connection
        self._leash = leash

    def fileno(self) -> int:
        """A descriptor that is readable when the process has ended."""
        return self._pidfd

    def poll(self) -> int | None:
        """The exit status (negative: the signal), ``None`` while it runs.

        ``UNKNOWN_EXIT`` if the zygote ended before the kernel did.
        """
        if self.returncode is None and _readable(self._pidfd, 0.0):
            self.returncode = self._told()
            self._close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; ``subprocess.TimeoutExpired`` after ``timeout`` seconds."""
        if self.returncode is None and not _readable(self._pidfd, timeout):
            raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        code = self.poll()
        return UNKNOWN_EXIT if code is None else code

    def send_signal(self, number: int) -> None:
        """Send a signal to the process itself (a pid of somebody else is never hit)."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def let_go(self) -> None:
        """Want nothing more of it: it is killed if it still runs, unless it is independent."""
        self._close()

    def _told(self) -> int:
        # The process has ended: the zygote is about to say how, or is itself gone.
        if self._connection is not None:
            with contextlib.suppress(OSError, WireError, KeyError, ValueError, TypeError):
                message, _none = receive(self._connection)
                return int(message["exit"])
        return UNKNOWN_EXIT

    def _close(self) -> None:
        for one in (self._connection, self._leash):
            if one is not None:
                one.close()
        self._connection = self._leash = None

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._pidfd)


def fork_kernel(
    address: Address,
    command: Sequence[str],
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    streams: tuple[int, int, int],
    script: str | None = None,
    independent: bool = False,
    pdeathsig: int = 0,
    cells: socket.socket | None = None,
) -> WarmKernel:
    """Have the zygote at ``address`` fork the kernel that ``command`` would start.

    ``arguments`` are those after ``ipykernel_launcher``, or after ``script``, which is run in its
    place and calls ``ipykernel.kernelapp.launch_new_instance``.  ``streams`` become the standard
    ones.
    Unless ``independent``, the kernel dies with this process.  ``pdeathsig``: the signal that it
    gets when the zygote dies (0: none, it lives on).  With ``cells`` it has no sockets of
    Jupyter's: it executes cells for whoever holds the other end of that connection.  Raises
    ``Refused``.
    """
    from .zygote import standing  # Unix only

    connection = _connect(address.path)
    mine = theirs = None
    try:
        descriptors = list(streams)
        if not independent:
            mine, theirs = socket.socketpair()
            descriptors.append(theirs.fileno())
        if cells is not None:
            descriptors.append(cells.fileno())
        request = {
            "protocol": PROTOCOL,
            "op": "fork",
            "key": address.key,
            "command": list(command),
            "args": list(arguments),
            "script": script,
            "cells": cells is not None,
            "env": dict(env),
            "cwd": cwd,
            "pdeathsig": pdeathsig,
            "standing": standing.here(),
        }
        message, received = _exchange(connection, request, descriptors)
        if len(received) != 1 or not isinstance(message.get("pid"), int):
            for descriptor in received:
                os.close(descriptor)
            raise Refused("broken", "the zygote answered with what is no kernel")
        ahead = bool(message.get("ahead"))
        return WarmKernel(message["pid"], received[0], connection, mine, ahead=ahead)
    except BaseException:
        connection.close()
        if mine is not None:
            mine.close()
        raise
    finally:
        if theirs is not None:
            theirs.close()


def ask(address: Address, op: str) -> dict[str, Any]:
    """Send ``hello`` or ``stop``; return the answer.  Raises ``Refused``."""
    connection = _connect(address.path)
    with connection:
        message, received = _exchange(connection, {"protocol": PROTOCOL, "op": op}, [])
    for descriptor in received:
        os.close(descriptor)
    return message


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_ANSWER_SECONDS)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):  # none, or that of one that was killed
        connection.close()
        raise Refused("absent", "no zygote runs for its interpreter and modules") from None
    except OSError as error:
        connection.close()
        raise Refused("broken", f"the zygote cannot be reached: {error}") from None
    return connection


def _exchange(
    connection: socket.socket, request: dict[str, Any], descriptors: list[int]
) -> tuple[dict[str, Any], list[int]]:
    try:
        send(connection, request, descriptors)
        message, received = receive(connection)
    except (OSError, WireError) as error:
        raise Refused("broken", f"the zygote broke off: {error}") from None
    if "refused" in message:
        raise Refused(str(message["refused"]), str(message.get("why")))
    if message.get("protocol") != PROTOCOL:
        raise Refused("protocol", "the zygote is of another version")
    return message, received


def _readable(descriptor: int, timeout: float | None) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = None if end is None else max(0.0, end - time.monotonic()) * 1000
        if poller.poll(left):
            return True
        if end is not None and time.monotonic() >= end:
            return False
