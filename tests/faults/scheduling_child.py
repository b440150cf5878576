"""Processes for the crash tests: schedulers that tick, and workers whose job is to write lines.

::

    scheduler ROOT LOG SPEED        tick for ever; start a worker process for each slot
    racer ROOT LOG                  tick until nothing is left; run each slot in this process
    worker ROOT LOG ID SLOT SPEED   claim one slot, write what happens to LOG
    held ROOT LOG ID SLOT           claim one slot on a short lease, then wait for LOG.go
    clutching ROOT LOG ID SLOT      claim one slot on a short lease, then stop inside a transaction

With SPEED the clock runs so many times faster, from the moment in ``MLOPS_TEST_CLOCK`` on: cron
slots are a minute apart, and a test cannot wait for minutes.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from jupyter_mlops.model.schedule import Schedule
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.scheduling import Slot, tick
from jupyter_mlops.scheduling.worker import Result, work
from jupyter_mlops.state import StateDB


def run_clock_faster(speed: float) -> None:
    began = float(os.environ["MLOPS_TEST_CLOCK"])
    real = time.time
    time.time = lambda: began + (real() - began) * speed


def note(log: Path, *words: object) -> None:
    """Append a line in one write: several processes do."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())
    os.close(descriptor)


def scheduler(project: Project, log: Path, speed: float) -> None:
    workers: dict[tuple[str, float], subprocess.Popen[bytes]] = {}
    while True:
        found = tick(project)
        for key, worker in list(workers.items()):
            if worker.poll() is not None:
                del workers[key]
        for slot in found.start:
            if (slot.schedule, slot.slot) not in workers:
                workers[slot.schedule, slot.slot] = start(project, log, slot, speed)
        time.sleep(0.05)


def start(project: Project, log: Path, slot: Slot, speed: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", __file__, "worker", str(project.root), str(log)]
    return subprocess.Popen(
        [*command, slot.schedule, repr(slot.slot), str(speed)], start_new_session=True
    )


def worker(project: Project, log: Path, id: str, slot: float, speed: float) -> int:
    def job(project: Project, schedule: Schedule, slot: float) -> Result:
        # The system gives this lock up with the process: held, another one is at work.
        alone = os.open(log.with_suffix(f".{id}"), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(log, "overlap", id, slot)
        note(log, "begin", id, slot)
        time.sleep(random.uniform(0.0, 0.3))
        note(log, "end", id, slot)
        os.close(alone)
        return Result(0)

    # In seconds of the faster clock; the heartbeat is waited for in real ones.
    return work(project, id, slot, job, lease=20.0 * speed, heartbeat=2.0)


def racer(project: Project, log: Path) -> None:
    def job(project: Project, schedule: Schedule, slot: float) -> Result:
        note(log, schedule.id, slot, os.getpid())
        return Result(0)

    while (found := tick(project)).active:
        for slot in found.start:
            work(project, slot.schedule, slot.slot, job)


def held(project: Project, log: Path, id: str, slot: float) -> int:
    def job(project: Project, schedule: Schedule, slot: float) -> Result:
        note(log, "begin", os.getpid())
        while not log.with_suffix(".go").exists():
            time.sleep(0.02)
        note(log, "end", os.getpid())
        return Result(0, run_id="of-the-first")

    return work(project, id, slot, job, lease=1.5, heartbeat=0.3)


def clutching(project: Project, log: Path, id: str, slot: float) -> int:
    def job(project: Project, schedule: Schedule, slot: float) -> Result:
        with StateDB(project).write():
            note(log, "begin", os.getpid())
            os.kill(os.getpid(), signal.SIGSTOP)
        return Result(0)

    return work(project, id, slot, job, lease=1.5, heartbeat=0.3)


def main() -> int:
    kind, root, log, *rest = sys.argv[1:]
    project, path = open_project(root, create=False), Path(log)
    if kind == "scheduler":
        run_clock_faster(float(rest[0]))
        scheduler(project, path, float(rest[0]))
    elif kind == "worker":
        run_clock_faster(float(rest[2]))
        return worker(project, path, rest[0], float(rest[1]), float(rest[2]))
    elif kind == "racer":
        racer(project, path)
    elif kind == "held":
        return held(project, path, rest[0], float(rest[1]))
    else:
        return clutching(project, path, rest[0], float(rest[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
