"""What the agent starts, how often and how many at once, and whom it kills."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_mlops.agent import firings as module
from jupyter_mlops.agent.firings import Firings
from jupyter_mlops.journal import process_identity
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import Slot, add_schedule, list_slots
from jupyter_mlops.scheduling.firing import LEASE_SECONDS
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.schedules import claim_slot

from ..scheduling.conftest import pipeline

__all__ = ["pipeline"]

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that stand in for workers; they have ended when the test has."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def firings_of(project: Project) -> Firings:
    return Firings(project, logging.getLogger("test"), umask=0o077)


def step(firings: Firings) -> None:
    firings.look(changed=True)
    firings.step()


def states(project: Project, count: int) -> list[str]:
    ids = ["flights", *(f"flights-{n}" for n in range(2, count + 1))]
    return [list_slots(project, id, 1)[0].state for id in ids]


def test_what_does_not_start_is_given_up(
    project: Project, pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Slot] = []

    def fail(project: Project, slot: Slot, *, umask: int) -> subprocess.Popen[bytes]:
        starts.append(slot)
        if len(starts) == 2:
            raise OSError("no more processes")
        child = subprocess.Popen(["false"])
        child.wait()
        return child

    monkeypatch.setattr(module, "start_worker", fail)
    monkeypatch.setattr(module, "_START_AGAIN_SECONDS", 0.0)
    add_schedule(project, pipeline, "* * * * *", "UTC", now=time.time() - 100)
    firings = firings_of(project)
    for _ in range(6):
        step(firings)
    failed = next(s for s in list_slots(project, "flights") if s.slot == starts[0].slot)
    assert len([s for s in starts if s.slot == failed.slot]) == 3
    assert failed.state == "failed"
    assert "its worker could not be started; see" in str(failed.detail)
    assert str(project.agent / "firings") in str(failed.detail)


def test_no_more_at_once_than_the_machine_has_processors(
    project: Project,
    pipeline: str,
    monkeypatch: pytest.MonkeyPatch,
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    def start(project: Project, slot: Slot, *, umask: int) -> subprocess.Popen[bytes]:
        sleepers.append(subprocess.Popen(SLEEPER))
        me = process_identity(sleepers[-1].pid)
        assert me is not None
        assert claim_slot(
            StateDB(project), slot.schedule, slot.slot, me, now=time.time(), lease=600.0
        )
        return sleepers[-1]

    monkeypatch.setattr(module, "start_worker", start)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    for _ in range(3):
        add_schedule(project, pipeline, "* * * * *", "UTC", retries=0, now=time.time() - 100)
    firings = firings_of(project)
    step(firings)
    step(firings)
    assert sorted(states(project, 3)) == ["due", "running", "running"]
    assert firings.running == 2
    sleepers[0].kill()
    sleepers[0].wait()
    step(firings)
    step(firings)
    assert len(sleepers) == 3
    assert firings.running == 2


class Clock:
    """``time`` for the agent, with a machine that can sleep."""

    def __init__(self) -> None:
        self.asleep = 0.0
        self.set = 0.0

    def time(self) -> float:
        return time.time() + self.asleep + self.set

    def monotonic(self) -> float:
        return time.monotonic() + self.asleep

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.mark.parametrize("kind", ["asleep", "set"])
def test_after_a_sleep_or_a_new_clock_workers_get_time_to_renew(
    project: Project,
    pipeline: str,
    monkeypatch: pytest.MonkeyPatch,
    sleepers: list[subprocess.Popen[bytes]],
    kind: str,
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("jupyter_mlops.scheduling.firing.time", clock)
    add_schedule(project, pipeline, "0 0 1 1 *", "UTC", retries=0)
    with StateDB(project).write() as connection:
        connection.execute("UPDATE schedules SET next_slot = ?", (time.time() - 1,))
    monkeypatch.setattr(module, "start_worker", lambda *a, **k: subprocess.Popen(["true"]))
    firings = firings_of(project)
    step(firings)
    (slot,) = list_slots(project, "flights")
    sleepers.append(subprocess.Popen(SLEEPER))
    worker = process_identity(sleepers[0].pid)
    assert worker is not None
    assert claim_slot(
        StateDB(project), slot.schedule, slot.slot, worker, now=time.time(), lease=LEASE_SECONDS
    )
    step(firings)
    setattr(clock, kind, 3600.0)
    step(firings)  # its lease ran out an hour ago, and it had no chance to renew it
    assert states(project, 1) == ["running"]
    assert sleepers[0].poll() is None
    # Had it lived on, it would have renewed by then.
    for _ in range(12):
        clock.asleep += LEASE_SECONDS / 10
        step(firings)
    assert sleepers[0].wait(30) == -9
    assert states(project, 1) == ["failed"]
