"""``run_pipeline``: execute a pipeline or a notebook headless, record the run, deliver it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import MlopsError, RunError
from ..journal import default_redactor
from ..model.events import FileRecord, ModelRecord, RunRecord, RunStarted
from ..model.ids import new_id
from ..model.pipeline import Pipeline
from ..model.ports import CellProgress
from ..model.registry import ModelVersion
from ..model.wiring import load_port
from ..project import Project
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
from .secrets import hide_secrets
from .steps import StepRunner

__all__ = ["run_pipeline"]

_LEASE_WAIT = 30.0  # seconds to wait for another process that is delivering
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
    on_output: Callable[[str, str], None] | None = None,
    deliver: str = "now",
    parent_run: str | None = None,
) -> RunOutcome:
    """Execute a pipeline or a notebook, record the run in the journal and deliver it.

    ``target`` is a pipeline's name, its folder, its ``pipeline.yaml`` or a notebook; ``timeout`` is
    in seconds for the whole run; ``trigger`` says what fired it (``{"schedule": id}``) and becomes
    tags.  ``data`` is what a promoted pipeline reads: ``source``, ``pinned`` (the snapshots of its
    proof) or ``auto``, the sources that are here.  ``progress`` gets each cell and ``on_step`` each
    step, in this thread; ``on_output`` is given a step's name and each line (without its end) that
    its cells print, live, without the secrets.  ``deliver`` is ``now`` or ``later``: by the next
    command.  The notebooks are not changed; their executed copies are in ``.mlops/runs/<run id>/``.

    A failing notebook and an interrupt are outcomes, not exceptions, and so is a tracking server
    that does not answer: the run is kept and a warning says so.  Raises ``UsageError`` and its kind
    before anything is started or written, and ``ProjectError`` when the project cannot be written.
    """
    run_id = new_id()
    found = find_target(project, target)
    executor = load_port("executor")()
    if isinstance(found, Pipeline):
        plan = plan_pipeline(project, found, parameters or {}, run_id, executor, data)
    else:
        plan = plan_notebook(project, found, parameters or {}, run_id, executor)
    if not register:
        plan = replace(plan, register=None)
    project.create()
    with sigterm_raises():
        steps = StepRunner(
            executor,
            deadline=None if timeout is None else time.monotonic() + timeout,
            on_cell=progress,
            on_step=on_step,
            redactor=default_redactor() if config.redact else None,
            on_output=on_output,
        )
        outcome = _execute(project, config, plan, steps, trigger or {}, parent_run)
        if outcome.status == "KILLED":
            return outcome  # who ends a run wants it to end now: the next command delivers
        if deliver == "later":
            return outcome
        try:
            outcome = _deliver(project, config, outcome)
        except KeyboardInterrupt as interrupt:
            return replace(outcome, exit_code=exit_code_of(interrupt))
    if require_delivery and not outcome.delivered and outcome.exit_code == 0:
        return replace(outcome, exit_code=5)
    return outcome


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
    plan: Plan,
    steps: StepRunner,
    trigger: Mapping[str, str],
    parent_run: str | None = None,
) -> RunOutcome:
    with journal_errors(project):
        plan.folder.mkdir(mode=0o700, parents=True)
    journal = RunnerJournal(project, plan.notebook, steps.redactor)
    try:
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
        ended = _Ended()
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
    finally:
        journal.close()
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
    )


def _collect(
    plan: Plan, steps: StepRunner, journal: RunnerJournal, config: Config, ended: _Ended
) -> None:
    """Keep notebooks, metrics and model; what is not as the pipeline declares is a failure."""
    files = []
    for step in plan.steps:
        if step.output.is_file():
            hide_secrets(step.output, step.parameters, steps.redactor)
            files.append(journal.file(plan.file_names[step.name], step.output))
    if plan.definition is not None:
        files.append(journal.file(plan.definition.name, plan.definition))
    ended.files = tuple(files)
    finished = {outcome.name for outcome in steps.outcomes if outcome.status == "finished"}
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


def _deliver(project: Project, config: Config, outcome: RunOutcome) -> RunOutcome:
    """Hand over what the journal holds; whatever goes wrong with that is a warning."""
    from ..tracking import deliver, find_run

    warnings = list(outcome.warnings)
    versions: tuple[ModelVersion, ...] = ()
    own = {outcome.run_id, *(run.run_id for run in outcome.children)}
    delivered = False
    kept = "The run is kept: `jupyter mlops sync` delivers it."
    try:
        report = deliver(project, config, wait_lease=_LEASE_WAIT)
        versions = tuple(version for version in report.versions if version.run_id in own)
        warnings += report.warnings
        delivered = find_run(project, outcome.run_id).mlflow_run_id is not None
        if not delivered:
            reasons = report.errors or ("another process is delivering",)
            warnings += [f"not delivered: {reason.rstrip('.')}. {kept}" for reason in reasons]
        else:
            warnings += report.errors
    except MlopsError as error:
        warnings.append(f"not delivered: {error.message.rstrip('.')}. {kept}")
    return replace(outcome, delivered=delivered, versions=versions, warnings=tuple(warnings))
