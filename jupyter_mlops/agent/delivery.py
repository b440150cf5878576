"""The agent's part in delivery: notice that runs wait, deliver in a worker, back off."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

from ..errors import MlopsError
from ..project import Project
from .workers import Workers

__all__ = ["Delivery"]

_TIMEOUT = 900.0
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0
# Runs whose kernel died leave no trace in the journal's size; they are looked for this often.
_LOOK_AGAIN = 30.0


class Delivery:
    """Delivery of one project's journal; ``step`` is called about once a second."""

    def __init__(self, project: Project, workers: Workers, logger: logging.Logger) -> None:
        self._project = project
        self._workers = workers
        self._logger = logger
        self._interpreter: str | None = None
        self._seen: frozenset[tuple[str, int]] | None = None
        self._looked = 0.0
        self._next_try = 0.0
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self.waiting = 0
        self.error: str | None = None

    @property
    def running(self) -> bool:
        """Whether a delivery is under way."""
        return self._task is not None and not self._task.done()

    def nudge(self, interpreter: str | None) -> None:
        """Somebody has something to deliver, from a session of this interpreter."""
        self._interpreter = interpreter or self._interpreter
        self._seen = None

    async def step(self) -> None:
        """Look for runs that wait and start to deliver them, unless that has just failed."""
        if self.running or time.monotonic() < self._next_try:
            return
        seen = _journal_sizes(self._project)
        unchanged = seen == self._seen and time.monotonic() - self._looked < _LOOK_AGAIN
        if unchanged and not self.waiting:
            return
        self._seen, self._looked = seen, time.monotonic()
        self.waiting = await asyncio.to_thread(_waiting, self._project) if seen else 0
        if self.waiting:
            self._task = asyncio.create_task(self._deliver())

    def status(self) -> dict[str, Any]:
        """What waits, and why."""
        wait = max(0.0, self._next_try - time.monotonic())
        return {
            "waiting": self.waiting,
            "running": self.running,
            "error": self.error,
            "next_try_in": round(wait, 1) if self.waiting and not self.running else None,
        }

    async def _deliver(self) -> None:
        try:
            report = await self._workers.run(
                "deliver", {}, interpreter=self._interpreter, timeout=_TIMEOUT
            )
        except MlopsError as error:
            self._failed(str(error))
            return
        self.waiting = report["waiting"]
        if report["errors"] or self.waiting:
            self._failed("; ".join(report["errors"]) or f"{self.waiting} runs still wait")
            return
        self._failures, self.error = 0, None
        if report["delivered"]:
            self._logger.info("delivered %d runs", report["delivered"])

    def _failed(self, why: str) -> None:
        if why != self.error:  # A server that is away for a night is said once.
            self._logger.warning("delivery: %s", why)
        self.error = why
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._next_try = time.monotonic() + wait


def _journal_sizes(project: Project) -> frozenset[tuple[str, int]]:
    """What can be seen of the journal without reading it."""
    try:
        with os.scandir(project.journal) as entries:
            return frozenset(
                (e.name, e.stat().st_size) for e in entries if e.name.endswith(".journal")
            )
    except OSError:
        return frozenset()


def _waiting(project: Project) -> int:
    from ..tracking import waiting

    return waiting(project)
