"""The agent's part in delivery: notice that runs wait, deliver in a worker, back off.

Whoever runs a pipeline delivers its run itself.  So a run that is only seen in the journal, with
nobody asking for its delivery, is given a moment, and while another process delivers the agent
waits: starting a worker to learn that costs seconds of CPU.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

from ..errors import MlopsError
from ..project import Project
from ..state import StateDB, is_held
from .workers import Workers

__all__ = ["Delivery"]

_TIMEOUT = 900.0
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0
_MOMENT = 2.0
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
        self._since: float | None = None
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
        self._seen, self._since = None, 0.0

    async def step(self) -> None:
        """Look for runs that wait and start to deliver them, unless that has just failed."""
        if self.running or time.monotonic() < self._next_try:
            return
        seen = _journal_sizes(self._project)
        unchanged = seen == self._seen and time.monotonic() - self._looked < _LOOK_AGAIN
        if unchanged and not self.waiting:
            return
        self._seen, self._looked = seen, time.monotonic()
        self.waiting, busy = await asyncio.to_thread(_look, self._project) if seen else (0, False)
        if not self.waiting:
            self._since = None
            return
        if self._since is None:
            self._since = time.monotonic()
        if not busy and time.monotonic() - self._since >= _MOMENT:
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
                "deliver", {}, instead=self._interpreter, timeout=_TIMEOUT
            )
        except MlopsError as error:
            self._failed(str(error))
            return
        self.waiting = report["waiting"]
        if report["delivered"]:
            self._logger.info("runs delivered: %d", report["delivered"])
        moving = report["delivered"] and not report["errors"]  # others have ended meanwhile
        if self.waiting and not report["busy"] and not moving:
            self._failed("; ".join(report["errors"]) or f"runs that still wait: {self.waiting}")
            return
        for text in report["errors"]:
            self._logger.warning("delivery: %s", text)
        self._failures, self.error, self._since = 0, None, None

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


def _look(project: Project) -> tuple[int, bool]:
    """How many runs wait, and whether somebody is delivering them."""
    from ..tracking import waiting

    count = waiting(project)
    return count, count > 0 and is_held(StateDB(project), "delivery")
