"""Schedules and slots in ``state.db``: the transactions that make a slot fire once.

- ``PRIMARY KEY (schedule, slot)`` makes a slot unique; inserting it and moving the schedule's next
  slot are one transaction (``move_schedule``).
- A worker claims a slot in one ``UPDATE`` that registers the worker itself (``claim_slot``): were
  its parent to record it, a crash between the two would leave a run that nobody knows of.
- Each claim raises the slot's epoch.  Everything that the worker writes later checks the epoch in
  the same transaction, so a worker that was given up for dead finds out and records nothing.

These functions hold no policy; ``jupyter_mlops.scheduling`` does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import ConflictError
from ..journal import ProcessIdentity
from ..journal.redaction import redact_text
from ..model.schedule import ACTIVE_STATES, Schedule, Slot
from .changes import record_change
from .db import StateDB

__all__ = [
    "Claim",
    "active_slots",
    "claim_slot",
    "drop_future_misses",
    "end_slot",
    "finish_slot",
    "get_schedule",
    "get_slot",
    "has_active_slot",
    "has_slot",
    "insert_schedule",
    "insert_slots",
    "list_schedules",
    "list_slots",
    "move_schedule",
    "next_due",
    "remove_schedule",
    "renew_claim",
    "schedules_to_move",
]

_ACTIVE = ", ".join(f"'{state}'" for state in ACTIVE_STATES)
_SLOT_COLUMNS = (
    "schedule, slot, kind, state, attempt, start_after, epoch, holder, lease_expires, pid, "
    "pid_started, boot_id, host, started, ended, exit_code, run_id, detail"
)
# Slots that ended are kept for a month, and the newest thousand of a schedule for longer.
_KEEP_SECONDS, _KEEP_COUNT = 30 * 86400.0, 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot that this process has claimed."""

    schedule: str
    slot: float
    holder: str
    epoch: int
    attempt: int


def insert_schedule(db: StateDB, schedule: Schedule) -> Schedule:
    """Store a new schedule; an id that was ever used gets ``-2``, ``-3`` ... appended."""
    with db.write() as connection:
        taken = {row["id"] for row in connection.execute("SELECT id FROM schedules")}
        id, number = schedule.id, 2
        while id in taken:
            id, number = f"{schedule.id}-{number}", number + 1
        connection.execute(
            "INSERT INTO schedules (id, pipeline, cron, timezone, parameters, catch_up, overlap, "
            "retries, enabled, created, next_slot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                id, schedule.pipeline, schedule.cron, schedule.timezone,
                json.dumps(schedule.parameters), schedule.catch_up, schedule.overlap,
                schedule.retries, int(schedule.enabled), schedule.created, schedule.next_at,
            ),
        )  # fmt: skip
        record_change(connection, "schedule", "created", id)
        return _schedule(connection, connection.execute(*_by_id(id)).fetchone())


def list_schedules(db: StateDB, *, removed: bool = False) -> list[Schedule]:
    """All schedules, oldest first; ``removed`` includes those whose history is still kept."""
    with db.read() as connection:
        rows = connection.execute(
            "SELECT * FROM schedules WHERE removed IS NULL OR ? ORDER BY created, id", (removed,)
        ).fetchall()
        return [_schedule(connection, row) for row in rows]


def get_schedule(db: StateDB, id: str) -> Schedule | None:
    """One schedule by its whole id, also a removed one."""
    with db.read() as connection:
        row = connection.execute(*_by_id(id)).fetchone()
        return None if row is None else _schedule(connection, row)


def remove_schedule(db: StateDB, id: str, now: float) -> None:
    """Stop firing: the history stays, what waits is cancelled, what runs goes on to its end."""
    with db.write() as connection:
        connection.execute(
            "UPDATE schedules SET removed = ?, enabled = 0, next_slot = NULL WHERE id = ?",
            (now, id),
        )
        connection.execute(
            "UPDATE slots SET state = 'cancelled', ended = ?, detail = 'the schedule was removed' "
            "WHERE schedule = ? AND state IN ('due', 'lost')",
            (now, id),
        )
        record_change(connection, "schedule", "removed", id)


def next_due(db: StateDB) -> float | None:
    """The earliest next slot of any schedule, ``None`` when there is no schedule in force."""
    with db.read() as connection:
        (moment,) = connection.execute(
            "SELECT MIN(next_slot) FROM schedules WHERE enabled"
        ).fetchone()
    return None if moment is None else float(moment)


