"""``jupyter mlops adopt``."""

from __future__ import annotations

from dataclasses import asdict

import click

from ..config import load_config
from ..project import open_project
from ..tracking.adopt import AdoptReport, unadopt
from ..tracking.adopt import adopt as adopt_source
from .output import echo_json, json_option

__all__ = ["adopt"]

_SHOWN = 20


@click.command()
@click.argument("source", metavar="FOLDER|MLFLOW_URI")
@click.option("--dry-run", is_flag=True, help="Say what would be listed, and write nothing.")
@click.option("--undo", is_flag=True, help="Take back what was listed; nothing there is touched.")
@json_option
def adopt(source: str, dry_run: bool, undo: bool, as_json: bool) -> int:
    """List what exists already: executed notebooks, and another MLflow's runs and models.

    In a folder the executed notebooks of all its folders become runs, and those of an mlruns or an
    mlflow.db in it come, too. Doing it again adds only what is new.
    """
    if dry_run and undo:
        raise click.UsageError("--dry-run and --undo exclude each other")
    project = open_project(create=not dry_run)
    config = load_config(project.root)
    if undo:
        report = unadopt(project, config, source)
    else:
        report = adopt_source(project, config, source, dry_run=dry_run)
    if as_json:
        echo_json(asdict(report))
    else:
        _tell(report, "Taken back" if undo else "Would list" if dry_run else "Listed")
    return 0


def _tell(report: AdoptReport, verb: str) -> None:
    counts = {
        "executed notebooks": len(report.notebooks),
        "runs": report.runs,
        "models": len(report.models),
    }
    said = [f"{count:,} {what}" for what, count in counts.items() if count]
    click.echo(f"{verb}: {', '.join(said) or 'nothing new'}.")
    if report.known:
        click.echo(f"{report.known:,} were here already.")
    for run_id, path in report.notebooks[:_SHOWN]:
        click.echo(f"  {run_id}  {path}")
    _more(len(report.notebooks))
    for name in report.models[:_SHOWN]:
        click.echo(f"  model {name}")
    _more(len(report.models))
    if report.skipped:
        click.echo(f"Left out: {len(report.skipped):,}")
    for text in report.skipped[:_SHOWN]:
        click.echo(f"  {text}")
    _more(len(report.skipped))
    for text in report.errors:
        click.secho(text, fg="yellow", err=True)
    if report.undo:
        click.echo(f"To take it back: {report.undo}")


def _more(count: int) -> None:
    if count > _SHOWN:
        click.echo(f"  ... and {count - _SHOWN:,} more")
