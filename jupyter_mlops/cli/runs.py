"""``jupyter mlops runs``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..config import Config, load_config
from ..errors import MlopsError
from ..model.registry import RunSummary, key_metric
from ..project import Project, open_project
from ..tracking import (
    RunDetails,
    details_dict,
    list_runs,
    measured,
    plain,
    read_run_file,
    run_details,
)
from ..tracking.wording import size
from .output import ago, duration, echo_json, json_option, number, run_argument, table
from .records import finite, run_dict
from .run_cancel import cancel_command
from .run_changes import (
    export_command,
    note_command,
    remove_command,
    rename_command,
    restore_command,
)

__all__ = ["runs"]


@click.group()
def runs() -> None:
    """List, show, change and export runs."""


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


@runs.command("show", context_settings={"ignore_unknown_options": True})
@run_argument
@click.option("--source", is_flag=True, help="Print the cell's source and output, too.")
@json_option
def show_command(run: str, source: bool, as_json: bool) -> int:
    """Show a run: parameters, metrics, data, models, environment and where it came from.

    RUN is a run id, a unique beginning of one, MLflow's run id, or last, -1, -2 ...
    """
    project = open_project(create=False)
    config = load_config(project.root)
    found = run_details(project, config, run)
    if as_json:
        echo_json(run_dict(found.summary) | {"details": finite(details_dict(found))})
        return 0
    click.echo(plain(f"{found.name}  {found.run_id}"))
    for label, fact in _facts(found):
        click.echo(plain(f"{label:<11}{fact}"))
    for title, rows in _sections(found):
        _section(title, rows)
    if source:
        _texts(project, config, found)
    for warning in found.summary.warnings:
        click.echo(f"\nWarning: {warning}")
    if found.problem:
        click.echo(f"\nNot all is known: {found.problem}")
    kept = [m for m in found.summary.models if m.get("kept")]
    if kept and not (found.summary.registered and "@" in found.summary.registered):
        which = f" --model {kept[0]['name']}" if len(kept) > 1 else ""
        click.echo(
            f"\nTo register it: jupyter mlops models register {found.run_id[:12]} NAME{which}"
        )
    return 0


for _command in (remove_command, restore_command, rename_command, note_command, export_command):
    runs.add_command(_command)
runs.add_command(cancel_command)


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


def _facts(details: RunDetails) -> list[tuple[str, str]]:
    run, record = details.summary, details.record
    took = "" if run.ended is None else f", took {duration(max(0.0, run.ended - run.started))}"
    error = record.error or {}
    changed = " with uncommitted changes" if record.git_dirty else ""
    facts: list[tuple[str, str | None]] = [
        ("Status", run.status),
        ("Error", _short(f"{error.get('ename')}: {error.get('evalue')}") if error else None),
        ("Started", f"{ago(run.started)}{took}"),
        ("Kind", {"mlflow": "logged with plain MLflow"}.get(run.kind, run.kind)),
        ("Notebook", run.notebook),
        ("Pipeline", run.pipeline),
        ("Parent", run.parent),
        ("Resumes", record.tags.get("mlops.resumes")),
        ("Experiment", run.experiment),
        ("MLflow", run.mlflow_run_id or "not delivered yet: jupyter mlops sync"),
        ("Registered", run.registered if run.mlflow_run_id else None),
        ("Git", record.git_commit and f"{record.git_commit[:12]}{changed}"),
        ("Note", run.note and _short(run.note)),
    ]
    return [(label, fact) for label, fact in facts if fact]


def _sections(details: RunDetails) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    run, record, known = details.summary, details.record, details.environment
    yield "Parameters", [(name, _short(v)) for name, v in (record.params or run.params).items()]
    yield "Hyperparameters", [(name, _short(v)) for name, v in record.hyperparameters.items()]
    yield "Metrics", [(name, number(v)) for name, v in run.metrics.items()]
    yield (
        "Series",
        [
            (name, f"{len(points)} points, the last {number(points[-1][1])}")
            for name, points in record.series.items()
            if points
        ],
    )
    yield (
        "Data",
        [
            (
                item.name,
                ", ".join(
                    part
                    for part in (
                        item.kind,
                        "" if item.rows is None else f"{item.rows:,} rows",
                        item.source,
                        item.digest and item.digest.partition(":")[2][:12],
                        item.snapshot,
                        item.added and f"{size(item.added)} added",
                        item.reason,
                    )
                    if part
                ),
            )
            for item in record.inputs
        ],
    )
    yield "Models", [(str(m.get("name")), _model(m)) for m in run.models]
    yield "Files", [(item.name, item.reason or item.kind) for item in record.files]
    yield "Seeds", [(name, _short(seed)) for name, seed in record.seeds.items()]
    yield "Resources", [measured(name, n) for name, n in record.resources.items()]
    if known is not None:
        yield (
            "Environment",
            [
                ("python", known.python),
                ("platform", known.platform),
                ("packages", f"{len(known.packages)} (runs export writes the lock)"),
            ],
        )
    yield "Not captured", list(record.left_out.items())


def _texts(project: Project, config: Config, details: RunDetails) -> None:
    if details.record.source:
        click.echo(f"\nSource\n{plain(details.record.source)}")
    for item in details.files("output", "traceback"):
        try:
            text = read_run_file(project, config, details, item).decode("utf-8", "replace")
        except MlopsError as error:
            text = f"({error})"
        click.echo(f"\n{plain(item.name)}\n{plain(text)}")


def _section(title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        click.echo(f"\n{title}")
        width = max(len(name) for name, _ in rows)
        for name, fact in rows:
            click.echo(plain(f"  {name:<{width}}  {fact}"))


def _short(fact: Any) -> str:
    text = " ".join(str(fact).split())
    return text if len(text) <= 120 else text[:117] + "..."


def _model(model: dict[str, Any]) -> str:
    kept = "" if model.get("kept") else f", not stored: {model.get('reason') or 'unknown reason'}"
    return f"{model.get('class_name')}{kept}"
