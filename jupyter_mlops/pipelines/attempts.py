"""One step from its begin to its end: taken over, found in the cache, or executed and repeated.

Each step has a thread of its own, in which all of this happens; what is to be told goes to the
runner's.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..journal import Redactor
from ..model.ports import CellProgress, ExecutionResult, NotebookExecutor
from .live_output import LineFeed
from .outcome import StepOutcome, StepProgress
from .planned import PlannedStep
from .secrets import cleaner, hide_secrets, text_cleaner
from .step_cache import CacheVerdict, StepCache

__all__ = ["Attempts", "Control", "StepLedger", "plain_error"]


class StepLedger(Protocol):
    """What is known durably of the steps of a run.  Its methods are called in any thread."""

    def take_over(self, step: PlannedStep) -> StepOutcome | str | None:
        """Take a step over from the run that is resumed.

        Returns its outcome, or why it has to run, or ``None`` where there is nothing to resume.
        """

    def finished(self, step: PlannedStep, outcome: StepOutcome) -> None:
        """Note that the step has finished; durable when this returns.  May raise ``OSError``."""


@dataclass
class Control:
    """What all steps of a run have in common.

    ``deadline`` is a moment of ``time.monotonic()``.  ``ending`` is set when no attempt may begin
    any more; ``wait`` waits for that as long as it is told, and says whether it came.
    """

    executor: NotebookExecutor
    deadline: float | None = None
    redactor: Redactor | None = None
    cache: StepCache | None = None
    ledger: StepLedger | None = None
    ending: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stops: dict[str, Callable[[bool], None]] = field(default_factory=dict)

    def wait(self, seconds: float) -> bool:
        """Wait between two attempts; whether the run is to end."""
        return self.ending.wait(seconds)

    def time_left(self) -> float | None:
        """Seconds until the deadline, at least 0."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def stop(self, *, at_once: bool = False) -> None:
        """Let no attempt begin, and end those that run."""
        with self.lock:
            self.ending.set()
            stops = list(self.stops.values())
        for stop in stops:
            stop(at_once)

    def stoppable(self, name: str, stop: Callable[[bool], None]) -> None:
        """Take note of how the attempt of a step is ended."""
        with self.lock:
            self.stops[name] = stop
            late = self.ending.is_set()
        if late:
            stop(False)


