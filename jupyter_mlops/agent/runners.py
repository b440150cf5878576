"""The agent's part in ``jupyter mlops run``: processes that fork into it.

One for each interpreter and environment that asked, at most ``_MOST``.  Where they listen is in
``.mlops/agent/runners.json``, which the thin client reads; they end with the agent, those with a
run in hand after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..project import Project
from ..warm.address import runtime_folder
from ..warm.zygote.environment import is_native
from ..warm.zygote.wire import WireError, receive

__all__ = ["Runners"]

_MOST = 2
_FILE = "runners.json"


class Runners:
    """The runners of one project's agent.  Used in the agent's loop only."""

    def __init__(
        self, project: Project, logger: logging.Logger, worked: Callable[[], None]
    ) -> None:
        """``worked`` is called whenever a run begins or ends."""
        self._project = project
        self._logger = logger
        self._worked = worked
        self._held: dict[str, _Held] = {}

    @property
    def busy(self) -> bool:
        """Whether a run is in hand."""
        return any(held.running for held in self._held.values())

    def ensure(self, interpreter: str, env: Mapping[str, str], *, afresh: bool) -> None:
        """Hold a runner of this interpreter and environment; ``afresh``: another one."""
        key = _key(interpreter, env)
        held = self._held.get(key)
        if held is not None and not afresh:
            return
        if held is not None:
            self._end(key)
        while len(self._held) >= _MOST:
            self._end(min(self._held, key=lambda one: self._held[one].used))
        try:
            self._held[key] = _Held(interpreter, env, lambda: self._heard(key))
        except (OSError, MlopsError) as error:
            self._logger.warning("the runner of %s cannot be started: %s", interpreter, error)

    def status(self) -> list[dict[str, Any]]:
        """What is held."""
        return [
            {
                "pid": held.process.pid,
                "interpreter": held.interpreter,
                "state": "ready" if held.ready else "starting",
                "running": held.running,
                "runs": held.runs,
            }
            for held in self._held.values()
        ]

    def end(self) -> None:
        """Let go of all; a runner with a run in hand ends after it."""
        for key in list(self._held):
            self._end(key)
        with contextlib.suppress(OSError):
            (self._project.agent / _FILE).unlink()

    def _end(self, key: str) -> None:
        self._held.pop(key).end()
        self._write()

    def _heard(self, key: str) -> None:
        held = self._held.get(key)
        if held is None:
            return
        before = held.ready
        why = held.listen()
        self._worked()
        if why is not None:
            self._logger.info("the runner %d ended: %s", held.process.pid, why)
            self._end(key)
        elif held.ready and not before:
            self._logger.info("the runner %d is ready", held.process.pid)
            self._write()

    def _write(self) -> None:
        ready = [held for held in self._held.values() if held.ready]
        target = self._project.agent / _FILE
        content = {
            "protocol": 1,
            "state": str(self._project.state),
            "runners": [
                {"interpreter": held.interpreter, "socket": str(held.path)} for held in ready
            ],
        }
        temporary = target.with_name(f".{_FILE}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(content), encoding="utf-8")
            temporary.replace(target)
        except OSError as error:  # a full disk: runs are done without
            self._logger.warning("%s cannot be written: %s", target, error)


class _Held:
    """One runner, its end of the pair that ties it to the agent, and what it has said."""

    def __init__(self, interpreter: str, env: Mapping[str, str], heard: Callable[[], None]) -> None:
        self.interpreter = interpreter
        self.ready = False
        self.running = self.runs = 0
        self.used = time.monotonic()
        name = hashlib.blake2b(f"{os.getpid()} {self.used} {interpreter}".encode(), digest_size=8)
        self.path: Path = runtime_folder() / f"r-{name.hexdigest()}.sock"
        self._leash, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [
                    interpreter,
                    "-P",
                    "-m",
                    "jupyter_mlops.cli.runner",
                    json.dumps({"socket": str(self.path)}),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.path.abspath(os.sep),
                env=dict(env),
                start_new_session=True,
            )
        except BaseException:
            self._leash.close()
            raise
        finally:
            theirs.close()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._leash, heard)

    def listen(self) -> str | None:
        """Take one message; return why it ended, if it has."""
        try:
            message, _none = receive(self._leash)
        except (OSError, WireError):
            return "it broke off"
        if "ready" in message:
            self.ready = True
        elif "running" in message:
            self.running, self.runs = int(message["running"]), int(message["runs"])
            self.used = time.monotonic()
        else:
            return str(message.get("failed") or message.get("ended"))
        return None

    def end(self) -> None:
        """Let it go; it is reaped when it has ended, without waiting for its runs."""
        self._loop.remove_reader(self._leash)
        self._leash.close()
        with contextlib.suppress(RuntimeError):  # the loop itself ends: then init reaps
            self._loop.run_in_executor(None, self.process.wait)


def _key(interpreter: str, env: Mapping[str, str]) -> str:
    native = sorted((name, value) for name, value in env.items() if is_native(name))
    text = json.dumps([interpreter, sys.version, native]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=10).hexdigest()
