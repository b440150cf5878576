"""``jupyter mlops run``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from ..capture.redact import redact
from ..config import Config, load_config
from ..model.pipeline import Pipeline
from ..pipelines import PIPELINE_FILE, RunOutcome, StepProgress, find_target, run_pipeline
from ..project import Project, open_project
from .output import duration, echo_json, json_option, number
from .progress import RunLog, log_stream
from .run_parameters import (
    ParameterCommand,
    given_parameters,
    parameter_option,
    parameter_words,
    params_option,
)
from .run_pipelines import RunCommand, pipeline_options
from .run_reports import ReportOptions, Reports, Request, report_options
from .run_sweep import sweep_options

__all__ = ["run", "show_step"]


class _RunCommand(RunCommand, ParameterCommand):
    """Both: options whose value may be missing, and a help page with the target's parameters."""


@click.command(cls=_RunCommand)
@click.argument("target")
@parameter_option()
@params_option
@sweep_options
@click.option(
    "--require-delivery",
    is_flag=True,
    help="Exit with 5 when the tracking server does not get the run.",
)
@click.option(
    "--deliver",
    type=click.Choice(["auto", "now", "later"]),
    default="auto",
    show_default=True,
    help="Hand the run to the tracking server before the command ends, or leave that to the agent.",
)
@click.option("--no-register", is_flag=True, help="Make no model version of the result.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End the run when it takes longer.",
)
@click.option(
    "--data",
    type=click.Choice(["auto", "source", "pinned"]),
    default="auto",
    show_default=True,
    help="What a promoted pipeline reads: its sources, its snapshots, or what is here.",
)
@pipeline_options
@report_options
@json_option
def run(
    target: str,
    parameters: tuple[tuple[str, str], ...],
    parameter_files: tuple[Path, ...],
    require_delivery: bool,
    deliver: str,
    no_register: bool,
    timeout: float | None,
    data: str,
    reports: ReportOptions,
    as_json: bool,
    **of_steps: Any,
) -> int:
    """Execute a pipeline or a notebook headless and record the run.

    TARGET is a pipeline's name, its folder, or a notebook (.ipynb).  The notebooks themselves are
    not changed; their executed copies are kept in .mlops/runs.
    """
    project = project_of(target)
    config = load_config(project.root)
    given = given_parameters(parameters, parameter_files)
    why = bool(of_steps.pop("why"))
    log = RunLog(log_stream(as_json))
    written = Reports(project, config, reports, log.line).check()
    announced = False

    def on_step(step: StepProgress) -> None:
        nonlocal announced
        if not announced:
            announced = True
            _announce(log, project, target, given)
        show_step(log, project, step)

    try:
        outcome = run_pipeline(
            project,
            config,
            target,
            given,
            progress=log.cell,
            on_step=on_step,
            register=not no_register,
            require_delivery=require_delivery,
            timeout=timeout,
            data=data,
            deliver=deliver,
            on_output=log.output_of if reports.output else None,
            on_wait=lambda why: log.line(f"Waiting: {why}"),
            **of_steps,
        )
    finally:
        log.end()
    if as_json:
        written.of_run(outcome, Request(target, given, data))
        echo_json(outcome.to_dict())
        return outcome.exit_code
    again = ["jupyter", "mlops", "run", target, *parameter_words(given)]
    _show_outcome(log, project, config, outcome, shlex.join(again))
    if why:
        from .cache import show_why

        show_why(log.line, outcome)
    written.of_run(outcome, Request(target, given, data))
    return outcome.exit_code


def project_of(target: str) -> Project:
    """The project that a target lies in: that of its file or folder, else of the current folder."""
    path = Path(target)
    if path.suffix == ".ipynb" and path.is_file():
        return open_project(path, create=False)
    if path.name == PIPELINE_FILE and path.is_file():
        return open_project(path.resolve().parent, create=False)
    if path.is_dir() and (path / PIPELINE_FILE).is_file():
        return open_project(path, create=False)
    return open_project(create=False)


def _announce(log: RunLog, project: Project, target: str, given: dict[str, Any]) -> None:
    found = find_target(project, target)
    if isinstance(found, Pipeline):
        count = f"{len(found.steps)} step{'s' if len(found.steps) > 1 else ''}"
        log.line(f"Pipeline {found.name} in {project.root}: {count}, kernel {found.kernelspec}")
    else:
        log.line(f"Notebook {project.relative(found)} in {project.root}")
    if given:
        shown = ", ".join(f"{name} = {redact(name, value)}" for name, value in given.items())
        log.line(f"Parameters: {shown}")


