"""The agent's warm workers: child processes that do what needs mlflow.

One child an interpreter, one operation at a time in each.  A child that crashes or hangs ends
alone, and the next operation starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import MlopsError, ServiceError, UsageError
from ..project import Project
from . import BEGUN

__all__ = ["Worker", "Workers"]

_START_SECONDS = 60.0
_IDLE_SECONDS = 120.0
_LONGEST_LINE = 64 * 1024 * 1024
_KEPT_LOG = 1024 * 1024
# Operations that take long and run notebooks: each in a child of its own, beside the warm one.
_ALONE = {"promote"}


class Worker:
    """One child process: JSON lines in, JSON lines out (see ``agent.worker``)."""

    def __init__(self, project: Project, interpreter: str, log: Path) -> None:
        self._project = project
        self.interpreter = interpreter
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asked = 0
        self.waiting = 0
        self.last_used = time.monotonic()

    @property
    def pid(self) -> int | None:
        """The child's process id, ``None`` while there is none."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def run(self, op: str, args: dict[str, Any], timeout: float) -> Any:
        """Run one operation, starting the child if need be.

        Raises the operation's own error; ``ServiceError`` when the child cannot be started, dies,
        or takes longer than ``timeout`` seconds (it is killed then).
        """
        self.waiting += 1
        try:
            async with self._turn:
                try:
                    return await self._run(op, args, timeout)
                except BaseException as error:
                    if not isinstance(error, MlopsError) or isinstance(error, _Broken):
                        await self.kill()
                    raise
        finally:
            self.waiting -= 1
            self.last_used = time.monotonic()

    async def end(self) -> None:
        """Let the child end by itself when it is idle; kill it when it does not."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5.0)
        await self.kill()

    async def kill(self) -> None:
        """Kill the child and what it started."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def _run(self, op: str, args: dict[str, Any], timeout: float) -> Any:
        if self.pid is None:
            await self._start()
        assert self._process is not None  # noqa: S101
        self._asked += 1
        request = {"id": self._asked, "op": op, "args": args}
        try:
            answer = await self._exchange(request, timeout, op)
        except _Unreached:  # It had died since the last one: nothing was begun.
            await self._start()
            answer = await self._exchange(request, timeout, op)
        if "error" in answer:
            raise MlopsError.from_dict(answer["error"])
        return answer.get("result")

    async def _start(self) -> None:
        await self.kill()
        command = [self.interpreter, "-P", "-m", "jupyter_mlops.agent.worker"]
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                str(self._project.root),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=os.path.abspath(os.sep),
                start_new_session=True,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise _NotStarted(f"{self.interpreter} cannot be started: {error.strerror}") from error
        finally:
            os.close(log)
        try:
            await self._exchange({"id": 0, "op": "hello"}, _START_SECONDS, "start")
        except _Broken as error:
            raise _NotStarted(error.message, hint=error.hint) from error

    async def _exchange(self, request: dict[str, Any], timeout: float, op: str) -> dict[str, Any]:
        process = self._process
        assert process is not None  # noqa: S101
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        begun = False
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(timeout):
                with contextlib.suppress(ConnectionError):  # Its end of the pipe tells, too.
                    await process.stdin.drain()
                line = await process.stdout.readline()
                if line == BEGUN:
                    begun, line = True, await process.stdout.readline()
        except TimeoutError:
            raise _Broken(
                f"{op} did not finish within {timeout:g} s and was ended", hint=self._hint()
            ) from None
        except (OSError, ValueError) as error:
            raise _Broken(f"{op}: the worker broke off: {error}", hint=self._hint()) from error
        try:
            answer = json.loads(line)
        except ValueError:
            code = await process.wait() if not line else None
            ended = "answered with what is not JSON" if line else f"ended (exit code {code})"
            kind = _Broken if begun or line else _Unreached
            raise kind(
                f"{op}: the worker under {self.interpreter} {ended}", hint=self._hint()
            ) from None
        if not isinstance(answer, dict) or answer.get("id") != request["id"]:
            raise _Broken(f"{op}: the worker gave an answer to something else", hint=self._hint())
        return answer

    def _hint(self) -> str:
        return f"See {self._log}."


class Workers:
    """The workers of one agent, by interpreter."""

    def __init__(self, project: Project, logger: logging.Logger) -> None:
        self._project = project
        self._logger = logger
        self._log = project.agent / "worker.log"
        self._warm: dict[str, Worker] = {}
        self._alone: set[Worker] = set()

    @property
    def busy(self) -> bool:
        """Whether any operation runs or waits."""
        return bool(self._alone) or any(worker.waiting for worker in self._warm.values())

    def status(self) -> list[dict[str, Any]]:
        """What children there are."""
        return [
            {"interpreter": w.interpreter, "pid": w.pid, "busy": w.waiting > 0}
            for w in (*self._warm.values(), *self._alone)
            if w.pid is not None
        ]

    async def run(
        self,
        op: str,
        args: dict[str, Any],
        *,
        interpreter: str | None = None,
        instead: str | None = None,
        timeout: float,
    ) -> Any:
        """Run an operation under ``interpreter`` (default: the agent's own); errors as ``Worker``.

        ``instead`` is the Python to take when that one cannot run a worker at all: it has been
        removed since, or the package in it.
        """
        chosen = _checked(interpreter)
        try:
            return await self._run(op, args, chosen, timeout)
        except _NotStarted as error:
            if instead is None or _checked(instead) == chosen:
                raise
            self._logger.warning("%s; using %s", error, instead)
            return await self._run(op, args, instead, timeout)

    async def step(self) -> None:
        """End children that have been idle for two minutes, and trim their log."""
        for interpreter, worker in list(self._warm.items()):
            if not worker.waiting and time.monotonic() - worker.last_used > _IDLE_SECONDS:
                del self._warm[interpreter]
                await worker.end()
        if not self._warm and not self._alone:
            with contextlib.suppress(OSError):
                if self._log.stat().st_size > _KEPT_LOG:
                    self._log.replace(self._log.with_suffix(".log.1"))

    async def end(self, *, drain: float) -> None:
        """End all children; operations in hand get ``drain`` seconds to finish."""
        deadline = time.monotonic() + drain
        while self.busy and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        workers = [*self._warm.values(), *self._alone]
        await asyncio.gather(*(w.kill() if w.waiting else w.end() for w in workers))

    async def _run(self, op: str, args: dict[str, Any], interpreter: str, timeout: float) -> Any:
        if op not in _ALONE:
            if interpreter not in self._warm:
                self._warm[interpreter] = Worker(self._project, interpreter, self._log)
            return await self._warm[interpreter].run(op, args, timeout)
        worker = Worker(self._project, interpreter, self._log)
        self._alone.add(worker)
        try:
            return await worker.run(op, args, timeout)
        finally:
            self._alone.discard(worker)
            await worker.end()


class _Broken(ServiceError):
    """The child itself failed, and not the operation."""


class _Unreached(_Broken):
    """The child ended before it had begun with the request."""


class _NotStarted(_Broken):
    """The child never came up: its Python is gone, or does not have this package."""


def _checked(interpreter: str | None) -> str:
    if interpreter is None:
        return sys.executable
    path = Path(interpreter)
    if not path.is_absolute() or not os.access(path, os.X_OK) or not path.is_file():
        raise UsageError(f"{interpreter!r} is not the absolute path of a Python")
    return interpreter
