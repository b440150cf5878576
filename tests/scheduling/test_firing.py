"""A tick: what is due, missed, skipped, lost; and clocks that jump."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile

import pytest

from jupyter_mlops.errors import ConflictError
from jupyter_mlops.journal import this_process
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import (
    Cron,
    Slot,
    add_schedule,
    find_schedule,
    fire,
    give_up,
    list_slots,
    remove_schedule,
    tick,
)
from jupyter_mlops.scheduling.firing import LEASE_SECONDS
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.schedules import (
    Claim,
    claim_slot,
    finish_slot,
    get_slot,
    renew_claim,
)

HOUR, DAY = 3600.0, 86400.0
MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
ME = this_process()
DEAD = replace(ME, started=ME.started - 100)  # this pid, but a process that is no more
AWAY = replace(ME, host="another-machine")


def states(project: Project, id: str = "flights") -> dict[str, str]:
    """``{"01 06:00": state}`` of a schedule's slots, oldest first."""
    slots = list_slots(project, id, 10_000)
    return {
        datetime.fromtimestamp(s.slot, UTC).strftime("%d %H:%M"): s.state for s in reversed(slots)
    }


def claim(project: Project, slot: Slot, now: float, process: object = ME) -> Claim | None:
    return claim_slot(
        StateDB(project), slot.schedule, slot.slot, process, now=now, lease=LEASE_SECONDS
    )  # type: ignore[arg-type]


def run(project: Project, now: float) -> list[Slot]:
    """Tick, and run to its end whatever is to be started."""
    started = []
    while found := tick(project, now).start:
        for slot in found:
            claimed = claim(project, slot, now)
            assert claimed is not None
            finish_slot(StateDB(project), claimed, "done", now=now, exit_code=0)
            started.append(slot)
    return started


def test_a_slot_fires_once_and_the_next_is_set(project: Project, pipeline: str) -> None:
    added = add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MIDNIGHT)
    assert added.next_at == MIDNIGHT + 6 * HOUR
    assert tick(project, MIDNIGHT + 6 * HOUR - 1).start == ()
    (slot,) = tick(project, MIDNIGHT + 6 * HOUR).start
    assert slot.slot == MIDNIGHT + 6 * HOUR
    # Until it is claimed, every tick says that it is to be started; claimed, none does.
    assert tick(project, MIDNIGHT + 6 * HOUR + 1).start == (slot,)
    assert claim(project, slot, MIDNIGHT + 6 * HOUR + 2) is not None
    assert claim(project, slot, MIDNIGHT + 6 * HOUR + 2) is None
    after = tick(project, MIDNIGHT + 6 * HOUR + 3)
    assert after.start == ()
    assert after.next_at == MIDNIGHT + 30 * HOUR


POLICIES = [
    # Away from 00:30 for three hours and a half, hourly: on waking at 04:00:30 the newest slot is
    # on time, whatever the policy.
    ("latest", 4 * HOUR + 30, "missed missed missed due"),
    ("none", 4 * HOUR + 30, "missed missed missed due"),
    ("all", 4 * HOUR + 30, "due due due due"),
    # Waking at 04:20 it is late.
    ("latest", 4 * HOUR + 1200, "missed missed missed due"),
    ("none", 4 * HOUR + 1200, "missed missed missed missed"),
    ("all", 4 * HOUR + 1200, "due due due due"),
]


@pytest.mark.parametrize(("catch_up", "wake", "expected"), POLICIES)
def test_catching_up(
    project: Project, pipeline: str, catch_up: str, wake: float, expected: str
) -> None:
    add_schedule(project, pipeline, "0 * * * *", "UTC", catch_up=catch_up, now=MIDNIGHT + 1800)
    tick(project, MIDNIGHT + wake)
    assert " ".join(states(project).values()) == expected
    assert list(states(project)) == ["01 01:00", "01 02:00", "01 03:00", "01 04:00"]
    assert all(s.detail for s in list_slots(project, "flights") if s.state == "missed")