def show_step(log: RunLog, project: Project, step: StepProgress) -> None:
    """Print a line of a step that began, ended or was left out."""
    where = f"Step {step.number}/{step.total} {step.step}"
    notebook = project.relative(step.notebook)
    log.parallel = step.parallel
    if step.state == "started":
        attempt = f", attempt {step.attempt}" if step.attempt > 1 else ""
        why = f": {step.detail}" if step.detail else ""
        log.line(f"{where} ({notebook}){attempt}{why}")
    elif step.state == "completed":
        log.line(f"{where}: done in {duration(step.seconds)}")
    elif step.state == "failed":
        log.line(f"{where}: FAILED after {duration(step.seconds)}")
    elif step.state in ("resumed", "cached"):
        what = "taken over" if step.state == "resumed" else "done before, and kept"
        log.line(f"{where}: {what}")
    else:
        log.line(f"{where}: {step.state}{': ' if step.detail else ''}{step.detail}")


def _show_outcome(
    log: RunLog, project: Project, config: Config, outcome: RunOutcome, again: str
) -> None:
    log.line()
    if outcome.status == "FINISHED":
        log.line(f"Finished in {duration(outcome.seconds)}: run {outcome.run_id}")
        _show_success(log, project, config, outcome)
    elif outcome.status == "KILLED":
        log.line(f"Interrupted after {duration(outcome.seconds)}: run {outcome.run_id}")
        _pair(log, "so far", project.relative(outcome.output))
        _show_resume(log, outcome)
        _pair(log, "again", again)
    else:
        log.line(f"FAILED after {duration(outcome.seconds)}: run {outcome.run_id}")
        _show_failure(log, project, outcome, again)
    for warning in outcome.warnings:
        log.line(f"Warning: {warning}")


def _show_success(log: RunLog, project: Project, config: Config, outcome: RunOutcome) -> None:
    if outcome.resumes:
        _pair(log, "resumes", f"run {outcome.resumes}")
    if outcome.metrics:
        _pair(log, "metrics", _metrics(outcome.metrics))
    for child in outcome.children:
        metrics = f": {_metrics(child.metrics)}" if child.metrics else ""
        _pair(log, "tracked", f"{child.name}{metrics}  (run {child.run_id})")
    for version in outcome.versions:
        spec = f"{version.name}@{version.version}"
        _pair(log, "model", f"{version.name} version {version.version}")
        _pair(log, "use it", f"jupyter mlops models set {spec} champion")
        _pair(log, "", f"(to take that back: jupyter mlops models revert {version.name})")
    if outcome.register and not outcome.versions:
        _pair(log, "model", f"a version of {outcome.register} is made when the run is delivered")
    _pair(log, "executed", project.relative(outcome.output))
    if outcome.delivered:
        _pair(log, "recorded", _place(project, config))
    _show_kept(log, outcome)
    _pair(log, "see", f"jupyter mlops runs show {outcome.run_id}")


def _show_kept(log: RunLog, outcome: RunOutcome) -> None:
    if outcome.handed == "agent":
        _pair(log, "recorded", "in the journal; the agent delivers it to MLflow")
    elif outcome.handed:
        _pair(log, "recorded", "in the journal; `jupyter mlops sync` delivers it to MLflow")


def _show_failure(log: RunLog, project: Project, outcome: RunOutcome, again: str) -> None:
    error = outcome.error or {}
    step = next((s for s in outcome.steps if s.name == error.get("step")), None)
    if step is not None:
        if outcome.kind == "pipeline":
            _pair(log, "step", step.name)
        _pair(log, "notebook", project.relative(step.notebook))
    if error.get("cell"):
        line = f", line {error['lineno']}" if error.get("lineno") else ""
        _pair(log, "cell", f"In [{error['cell']}]{line}")
    if error.get("line"):
        _pair(log, "code", error["line"])
    _pair(log, "error", f"{error.get('ename', 'Error')}: {error.get('evalue', '')}".strip())
    output = str(error.get("output") or "").splitlines()
    if output:
        _pair(log, "output", f"the last {len(output)} lines" if len(output) > 1 else "")
        for text in output:
            # The bar keeps a printed line from being taken for a command of the CI system.
            log.line(f"    | {text}")
    _show_kept(log, outcome)
    executed = step.output if step is not None and step.output else outcome.output
    _pair(log, "executed", project.relative(executed))
    _show_resume(log, outcome)
    _pair(log, "again", again)


def _show_resume(log: RunLog, outcome: RunOutcome) -> None:
    """How to go on, where something has finished that need not be done again."""
    if any(step.done for step in outcome.steps):
        _pair(log, "go on", f"jupyter mlops run {outcome.name} --resume {outcome.run_id}")


def _pair(log: RunLog, label: str, text: str) -> None:
    lines = text.splitlines() or [""]
    log.line(f"  {label:<9} {lines[0]}".rstrip())
    for line in lines[1:]:
        log.line(f"  {'':<9} {line}".rstrip())


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in metrics.items())


def _place(project: Project, config: Config) -> str:
    """Where the run was delivered to; without the password that an address may hold."""
    from urllib.parse import urlsplit

    from ..model.address import tracking_uri

    uri = tracking_uri(project, config)
    if uri == project.default_tracking_uri:
        return f"MLflow, {project.relative(project.state / 'mlflow.db')}"
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return f"MLflow, {parts.geturl()}"
