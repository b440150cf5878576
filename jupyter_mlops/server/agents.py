"""Asking the projects' agents, in threads of their own: what they do may take minutes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ..capture import agent_client
from ..config import Config
from ..errors import AgentUnavailable
from ..project import Project

__all__ = ["Agents"]

T = TypeVar("T")


class Agents:
    """The door to every project's agent.

    ``timeout`` is in seconds and holds for one operation; ``quick`` runs what is answered at once,
    so that it does not wait behind operations.
    """

    def __init__(self, timeout: float, quick: Executor, threads: int = 8) -> None:
        self.timeout = timeout
        self._quick = quick
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="mlops-agent")

    async def call(
        self, project: Project, config: Config, op: str, arguments: dict[str, Any]
    ) -> Any:
        """Run ``op`` in the agent, started if need be; errors as ``agent_client.call_op``."""
        await self.ensure(project, config)
        return await self.slowly(
            partial(agent_client.call_op, project, op, arguments, timeout=self.timeout)
        )

    async def ensure(self, project: Project, config: Config) -> None:
        """Start the agent unless it runs; ``AgentUnavailable`` says why that cannot be."""
        if not await self.slowly(partial(agent_client.ensure, project, config)):
            raise AgentUnavailable(
                f"the agent of {project.name} is turned off, and this needs it",
                hint="Unset JUPYTER_MLOPS_AGENT (or agent in pyproject.toml) for the server, or "
                "use the command line: jupyter mlops --help.",
            )

    async def deliver(self, project: Project, config: Config) -> None:
        """Have the agent, started if need be, deliver what waits; returns before that is done."""
        await self.ensure(project, config)
        body = {"interpreter": sys.executable}
        await self._soon(partial(agent_client.call, project, "/v1/deliver", body, timeout=5.0))

    async def wake(self, project: Project) -> None:
        """Tell a running agent to look at the project's state now; none running is no error."""
        try:
            await self._soon(partial(agent_client.call, project, "/v1/wake", {}, timeout=5.0))
        except AgentUnavailable:
            return

    async def pid(self, project: Project) -> int | None:
        """The process id of the agent that answers, ``None`` when none does."""
        if not project.exists:
            return None
        try:
            greeting = await self._soon(partial(agent_client.hello, project, timeout=1.0))
        except AgentUnavailable:
            return None
        return int(greeting["pid"])

    def close(self) -> None:
        """Take no more calls; those on their way end with their timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _soon(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._quick, function)

    async def slowly(self, function: Callable[[], T]) -> T:
        """Run what may take long in a thread of its own, apart from what reads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)