def schedules_to_move(connection: sqlite3.Connection, now: float) -> list[str]:
    """Ids of the schedules that are due, or whose next slot was computed by a clock set back since.

    A clock was set back where a slot that was fired, or the schedule itself, lies in the future.
    """
    rows = connection.execute(
        "SELECT id FROM schedules s WHERE enabled AND next_slot IS NOT NULL AND (next_slot <= ? "
        "OR created > ? OR EXISTS (SELECT 1 FROM slots WHERE schedule = s.id AND kind = 'cron' "
        "AND slot > ?)) ORDER BY next_slot",
        (now, now, now),
    )
    return [row["id"] for row in rows]


def move_schedule(
    connection: sqlite3.Connection, id: str, slots: Iterable[Slot], next_at: float, now: float
) -> None:
    """Insert a schedule's new slots and move its next one, in the caller's write transaction."""
    insert_slots(connection, slots)
    connection.execute("UPDATE schedules SET next_slot = ? WHERE id = ?", (next_at, id))
    connection.execute(
        f"DELETE FROM slots WHERE schedule = ? AND slot < ? AND state NOT IN ({_ACTIVE}) "  # noqa: S608
        "AND slot < "
        "(SELECT slot FROM slots WHERE schedule = ? ORDER BY slot DESC LIMIT 1 OFFSET ?)",
        (id, now - _KEEP_SECONDS, id, _KEEP_COUNT),
    )
    record_change(connection, "schedule", "updated", id)


def insert_slots(connection: sqlite3.Connection, slots: Iterable[Slot]) -> None:
    """Add slots that are not there yet; one that is there stays what it is."""
    connection.executemany(
        "INSERT OR IGNORE INTO slots (schedule, slot, kind, state, start_after, ended, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(s.schedule, s.slot, s.kind, s.state, s.start_after, s.ended, s.detail) for s in slots],
    )


def drop_future_misses(connection: sqlite3.Connection, id: str, now: float) -> None:
    """Forget slots called missed or skipped that, by a clock set right since, are yet to come."""
    connection.execute(
        "DELETE FROM slots WHERE schedule = ? AND slot > ? AND kind = 'cron' "
        "AND state IN ('missed', 'skipped')",
        (id, now),
    )


def has_slot(connection: sqlite3.Connection, id: str, slot: float) -> bool:
    """Whether a slot has been recorded."""
    sql = "SELECT 1 FROM slots WHERE schedule = ? AND slot = ?"
    return connection.execute(sql, (id, slot)).fetchone() is not None


def has_active_slot(connection: sqlite3.Connection, id: str) -> bool:
    """Whether a firing of this schedule runs, or waits to."""
    sql = f"SELECT 1 FROM slots WHERE schedule = ? AND state IN ({_ACTIVE}) LIMIT 1"  # noqa: S608
    return connection.execute(sql, (id,)).fetchone() is not None


def list_slots(db: StateDB, id: str, limit: int = 20) -> list[Slot]:
    """A schedule's newest slots, newest first."""
    with db.read() as connection:
        rows = connection.execute(
            f"SELECT {_SLOT_COLUMNS} FROM slots WHERE schedule = ? ORDER BY slot DESC LIMIT ?",  # noqa: S608
            (id, limit),
        )
        return [Slot(**dict(row)) for row in rows]


def get_slot(db: StateDB, id: str, slot: float) -> Slot | None:
    """One slot."""
    with db.read() as connection:
        row = connection.execute(
            f"SELECT {_SLOT_COLUMNS} FROM slots WHERE schedule = ? AND slot = ?",  # noqa: S608
            (id, slot),
        ).fetchone()
        return None if row is None else Slot(**dict(row))


def active_slots(db: StateDB) -> list[Slot]:
    """All slots that run or wait, oldest first."""
    with db.read() as connection:
        rows = connection.execute(
            f"SELECT {_SLOT_COLUMNS} FROM slots WHERE state IN ({_ACTIVE}) ORDER BY slot, schedule"  # noqa: S608
        )
        return [Slot(**dict(row)) for row in rows]


