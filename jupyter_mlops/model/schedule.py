"""Schedules and their slots as data; all moments are seconds since the epoch (UTC)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

__all__ = ["ACTIVE_STATES", "CATCH_UP", "OVERLAP", "Schedule", "Slot", "slot_text"]

CATCH_UP = ("latest", "all", "none")
OVERLAP = ("skip", "queue")
ACTIVE_STATES = ("due", "running", "lost")


@dataclass(frozen=True, slots=True)
class Slot:
    """One moment at which a schedule was due, and what became of it.

    ``kind`` is ``cron`` or ``manual``.  ``state`` is

    - ``due``: waiting to be claimed;
    - ``running``: claimed by the process ``pid`` until ``lease_expires``, under ``epoch``;
    - ``lost``: its process died; it is tried again after ``start_after``;
    - ``done``, ``failed``, ``cancelled``: ended, with ``exit_code`` and ``run_id`` where known;
    - ``missed``: no agent ran at the time, and the catch-up policy did not ask for it;
    - ``skipped``: the firing before it was still running.

    ``attempt`` counts the claims; ``detail`` says in one line why it is in this state.
    """

    schedule: str
    slot: float
    kind: str
    state: str
    attempt: int = 0
    start_after: float = 0.0
    epoch: int = 0
    holder: str | None = None
    lease_expires: float | None = None
    pid: int | None = None
    pid_started: float | None = None
    boot_id: str | None = None
    host: str | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    run_id: str | None = None
    detail: str | None = None

    @property
    def ended_for_good(self) -> bool:
        """Whether nothing more will happen to this slot."""
        return self.state not in ACTIVE_STATES

    def to_dict(self) -> dict[str, Any]:
        """The facts that people and programs ask for."""
        return {
            "schedule": self.schedule,
            "slot": self.slot,
            "kind": self.kind,
            "state": self.state,
            "attempt": self.attempt,
            "started": self.started,
            "ended": self.ended,
            "exit_code": self.exit_code,
            "run_id": self.run_id,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Schedule:
    """A pipeline that runs by a cron expression in a time zone.

    ``catch_up`` says which slots to fire that passed while no agent ran: the ``latest`` within a
    day, ``all`` or ``none``; ``overlap`` what happens to a slot that comes due while the firing
    before it still runs: ``skip`` or ``queue``; ``retries`` how often a firing whose process died
    is started again.  ``last`` is the newest slot that was fired, missed or skipped.
    """

    id: str
    pipeline: str
    cron: str
    timezone: str
    created: float
    next_at: float | None
    parameters: dict[str, Any] = field(default_factory=dict)
    catch_up: str = "latest"
    overlap: str = "skip"
    retries: int = 1
    enabled: bool = True
    removed: float | None = None
    last: Slot | None = None

    def to_dict(self) -> dict[str, Any]:
        """The facts that people and programs ask for."""
        return {
            "id": self.id,
            "pipeline": self.pipeline,
            "cron": self.cron,
            "timezone": self.timezone,
            "parameters": self.parameters,
            "catch_up": self.catch_up,
            "overlap": self.overlap,
            "retries": self.retries,
            "enabled": self.enabled,
            "created": self.created,
            "next_at": self.next_at,
            "last": None if self.last is None else self.last.to_dict(),
        }


def slot_text(slot: float) -> str:
    """A slot's moment as ISO 8601 in UTC, for example ``2026-03-29T04:00:00Z``."""
    moment = datetime.fromtimestamp(slot, UTC)
    precision = "seconds" if slot == int(slot) else "milliseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
