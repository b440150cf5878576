"""The fork engine: cells executed by a forked process, over one connection, without ZeroMQ."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from ..model.cells import CellProcess
from ..model.wiring import load_port
from .engine_kernels import KernelStartError, Report
from .engine_noise import Noise
from .engine_processes import Guard, end_tree, tree

__all__ = ["ForkedKernel"]

_SHUTDOWN_WAIT = 5.0  # seconds, as in jupyter_client: half until SIGTERM, half until SIGKILL


class ForkedKernel:
    """See ``engine_kernels.CellKernel``.  Raises ``NotForked`` where there is none to be had."""

    def __init__(
        self,
        command: list[str],
        provisioner: str | None,
        *,
        env: Mapping[str, str],
        cwd: Path,
        waking: socket.socket,
    ) -> None:
        self._waking = waking
        self._session = uuid4().hex
        self._numbers = count()
        self._noise = Noise()
        self._guard: Guard | None = None
        self.info: dict[str, Any] = {}
        self.report: Report = {"start": "fork", "why": "forked"}
        try:
            fork = load_port("cell_forker")
            output = self._noise.fileno()
            process = fork(command, provisioner, env=env, cwd=str(cwd), output=output)
        except BaseException:
            self._noise.close()
            raise
        self._process: CellProcess = process
        if process.ahead:
            self.report["ahead"] = True
        self.pid: int | None = process.pid
        self._poller = select.poll()
        self._sources = {
            process.fileno(): "message",
            process.death(): "death",
            waking.fileno(): "wake",
        }
        for descriptor in self._sources:
            self._poller.register(descriptor, select.POLLIN)

    def start(self, timeout: float, stopped: Any) -> None:
        """See ``CellKernel``."""
        # Started while the process gets ready, so that it costs no time.
        self._guard = Guard(self._process.pid)
        deadline = time.monotonic() + timeout
        while not stopped():
            left = deadline - time.monotonic()
            if left <= 0:
                raise KernelStartError("it did not answer")
            ready = self.wait(left)
            got = self.read() if "message" in ready else None
            if got is not None and got[0]["msg_type"] == "ready":
                self.info = got[0]["content"]
                return
            if "death" in ready and got is None:
                raise KernelStartError("Kernel died before it answered")
        raise KernelStartError("stopped")

    def execute(self, source: str, cell_id: str, *, stop_on_error: bool) -> str:
        """See ``CellKernel``."""
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": stop_on_error,
        }
        # As JupyterLab does: who listens in the kernel knows which cell runs.
        return self._send("execute_request", content, {}, {"cellId": cell_id})

    def wait(self, seconds: float | None) -> set[str]:
        """See ``CellKernel``."""
        patience = None if seconds is None else max(0.0, seconds * 1000)
        found = {self._sources[descriptor] for descriptor, _ in self._poller.poll(patience)}
        if "wake" in found:
            with contextlib.suppress(OSError):
                self._waking.recv(1024)
        return found

    def read(self) -> tuple[dict[str, Any], int] | None:
        """See ``CellKernel``."""
        return self._process.read()

    def send_comm(self, content: dict[str, Any], parent: dict[str, Any]) -> None:
        """See ``CellKernel``."""
        self._send("comm_msg", content, parent, {})

    def interrupt(self) -> None:
        """See ``CellKernel``."""
        if self.pid is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGINT)

    def exit_code(self) -> int | None:
        """See ``CellKernel``."""
        return self._process.exit_code()

    def noise(self) -> str:
        """See ``CellKernel``."""
        return self._noise.tail()

    def end(self, *, gently: bool, whole: bool) -> None:
        """See ``CellKernel``."""
        pid = self._process.pid
        descendants = []
        for one in tree(pid) if whole else ():
            with contextlib.suppress(psutil.Error):
                descendants.append(psutil.Process(one))
        done = False
        try:
            if gently and "death" not in self.wait(0):
                done = self._ask_to_end(pid)
        finally:
            end_tree(pid, descendants)
            if not done:
                self._ended(time.monotonic() + _SHUTDOWN_WAIT)
            if self._guard is not None:
                self._guard.dismiss()
            self._process.close()
            self._noise.close()
            self._guard = self.pid = None

    def _send(
        self, kind: str, content: dict[str, Any], parent: dict[str, Any], metadata: dict[str, Any]
    ) -> str:
        name = f"{self._session}_{next(self._numbers)}"
        header = {
            "msg_id": name,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "date": "",
            "version": "5.3",
        }
        message = {
            "header": header,
            "msg_id": name,
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
        }
        self._process.send(kind, message)
        return name

    def _ask_to_end(self, pid: int) -> bool:
        """Have it do its own clean-up; whether it has, in time."""
        self._send("shutdown_request", {"restart": False}, {}, {})
        if self._ended(time.monotonic() + _SHUTDOWN_WAIT / 2):
            return True
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGTERM)
        return self._ended(time.monotonic() + _SHUTDOWN_WAIT / 2)

    def _ended(self, deadline: float) -> bool:
        """Wait until the process has ended, or says that nothing is left for it to do."""
        while (left := deadline - time.monotonic()) > 0:
            ready = self.wait(left)
            # Its last output is read, so that it can send it: it would wait for us otherwise.
            while "message" in ready and (got := self.read()) is not None:
                if got[0]["msg_type"] == "ended":
                    return True
            if "death" in ready:
                return True
        return False
