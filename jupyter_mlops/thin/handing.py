"""Handing this process's work to a runner, and standing for it until that ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

from ..warm.zygote import standing
from ..warm.zygote.wire import WireError, receive, send
from .place import runners_of, state_of

__all__ = ["Runner"]

PROTOCOL = 1
_ANSWER_SECONDS = 5.0
_PASSED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH, signal.SIGCONT,
)  # fmt: skip


class Runner:
    """The runners that may take this process's work."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._state = state_of(words)
        self._env = dict(os.environ)
        self._refused: str | None = None

    def run(self) -> int | None:
        """Have a runner do it and return the exit code; ``None`` if it is to be done here."""
        for path in runners_of(self._state, sys.executable) if self._state else ():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                try:
                    connection.connect(path)
                    if _peer(connection) != os.getuid():
                        continue
                except OSError:
                    continue
                code = _Handed(connection).run(self._env)
            if isinstance(code, int):
                return code
            self._refused = code
        return None

    def order(self) -> None:
        """Ask the agent for a runner for the next time; it never fails and never waits long."""
        with suppress(Exception):
            from .ordering import order_runner

            state = self._state or state_of(self._words)  # the run may have made it
            if state is not None:
                order_runner(state, self._env, self._refused)


class _Handed:
    """One request over one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._pidfd: int | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def run(self, env: dict[str, str]) -> int | str:
        """The exit code, or the kind of the refusal."""
        mine, theirs = socket.socketpair()
        with mine:
            try:
                # From here on a signal is the run's; one that comes too early is passed on late.
                self._take_signals()
                with theirs:
                    answer, received = self._ask(env, theirs)
            except (OSError, WireError):
                # Perhaps it has forked: a child begins when it is told to, and is not.
                self._give_signals_back()
                return "broken"
            if len(received) != 1 or "pid" not in answer:
                for descriptor in received:
                    os.close(descriptor)
                self._give_signals_back()
                return str(answer.get("refused", "broken"))
            self._pidfd = received[0]
            with suppress(OSError):  # it has ended already, which shows below
                mine.sendall(b"!")
            for number in self._early:
                self._pass(number)
            return self._wait(mine, self._pidfd)

    def _ask(self, env: dict[str, str], theirs: socket.socket) -> tuple[dict[str, Any], list[int]]:
        ignored = [n for n in _PASSED if self._before.get(n) == signal.SIG_IGN]
        request = {
            "protocol": PROTOCOL,
            "op": "run",
            "argv": sys.argv,
            "command": sys.orig_argv,
            "path": sys.path,
            "env": env,
            "cwd": os.getcwd(),
            "ignored": ignored,
            "standing": standing.here(),
        }
        send(self._connection, request, [0, 1, 2, theirs.fileno()])
        return receive(self._connection)

    def _wait(self, mine: socket.socket, pidfd: int) -> int:
        """Wait for the end that the runner reports, or for that of the process itself."""
        code: int | None = None
        self._connection.settimeout(None)
        with suppress(OSError, WireError, KeyError, TypeError, ValueError):
            message, _none = receive(self._connection)
            code = int(message["exit"])
        if code is None:
            # The runner was killed.  Its child goes on, and says itself with which code it ends.
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            while not poller.poll():
                pass
            with suppress(OSError):
                mine.settimeout(0.0)
                told = mine.recv(4)
                code = struct.unpack("!i", told)[0] if len(told) == 4 else None
        if code is None:
            print("The process that ran this has ended, nobody knows how.", file=sys.stderr)
            code = 1
        if code < 0:
            _die_of(-code)
        return code

    def _take_signals(self) -> None:
        for number in (*_PASSED, signal.SIGTSTP):
            self._before[number] = signal.getsignal(number)
            if self._before[number] != signal.SIG_IGN:
                signal.signal(number, self._stop if number == signal.SIGTSTP else self._got)

    def _give_signals_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for number in self._early:
            os.kill(os.getpid(), number)

    def _got(self, number: int, frame: FrameType | None) -> None:
        if self._pidfd is None:
            self._early.append(number)
        else:
            self._pass(number)

    def _pass(self, number: int) -> None:
        if self._pidfd is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the run stops with us, and goes on with us."""
        self._pass(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._pass(signal.SIGCONT)


def _die_of(number: int) -> None:
    """End as the run did, so that whoever waits for this process sees the same."""
    import resource

    with suppress(OSError, ValueError):  # the run's memory is of interest, ours is not
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _peer(connection: socket.socket) -> int:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])
