"""The agent's part in schedules: tick, start the workers, reap them, kill those that are fenced."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from dataclasses import dataclass

from ..project import Project
from ..scheduling import (
    Slot,
    end_process_tree,
    give_up,
    overdue,
    process_of,
    slot_text,
    start_worker,
    tick,
    worker_log,
)
from ..scheduling.firing import LEASE_SECONDS

__all__ = ["Firings"]

# A worker that ends without having claimed its slot is started again, this often.
_STARTS, _START_AGAIN_SECONDS = 3, 5.0
# A look that comes this much later than expected, by either clock: the machine slept, this process
# was stopped, or the clock was set.
_GAP_SECONDS = 5.0


@dataclass(slots=True)
class _Start:
    slot: Slot
    process: subprocess.Popen[bytes] | None
    count: int
    again: float


class Firings:
    """Firings of one project; ``step`` is called about once a second, in one thread at a time."""

    def __init__(self, project: Project, logger: logging.Logger, *, umask: int) -> None:
        self._project = project
        self._logger = logger
        self._umask = umask
        # More at once would only make each slower; the others wait for their turn.
        self._limit = max(2, os.cpu_count() or 2)
        self._starts: dict[tuple[str, float], _Start] = {}
        self._clocks: tuple[float, float] | None = None
        self._trust_leases_at = 0.0
        self._active = True
        self.next_at: float | None = None

    @property
    def running(self) -> int:
        """How many workers of this agent's own live."""
        return sum(start.process is not None for start in self._starts.values())

    def look(self, *, changed: bool) -> bool:
        """Whether ``step`` has anything to do; to be asked every second, and cheap.

        ``changed`` says that ``state.db`` was written to since the last step.
        """
        now = time.time()
        self._watch_clocks(now)
        self._reap()
        return changed or self._active or (self.next_at is not None and self.next_at <= now)

    def step(self) -> None:
        """Find what is due and start it."""
        trusted = time.monotonic() >= self._trust_leases_at
        if trusted:
            for slot in overdue(self._project):
                self._kill(slot)
        found = tick(self._project, trust_leases=trusted)
        self.next_at, self._active = found.next_at, found.active
        due = {(slot.schedule, slot.slot) for slot in found.start}
        for key in list(self._starts):
            # Claimed, or decided otherwise: what is known of its start is of no more use.
            if key not in due and self._starts[key].process is None:
                del self._starts[key]
        for slot in found.start:
            if self.running >= self._limit:
                break
            self._start(slot)

    def _start(self, slot: Slot) -> None:
        start = self._starts.setdefault((slot.schedule, slot.slot), _Start(slot, None, 0, 0.0))
        if start.process is not None or time.monotonic() < start.again:
            return
        if start.count >= _STARTS:
            log = worker_log(self._project, slot)
            give_up(self._project, slot, f"its worker could not be started; see {log}")
            return
        start.count += 1
        start.slot = slot
        start.again = time.monotonic() + _START_AGAIN_SECONDS
        try:
            start.process = start_worker(self._project, slot, umask=self._umask)
        except OSError as error:
            self._logger.error("%s: the worker cannot be started: %s", slot.schedule, error)
        else:
            self._logger.info(
                "%s at %s: worker %d", slot.schedule, slot_text(slot.slot), start.process.pid
            )

    def _reap(self) -> None:
        for start in self._starts.values():
            if start.process is not None and start.process.poll() is not None:
                self._logger.info(
                    "%s at %s: worker %d ended with exit code %d",
                    start.slot.schedule,
                    slot_text(start.slot.slot),
                    start.process.pid,
                    start.process.returncode,
                )
                start.process = None

    def _kill(self, slot: Slot) -> None:
        process = process_of(slot)
        if process is not None:
            self._logger.warning(
                "%s at %s: worker %d did not renew its lease and is killed",
                slot.schedule,
                slot_text(slot.slot),
                process.pid,
            )
            end_process_tree(process, grace=0.0)

    def _watch_clocks(self, now: float) -> None:
        """After the machine slept or the clock was set, give workers the time to renew."""
        ticked = time.monotonic()
        if self._clocks is not None:
            wall, monotonic = now - self._clocks[0], ticked - self._clocks[1]
            if monotonic > _GAP_SECONDS or abs(wall - monotonic) > _GAP_SECONDS:
                self._logger.info("the clock moved by %.0f s since the last look", wall)
                self._trust_leases_at = ticked + LEASE_SECONDS
                self._active = True
        self._clocks = (now, ticked)
