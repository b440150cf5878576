"""Executing a plan: steps side by side, as far as their needs and the machine allow."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ..journal import Redactor
from ..model.ports import CellProgress, NotebookExecutor
from .attempts import Attempts, Control
from .graph import is_chain
from .interrupts import Terminated
from .outcome import StepOutcome, StepProgress
from .planned import PlannedStep
from .resources import Capacity
from .step_cache import StepCache
from .step_queue import StepQueue

__all__ = ["PlannedStep", "StepRunner"]

_LOOK = 0.5  # seconds between two looks whether the run is to end


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that a cell of a step has printed."""

    step: str
    text: str


class StepRunner:
    """Runs planned steps; ``outcomes`` are in the plan's order, and complete when ``run`` ends.

    ``redactor`` takes secrets out of the executed notebooks, ``None`` only those of parameters.
    ``deadline`` is a moment of ``time.monotonic()`` for all of them together.  ``jobs`` is how many
    may run at once, within ``capacity``.  With ``fail_fast`` the first failure ends the others.
    ``cancelled`` is asked now and then whether the run is to end.  ``on_cell`` and ``on_step`` are
    called in the thread that calls ``run``.
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
        jobs: int = 1,
        capacity: Capacity | None = None,
        fail_fast: bool = False,
        on_output: Callable[[str, str], None] | None = None,
    ) -> None:
        self.redactor = redactor
        self.cancelled: Callable[[], bool] | None = None
        self.control = Control(executor, deadline, redactor, cache)
        self.executing: PlannedStep | None = None  # the first that ran when it was interrupted
        self._found: dict[str, StepOutcome] = {}
        self._plan: list[PlannedStep] = []
        self._on_cell = on_cell
        self._on_step = on_step
        self._jobs = jobs
        self._capacity = capacity or Capacity(cpus=float(jobs))
        self._fail_fast = fail_fast
        self._threads: dict[str, threading.Thread] = {}
        self._free_gpus = list(self._capacity.gpu_ids)
        self._events: queue.SimpleQueue[
            CellProgress | StepProgress | _Line | tuple[str, StepOutcome | BaseException]
        ] = queue.SimpleQueue()

        self._on_output = on_output

    @property
    def outcomes(self) -> list[StepOutcome]:
        """How the steps ended, as far as they have, in the order of the plan."""
        return [self._found[step.name] for step in self._plan if step.name in self._found]

    def run(self, plan: list[PlannedStep]) -> None:
        """Execute the steps; one whose needs have not finished is skipped.

        ``KeyboardInterrupt``, and whatever is raised by the callbacks or around a notebook, ends
        what runs, keeps the partial output, and is raised.
        """
        self._plan = plan
        needs = {step.name: step.needs for step in plan}
        demands = {step.name: step.demand for step in plan}
        steps = StepQueue(needs, demands, self._capacity, self._jobs)
        parallel = self._jobs > 1 and not is_chain(needs)
        try:
            self._coordinate(steps, parallel)
        except BaseException:
            running = [step for step in plan if step.name in self._threads]
            self.executing = running[0] if running else None
            self._end_all()
            raise
        finally:
            for step in plan:
                if step.name not in self._found:
                    self._found[step.name] = StepOutcome(step.name, step.notebook, "cancelled")

    def _coordinate(self, steps: StepQueue, parallel: bool) -> None:
        numbers = {step.name: number for number, step in enumerate(self._plan, start=1)}
        by_name = {step.name: step for step in self._plan}
        gpus: dict[str, list[str]] = {}
        looked = time.monotonic()
        while True:
            for name in steps.begin():
                step, gpus[name] = self._with_gpus(by_name[name])
                self._start(step, numbers[name], parallel)
            if not steps.running:
                return
            if self.cancelled is not None and time.monotonic() >= looked + _LOOK:
                looked = time.monotonic()
                if self.cancelled():
                    raise Terminated
            try:
                event = self._events.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if not isinstance(event, tuple):
                self._show(event)
                continue
            name, result = event
            self._threads.pop(name).join()
            self._free_gpus = sorted([*self._free_gpus, *gpus.pop(name)])
            if isinstance(result, BaseException):
                self._threads[name] = threading.current_thread()  # it is the one that was running
                raise result
            self._found[name] = result
            for lost in steps.ended(name, done=result.done):
                detail = f"{', '.join(steps.lost_needs(lost))} did not finish"
                self._leave_out(by_name[lost], "skipped", numbers[lost], detail, parallel)
            if self._fail_fast and result.status == "failed":
                self.control.stop()
                for left in steps.give_up():
                    detail = f"{name} failed"
                    self._leave_out(by_name[left], "cancelled", numbers[left], detail, parallel)

    def _start(self, step: PlannedStep, number: int, parallel: bool) -> None:
        attempts = Attempts(
            step,
            self.control,
            tell=self._events.put,
            cell=partial(self._note_cell, step.name),
            number=number,
            total=len(self._plan),
            parallel=parallel,
            show=None
            if self._on_output is None
            else lambda text: self._events.put(_Line(step.name, text)),
        )

        def work() -> None:
            result: StepOutcome | BaseException
            try:
                result = attempts.run()
            except BaseException as problem:  # raised again where the run is
                result = problem
            self._events.put((step.name, result))

        thread = threading.Thread(target=work, name=f"step {step.name}", daemon=True)
        self._threads[step.name] = thread
        thread.start()

    def _note_cell(self, name: str, event: CellProgress) -> None:
        self._events.put(replace(event, step=name))

    def _with_gpus(self, step: PlannedStep) -> tuple[PlannedStep, list[str]]:
        """Give a step that asks for GPUs some that no other has."""
        own = self._free_gpus[: step.demand.gpus]
        if not own:
            return step, []
        self._free_gpus = self._free_gpus[len(own) :]
        return replace(step, env={**step.env, "CUDA_VISIBLE_DEVICES": ",".join(own)}), own

    def _show(self, event: CellProgress | StepProgress | _Line) -> None:
        if isinstance(event, _Line):
            if self._on_output is not None:
                self._on_output(event.step, event.text)
        elif isinstance(event, CellProgress):
            if self._on_cell is not None:
                self._on_cell(event)
        elif self._on_step is not None:
            self._on_step(event)

    def _leave_out(
        self, step: PlannedStep, status: str, number: int, detail: str, parallel: bool
    ) -> None:
        self._found[step.name] = StepOutcome(step.name, step.notebook, status)
        self._show(
            StepProgress(
                step.name,
                step.notebook,
                status,
                number,
                len(self._plan),
                detail=detail,
                parallel=parallel,
            )
        )

    def _end_all(self) -> None:
        """End what runs, wait for it, and take note of what still ended well."""
        threads = [t for t in self._threads.values() if t is not threading.current_thread()]
        at_once = False
        while True:
            try:
                self.control.stop(at_once=at_once)
                for thread in threads:
                    while thread.is_alive():
                        thread.join(1.0)  # lets signals through where a wait holds them back
                break
            except KeyboardInterrupt:  # a second one: no more patience
                at_once = True
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                if isinstance(event, tuple) and isinstance(event[1], StepOutcome):
                    self._found[event[0]] = event[1]
