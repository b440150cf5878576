"""``jupyter mlops runs cancel``."""

from __future__ import annotations

from dataclasses import asdict

import click

from ..project import open_project
from .output import echo_json, json_option, run_argument

__all__ = ["cancel_command"]


@click.command("cancel")
@run_argument
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for its end.",
)
@json_option
def cancel_command(run: str, timeout: float, as_json: bool) -> int:
    """End a headless run that is going on; what it has so far is kept.

    RUN is a run id, a unique beginning of one, MLflow's run id, or last: the newest that is
    running.  Exit code 1 says that it has not ended in time.
    """
    from ..pipelines import cancel_run

    cancelled = cancel_run(open_project(create=False), run, wait=timeout)
    if as_json:
        echo_json(asdict(cancelled))
    elif cancelled.status == "RUNNING":
        click.echo(
            f"Run {cancelled.run_id} ({cancelled.name}) was asked to end, and has not yet. "
            f"To end it by force: kill -9 {cancelled.pid}",
            err=True,
        )
    else:
        click.echo(f"Run {cancelled.run_id} ({cancelled.name}) has ended: {cancelled.status}")
        if cancelled.status == "KILLED":
            click.echo(f"To go on with it: jupyter mlops run {cancelled.name} --resume")
    return 1 if cancelled.status == "RUNNING" else 0
