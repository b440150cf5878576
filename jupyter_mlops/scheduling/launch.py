"""Starting and ending the processes that run firings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..journal import ProcessIdentity
from ..model.schedule import ACTIVE_STATES, Slot, slot_text
from ..project import Project
from ..state import StateDB
from ..state import schedules as store
from .firing import process_of

__all__ = ["cancel", "end_process_tree", "running_slots", "start_worker", "worker_log"]

_KEEP_LOGS = 20
_KILL_SECONDS = 5.0


def worker_log(project: Project, slot: Slot) -> Path:
    """Where a firing's output goes: ``.mlops/agent/firings/<schedule>.<time>.log``."""
    moment = slot_text(slot.slot).replace(":", "").replace("-", "").replace(".", "_")
    return project.agent / "firings" / f"{slot.schedule}.{moment}.log"


def start_worker(project: Project, slot: Slot, *, umask: int = -1) -> subprocess.Popen[bytes]:
    """Start the process that claims and runs ``slot``, in a session of its own; return it.

    It outlives the caller.  It registers itself when it claims the slot, so nothing is recorded
    here; started twice, the second finds the slot taken and ends.  ``umask`` is for the files that
    the pipeline makes: a caller may have made its own stricter.
    """
    log = worker_log(project, slot)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _prune(log.parent, slot.schedule)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    command = [sys.executable, "-P", "-m", "jupyter_mlops.scheduling.worker"]
    try:
        return subprocess.Popen(
            [*command, str(project.root), slot.schedule, repr(slot.slot)],
            cwd=project.root,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            close_fds=True,
            umask=umask,
        )
    finally:
        os.close(descriptor)


def running_slots(project: Project) -> list[Slot]:
    """The slots that a live process of this machine runs."""
    found = []
    for slot in store.active_slots(StateDB(project)):
        process = process_of(slot)
        if slot.state == "running" and process is not None and process.alive():
            found.append(slot)
    return found


def cancel(project: Project, slot: Slot, *, grace: float = 10.0) -> Slot:
    """End a firing in whatever state it is, and return its slot; doing it twice is no error.

    The slot is recorded as cancelled first, which fences its process; that is then asked to end
    and, ``grace`` seconds later, killed with everything that it started.
    """
    db = StateDB(project)
    while True:
        current = store.get_slot(db, slot.schedule, slot.slot) or slot
        if current.ended_for_good:
            return current
        if store.end_slot(
            db,
            current,
            "cancelled",
            now=time.time(),
            detail="cancelled",
            exit_code=130,
            states=ACTIVE_STATES,
        ):
            break
    process = process_of(current)
    if current.state == "running" and process is not None:
        end_process_tree(process, grace=grace)
    return store.get_slot(db, slot.schedule, slot.slot) or current


def end_process_tree(process: ProcessIdentity, *, grace: float) -> None:
    """Ask a process to end and, after ``grace`` seconds, kill it and all its descendants.

    Does nothing unless this very process still lives on this machine.
    """
    import psutil

    if not process.alive():
        return
    # Kernels live in sessions of their own, so the process group alone would leave them behind.
    with contextlib.suppress(psutil.Error):
        tree = [psutil.Process(process.pid)]
        tree += tree[0].children(recursive=True)
        if grace > 0:
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGTERM)
            _wait(process, grace)
            with contextlib.suppress(psutil.Error):
                tree += tree[0].children(recursive=True)
        for one in tree:
            with contextlib.suppress(psutil.Error):
                one.kill()
        _wait(process, _KILL_SECONDS)


def _wait(process: ProcessIdentity, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.alive() and time.monotonic() < deadline:
        time.sleep(0.02)


def _prune(folder: Path, schedule: str) -> None:
    """Keep the newest logs of a schedule: their names sort by time."""
    logs = sorted(p for p in folder.glob("*.log") if p.name.rsplit(".", 2)[0] == schedule)
    for old in logs[: -_KEEP_LOGS + 1]:
        with contextlib.suppress(OSError):
            old.unlink()
