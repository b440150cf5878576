"""Executing a plan: steps in order, retries, time limits, files handed from one to the next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..journal import Redactor
from ..model.ports import CellProgress, ExecutionResult, NotebookExecutor
from .live_output import LineFeed
from .outcome import StepOutcome, StepProgress
from .secrets import cleaner, text_cleaner

__all__ = ["PlannedStep", "StepRunner"]

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before the next attempts


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One notebook to execute, with every path already decided.

    ``outputs`` are the files that it must have written, by parameter name.
    """

    name: str
    notebook: Path
    output: Path
    cwd: Path
    kernel: str | None
    parameters: Mapping[str, Any]
    env: Mapping[str, str]
    needs: tuple[str, ...] = ()
    outputs: Mapping[str, Path] = field(default_factory=dict)
    retries: int = 0
    timeout: float | None = None


class StepRunner:
    """Runs planned steps one after the other; ``outcomes`` grows as they end.

    ``redactor`` takes secrets out of the executed notebooks, ``None`` only those of parameters.
    ``deadline`` is a moment of ``time.monotonic()`` for all of them together.
    """

    def __init__(
        self,
        executor: NotebookExecutor,
        *,
        deadline: float | None,
        on_cell: Callable[[CellProgress], None] | None,
        on_step: Callable[[StepProgress], None] | None,
        redactor: Redactor | None = None,
        on_output: Callable[[str, str], None] | None = None,
    ) -> None:
        self.redactor = redactor
        self.outcomes: list[StepOutcome] = []
        self.executing: PlannedStep | None = None
        self._executor = executor
        self._deadline = deadline
        self._on_cell = on_cell
        self._on_step = on_step
        self._on_output = on_output

    def run(self, plan: list[PlannedStep]) -> None:
        """Execute the steps; one whose needs have not finished is skipped."""
        finished: set[str] = set()
        for number, step in enumerate(plan, start=1):
            missing = [need for need in step.needs if need not in finished]
            if missing:
                detail = f"{', '.join(missing)} did not finish"
                self._tell(step, "skipped", number, len(plan), detail=detail)
                self.outcomes.append(StepOutcome(step.name, step.notebook, "skipped"))
                continue
            outcome = self._run_step(step, number, len(plan))
            self.outcomes.append(outcome)
            if outcome.status == "finished":
                finished.add(step.name)

    def _run_step(self, step: PlannedStep, number: int, total: int) -> StepOutcome:
        began = time.monotonic()
        for attempt in range(1, step.retries + 2):
            self._tell(step, "started", number, total, attempt=attempt)
            started = time.monotonic()
            error = self._attempt(step)
            seconds = time.monotonic() - started
            if error is None:
                self._tell(step, "completed", number, total, attempt=attempt, seconds=seconds)
                break
            self._tell(step, "failed", number, total, attempt=attempt, seconds=seconds)
            if attempt > step.retries or self._time_left() == 0.0:
                break
            pause = _PAUSES[min(attempt, len(_PAUSES)) - 1]
            self._tell(
                step,
                "retrying",
                number,
                total,
                attempt=attempt + 1,
                detail=f"{error['ename']}: {error['evalue']}; again in {pause:g} s",
            )
            time.sleep(pause)
        return StepOutcome(
            step.name,
            step.notebook,
            "finished" if error is None else "failed",
            time.monotonic() - began,
            attempt,
            step.output if step.output.exists() else None,
            error,
        )

    def _attempt(self, step: PlannedStep) -> dict[str, Any] | None:
        for path in step.outputs.values():
            # What an earlier attempt left half-written must not pass for a result.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        left = self._time_left()
        limits = [limit for limit in (step.timeout, left) if limit is not None]
        if left == 0.0:
            return _plain_error("TimeoutError", "no time was left for this step")
        self.executing = step
        feed = self._feed(step)
        more: dict[str, Any] = {} if feed is None else {"show": feed.feed}
        result: ExecutionResult = self._executor.execute(
            step.notebook,
            step.output,
            step.parameters,
            kernel=step.kernel,
            cwd=step.cwd,
            env=step.env,
            timeout=min(limits) if limits else None,
            progress=self._on_cell if feed is None else feed.between(self._on_cell),
            clean=cleaner(step.parameters, self.redactor),
            **more,
        )
        self.executing = None
        if result.status != "completed":
            return result.error or _plain_error("ExecutionError", result.status)
        missing = [f"{name} ({p.name})" for name, p in step.outputs.items() if not p.is_file()]
        if missing:
            return _plain_error(
                "FileNotFoundError", f"the notebook did not write {', '.join(missing)}"
            )
        return None

    def _feed(self, step: PlannedStep) -> LineFeed | None:
        """Who is told what the step's cells print; ``None`` where nobody wants to know."""
        on_output = self._on_output
        if on_output is None:
            return None
        without = text_cleaner(step.parameters, self.redactor)
        return LineFeed(lambda line: on_output(step.name, without(line)))

    def _time_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _tell(
        self,
        step: PlannedStep,
        state: str,
        number: int,
        total: int,
        *,
        attempt: int = 1,
        seconds: float = 0.0,
        detail: str = "",
    ) -> None:
        if self._on_step is not None:
            self._on_step(
                StepProgress(
                    step.name, step.notebook, state, number, total, attempt, seconds, detail
                )
            )


def _plain_error(ename: str, evalue: str) -> dict[str, Any]:
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
