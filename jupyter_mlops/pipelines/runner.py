"""``run_pipeline``: execute a pipeline or a notebook headless, record the run, deliver it."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import ProjectError, RunError, UsageError
from ..journal import Redactor, default_redactor
from ..model.events import FileRecord, ModelRecord, RunRecord, RunStarted
from ..model.ids import new_id
from ..model.pipeline import Pipeline
from ..model.ports import CellProgress, NotebookExecutor
from ..model.wiring import load_port
from ..project import Project
from .caching import cached
from .delivering import check_deliver, deliver_outcome, deliverer
from .interrupts import exit_code_of, sigterm_raises
from .lookup import find_target
from .outcome import RunOutcome, StepProgress
from .plan import Plan, plan_notebook, plan_pipeline
from .recording import (
    RunnerJournal,
    children_of,
    journal_errors,
    read_metrics,
    shown_parameters,
    source_tags,
)
from .resources import Capacity, machine
from .resuming import Ledger, Resumed, finished_outcome, resumed_run
from .run_state import RunState, StateFile, new_state
from .running_lock import pipeline_lock
from .secrets import hide_secrets
from .steps import StepRunner
from .warm import kernel_starts, warm_run

__all__ = ["run_pipeline"]

_INTERRUPTED = {"ename": "KeyboardInterrupt", "evalue": "the run was interrupted"}


def run_pipeline(
    project: Project,
    config: Config,
    target: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    progress: Callable[[CellProgress], None] | None = None,
    on_step: Callable[[StepProgress], None] | None = None,
    register: bool = True,
    require_delivery: bool = False,
    timeout: float | None = None,
    trigger: Mapping[str, str] | None = None,
    data: str = "auto",
    deliver: str = "now",
    jobs: int | None = None,
    cell_timeout: float | None = None,
    fail_fast: bool = False,
    resume: str | None = None,
    wait: bool | float = False,
    on_wait: Callable[[str], None] | None = None,
    parent_run: str | None = None,
    cache: bool = True,
    on_output: Callable[[str, str], None] | None = None,
) -> RunOutcome:
    """Execute a pipeline or a notebook, record the run in the journal and deliver it.

    ``target`` is a pipeline's name, its folder, its ``pipeline.yaml`` or a notebook; ``timeout`` is
    in seconds for the whole run; ``trigger`` says what fired it (``{"schedule": id}``) and becomes
    tags.  ``data`` is what a promoted pipeline reads: ``source``, ``pinned`` (the snapshots of its
    proof) or ``auto``, the sources that are here.  ``progress`` gets each cell and ``on_step`` each
    step, in this thread; ``on_output`` is given a step's name and each line (without its end) that
    its cells print, live, without the secrets.  ``deliver`` is ``now``, ``later`` or ``auto``, see
    ``delivering``.  The notebooks are not changed; their executed copies are in
    ``.mlops/runs/<run id>/``.

    Steps whose needs have finished run at once, at most ``jobs`` (``None``: as many as there are
    processors) and as far as the machine has what they ask for.  ``cell_timeout`` is in seconds for
    each cell, whatever the steps say of it.  ``fail_fast`` ends the others when a step fails.
    ``resume`` names an earlier run of the pipeline (``last``: the newest), whose finished steps are
    taken over, and whose parameters hold where none are given.  One run of a pipeline goes on at a
    time: ``wait`` is how long another is waited for (``True``: as long as it takes, else seconds),
    and ``on_wait`` is then told of it.  ``parent_run`` is the run that this one is a part of: such
    runs of one pipeline may go on together.  ``cache`` tells whether steps of a pipeline are taken
    from the step cache and kept in it.

    A failing notebook and an interrupt are outcomes, not exceptions, and so is a tracking server
    that does not answer: the run is kept and a warning says so.  Raises ``UsageError`` and its kind
    before anything is started or written, ``ConflictError`` when another run of the pipeline is
    going on, and ``ProjectError`` when the project cannot be written.
    """
    check_deliver(deliver)
    run_id = new_id()
    found = find_target(project, target)
    executor = load_port("executor")()

    def planned(resume: str | None) -> _Order:
        order = _order(project, found, parameters or {}, run_id, executor, data, resume)
        steps = order.plan.steps
        if cell_timeout is not None:
            steps = [replace(step, cell_timeout=cell_timeout) for step in steps]
        register_as = order.plan.register if register else None
        return replace(order, plan=replace(order.plan, steps=steps, register=register_as))

    alone = isinstance(found, Pipeline) and parent_run is None
    # The run to go on with may be the one that is to be waited for.
    order = planned(None if wait and alone else resume)
    project.create()
    capacity = machine()
    trigger = dict(trigger or {})
    with sigterm_raises(), contextlib.ExitStack() as around, contextlib.ExitStack() as held:
        if alone and isinstance(found, Pipeline):
            lock = pipeline_lock(project, found.name, run_id, wait=wait, on_wait=on_wait)
            if held.enter_context(lock) or wait:
                order = planned(resume)  # as the one that was waited for has left it
        worker = around.enter_context(
            deliverer(project, config, deliver, required=require_delivery)
        )
        if order.resumed is not None and order.resumed.record is not None:
            outcome = finished_outcome(order.resumed, order.resumed.record)
        else:
            steps = StepRunner(
                executor,
                deadline=None if timeout is None else time.monotonic() + timeout,
                on_cell=progress,
                on_step=on_step,
                redactor=default_redactor() if config.redact else None,
                jobs=jobs or max(1, math.ceil(capacity.cpus)),
                capacity=capacity,
                fail_fast=fail_fast,
                on_output=on_output,
            )
            kept = cached(project, config, order.plan, steps.control, cache)
            order = replace(order, plan=held.enter_context(kept))
            with warm_run(project, config, found) as choice:
                outcome = _execute(project, config, order, steps, trigger, parent_run)
            starts = () if choice is None else kernel_starts(choice, run_id)
            short = _too_much(order.plan, capacity)
            outcome = replace(outcome, kernels=starts, warnings=(*outcome.warnings, *short))
        held.close()  # delivering is no reason for others to wait
        if outcome.status == "KILLED":
            return outcome  # who ends a run wants it to end now: the next command delivers
        try:
            outcome = deliver_outcome(
                project, config, outcome, deliver, required=require_delivery, worker=worker
            )
        except KeyboardInterrupt as interrupt:
            return replace(outcome, exit_code=exit_code_of(interrupt))
    if require_delivery and not outcome.delivered and outcome.exit_code == 0:
        return replace(outcome, exit_code=5)
    return outcome


@dataclass(frozen=True)
class _Order:
    """What is to be run: the plan, what was given for it, and the run that it goes on with."""

    plan: Plan
    given: Mapping[str, Any]
    data: str
    resumed: Resumed | None = None


def _order(
    project: Project,
    found: Pipeline | Path,
    given: Mapping[str, Any],
    run_id: str,
    executor: NotebookExecutor,
    data: str,
    resume: str | None,
) -> _Order:
    if not isinstance(found, Pipeline):
        if resume is not None:
            raise UsageError(
                "a notebook has no steps that could be taken over",
                hint="Run it again without --resume.",
            )
        return _Order(plan_notebook(project, found, given, run_id, executor), given, data)
    resumed = None
    if resume is not None:
        resumed = resumed_run(project, found, resume, given, data)
        given, data = resumed.given, resumed.data
    plan = plan_pipeline(project, found, given, run_id, executor, data)
    return _Order(plan, given, data, resumed)


def _too_much(plan: Plan, capacity: Capacity) -> list[str]:
    lacking = [(step.name, capacity.lacks(step.demand)) for step in plan.steps]
    several = len(plan.steps) > 1
    return [
        f"step {name!r} asks for {what}{': it runs alone' if several else ''}"
        for name, what in lacking
        if what is not None and plan.kind == "pipeline"
    ]


@dataclass
class _Ended:
    """What is known once the steps have ended."""

    status: str = "FINISHED"
    exit_code: int = 0
    error: dict[str, Any] | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    models: tuple[ModelRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: Exception | None = None


def _execute(
    project: Project,
    config: Config,
    order: _Order,
    steps: StepRunner,
    trigger: dict[str, str],
    parent_run: str | None,
) -> RunOutcome:
    plan, resumed = order.plan, order.resumed
    if resumed is not None:
        trigger = {**trigger, "resumes": resumed.state.run_id}
    with journal_errors(project):
        plan.folder.mkdir(mode=0o700, parents=True)
    journal = RunnerJournal(project, plan.notebook, steps.redactor)
    ended = _Ended("FAILED", 1)
    state = None
    try:
        state = StateFile(_state(order, journal.session, steps.redactor))
        steps.cancelled = state.cancel_asked
        if plan.kind == "pipeline":
            steps.control.ledger = Ledger(state, () if resumed is None else resumed.chain)
        tags = source_tags(
            project, plan.source, "JOB" if plan.kind == "pipeline" else "NOTEBOOK", trigger
        )
        started = RunStarted(
            run_id=plan.run_id,
            session=journal.session,
            started=time.time(),
            name=plan.name,
            experiment=plan.experiment,
            kind=plan.kind,
            notebook=plan.notebook,
            pipeline=plan.pipeline,
            parent=parent_run,
            tags=tags,
        )
        with journal_errors(project):
            journal.start(started)
        ended.status, ended.exit_code = "FINISHED", 0
        try:
            steps.run(plan.steps)
        except KeyboardInterrupt as interrupt:
            ended.status, ended.exit_code = "KILLED", exit_code_of(interrupt)
            step = steps.executing.name if steps.executing else None
            ended.error = {**_INTERRUPTED, "step": step}
        except Exception as problem:  # the disk is full, or the caller's progress raised
            ended.status, ended.exit_code, ended.problem = "FAILED", 1, problem
            ended.error = {"ename": type(problem).__name__, "evalue": str(problem), "step": None}
        else:
            for outcome in steps.outcomes:
                if outcome.status == "failed" and ended.error is None:
                    ended.status, ended.exit_code = "FAILED", 1
                    ended.error = {**(outcome.error or {}), "step": outcome.name}
        with journal_errors(project):
            _collect(plan, steps, journal, config, ended)
            run = _record(plan, started, ended)
            journal.finish(run)
    except BaseException:
        ended.status, ended.exit_code = "FAILED", 1
        raise
    finally:
        journal.close()
        if state is not None:
            with contextlib.suppress(ProjectError):  # the journal has said so already
                state.end(ended.status, ended.exit_code)
    if ended.problem is not None:
        raise ended.problem
    return RunOutcome(
        run_id=plan.run_id,
        name=plan.name,
        kind=plan.kind,
        status=ended.status,
        exit_code=ended.exit_code,
        seconds=run.duration,
        output=plan.output,
        params=run.params,
        metrics=run.metrics,
        error=ended.error,
        warnings=run.warnings,
        steps=tuple(steps.outcomes),
        children=tuple(children_of(project, plan.run_id)),
        register=run.register,
        resumes=None if resumed is None else resumed.state.run_id,
    )


def _state(order: _Order, session: str, redactor: Redactor | None) -> RunState:
    """What is kept of the run for who goes on with it: no secret is among the parameters."""
    plan = order.plan
    values = {name: plan.params[name] for name in order.given if name in plan.params}
    secret = [
        name
        for name, shown in shown_parameters(values).items()
        if shown != values[name] or (redactor is not None and _found_in(redactor, values[name]))
    ]
    return new_state(
        plan.run_id,
        plan.name,
        plan.pipeline,
        session,
        plan.folder,
        resumes=None if order.resumed is None else order.resumed.state.run_id,
        given={name: value for name, value in values.items() if name not in secret},
        secrets=secret,
        data=order.data,
    )


def _found_in(redactor: Redactor, value: Any) -> bool:
    text = json.dumps(value, default=str)
    return redactor.redact_text(text) != text


def _collect(
    plan: Plan, steps: StepRunner, journal: RunnerJournal, config: Config, ended: _Ended
) -> None:
    """Keep notebooks, metrics and model; what is not as the pipeline declares is a failure."""
    files = []
    finished = {outcome.name for outcome in steps.outcomes if outcome.done}
    for step in plan.steps:
        if step.output.is_file():
            if step.name not in finished:  # Else it is clean, and noted as it is.
                hide_secrets(step.output, step.parameters, steps.redactor)
            files.append(journal.file(plan.file_names[step.name], step.output))
    if plan.definition is not None:
        files.append(journal.file(plan.definition.name, plan.definition))
    ended.files = tuple(files)
    try:
        if plan.metrics is not None and plan.metrics[0] in finished:
            ended.metrics = read_metrics(plan.metrics[1])
        if plan.model is not None and ended.status == "FINISHED":
            model = journal.model(plan.model, plan.example, config.model_size_limit)
            ended.models = (model,)
            if model.blob is None:
                ended.warnings = (f"the model is not kept, so no version is made: {model.reason}",)
    except RunError as error:
        if ended.status == "FINISHED":
            ended.status, ended.exit_code = "FAILED", 1
            ended.error = {"ename": "OutputError", "evalue": error.message, "step": None}
        else:
            ended.warnings = (*ended.warnings, error.message)


def _record(plan: Plan, started: RunStarted, ended: _Ended) -> RunRecord:
    kept = bool(ended.models and ended.models[0].blob is not None)
    return RunRecord(
        run_id=plan.run_id,
        session=started.session,
        name=plan.name,
        status=ended.status,
        started=started.started,
        ended=max(time.time(), started.started),
        kind=plan.kind,
        experiment=plan.experiment,
        notebook=plan.notebook,
        pipeline=plan.pipeline,
        parent=started.parent,
        params=shown_parameters(plan.params),
        metrics=ended.metrics,
        tags=started.tags,
        models=ended.models,
        files=ended.files,
        register=plan.register if kept else None,
        register_model="model" if kept and plan.register else None,
        git_commit=started.tags.get("mlflow.source.git.commit"),
        error=None if ended.error is None else _plain_error(ended.error),
        warnings=ended.warnings,
    )


def _plain_error(error: Mapping[str, Any]) -> dict[str, str]:
    keys = ("ename", "evalue", "traceback", "step", "cell", "line")
    return {key: str(error[key]) for key in keys if error.get(key) not in (None, "")}
