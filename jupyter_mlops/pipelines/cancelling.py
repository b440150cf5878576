"""Ending a headless run from outside: the process that runs it is asked, and ends it itself.

It is asked by a file in the run's folder: one process may have several runs, and a signal would end
all of them; and there are systems where no process can be asked by a signal.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..errors import ConflictError, ProjectError
from ..project import Project
from .run_state import CANCEL_FILE, RunState, find_state, read_states

__all__ = ["CancelledRun", "cancel_run"]

_LOOK = 0.1  # seconds between two looks whether it has ended


@dataclass(frozen=True, slots=True)
class CancelledRun:
    """A run that was asked to end: ``status`` as in ``RunOutcome``, or ``RUNNING`` still."""

    run_id: str
    name: str
    status: str
    pid: int


def cancel_run(project: Project, text: str, *, wait: float = 30.0) -> CancelledRun:
    """Ask the run that ``text`` means (an id, its beginning, or ``last``) to end; wait for it.

    Its cells are interrupted, what it has so far is kept and its status becomes ``KILLED``.
    ``last`` is the newest that is running; ``wait`` is in seconds.  Raises ``NotFoundError`` when
    there is no such run and ``ConflictError`` when it is not running.
    """
    state = _running_one(project, text)
    try:
        (state.folder / CANCEL_FILE).touch()
    except OSError as error:
        raise ProjectError(
            f"{state.folder} cannot be written: {error.strerror or error}", root=str(project.root)
        ) from error
    deadline = time.monotonic() + wait
    while True:
        state = find_state(project, state.run_id)
        if not state.running or time.monotonic() >= deadline:
            break
        time.sleep(_LOOK)
    status = "RUNNING" if state.running else "KILLED"
    if state.ended is not None:
        status = str(state.ended["status"])
    return CancelledRun(state.run_id, state.name, status, state.process.pid)


def _running_one(project: Project, text: str) -> RunState:
    if text.strip().lower() in ("last", "-1"):
        running = next((state for state in read_states(project) if state.running), None)
        if running is None:
            raise ConflictError("no headless run of this project is running")
        return running
    state = find_state(project, text)
    alive = state.running
    if alive is None:
        raise ConflictError(
            f"run {state.run_id} was started on {state.process.host}",
            hint="Cancel it there: its process cannot be seen from here.",
            run_id=state.run_id,
        )
    if not alive:
        said = state.ended["status"] if state.ended else "its process was killed"
        raise ConflictError(f"run {state.run_id} is not running: {said}", run_id=state.run_id)
    return state
