"""Executing a plan: steps in order, retries, time limits, files handed from one to the next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from ..journal import Redactor
from ..model.ports import CellProgress, ExecutionResult, NotebookExecutor
from .outcome import StepOutcome, StepProgress
from .planned import PlannedStep
from .secrets import cleaner
from .step_cache import CacheVerdict, StepCache

__all__ = ["PlannedStep", "StepRunner"]

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before the next attempts


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
        cache: StepCache | None = None,
    ) -> None:
        self.redactor = redactor
        self.outcomes: list[StepOutcome] = []
        self.executing: PlannedStep | None = None
        self._executor = executor
        self._deadline = deadline
        self._on_cell = on_cell
        self._on_step = on_step
        self._cache = cache

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
            if outcome.done:
                finished.add(step.name)

    def _run_step(self, step: PlannedStep, number: int, total: int) -> StepOutcome:
        began = time.monotonic()
        verdict = None if self._cache is None else self._cache.lookup(step)
        if self._cache is not None and verdict is not None and verdict.hit:
            self._make_room(step)
            if self._cache.restore(step, verdict):
                seconds = time.monotonic() - began
                self._tell(step, "cached", number, total, seconds=seconds)
                return self._ended(step, "cached", began, 0, None, verdict)
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
        if self._cache is not None and verdict is not None and error is None:
            self._cache.keep(step, verdict)
        status = "finished" if error is None else "failed"
        return self._ended(step, status, began, attempt, error, verdict)

    @staticmethod
    def _ended(
        step: PlannedStep,
        status: str,
        began: float,
        attempts: int,
        error: dict[str, Any] | None,
        verdict: CacheVerdict | None,
    ) -> StepOutcome:
        return StepOutcome(
            step.name,
            step.notebook,
            status,
            time.monotonic() - began,
            attempts,
            step.output if step.output.exists() else None,
            error,
            cache=None if verdict is None else verdict.to_dict(),
        )

    @staticmethod
    def _make_room(step: PlannedStep) -> None:
        for path in step.outputs.values():
            # What an earlier attempt left half-written must not pass for a result.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def _attempt(self, step: PlannedStep) -> dict[str, Any] | None:
        self._make_room(step)
        left = self._time_left()
        limits = [limit for limit in (step.timeout, left) if limit is not None]
        if left == 0.0:
            return _plain_error("TimeoutError", "no time was left for this step")
        self.executing = step
        result: ExecutionResult = self._executor.execute(
            step.notebook,
            step.output,
            step.parameters,
            kernel=step.kernel,
            cwd=step.cwd,
            env=step.env,
            timeout=min(limits) if limits else None,
            progress=self._on_cell,
            clean=cleaner(step.parameters, self.redactor),
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
