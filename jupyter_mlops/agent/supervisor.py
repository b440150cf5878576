"""The agent's life: one a project, from its lock to its last request.

It ends after ``config.agent_idle`` seconds without work, when the project's state is gone, and when
it is told to.  Firings and deployments are sessions of their own: they outlive it, and the next
agent knows them by pid and start time.  Killed with -9 it leaves a lock that is free, a socket that
refuses and a pointer to nobody, all of which the next one replaces.
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._version import version
from ..capture import agent_client
from ..capture.agent_client import PROTOCOL, is_outdated
from ..capture.delivery_key import delivery_key
from ..config import Config, load_config
from ..errors import AgentUnavailable, ConflictError, MlopsError, ProjectError
from ..project import Project, file_lock, open_project
from ..serving import supervise, wanted_deployments
from ..warm import end_zygotes, ensure_zygote, held_zygotes
from ..warm.address import unsupported
from .delivery import Delivery
from .door import open_door, remove_pointer, write_pointer
from .firings import Firings
from .log import start_logging
from .runners import Runners
from .workers import Workers

__all__ = ["Agent", "run_agent"]

_STEP_SECONDS = 1.0
_DRAIN_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 10.0
_BODY_LIMIT = 1024 * 1024


def run_agent(root: str, *, foreground: bool, tell: int = -1, runner: bool = False) -> int:
    """Be the project's agent until there is nothing more to do; return the exit code.

    0 also when another agent runs already; 2 when one runs in somebody's foreground and this one
    was to, too.  ``tell`` is a file descriptor that hears ``ready``, or the error that kept the
    agent from listening, and is closed then.
    """
    umask = os.umask(0o077)
    starter = _Starter(tell)
    project = replace(open_project(root, create=False), may_create=False)
    if not project.exists:
        # Removed since somebody asked for an agent: it must not come back through us.
        starter.failed(ProjectError(f"{project.state} is not there"))
        return ProjectError.exit_code
    logger = start_logging(project.agent / "agent.log", foreground=foreground)
    try:
        config = load_config(project.root)
        with _only_agent(project, foreground=foreground) as mine:
            if mine:
                agent = Agent(project, config, logger, foreground=foreground, umask=umask)
                agent.wants_runner = runner
                asyncio.run(agent.run(starter.ready))
            starter.ready()
        return 0
    except MlopsError as error:
        logger.error("the agent ends: %s %s", error, error.hint or "")
        starter.failed(error)
        return error.exit_code
    except Exception as error:
        logger.exception("the agent ends")
        starter.failed(MlopsError(f"{type(error).__name__}: {error}"))
        return 1


class _Starter:
    """Whoever started this agent and waits to hear that it listens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        self._say(b"ready\n")

    def failed(self, error: MlopsError) -> None:
        self._say(json.dumps(error.to_dict(), default=str).encode())

    def _say(self, text: bytes) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.write(descriptor, text)
            os.close(descriptor)