def claim_slot(
    db: StateDB, id: str, slot: float, process: ProcessIdentity, *, now: float, lease: float
) -> Claim | None:
    """Claim a waiting slot for ``process`` for ``lease`` seconds, registering the process with it.

    ``None`` when it is not waiting any more, or when another firing of the schedule runs.
    """
    holder = f"{process.host}:{process.pid}:{process.started}"
    with db.write() as connection:
        row = connection.execute(
            "UPDATE slots SET state = 'running', epoch = epoch + 1, attempt = attempt + 1, "
            "holder = ?, lease_expires = ?, pid = ?, pid_started = ?, boot_id = ?, host = ?, "
            "started = ?, ended = NULL, exit_code = NULL, run_id = NULL, detail = NULL "
            "WHERE schedule = ? AND slot = ? AND state IN ('due', 'lost') AND NOT EXISTS "
            "(SELECT 1 FROM slots o WHERE o.schedule = slots.schedule AND o.state = 'running') "
            "RETURNING epoch, attempt",
            (
                holder, now + lease, process.pid, process.started, process.boot_id, process.host,
                now, id, slot,
            ),
        ).fetchone()  # fmt: skip
        if row is None:
            return None
        record_change(connection, "schedule", "updated", id)
        return Claim(id, slot, holder, row["epoch"], row["attempt"])


def renew_claim(db: StateDB, claim: Claim, *, now: float, lease: float) -> bool:
    """Extend a claim; ``False`` when the slot has passed to someone else or was cancelled."""
    with db.write() as connection:
        cursor = connection.execute(
            "UPDATE slots SET lease_expires = ? WHERE schedule = ? AND slot = ? AND epoch = ? "
            "AND holder = ? AND state = 'running'",
            (now + lease, claim.schedule, claim.slot, claim.epoch, claim.holder),
        )
        return cursor.rowcount == 1


def finish_slot(
    db: StateDB,
    claim: Claim,
    state: str,
    *,
    now: float,
    exit_code: int | None,
    run_id: str | None = None,
    detail: str | None = None,
) -> None:
    """Record how a claimed slot ended.  ``ConflictError`` when it is not the caller's any more."""
    with db.write() as connection:
        cursor = connection.execute(
            "UPDATE slots SET state = ?, ended = ?, exit_code = ?, run_id = ?, detail = ? "
            "WHERE schedule = ? AND slot = ? AND epoch = ? AND holder = ? AND state = 'running'",
            (
                state, now, exit_code, run_id, None if detail is None else redact_text(detail),
                claim.schedule, claim.slot, claim.epoch, claim.holder,
            ),
        )  # fmt: skip
        if cursor.rowcount != 1:
            raise ConflictError(
                f"the firing of {claim.schedule} has passed to another process",
                schedule=claim.schedule,
                slot=claim.slot,
            )
        record_change(connection, "schedule", "updated", claim.schedule)


def end_slot(
    db: StateDB,
    slot: Slot,
    state: str,
    *,
    now: float,
    detail: str,
    start_after: float = 0.0,
    exit_code: int | None = None,
    states: Sequence[str] = ("running",),
) -> bool:
    """Decide over a slot from outside, fencing whoever holds it; ``False`` if it has changed since.

    ``states`` are those that it may be in; the epoch must be the one in ``slot``.
    """
    marks = ", ".join("?" for _ in states)
    with db.write() as connection:
        cursor = connection.execute(
            "UPDATE slots SET state = ?, epoch = epoch + 1, ended = ?, detail = ?, "  # noqa: S608
            "start_after = ?, exit_code = ? WHERE schedule = ? AND slot = ? AND epoch = ? "
            f"AND state IN ({marks})",
            (
                state, now, redact_text(detail), start_after, exit_code,
                slot.schedule, slot.slot, slot.epoch, *states,
            ),
        )  # fmt: skip
        if cursor.rowcount == 1:
            record_change(connection, "schedule", "updated", slot.schedule)
        return cursor.rowcount == 1


def _by_id(id: str) -> tuple[str, tuple[str]]:
    return "SELECT * FROM schedules WHERE id = ?", (id,)


def _schedule(connection: sqlite3.Connection, row: sqlite3.Row) -> Schedule:
    last = connection.execute(
        f"SELECT {_SLOT_COLUMNS} FROM slots WHERE schedule = ? AND state != 'due' "  # noqa: S608
        "ORDER BY slot DESC LIMIT 1",
        (row["id"],),
    ).fetchone()
    return Schedule(
        id=row["id"],
        pipeline=row["pipeline"],
        cron=row["cron"],
        timezone=row["timezone"],
        parameters=json.loads(row["parameters"]),
        catch_up=row["catch_up"],
        overlap=row["overlap"],
        retries=row["retries"],
        enabled=bool(row["enabled"]),
        created=row["created"],
        next_at=row["next_slot"],
        removed=row["removed"],
        last=None if last is None else Slot(**dict(last)),
    )
