"""Adding, listing and removing schedules."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import NotFoundError, UsageError
from ..model.schedule import CATCH_UP, OVERLAP, Schedule, Slot
from ..project import Project
from ..state import StateDB
from ..state import schedules as store
from .cron import Cron

__all__ = [
    "add_schedule",
    "find_schedule",
    "get_slot",
    "list_schedules",
    "list_slots",
    "local_timezone",
    "next_firings",
    "remove_schedule",
]

_MOST_RETRIES = 100


def add_schedule(
    project: Project,
    pipeline: str | Path,
    cron: str,
    timezone: str,
    parameters: Mapping[str, Any] | None = None,
    catch_up: str = "latest",
    overlap: str = "skip",
    *,
    retries: int = 1,
    now: float | None = None,
) -> Schedule:
    """Store a schedule and return it; its first slot is the first one after ``now``.

    ``pipeline`` is what ``find_pipeline`` takes; ``parameters`` are checked against it.  Raises
    ``UsageError`` for a wrong cron field, zone or policy, ``NotFoundError`` for an unknown pipeline
    and ``ParameterError`` for parameters that it does not take; nothing is stored then.
    """
    from ..pipelines import check_pipeline_parameters, find_pipeline

    now = time.time() if now is None else now
    expression = Cron(cron, timezone)
    for name, value, known in (("catch-up", catch_up, CATCH_UP), ("overlap", overlap, OVERLAP)):
        if value not in known:
            raise UsageError(
                f"{value!r} is not a policy for {name}", hint=f"It is one of: {', '.join(known)}."
            )
    if not 0 <= retries <= _MOST_RETRIES:
        raise UsageError(f"retries must be from 0 to {_MOST_RETRIES}, not {retries}")
    found = find_pipeline(project, pipeline)
    values = check_pipeline_parameters(found, dict(parameters or {}))
    folder = Path(found.folder)
    name = folder.name if folder.parent == project.pipelines else project.relative(folder)
    return store.insert_schedule(
        StateDB(project),
        Schedule(
            id=found.name,
            pipeline=name,
            cron=expression.expression,
            timezone=timezone,
            created=now,
            next_at=expression.after(now),
            parameters=values,
            catch_up=catch_up,
            overlap=overlap,
            retries=retries,
        ),
    )


def list_schedules(project: Project) -> list[Schedule]:
    """The schedules that are in force, oldest first."""
    return store.list_schedules(StateDB(project)) if project.exists else []


def find_schedule(project: Project, id: str) -> Schedule:
    """The schedule with this id or unique beginning of one; ``NotFoundError`` lists what there is.

    A removed schedule is found by its whole id: its history is kept.
    """
    exact = store.get_schedule(StateDB(project), id) if project.exists else None
    if exact is not None:
        return exact
    known = list_schedules(project)
    begins = [s for s in known if id and s.id.startswith(id)]
    if len(begins) == 1:
        return begins[0]
    ids = [s.id for s in begins or known]
    if begins:
        raise UsageError(
            f"{id!r} is the beginning of {len(begins)} schedules",
            hint=f"They are {', '.join(ids)}.",
        )
    raise NotFoundError(
        f"there is no schedule {id!r}",
        hint=f"The schedules are: {', '.join(ids)}." if ids else "There are no schedules.",
        schedule=id,
    )


def remove_schedule(project: Project, id: str) -> Schedule:
    """Stop firing a schedule and return it as it was.

    What it fired stays in the history, what waits to fire is cancelled, and a firing that runs goes
    on to its end.  Raises like ``find_schedule``.
    """
    schedule = find_schedule(project, id)
    if schedule.removed is not None:
        raise NotFoundError(f"schedule {schedule.id!r} has been removed already", schedule=id)
    store.remove_schedule(StateDB(project), schedule.id, time.time())
    return schedule


def list_slots(project: Project, id: str, limit: int = 20) -> list[Slot]:
    """The newest slots of a schedule (by its whole id), newest first."""
    return store.list_slots(StateDB(project), id, limit)


def get_slot(project: Project, slot: Slot) -> Slot:
    """What has become of a slot."""
    return store.get_slot(StateDB(project), slot.schedule, slot.slot) or slot


def next_firings(schedule: Schedule, count: int = 3, *, now: float | None = None) -> list[datetime]:
    """The next moments at which it fires, in its own zone; empty for one that was removed."""
    if schedule.next_at is None or not schedule.enabled:
        return []
    cron = Cron(schedule.cron, schedule.timezone)
    now = time.time() if now is None else now
    # From the stored slot, unless an agent that was away has yet to move it.
    start = max(now, schedule.next_at - 1)
    return [cron.local(slot) for slot in islice(cron.upcoming(start), count)]


def local_timezone() -> str:
    """The IANA name of this machine's time zone; ``UTC`` where it does not say."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        target = os.path.realpath("/etc/localtime")
        _, separator, name = target.partition("zoneinfo/")
        if not separator:
            return "UTC"
    try:
        return str(Cron("* * * * *", name).zone)
    except UsageError:
        return "UTC"
