"""``jupyter mlops runs``."""

from __future__ import annotations

import shlex
from typing import Any

import click

from ..config import load_config, public_uri
from ..model.registry import RunSummary, key_metric
from ..project import Project, open_project
from ..tracking import delete_run, find_run, list_runs, tracking_uri
from .output import ago, duration, echo_json, json_option, number, table
from .records import run_dict

__all__ = ["runs"]


@click.group()
def runs() -> None:
    """List and show runs."""


@runs.command("ls")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1, max=10_000),
    default=20,
    show_default=True,
    help="How many of the newest runs to list.",
)
@json_option
def list_command(limit: int, as_json: bool) -> int:
    """List the newest runs, also those that are not delivered yet."""
    project = open_project(create=False)
    found = list_runs(project, limit)
    if as_json:
        echo_json({"runs": [run_dict(run) for run in found]})
        return 0
    table(
        ("RUN", "NAME", "STATUS", "STARTED", "TOOK", "METRIC", "FROM", "MODEL"),
        [_row(run) for run in found],
        empty="There are no runs yet. Put %%track at the top of a cell, or: "
        "jupyter mlops run NOTEBOOK",
    )
    waiting = [run for run in found if run.mlflow_run_id is None and run.status != "RUNNING"]
    if waiting:
        click.echo(f"\n* {len(waiting)} not delivered yet. To deliver now: jupyter mlops sync")
    return 0


@runs.command("show")
@click.argument("run")
@json_option
def show_command(run: str, as_json: bool) -> int:
    """Show a run: parameters, metrics, models and where it came from.

    RUN is a run id, a unique beginning of one, or MLflow's run id.
    """
    project = open_project(create=False)
    found = find_run(project, run)
    if as_json:
        echo_json(run_dict(found))
        return 0
    click.echo(f"{found.name}  {found.run_id}")
    for label, value in _facts(project, found):
        click.echo(f"{label:<11}{value}")
    _section("Parameters", [(k, _short(v)) for k, v in found.params.items()])
    _section("Metrics", [(k, number(v)) for k, v in found.metrics.items()])
    _section("Models", [(str(m.get("name")), _model(m)) for m in found.models])
    for warning in found.warnings:
        click.echo(f"\nWarning: {warning}")
    kept = [m for m in found.models if m.get("kept")]
    if kept and not (found.registered and "@" in found.registered):
        which = f" --model {kept[0]['name']}" if len(kept) > 1 else ""
        click.echo(
            f"\nTo register it: jupyter mlops models register {found.run_id[:12]} NAME{which}"
        )
    return 0


@runs.command("rm")
@click.argument("run")
@json_option
def remove_command(run: str, as_json: bool) -> int:
    """Delete a run in MLflow, which keeps it and can restore it.

    RUN is a run id, a unique beginning of one, or MLflow's run id.
    """
    project = open_project(create=False)
    config = load_config(project.root)
    found = delete_run(project, config, run)
    uri = tracking_uri(project, config)
    undo = (
        f"MLFLOW_TRACKING_URI={shlex.quote(public_uri(uri))} mlflow runs restore "
        f"--run-id {found.mlflow_run_id} && jupyter mlops sync"
    )
    if as_json:
        echo_json({"run_id": found.run_id, "mlflow_run_id": found.mlflow_run_id, "undo": undo})
        return 0
    click.echo(f"Deleted run {found.name} ({found.run_id}).")
    click.echo(f"To take it back: {undo}")
    return 0


def _row(run: RunSummary) -> tuple[str, ...]:
    metric = key_metric(run.metrics)
    return (
        run.run_id[:12] if run.kind != "mlflow" else run.run_id[:8],
        run.name + ("*" if run.mlflow_run_id is None and run.status != "RUNNING" else ""),
        run.status,
        ago(run.started),
        "-" if run.ended is None else duration(max(0.0, run.ended - run.started)),
        "-" if metric is None else f"{metric} {number(run.metrics[metric])}",
        run.pipeline or run.notebook or run.experiment or "-",
        run.registered if run.registered and "@" in run.registered else "-",
    )


def _facts(project: Project, run: RunSummary) -> list[tuple[str, str]]:
    took = "" if run.ended is None else f", took {duration(max(0.0, run.ended - run.started))}"
    facts: list[tuple[str, str | None]] = [
        ("Status", run.status),
        ("Started", f"{ago(run.started)}{took}"),
        ("Kind", {"mlflow": "logged with plain MLflow"}.get(run.kind, run.kind)),
        ("Notebook", run.notebook),
        ("Pipeline", run.pipeline),
        ("Parent", run.parent),
        ("Experiment", run.experiment),
        ("MLflow", run.mlflow_run_id or "not delivered yet: jupyter mlops sync"),
        ("Registered", run.registered if run.mlflow_run_id else None),
    ]
    return [(label, value) for label, value in facts if value]


def _section(title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        click.echo(f"\n{title}")
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            click.echo(f"  {name:<{width}}  {value}")


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 120 else text[:117] + "..."


def _model(model: dict[str, Any]) -> str:
    kept = "" if model.get("kept") else f", not stored: {model.get('reason') or 'unknown reason'}"
    return f"{model.get('class_name')}{kept}"
