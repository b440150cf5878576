"""What is due, what was lost, and what to start: one ``tick`` of the scheduler.

A tick changes nothing but ``state.db`` and may be made by any number of processes at once; the
primary key of ``slots`` and the claim see to it that each slot is fired once.

The clock may jump.  Forward, slots that passed are treated as if no agent had run.  Backward, a
slot that was fired is never fired again, and the next one is computed anew, so that a clock that
was a day ahead does not stop a schedule for a day.
"""

from __future__ import annotations

import random
import sqlite3
import time
from dataclasses import dataclass

from ..errors import ConflictError, UsageError
from ..journal import ProcessIdentity
from ..model.schedule import Schedule, Slot
from ..project import Project
from ..state import StateDB
from ..state import schedules as store
from .cron import Cron

__all__ = [
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "Tick",
    "fire",
    "give_up",
    "overdue",
    "process_of",
    "tick",
]

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = 10.0
# A slot found this much later counts as on time: an agent that is busy or slow to start.
ON_TIME_SECONDS = 60.0
CATCH_UP_WINDOW = 24 * 3600.0
# How long the one who fires by hand has to start the worker before an agent does.
_MANUAL_HEAD_START = 15.0
_BATCH = 200
_MOST_BATCHES = 10
_FIRST_RETRY, _LAST_RETRY = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick found.

    ``start`` are the slots whose worker is to be started now; ``fenced`` those that were taken from
    a process which lives on; ``active`` whether any slot runs or waits;
    ``next_at`` when the next schedule is due.
    """

    start: tuple[Slot, ...]
    fenced: tuple[Slot, ...]
    active: bool
    next_at: float | None


def tick(project: Project, now: float | None = None, *, trust_leases: bool = True) -> Tick:
    """Record lost firings, insert the slots that are due, and return what to start.

    ``now`` is in seconds since the epoch.  With ``trust_leases=False`` a live process keeps a slot
    whose lease has expired: right after the machine slept or its clock was set, when nobody has had
    the time to renew.
    """
    now = time.time() if now is None else now
    db = StateDB(project)
    fenced = _find_lost(db, now, trust_leases=trust_leases)
    _insert_due(db, now)
    active = store.active_slots(db)
    return Tick(_startable(active, now), fenced, bool(active), store.next_due(db))


def overdue(project: Project, now: float | None = None) -> tuple[Slot, ...]:
    """The slots whose process lives on this machine and has let its lease run out.

    To be killed before the tick that gives them up: a process that was stopped in the middle of a
    transaction keeps everybody, that tick too, from writing to ``state.db``.
    """
    now = time.time() if now is None else now
    found = []
    for slot in store.active_slots(StateDB(project)):
        process = process_of(slot)
        late = slot.state == "running" and (slot.lease_expires or 0.0) <= now
        if late and process is not None and process.alive():
            found.append(slot)
    return tuple(found)


def fire(project: Project, schedule: Schedule, now: float | None = None) -> Slot:
    """Make one slot due now, beside the cron slots, and return it; its worker is still to start.

    Raises ``ConflictError`` while another firing of the schedule runs or waits.
    """
    now = time.time() if now is None else now
    if schedule.removed is not None:
        raise UsageError(f"schedule {schedule.id!r} has been removed")
    db = StateDB(project)
    _find_lost(db, now, trust_leases=False)
    start_after = now + _MANUAL_HEAD_START
    slot = Slot(schedule.id, round(now, 3), "manual", "due", start_after=start_after)
    with db.write() as connection:
        if store.has_active_slot(connection, schedule.id):
            raise ConflictError(
                f"a firing of {schedule.id} is already running or waiting",
                hint=f"See it with: jupyter mlops schedule show {schedule.id}",
                schedule=schedule.id,
            )
        if store.has_slot(connection, schedule.id, slot.slot):
            raise ConflictError(f"{schedule.id} was fired at this very moment already")
        store.insert_slots(connection, [slot])
    return slot


def give_up(project: Project, slot: Slot, detail: str) -> bool:
    """Record that a slot cannot be run, and is not tried again.

    ``False`` if that is not so: it has ended, or a process runs it.
    """
    process = process_of(slot)
    states = ["due", "lost"]
    if slot.state == "running" and process is not None and process.alive() is False:
        states.append("running")
    return store.end_slot(
        StateDB(project), slot, "failed", now=time.time(), detail=detail, states=states
    )


def process_of(slot: Slot) -> ProcessIdentity | None:
    """The process that claimed a slot last."""
    if slot.pid is None:
        return None
    return ProcessIdentity(slot.host or "", slot.boot_id or "", slot.pid, slot.pid_started or 0.0)


def _find_lost(db: StateDB, now: float, *, trust_leases: bool) -> tuple[Slot, ...]:
    fenced: list[Slot] = []
    for slot in store.active_slots(db):
        process = process_of(slot)
        if slot.state != "running" or process is None:
            continue
        alive = process.alive()
        expired = (slot.lease_expires or 0.0) <= now
        if alive is False:
            why = "its process died"
        elif expired and (trust_leases or alive is None):
            why = "its process did not renew its lease"
        else:
            continue
        if _lose(db, slot, why, now) and alive:
            fenced.append(slot)
    return tuple(fenced)


def _lose(db: StateDB, slot: Slot, why: str, now: float) -> bool:
    schedule = store.get_schedule(db, slot.schedule)
    attempts = 1 + (schedule.retries if schedule is not None else 0)
    gone = schedule is None or schedule.removed is not None
    if slot.attempt < attempts and not gone:
        wait = min(_LAST_RETRY, _FIRST_RETRY * 2 ** (slot.attempt - 1))
        wait *= random.uniform(0.8, 1.2)  # noqa: S311  So that many do not return at once.
        detail = f"attempt {slot.attempt} of {attempts}: {why}"
        return store.end_slot(db, slot, "lost", now=now, detail=detail, start_after=now + wait)
    return store.end_slot(
        db, slot, "failed", now=now, detail=f"{why} (attempt {slot.attempt} of {attempts})"
    )


def _insert_due(db: StateDB, now: float) -> None:
    for _ in range(_MOST_BATCHES):
        with db.read() as connection:
            ids = store.schedules_to_move(connection, now)
        moved = False
        for id in ids:
            moved |= _move(db, id, now)
        if not moved:
            return


def _move(db: StateDB, id: str, now: float) -> bool:
    """Move one schedule past ``now``, or by a batch of slots; ``False`` if there was no need to."""
    schedule = store.get_schedule(db, id)
    if schedule is None or schedule.next_at is None:
        return False
    cron = Cron(schedule.cron, schedule.timezone)
    with db.write() as connection:
        # Another scheduler may have moved it since it was read.
        row = connection.execute(
            "SELECT next_slot FROM schedules WHERE id = ? AND enabled", (id,)
        ).fetchone()
        if row is None or row["next_slot"] is None:
            return False
        if row["next_slot"] > now:
            return _move_back(connection, schedule, cron, row["next_slot"], now)
        slot: float = row["next_slot"]
        new: list[Slot] = []
        while slot <= now and len(new) < _BATCH:
            following = cron.after(slot)
            backlog = bool(new) or following <= now
            new.append(_decide(connection, schedule, slot, backlog, following > now, now))
            slot = following
        store.move_schedule(connection, id, new, slot, now)
    return True


def _decide(
    connection: sqlite3.Connection,
    schedule: Schedule,
    slot: float,
    backlog: bool,
    latest: bool,
    now: float,
) -> Slot:
    def missed(why: str) -> Slot:
        return Slot(schedule.id, slot, "cron", "missed", ended=now, detail=why)

    late = now - slot > ON_TIME_SECONDS
    if schedule.catch_up != "all":
        if not latest:
            return missed("no agent ran at the time, and a later slot has passed, too")
        if late and schedule.catch_up == "none":
            return missed("no agent ran at the time")
        if now - slot > CATCH_UP_WINDOW:
            return missed("no agent ran within a day of it")
    elif backlog:
        # What is caught up on runs one after the other, whatever the policy for overlaps.
        return Slot(schedule.id, slot, "cron", "due")
    if schedule.overlap == "skip" and store.has_active_slot(connection, schedule.id):
        return Slot(
            schedule.id, slot, "cron", "skipped", ended=now, detail="the firing before it still ran"
        )
    return Slot(schedule.id, slot, "cron", "due")


def _move_back(
    connection: sqlite3.Connection, schedule: Schedule, cron: Cron, next_at: float, now: float
) -> bool:
    """After the clock was set back: the next slot is the first to come that was not fired."""
    store.drop_future_misses(connection, schedule.id, now)
    slot = cron.after(now)
    while slot < next_at and store.has_slot(connection, schedule.id, slot):
        slot = cron.after(slot)
    if slot >= next_at:
        return False
    store.move_schedule(connection, schedule.id, [], slot, now)
    return True


def _startable(active: list[Slot], now: float) -> tuple[Slot, ...]:
    """The oldest waiting slot of each schedule of which none runs."""
    first: dict[str, Slot] = {}
    busy: set[str] = set()
    for slot in active:
        if slot.state == "running":
            busy.add(slot.schedule)
        else:
            first.setdefault(slot.schedule, slot)
    return tuple(s for id, s in first.items() if id not in busy and s.start_after <= now)