class Attempts:
    """Runs one step; ``number`` of ``total`` are for what is told.

    ``show`` is given each line that the cells print, without the secrets, in the step's thread.
    """

    def __init__(
        self,
        step: PlannedStep,
        control: Control,
        *,
        tell: Callable[[StepProgress], None],
        cell: Callable[[CellProgress], None],
        number: int = 1,
        total: int = 1,
        parallel: bool = False,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self._step = step
        self._show = show
        self._control = control
        self._tell_step = tell
        self._cell = cell
        self._place = (number, total)
        self._parallel = parallel

    def run(self) -> StepOutcome:
        """Take over, restore or execute the step.  Raises what is no failure of the notebook."""
        step, control = self._step, self._control
        began = time.monotonic()
        taken = None if control.ledger is None else control.ledger.take_over(step)
        if isinstance(taken, StepOutcome):
            self._tell("resumed", seconds=taken.seconds)
            return taken
        verdict = None if control.cache is None else control.cache.lookup(step)
        if control.cache is not None and verdict is not None and verdict.hit:
            self._make_room()
            if control.cache.restore(step, verdict):
                outcome = self._ended("cached", began, 0, None, verdict)
                self._note(outcome)
                self._tell("cached", seconds=outcome.seconds)
                return outcome
        attempt = 0
        status, error = "cancelled", None
        while not control.ending.is_set():
            attempt += 1
            why = taken if attempt == 1 and taken is not None else ""
            self._tell("started", attempt=attempt, detail=why)
            started = time.monotonic()
            status, error = self._attempt()
            seconds = time.monotonic() - started
            if status != "failed" or error is None:
                break
            self._tell("failed", attempt=attempt, seconds=seconds)
            if attempt > step.retries or control.time_left() == 0.0:
                break
            left = control.time_left()
            pause = min(step.pause(attempt), math.inf if left is None else left)
            detail = f"{error['ename']}: {error['evalue']}; again in {pause:g} s"
            self._tell("retrying", attempt=attempt + 1, detail=detail)
            if control.wait(pause):
                break
        if status == "finished" and control.cache is not None and verdict is not None:
            control.cache.keep(step, verdict)
        outcome = self._ended(status, began, attempt, error, verdict)
        if status == "finished":
            self._note(outcome)
            self._tell("completed", attempt=attempt, seconds=seconds)
        elif status == "cancelled":
            self._tell("cancelled", attempt=max(1, attempt))
        return outcome

    def _attempt(self) -> tuple[str, dict[str, Any] | None]:
        """Execute it once: ``finished``, ``failed`` with the error, or ``cancelled``."""
        step, control = self._step, self._control
        self._make_room()
        left = control.time_left()
        limits = [limit for limit in (step.timeout, left) if limit is not None]
        if left == 0.0:
            return "failed", plain_error("TimeoutError", "no time was left for this step")
        feed = self._feed()
        result: ExecutionResult = control.executor.execute(
            step.notebook,
            step.output,
            step.parameters,
            kernel=step.kernel,
            cwd=step.cwd,
            env=step.env,
            timeout=min(limits) if limits else None,
            cell_timeout=step.cell_timeout,
            progress=self._cell if feed is None else feed.between(self._cell),
            clean=cleaner(step.parameters, control.redactor),
            stoppable=lambda stop: control.stoppable(step.name, stop),
            **({} if feed is None else {"show": feed.feed}),
        )
        with control.lock:
            control.stops.pop(step.name, None)
        if result.status == "cancelled":
            return "cancelled", None
        if result.status != "completed":
            return "failed", result.error or plain_error("ExecutionError", result.status)
        missing = [f"{name} ({p.name})" for name, p in step.outputs.items() if not p.is_file()]
        if missing:
            said = f"the notebook did not write {', '.join(missing)}"
            return "failed", plain_error("FileNotFoundError", said)
        return "finished", None

    def _feed(self) -> LineFeed | None:
        show = self._show
        if show is None:
            return None
        without = text_cleaner(self._step.parameters, self._control.redactor)
        return LineFeed(lambda line: show(without(line)))

    def _make_room(self) -> None:
        for path in self._step.outputs.values():
            # What an earlier attempt left half-written must not pass for a result.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _note(self, outcome: StepOutcome) -> None:
        if self._control.ledger is None:
            return
        if outcome.output is not None:
            # Now, so that the file stays as its digest says.
            hide_secrets(outcome.output, self._step.parameters, self._control.redactor)
        self._control.ledger.finished(self._step, outcome)

    def _ended(
        self,
        status: str,
        began: float,
        attempts: int,
        error: dict[str, Any] | None,
        verdict: CacheVerdict | None,
    ) -> StepOutcome:
        step = self._step
        executed = step.output if step.output.exists() else None
        outcome = StepOutcome(
            step.name,
            step.notebook,
            status,
            time.monotonic() - began,
            attempts,
            executed,
            error,
            cache=None if verdict is None else verdict.to_dict(),
        )
        return outcome if executed is None else _measured(outcome, executed)

    def _tell(
        self, state: str, *, attempt: int = 1, seconds: float = 0.0, detail: str = ""
    ) -> None:
        step, (number, total) = self._step, self._place
        self._tell_step(
            StepProgress(
                step.name,
                step.notebook,
                state,
                number,
                total,
                attempt,
                seconds,
                detail,
                self._parallel,
            )
        )


def _measured(outcome: StepOutcome, executed: Path) -> StepOutcome:
    """Add what the executed notebook says of its cells."""
    try:
        notebook = json.loads(executed.read_text(encoding="utf-8"))
        cells = [cell["metadata"].get("mlops", {}) for cell in notebook["cells"]]
        whole = notebook["metadata"].get("mlops", {})
        return replace(
            outcome,
            cells=sum(c.get("state", "not run") not in ("not run", "skipped") for c in cells),
            cpu=float(whole.get("cpu", 0.0)),
            peak_memory=int(whole.get("peak_memory", 0)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return outcome  # not by our engine


def plain_error(ename: str, evalue: str) -> dict[str, Any]:
    """An error that is of no cell, as ``model.ports.ExecutionResult`` has them."""
    return {
        "ename": ename,
        "evalue": evalue,
        "cell": None,
        "cell_id": None,
        "index": None,
        "lineno": None,
        "line": None,
        "source": "",
        "traceback": "",
        "output": "",
    }