class Agent:
    """One running agent."""

    def __init__(
        self,
        project: Project,
        config: Config,
        logger: logging.Logger,
        *,
        foreground: bool,
        umask: int,
    ) -> None:
        self._project = project
        self._config = config
        self._logger = logger
        self._foreground = foreground
        self._state = _identity(project.state)
        self._workers = Workers(project, logger)
        self._delivery = Delivery(project, self._workers, logger)
        self._firings = Firings(project, logger, umask=umask)
        self._runners = Runners(project, logger, self.wake)
        self.wants_runner = False
        self._deployments = 0
        self._began = self._last_work = time.monotonic()
        self._looked = asyncio.Event()
        self._ending: str | None = None
        self._drain = True
        self._problems: dict[str, str] = {}
        self._written: tuple[tuple[int, int] | None, ...] = ()
        self._look_again = 0.0

    async def run(self, ready: Callable[[], None]) -> None:
        """Listen, say so, and work until told to end, out of work, or without a project."""
        from tornado.httpserver import HTTPServer

        from .http import application

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, self.stop)
        door = open_door(self._project)
        server = HTTPServer(
            application(self, door),
            max_body_size=_BODY_LIMIT,
            body_timeout=10.0,
            idle_connection_timeout=30.0,
        )
        try:
            server.add_sockets(door.sockets)
            write_pointer(self._project, door, foreground=self._foreground)
            self._logger.info(
                "agent %s of %s: process %d", version(), self._project.root, os.getpid()
            )
            ready()
            if self.wants_runner:
                self.run_ahead(sys.executable, dict(os.environ), afresh=False)
            while self._ending is None:
                await self._step()
                self._looked.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._looked.wait(), _STEP_SECONDS)
            self._logger.info("agent ends: %s", self._ending)
            self._runners.end()
            await asyncio.to_thread(end_zygotes)
            await self._workers.end(drain=_DRAIN_SECONDS if self._drain else 0.0)
            await asyncio.sleep(0.1)  # What was answered last is still on its way.
        finally:
            self._runners.end()
            remove_pointer(self._project)
            server.stop()
            await server.close_all_connections()
            door.close()

    def greeting(self) -> dict[str, Any]:
        """Who this is."""
        return {
            "protocol": PROTOCOL,
            "version": version(),
            "interpreter": sys.executable,
            "pid": os.getpid(),
            "project": str(self._project.root),
            "draining": self._ending is not None,
            "delivers": delivery_key(os.environ),
        }

    def status(self) -> dict[str, Any]:
        """What it is doing."""
        busy = self._busy()
        idle = self._last_work + self._config.agent_idle - time.monotonic()
        return self.greeting() | {
            "foreground": self._foreground,
            "uptime": time.monotonic() - self._began,
            "ends_in": None if self._foreground or busy else max(0.0, idle),
            "delivery": self._delivery.status(),
            "firings": self._firings.running,
            "next_firing": self._firings.next_at,
            "deployments": self._deployments,
            "workers": self._workers.status(),
            "warm": held_zygotes(),
            "runners": self._runners.status(),
            "problems": list(self._problems.values()),
        }

    def nudged(self, interpreter: str | None) -> None:
        """A session has something to deliver."""
        self._delivery.nudge(interpreter)
        self.wake()

    def wake(self) -> None:
        """Look at everything now."""
        self._last_work = time.monotonic()
        self._look_again = 0.0
        self._looked.set()

    async def call(
        self, op: str, args: dict[str, Any], *, interpreter: str | None, timeout: float
    ) -> Any:
        """Run an operation in a worker."""
        if self._ending is not None:
            raise AgentUnavailable("the agent is about to end", hint="Try again in a moment.")
        self._last_work = time.monotonic()
        try:
            return await self._workers.run(op, args, interpreter=interpreter, timeout=timeout)
        finally:
            self._last_work = time.monotonic()

    async def warm(
        self, interpreter: list[str], modules: list[str], env: dict[str, str], *, afresh: bool
    ) -> None:
        """Hold a process that kernels are forked from; it ends by itself when it is not used."""
        if self._ending is None and self._config.warm:
            await asyncio.to_thread(
                ensure_zygote,
                interpreter,
                modules,
                "agent",
                env=env,
                config=self._config,
                afresh=afresh,
            )
            self._last_work = time.monotonic()

    def run_ahead(self, interpreter: str, env: dict[str, str], *, afresh: bool) -> None:
        """Hold a process that forks into the next ``jupyter mlops run``."""
        if self._ending is None and self._config.runner and unsupported() is None:
            self._runners.ensure(interpreter, env, afresh=afresh)
            self._last_work = time.monotonic()

    def stop(self, *, drain: bool = True) -> None:
        """End soon: with ``drain`` after the operations in hand, else now."""
        self._drain = self._drain and drain
        self._ending = self._ending or "it was told to"
        self._looked.set()

    async def _step(self) -> None:
        if _identity(self._project.state) != self._state or not self._project.exists:
            self._ending, self._drain = "the project's state is gone", False
            return
        written = _written(self._project)
        changed = written != self._written or time.monotonic() > self._look_again
        if changed:
            self._look_again = time.monotonic() + _LOOK_AGAIN_SECONDS
        if self._firings.look(changed=changed):
            await self._try("schedules", lambda: asyncio.to_thread(self._firings.step))
        if changed or self._deployments:
            await self._try("deployments", lambda: asyncio.to_thread(self._look_at_deployments))
        self._written = written
        await self._try("delivery", self._delivery.step)
        await self._try("workers", self._workers.step)
        if self._busy():
            self._last_work = time.monotonic()
        idle = time.monotonic() - self._last_work
        if idle > self._config.agent_idle and not self._foreground:
            self._ending = f"there was nothing to do for {idle:.0f} s"

    async def _try(self, part: str, step: Callable[[], Any]) -> None:
        """One part's trouble (a locked database, a full disk) must not stop the others."""
        try:
            await step()
        except Exception as error:
            text = f"{part}: {error}"
            if self._problems.get(part) != text:
                log = (
                    self._logger.error if isinstance(error, MlopsError) else self._logger.exception
                )
                log("%s", text)
            self._problems[part] = text
        else:
            self._problems.pop(part, None)

    def _look_at_deployments(self) -> None:
        supervise(self._project)
        self._deployments = wanted_deployments(self._project)

    def _busy(self) -> bool:
        return bool(
            self._workers.busy
            or self._runners.busy
            or self._delivery.running
            or self._delivery.waiting
            or self._firings.running
            or self._firings.next_at is not None
            or self._deployments
        )


@contextlib.contextmanager
def _only_agent(project: Project, *, foreground: bool) -> Any:
    """Hold the agent's lock; yields whether it was to be had.

    A detached agent gives way to one that runs; one in the foreground takes over from a detached
    one, and raises ``ConflictError`` when another is in the foreground.
    """
    deadline = time.monotonic() + _DRAIN_SECONDS + 15.0
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(file_lock(project.agent / "lock", timeout=0.0))
            except ProjectError:
                if _other_goes_on(project, foreground=foreground):
                    yield False
                    return
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                break
        yield True


def _other_goes_on(project: Project, *, foreground: bool) -> bool:
    """Whether the agent that holds the lock is to stay."""
    try:
        other = agent_client.hello(project)
    except AgentUnavailable:
        return False  # It is starting, ending, or stuck: the lock will tell.
    if other.get("draining"):
        return False
    pointer = agent_client.read_pointer(project)
    if foreground:
        if pointer is not None and pointer.foreground:
            raise ConflictError(
                f"an agent of {project.root} runs in the foreground already "
                f"(process {other['pid']})",
                hint="End it there, or use that one.",
            )
    elif not is_outdated(other):
        return True
    with contextlib.suppress(AgentUnavailable):
        agent_client.call(project, "/v1/shutdown", {"drain": True}, timeout=5.0)
    return False


def _written(project: Project) -> tuple[tuple[int, int] | None, ...]:
    """What changes whenever anybody writes to ``state.db``: without opening it."""
    return tuple(
        _size_and_time(Path(f"{project.database}{suffix}")) for suffix in ("", "-wal")
    )  # fmt: skip


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