def test_latest_looks_back_a_day(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 6 1 * *", "UTC", now=MIDNIGHT)
    tick(project, MIDNIGHT + 6 * HOUR + DAY + 60)
    assert states(project) == {"01 06:00": "missed"}


def test_a_long_absence_is_recorded_slot_by_slot(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "*/10 * * * *", "UTC", now=MIDNIGHT)
    tick(project, MIDNIGHT + 3 * DAY)
    found = list(states(project).values())
    assert len(found) == 3 * 144
    assert found == ["missed"] * (3 * 144 - 1) + ["due"]


def test_a_backlog_runs_one_after_the_other(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 * * * *", "UTC", catch_up="all", now=MIDNIGHT)
    now = MIDNIGHT + 3 * HOUR
    (first,) = tick(project, now).start
    assert first.slot == MIDNIGHT + HOUR
    assert claim(project, first, now) is not None
    assert tick(project, now).start == ()
    second = replace(first, slot=MIDNIGHT + 2 * HOUR)
    assert claim(project, second, now) is None  # not even when a worker is started by mistake


def test_overlap_skip_records_what_was_skipped(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "* * * * *", "UTC", now=MIDNIGHT)
    (slot,) = tick(project, MIDNIGHT + 60).start
    claimed = claim(project, slot, MIDNIGHT + 60)
    assert claimed is not None
    for minute in (2, 3):
        assert renew_claim(
            StateDB(project), claimed, now=MIDNIGHT + minute * 60, lease=LEASE_SECONDS
        )
        assert tick(project, MIDNIGHT + minute * 60).start == ()
    finish_slot(StateDB(project), claimed, "done", now=MIDNIGHT + 200, exit_code=0)
    assert len(tick(project, MIDNIGHT + 240).start) == 1
    assert list(states(project).values()) == ["done", "skipped", "skipped", "due"]


def test_overlap_queue_runs_them_in_turn(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "* * * * *", "UTC", overlap="queue", now=MIDNIGHT)
    (slot,) = tick(project, MIDNIGHT + 60).start
    claimed = claim(project, slot, MIDNIGHT + 60)
    assert claimed is not None
    for minute in (2, 3):
        assert renew_claim(
            StateDB(project), claimed, now=MIDNIGHT + minute * 60, lease=LEASE_SECONDS
        )
        assert tick(project, MIDNIGHT + minute * 60).start == ()
    finish_slot(StateDB(project), claimed, "done", now=MIDNIGHT + 200, exit_code=0)
    assert [s.slot for s in run(project, MIDNIGHT + 201)] == [MIDNIGHT + 120, MIDNIGHT + 180]


@pytest.mark.parametrize(
    ("cron", "jump"),
    [
        ("* * * * *", -60.0),
        ("* * * * *", -DAY),
        ("0 * * * *", -HOUR),
        ("0 * * * *", -40 * DAY),
        ("0 6 * * *", -HOUR),
        ("0 6 * * *", -DAY),
    ],
)
def test_a_clock_set_back_neither_refires_nor_stalls(
    project: Project, pipeline: str, cron: str, jump: float
) -> None:
    add_schedule(project, pipeline, cron, "UTC", now=MIDNIGHT)
    ahead = MIDNIGHT + DAY + 7 * HOUR
    fired = [s.slot for s in run(project, ahead)]
    start = now = ahead + jump
    step, span = (60.0, HOUR) if cron == "* * * * *" else (1800.0, 2 * DAY)
    while now <= start + span:
        fired += [s.slot for s in run(project, now)]
        now += step
    assert len(fired) == len(set(fired))
    # By the corrected clock every slot has fired, now or before.
    due = set(takewhile(lambda slot: slot <= now - step, Cron(cron, "UTC").upcoming(start)))
    assert due
    assert due <= set(fired)


@pytest.mark.parametrize("jump", [HOUR, DAY])
def test_a_clock_set_forward_is_like_an_absence(
    project: Project, pipeline: str, jump: float
) -> None:
    add_schedule(project, pipeline, "0 * * * *", "UTC", now=MIDNIGHT)
    run(project, MIDNIGHT + HOUR)
    fired = run(project, MIDNIGHT + HOUR + jump + 600)
    assert [s.slot for s in fired] == [MIDNIGHT + HOUR + jump]
    assert list(states(project).values()).count("done") == 2


def test_a_dead_process_is_found_at_once_and_its_slot_tried_again(
    project: Project, pipeline: str
) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MIDNIGHT)
    now = MIDNIGHT + 6 * HOUR
    (slot,) = tick(project, now).start
    first = claim(project, slot, now, DEAD)
    assert first is not None
    # The lease is fresh, but the process is known to be gone.
    found = tick(project, now + 1)
    assert found.fenced == ()
    (lost,) = list_slots(project, "flights")
    assert lost.state == "lost"
    assert lost.detail == "attempt 1 of 2: its process died"
    assert now + 1 < lost.start_after < now + 10
    assert tick(project, now + 1).start == ()  # it waits before it is tried again
    (again,) = tick(project, now + 20).start
    second = claim(project, again, now + 20, DEAD)
    assert second is not None
    assert (second.attempt, second.epoch > first.epoch) == (2, True)
    with pytest.raises(ConflictError):
        finish_slot(StateDB(project), first, "done", now=now + 21, exit_code=0)
    tick(project, now + 22)
    (failed,) = list_slots(project, "flights")
    assert (failed.state, failed.detail) == ("failed", "its process died (attempt 2 of 2)")
    with pytest.raises(ConflictError):
        finish_slot(StateDB(project), second, "done", now=now + 23, exit_code=0)


def test_without_retries_a_lost_firing_failed(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC", retries=0, now=MIDNIGHT)
    (slot,) = tick(project, MIDNIGHT + 6 * HOUR).start
    assert claim(project, slot, MIDNIGHT + 6 * HOUR, DEAD) is not None
    tick(project, MIDNIGHT + 6 * HOUR + 1)
    assert list(states(project).values()) == ["failed"]


def test_a_live_process_past_its_lease_is_fenced(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MIDNIGHT)
    now = MIDNIGHT + 6 * HOUR
    (slot,) = tick(project, now).start
    claimed = claim(project, slot, now)
    assert claimed is not None
    assert tick(project, now + LEASE_SECONDS - 1).fenced == ()
    # After the machine slept, or its clock was set, nobody has had the time to renew.
    late = now + LEASE_SECONDS + 1
    assert tick(project, late, trust_leases=False).fenced == ()
    (fenced,) = tick(project, late).fenced
    assert fenced.pid == ME.pid
    assert not renew_claim(StateDB(project), claimed, now=late, lease=LEASE_SECONDS)
    with pytest.raises(ConflictError):
        finish_slot(StateDB(project), claimed, "done", now=late, exit_code=0)
    assert list(states(project).values()) == ["lost"]


def test_a_process_of_another_machine_is_judged_by_its_lease(
    project: Project, pipeline: str
) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MIDNIGHT)
    now = MIDNIGHT + 6 * HOUR
    (slot,) = tick(project, now).start
    assert claim(project, slot, now, AWAY) is not None
    tick(project, now + LEASE_SECONDS - 1)
    assert list(states(project).values()) == ["running"]
    assert tick(project, now + LEASE_SECONDS + 1).fenced == ()  # not ours to kill
    assert list(states(project).values()) == ["lost"]


def test_firing_by_hand(project: Project, pipeline: str) -> None:
    added = add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MIDNIGHT)
    slot = fire(project, added, MIDNIGHT + 60.5)
    assert (slot.kind, slot.state) == ("manual", "due")
    with pytest.raises(ConflictError, match="already running or waiting"):
        fire(project, added, MIDNIGHT + 61)
    assert tick(project, MIDNIGHT + 61).start == ()  # whoever fired it starts it ...
    assert tick(project, MIDNIGHT + 120).start != ()  # ... or an agent, when nobody does
    claimed = claim(project, slot, MIDNIGHT + 121)
    assert claimed is not None
    finish_slot(StateDB(project), claimed, "done", now=MIDNIGHT + 122, exit_code=0)
    assert find_schedule(project, "flights").next_at == MIDNIGHT + 6 * HOUR
    assert fire(project, added, MIDNIGHT + 130).state == "due"
    remove_schedule(project, "flights")
    with pytest.raises(ValueError, match="removed"):
        fire(project, find_schedule(project, "flights"), MIDNIGHT + 140)


def test_giving_up_does_not_touch_a_claimed_slot(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MIDNIGHT)
    now = MIDNIGHT + 6 * HOUR
    (slot,) = tick(project, now).start
    assert claim(project, slot, now) is not None
    assert not give_up(project, slot, "no worker starts")
    current = get_slot(StateDB(project), slot.schedule, slot.slot)
    assert current is not None
    assert current.state == "running"


def test_old_slots_are_forgotten_after_a_month(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "*/30 * * * *", "UTC", now=MIDNIGHT)
    for day in range(1, 61):
        tick(project, MIDNIGHT + day * DAY)
        run(project, MIDNIGHT + day * DAY)
    kept = list_slots(project, "flights", 10_000)
    assert 30 * 48 <= len(kept) <= 31 * 48
    assert kept[-1].slot >= MIDNIGHT + 29 * DAY
