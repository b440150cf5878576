"""Speaking to the project's agent: standard library only, since the kernel uses it too.

The agent writes ``.mlops/agent/pointer.json`` when it listens.  Requests are HTTP + JSON, one a
connection, over the Unix socket that the pointer names (or loopback TCP with its token)::

    hello(project)                      who answers: protocol, version, interpreter, pid, project
    ensure(project, config)             start it, detached, unless it runs or is turned off
    nudge(project, config)              "there is something to deliver", from the kernel
    call(project, "/v1/wake", {})       any request
    call_op(project, "deliver", {})     an operation in the agent's warm worker
    stop(project)                       end it
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import version
from ..config import Config
from ..errors import AgentUnavailable, MlopsError
from ..project import Project
from .agent_start import start_agent, unavailable

if TYPE_CHECKING:
    from ..journal import ProcessIdentity

__all__ = [
    "PROTOCOL",
    "AgentUnavailable",
    "Pointer",
    "call",
    "call_op",
    "ensure",
    "hello",
    "is_outdated",
    "nudge",
    "read_pointer",
    "stop",
]

PROTOCOL = 1
_NUDGE_TIMEOUT = 2.0
_nudging: set[tuple[int, Path]] = set()


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where an agent listens and which process it is; exactly one of ``socket``, ``port`` is set.

    ``pid``, ``pid_started``, ``boot_id`` and ``host`` are those of a ``ProcessIdentity``;
    ``foreground`` says that somebody (a terminal, systemd) runs it on purpose.
    """

    protocol: int
    version: str
    interpreter: str
    pid: int
    pid_started: float
    boot_id: str
    host: str
    state: str
    foreground: bool = False
    socket: str | None = None
    port: int | None = None
    token: str | None = None

    @property
    def process(self) -> ProcessIdentity:
        """Which process it is."""
        from ..journal import ProcessIdentity

        return ProcessIdentity(self.host, self.boot_id, self.pid, self.pid_started)


def read_pointer(project: Project) -> Pointer | None:
    """Return the pointer of this project, ``None`` if there is none that is this user's own."""
    path = project.agent / "pointer.json"
    try:
        with path.open("rb") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            data = json.loads(file.read(65536))
        known = {f.name: data[f.name] for f in fields(Pointer) if f.name in data}
        pointer = Pointer(**known)
    except (OSError, ValueError, TypeError):
        return None
    # A project folder that was copied brings the pointer of the original's agent along.
    return pointer if pointer.state == str(project.state) else None


def hello(project: Project, *, timeout: float = 2.0) -> dict[str, Any]:
    """Return ``{protocol, version, interpreter, pid, project, draining}`` of the running agent.

    Raises ``AgentUnavailable`` when none answers within ``timeout`` seconds.
    """
    return call(project, "/v1/hello", timeout=timeout)


