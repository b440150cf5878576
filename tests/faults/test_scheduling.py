"""Schedules under kill -9, races, stopped processes: each slot once, none missing, none at once."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.agent.firings import Firings
from jupyter_mlops.capture import agent_client
from jupyter_mlops.journal import process_identity
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import (
    add_schedule,
    end_process_tree,
    list_slots,
    overdue,
    tick,
)
from jupyter_mlops.scheduling.worker import NOT_CLAIMED
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.schedules import get_slot
from jupyter_mlops.tracking import find_run

from ..agent.living import REPOSITORY, agent_process, config_of, gone, kill, until

CHILD = str(Path(__file__).with_name("scheduling_child.py"))


class Children:
    """Real processes of ``scheduling_child``; all have ended when the test has."""

    def __init__(self, project: Project) -> None:
        self.log = project.root / "slots.log"
        self._project = project
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, kind: str, *rest: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", CHILD, kind, str(self._project.root), str(self.log)]
        child = subprocess.Popen([*command, *map(str, rest)], start_new_session=True)
        self._started.append(child)
        return child

    def lines(self) -> list[list[str]]:
        if not self.log.exists():
            return []
        return [line.split() for line in self.log.read_text().splitlines()]

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if CHILD in command and str(self._project.root) in command and not gone(process):
                    found.append(process)
        return found

    def end(self) -> None:
        while self.processes():
            for process in self.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
        for child in self._started:
            child.wait()


@pytest.fixture
def children(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Children]:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("MLOPS_TEST_CLOCK", str(time.time()))
    started = Children(project)
    yield started
    started.end()
    assert started.processes() == []


def crash(project: Project, children: Children, *, slots: int, crashes: int, seed: int) -> None:
    """Two schedulers and their workers, one of them killed every moment, until ``slots`` passed."""
    speed = 60.0  # a minute, the least that cron knows, in a second
    chance = random.Random(seed)
    began = time.time()
    for catch_up, overlap in (("all", "queue"), ("all", "skip")):
        add_schedule(
            project, "flights", "* * * * *", "UTC", catch_up=catch_up, overlap=overlap,
            retries=100, now=began,
        )  # fmt: skip
    schedulers = [children.start("scheduler", speed) for _ in range(2)]
    for _ in range(crashes):
        time.sleep(chance.uniform(0.0, 2.0 * slots / crashes))
        victim = chance.randrange(3)
        if victim == 2:
            for worker in children.processes():
                with contextlib.suppress(psutil.Error):
                    if "worker" in worker.cmdline() and chance.random() < 0.5:
                        worker.kill()
        else:
            schedulers[victim].kill()
            schedulers[victim].wait()
            schedulers[victim] = children.start("scheduler", speed)
    with StateDB(project).write() as connection:
        # No new slots from here on; what is there is brought to its end.
        connection.execute("UPDATE schedules SET next_slot = NULL")

    def settled() -> bool:
        found = [s for id in ("flights", "flights-2") for s in list_slots(project, id, 10_000)]
        return all(slot.ended_for_good for slot in found)

    until(settled, 120)
    for scheduler in schedulers:
        scheduler.kill()
        scheduler.wait()
    for id in ("flights", "flights-2"):
        check_slots(project, children, id)


def check_slots(project: Project, children: Children, id: str) -> None:
    found = sorted(list_slots(project, id, 10_000), key=lambda slot: slot.slot)
    moments = [slot.slot for slot in found]
    assert len(moments) >= 5
    # None is missing and none is there twice: one a minute, without a gap.
    assert moments == [moments[0] + 60.0 * n for n in range(len(moments))]
    lines = [line for line in children.lines() if line[1] == id]
    begun = Counter(float(line[2]) for line in lines if line[0] == "begin")
    ended = {float(line[2]) for line in lines if line[0] == "end"}
    for slot in found:
        assert slot.state in ("done", "skipped"), slot
        if slot.state == "skipped":
            assert begun[slot.slot] == 0
        else:
            # One that was killed begins again; its last attempt got to the end, and was recorded.
            assert slot.slot in ended
            assert begun[slot.slot] <= slot.attempt
    assert [line for line in lines if line[0] == "overlap"] == []


def test_crashes_lose_no_slot_and_never_run_two_at_once(
    project: Project, pipeline: str, children: Children
) -> None:
    crash(project, children, slots=12, crashes=8, seed=2)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_many_crashes(project: Project, pipeline: str, children: Children, seed: int) -> None:
    crash(project, children, slots=120, crashes=100, seed=seed)


def race(project: Project, children: Children, slots: int, racers: int) -> None:
    began = (time.time() - slots * 60.0) // 60.0 * 60.0
    add_schedule(project, "flights", "* * * * *", "UTC", catch_up="all", now=began)
    # The backlog is bounded here: real minutes may pass while the race goes on.
    tick(project, began + slots * 60.0)
    with StateDB(project).write() as connection:
        connection.execute("UPDATE schedules SET next_slot = NULL")
    for racer in [children.start("racer") for _ in range(racers)]:
        assert racer.wait(300) == 0
    found = list_slots(project, "flights", 10_000)
    assert len(found) == slots
    assert {(slot.state, slot.attempt) for slot in found} == {("done", 1)}
    ran = Counter((line[0], float(line[1])) for line in children.lines())
    assert set(ran.values()) == {1}
    assert len(ran) == slots


def test_two_schedulers_run_each_slot_once(
    project: Project, pipeline: str, children: Children
) -> None:
    race(project, children, slots=200, racers=2)


@pytest.mark.full
def test_six_schedulers_run_each_slot_once(
    project: Project, pipeline: str, children: Children
) -> None:
    race(project, children, slots=500, racers=6)


def stop_between_writes(project: Project, pid: int) -> None:
    """SIGSTOP, but not in the middle of a transaction: that is a test of its own."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        connection = sqlite3.connect(project.database, timeout=0.5, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
            return
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
        finally:
            connection.close()


