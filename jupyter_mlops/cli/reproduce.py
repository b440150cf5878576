"""``jupyter mlops reproduce``."""

from __future__ import annotations

from pathlib import Path

import click

from ..config import load_config
from ..project import open_project
from ..reproduction import Reproduction
from ..reproduction import reproduce as reproduce_run
from .output import echo_json, json_option
from .progress import RunLog, log_stream

__all__ = ["reproduce"]


@click.command()
@click.argument("run")
@click.option(
    "--this-environment",
    is_flag=True,
    help="Use the packages of today instead of building the run's own environment.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Work in this new folder and leave it, to look at.",
)
@click.option("--timeout", type=float, metavar="SECONDS", help="End a cell that takes longer.")
@json_option
def reproduce(
    run: str, this_environment: bool, keep: Path | None, timeout: float | None, as_json: bool
) -> None:
    """Execute again what led to RUN, and say whether the result is the same.

    The environment is built from the run's lock by uv, the data come from its snapshots, the code
    are the cells as they were executed.  Metrics and the models' predictions are compared exactly,
    or within what repetitions differ by.  The verdict is recorded on the run; the exit code is 4
    when it differs.
    """
    project = open_project(create=False)
    config = load_config(project.root)
    log = RunLog(log_stream(as_json))
    try:
        found = reproduce_run(
            project,
            config,
            run,
            this_environment=this_environment,
            keep=keep,
            timeout=timeout,
            progress=log.cell,
            say=log.line,
        )
    finally:
        log.end()
    if as_json:
        echo_json(found.to_dict())
    else:
        _show(found)
    if found.verdict.verdict == "differs":
        raise click.exceptions.Exit(4)


def _show(found: Reproduction) -> None:
    verdict = found.verdict
    click.echo()
    click.echo(f"Reproduced {found.name}: {verdict.verdict.replace('_', ' ')}")
    for metric in verdict.metrics:
        said = metric.verdict.replace("_", " ")
        shown = "nothing" if metric.repeated is None else f"{metric.repeated:.6g}"
        then = "" if metric.verdict == "equal" else f" (tracked {metric.tracked})"
        _pair(metric.name, f"{shown}{then}, {said}")
    for model in verdict.models:
        said = model.verdict.replace("_", " ")
        _pair(model.name, f"predictions {said}" + (f": {model.reason}" if model.reason else ""))
    same = sum(1 for item in verdict.inputs if item.equal)
    if verdict.inputs:
        _pair("inputs", f"{same} of {len(verdict.inputs)} equal by digest")
    for spec in found.snapshots:
        _pair("snapshot", spec)
    _pair("ran on", found.environment)
    times = "once" if found.repeats == 1 else f"{found.repeats} times"
    wide = ", all that were executed" if found.widened else ""
    _pair("cells", f"{found.cells}{wide}, {times}")
    for reason in verdict.reasons:
        click.echo(f"Because: {reason}")
    for warning in found.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if found.unrecorded is not None:
        click.echo(f"Warning: the verdict is not on the run: {found.unrecorded}", err=True)


def _pair(label: str, text: str) -> None:
    click.echo(f"  {label:<9} {text}")
