"""The process that runs one firing: ``python -P -m jupyter_mlops.scheduling.worker ROOT ID SLOT``.

It claims the slot, which registers this very process; renews the claim from a thread while the
pipeline runs; and records how it ended.  Found out to have been given up (it was stopped past its
lease, or cancelled), it stops and records nothing.

Exit codes are the design's; ``75`` (``EX_TEMPFAIL`` of sysexits.h) when the slot was not to be had.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import load_config
from ..errors import ConflictError, MlopsError
from ..journal import this_process
from ..journal.log_streams import redact_streams
from ..model.ports import CellProgress
from ..model.schedule import Schedule, slot_text
from ..project import Project, open_project
from ..state import StateDB
from ..state import schedules as store
from .firing import HEARTBEAT_SECONDS, LEASE_SECONDS

if TYPE_CHECKING:
    from ..pipelines import StepProgress

__all__ = ["NOT_CLAIMED", "Result", "main", "work"]

NOT_CLAIMED = 75
_CANCELLED = 130
_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Result:
    """How a firing ended: ``exit_code`` 0 is success, ``detail`` one line on what went wrong."""

    exit_code: int
    run_id: str | None = None
    detail: str | None = None


Job = Callable[[Project, Schedule, float], Result]


def main(arguments: list[str] | None = None) -> int:
    """Run the firing that the arguments name; return the exit code."""
    root, id, slot = sys.argv[1:] if arguments is None else arguments
    redact_streams()  # They are the firing's log.
    project = open_project(root, create=False)
    return work(project, id, float(slot), run_pipeline_job)


def work(
    project: Project,
    id: str,
    slot: float,
    job: Job,
    *,
    lease: float = LEASE_SECONDS,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> int:
    """Claim a slot, run ``job`` under the claim, record its end, and return the exit code."""
    db = StateDB(project)
    claim = store.claim_slot(db, id, slot, this_process(), now=time.time(), lease=lease)
    schedule = store.get_schedule(db, id)
    if claim is None or schedule is None:
        _say(f"{id} at {slot_text(slot)} is not to be claimed: another process has it")
        return NOT_CLAIMED
    _say(f"{id} at {slot_text(slot)}: attempt {claim.attempt} begins (process {os.getpid()})")
    state = "failed"
    with _claim_kept(db, claim, lease, heartbeat) as stopped:
        try:
            result = job(project, schedule, slot)
            state = "done" if result.exit_code == 0 else "failed"
        except MlopsError as error:
            _say(f"Error: {error.message}")
            if error.hint:
                _say(error.hint)
            result = Result(error.exit_code, error.fields.get("run_id"), error.message)
        except KeyboardInterrupt:
            stopped.set()
            result = Result(_CANCELLED)
        except Exception as error:
            traceback.print_exc()
            result = Result(1, None, f"{type(error).__name__}: {error}")
    if stopped.is_set() and result.exit_code != 0:
        state, result = "cancelled", Result(_CANCELLED, result.run_id, "the worker was told to end")
    try:
        store.finish_slot(
            db,
            claim,
            state,
            now=time.time(),
            exit_code=result.exit_code,
            run_id=result.run_id,
            detail=result.detail,
        )
    except ConflictError:
        _say("The firing was cancelled, or given to another process: nothing is recorded for it.")
        return NOT_CLAIMED
    _say(f"{id} at {slot_text(slot)}: {state}, exit code {result.exit_code}")
    return result.exit_code


def run_pipeline_job(project: Project, schedule: Schedule, slot: float) -> Result:
    """Run the schedule's pipeline with its parameters, as ``jupyter mlops run`` does."""
    from ..pipelines import run_pipeline

    outcome = run_pipeline(
        project,
        load_config(project.root),
        schedule.pipeline,
        schedule.parameters,
        progress=_show_cell,
        on_step=_show_step,
        trigger={"schedule": schedule.id, "slot": slot_text(slot)},
        wait=True,  # a firing was promised: a run by hand only delays it
        on_wait=_say,
    )
    for warning in outcome.warnings:
        _say(f"Warning: {warning}")
    for version in outcome.versions:
        _say(f"Model {version.name} version {version.version}")
    return Result(outcome.exit_code, outcome.run_id, _what_failed(outcome.error))


@contextlib.contextmanager
def _claim_kept(
    db: StateDB, claim: store.Claim, lease: float, heartbeat: float
) -> Iterator[threading.Event]:
    """Renew the claim from a thread; SIGTERM, or its loss, interrupts the main thread.

    Yields an event that is set once the firing was told to end.  Afterwards SIGTERM is ignored: the
    process ends by itself as soon as it has recorded what happened.
    """
    stopped, done = threading.Event(), threading.Event()

    def interrupt(signum: int, frame: Any) -> None:
        if not stopped.is_set():  # A second one must not tear down what the first began.
            stopped.set()
            raise KeyboardInterrupt

    def renew() -> None:
        while not done.wait(heartbeat):
            try:
                held = store.renew_claim(db, claim, now=time.time(), lease=lease)
            except Exception as error:
                # A database that is busy or full is no reason to stop; the lease has its reserve.
                _say(f"The lease could not be renewed: {error}")
                continue
            if not held:
                _say("The firing was cancelled, or given to another process: it stops here.")
                os.kill(os.getpid(), signal.SIGTERM)
                return

    signal.signal(signal.SIGTERM, interrupt)
    thread = threading.Thread(target=renew, name="mlops-lease", daemon=True)
    thread.start()
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        done.set()
        thread.join(timeout=lease)


def _show_step(step: StepProgress) -> None:
    why = f": {step.detail}" if step.detail else ""
    _say(f"step {step.number}/{step.total} {step.step}: {step.state}{why}")


def _show_cell(progress: CellProgress) -> None:
    """One line a cell that ended, with its title: the log of a firing is read afterwards."""
    if progress.state != "started":
        where = f"{progress.step} [{progress.index + 1}/{progress.total}]".strip()
        _say(f"{where} {progress.state} in {progress.seconds:.1f} s: {progress.title}")
    if progress.output:
        print(progress.output, flush=True)


def _what_failed(error: Mapping[str, Any] | None) -> str | None:
    if not error:
        return None
    text = f"{error.get('ename') or 'Error'}: {error.get('evalue') or ''}".strip(": ")
    step = f"step {error['step']}: " if error.get("step") else ""
    return (step + text).splitlines()[0][:_LONGEST_DETAIL]


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