def test_stopped_past_its_lease_a_worker_is_fenced(
    project: Project, pipeline: str, children: Children
) -> None:
    began = time.time() - 120.0
    add_schedule(project, pipeline, "* * * * *", "UTC", now=began)
    (slot,) = tick(project).start
    with StateDB(project).write() as connection:
        connection.execute("UPDATE schedules SET next_slot = NULL")
    first = children.start("held", slot.schedule, repr(slot.slot))
    until(lambda: children.lines())
    time.sleep(2.0)  # longer than the lease: it is renewed
    assert tick(project).fenced == ()
    stop_between_writes(project, first.pid)
    (fenced,) = until(lambda: tick(project).fenced)
    assert fenced.pid == first.pid
    # Another one takes the slot over ...
    (again,) = until(lambda: tick(project, time.time() + 10.0).start)
    second = children.start("held", again.schedule, repr(again.slot))
    until(lambda: len(children.lines()) == 2)
    # ... and the first wakes up, believing that it still holds it.
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(60) == NOT_CLAIMED
    assert [line[0] for line in children.lines()] == ["begin", "begin"]
    children.log.with_suffix(".go").touch()
    assert second.wait(60) == 0
    final = get_slot(StateDB(project), slot.schedule, slot.slot)
    assert final is not None
    assert (final.state, final.attempt, final.pid) == ("done", 2, second.pid)


def test_a_fenced_worker_that_finished_while_stopped_records_nothing(
    project: Project, pipeline: str, children: Children
) -> None:
    add_schedule(project, pipeline, "* * * * *", "UTC", retries=0, now=time.time() - 120.0)
    (slot,) = tick(project).start
    first = children.start("held", slot.schedule, repr(slot.slot))
    until(lambda: children.lines())
    stop_between_writes(project, first.pid)
    until(lambda: tick(project).fenced)
    children.log.with_suffix(".go").touch()
    os.kill(first.pid, signal.SIGCONT)
    # Whichever comes first, the end of its work or its heartbeat: the record is not its own.
    assert first.wait(60) == NOT_CLAIMED
    final = get_slot(StateDB(project), slot.schedule, slot.slot)
    assert final is not None
    assert (final.state, final.run_id, final.exit_code) == ("failed", None, None)
    assert final.detail == "its process did not renew its lease (attempt 1 of 1)"


def test_a_worker_stopped_inside_a_transaction_does_not_stop_the_agent(
    project: Project, pipeline: str, children: Children
) -> None:
    # Once a day, a minute ago: a slot of the next minute would be started, and outlive the test.
    due = time.gmtime(time.time() - 60.0)
    daily = f"{due.tm_min} {due.tm_hour} * * *"
    add_schedule(project, pipeline, daily, "UTC", retries=0, now=time.time() - 120.0)
    (slot,) = tick(project).start
    child = children.start("clutching", slot.schedule, repr(slot.slot))
    until(lambda: children.lines())
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
    until(lambda: overdue(project))
    firings = Firings(project, logging.getLogger("test"), umask=0o077)
    firings.look(changed=True)
    firings.step()
    assert child.wait(60) == -signal.SIGKILL
    (failed,) = [s for s in list_slots(project, slot.schedule) if s.slot == slot.slot]
    assert (failed.state, failed.detail) == ("failed", "its process died (attempt 1 of 1)")


def test_ending_a_process_tree_takes_its_children_along(children: Children) -> None:
    code = (
        "import subprocess, sys, time; "
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
        "start_new_session=True); print(p.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    identity = process_identity(parent.pid)
    assert identity is not None
    end_process_tree(identity, grace=0.0)
    assert parent.wait(60) == -signal.SIGKILL
    until(lambda: gone(child))
    end_process_tree(identity, grace=0.0)  # once more is no error
    parent.stdout.close()


def mask(process: psutil.Process) -> str:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("Umask"))


def test_a_firing_outlives_its_agent_and_the_next_one_adopts_it(
    living: Project, pipeline: str, mlflow_project: Project
) -> None:
    schedule = add_schedule(living, pipeline, "0 0 1 1 *", "UTC", {"seconds": 5})
    with StateDB(living).write() as connection:
        # As if the moment had just come.
        connection.execute("UPDATE schedules SET next_slot = ?", (time.time() - 5.0,))
    agent_client.ensure(living, config_of(living))
    until(lambda: [s.state for s in list_slots(living, schedule.id)] == ["running"], 120)
    (running,) = list_slots(living, schedule.id)
    worker = psutil.Process(running.pid)
    # What the agent keeps from others is its own; a pipeline's files are for whom they were before.
    assert [mask(agent_process(living)), mask(worker)] == ["0077", mask(psutil.Process())]
    kill(agent_process(living))
    assert not gone(worker)
    agent_client.ensure(living, config_of(living))
    until(lambda: list_slots(living, schedule.id)[0].ended_for_good, 200)
    (done,) = list_slots(living, schedule.id)
    assert (done.state, done.exit_code, done.attempt, done.pid) == ("done", 0, 1, running.pid)
    assert done.run_id is not None
    run = find_run(living, done.run_id)
    assert (run.status, run.pipeline) == ("FINISHED", "flights")
    until(lambda: gone(worker))