def call(
    project: Project, path: str, body: dict[str, Any] | None = None, *, timeout: float = 10.0
) -> dict[str, Any]:
    """Send one request (GET without a ``body``, else POST) and return the answer.

    Raises ``AgentUnavailable`` when no agent runs or it does not answer within ``timeout`` seconds
    of silence, and the error that the agent reports, as its own class, when it reports one.
    """
    pointer = read_pointer(project)
    if pointer is None:
        raise unavailable(project, "no agent runs")
    connection = _connection(pointer, timeout)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    if pointer.token:
        headers["Authorization"] = f"Bearer {pointer.token}"
    data = None if body is None else json.dumps(body).encode()
    try:
        connection.request("GET" if body is None else "POST", path, body=data, headers=headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
    except TimeoutError as error:
        raise unavailable(project, f"the agent did not answer within {timeout:g} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise unavailable(project, f"the agent does not answer: {error}") from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise unavailable(project, "the agent gave an answer that is not an object")
    if response.status >= 400:
        raise MlopsError.from_dict(answer)
    return answer


def call_op(
    project: Project,
    op: str,
    args: dict[str, Any] | None = None,
    *,
    timeout: float = 600.0,
    interpreter: str | None = None,
) -> Any:
    """Run an operation in the agent's worker and return its result; errors as in ``call``."""
    body: dict[str, Any] = {"op": op, "args": args or {}, "timeout": timeout}
    if interpreter is not None:
        body["interpreter"] = interpreter
    # A little longer than the agent itself waits, so that its answer says what went wrong.
    return call(project, "/v1/call", body, timeout=timeout + 15.0).get("result")


def ensure(project: Project, config: Config, *, wait: float = 20.0) -> bool:
    """Make sure that an agent of this version runs; return ``False`` if the agent is turned off.

    An older agent is asked to drain and is replaced.  Blocks until the agent answers; raises
    ``AgentUnavailable`` when it does not within ``wait`` seconds.
    """
    if not config.agent:
        return False
    deadline = time.monotonic() + wait
    while True:
        greeting = _greeting(project)
        if greeting is None:
            start_agent(project, max(1.0, deadline - time.monotonic()))
            greeting = _greeting(project)
        if greeting is not None and not greeting.get("draining"):
            if not is_outdated(greeting):
                return True
            with suppress(AgentUnavailable):
                call(project, "/v1/shutdown", {"drain": True}, timeout=5.0)
        if time.monotonic() > deadline:
            raise unavailable(project, f"the agent did not start within {wait:g} s")
        time.sleep(0.05)


def stop(project: Project, *, timeout: float = 60.0) -> int | None:
    """End the project's agent and return its pid; ``None`` when none runs.

    It finishes what is in hand first.  One that does not end within ``timeout`` seconds, or does
    not even answer, is killed.  Firings and deployments go on: they are not its children.
    """
    pointer = read_pointer(project)
    if pointer is None:
        return None
    process = pointer.process
    if process.alive() is False:
        return None
    try:
        call(project, "/v1/shutdown", {"drain": True}, timeout=5.0)
    except AgentUnavailable:
        timeout = min(timeout, 5.0)
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while process.alive() is not False:
        if time.monotonic() > deadline:
            if process.alive() is None:
                raise unavailable(project, f"the agent runs on {pointer.host} and did not end")
            _signal(process, signal.SIGKILL)
            deadline = time.monotonic() + 5.0
        time.sleep(0.02)
    return pointer.pid


def nudge(project: Project, config: Config, *, interpreter: str | None = None) -> None:
    """Tell the agent that there is something to deliver, starting it if need be.

    Returns at once and never raises: the work is done in a daemon thread, and what it cannot do is
    left to the next command.  One nudge of a project at a time; the agent looks by itself, too.
    """
    if not config.agent:
        return
    key = (os.getpid(), project.state)
    if key in _nudging:
        return
    _nudging.add(key)
    try:
        threading.Thread(
            target=_nudge, args=(project, key, interpreter), name="mlops-nudge", daemon=True
        ).start()
    except RuntimeError:  # The interpreter is shutting down, or is out of threads.
        _nudging.discard(key)


def _nudge(project: Project, key: tuple[int, Path], interpreter: str | None) -> None:
    try:
        body = {"interpreter": interpreter or sys.executable}
        try:
            call(project, "/v1/deliver", body, timeout=_NUDGE_TIMEOUT)
        except AgentUnavailable:
            start_agent(project)
    except Exception:  # noqa: S110  A nudge is a courtesy; the journal has everything.
        pass
    finally:
        _nudging.discard(key)


def _signal(process: ProcessIdentity, number: signal.Signals) -> None:
    if process.alive():
        with suppress(OSError):
            os.kill(process.pid, number)


def _greeting(project: Project) -> dict[str, Any] | None:
    try:
        return hello(project)
    except AgentUnavailable:
        return None


def is_outdated(greeting: dict[str, Any]) -> bool:
    """Whether the agent that greets so should be replaced by one of this version."""
    if greeting.get("protocol") != PROTOCOL:
        return True
    return _parts(str(greeting.get("version"))) < _parts(version())


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split(".") if part.isdecimal())


def _connection(pointer: Pointer, timeout: float) -> http.client.HTTPConnection:
    if pointer.socket is not None:
        return _UnixConnection(pointer.socket, timeout)
    return http.client.HTTPConnection("127.0.0.1", pointer.port, timeout=timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        if hasattr(socket, "SO_PEERCRED"):
            size = struct.calcsize("3i")
            raw = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            if struct.unpack("3i", raw)[1] != os.getuid():
                raise ConnectionRefusedError("the socket belongs to another user")
