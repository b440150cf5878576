"""``jupyter mlops cache``, and what ``jupyter mlops run`` says of the step cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..config import load_config
from ..errors import UsageError
from ..pipelines import RunOutcome, find_pipeline
from ..pipelines.caching import CacheStore
from ..project import open_project
from ..snapshots.durable import size_text
from .output import ago, echo_json, json_option, table
from .run import project_of
from .run_parameters import parameter_option

__all__ = ["cache", "show_why"]


@click.group()
def cache() -> None:
    """Show what the step cache holds, why steps run, and clear it."""


@cache.command("ls")
@json_option
def list_command(as_json: bool) -> int:
    """List the results that are kept, the last used first."""
    project = open_project(create=False)
    store = CacheStore(project)
    found = store.summaries()
    limit = load_config(project.root).cache_size
    if as_json:
        rows = [
            {
                "pipeline": one.pipeline,
                "step": one.step,
                "key": one.key,
                "run_id": one.run,
                "kept": one.kept,
                "used": one.used,
                "size": one.size,
            }
            for one in found
        ]
        echo_json({"entries": rows, "size": store.size(), "limit": limit})
        return 0
    table(
        ("PIPELINE", "STEP", "SIZE", "MADE BY", "KEPT", "LAST USED", "KEY"),
        [
            (one.pipeline, one.step, size_text(one.size), one.run, ago(one.kept), ago(one.used),
             one.key[:12])
            for one in found
        ],
        empty="Nothing is kept yet: a pipeline's steps are when they run.",
    )  # fmt: skip
    if found:
        click.echo(f"{size_text(store.size())} of {size_text(limit)} (cache-size)")
    return 0


@cache.command("why")
@click.argument("pipeline")
@click.argument("step", required=False)
@parameter_option("Ask for this value of a parameter")
@json_option
def why_command(
    pipeline: str, step: str | None, parameters: tuple[tuple[str, str], ...], as_json: bool
) -> int:
    """Say which steps of a pipeline would be taken from the cache, and why others would run.

    PIPELINE is a name or a folder.  Nothing is executed.
    """
    from ..pipelines.caching.asking import ask

    project = project_of(pipeline)
    found = find_pipeline(project, pipeline)
    if step is not None and step not in [one.name for one in found.steps]:
        names = ", ".join(one.name for one in found.steps)
        raise UsageError(f"{found.name} has no step {step!r}", hint=f"Its steps are: {names}.")
    verdicts = ask(project, found, dict(parameters))
    chosen = [(name, verdict) for name, verdict in verdicts if step in (None, name)]
    if as_json:
        echo_json({"steps": [{"step": name, **verdict.to_dict()} for name, verdict in chosen]})
        return 0
    for name, verdict in chosen:
        _show(click.echo, name, verdict.to_dict())
    return 0


@cache.command("clear")
@click.argument("pipeline", required=False)
@click.argument("step", required=False)
@json_option
def clear_command(pipeline: str | None, step: str | None, as_json: bool) -> int:
    """Remove what is kept: all, or that of one PIPELINE, or of one STEP of it.

    Nothing is lost: steps that are needed run again.
    """
    removed = CacheStore(open_project(create=False)).clear(pipeline, step)
    if as_json:
        echo_json({"entries": removed.entries, "size": removed.size})
    else:
        word = "result" if removed.entries == 1 else "results"
        click.echo(f"Removed {removed.entries} {word}, {size_text(removed.size)}.")
    return 0


def show_why(line: Callable[[str], object], outcome: RunOutcome) -> None:
    """Say of each step why it was taken from the cache, or ran, or was not kept."""
    for step in outcome.steps:
        if step.cache is not None:
            _show(line, step.name, step.cache)


def _show(line: Callable[[str], object], name: str, said: dict[str, Any]) -> None:
    first, *others = said["why"] or ["there is nothing to compare it with"]
    line(f"{name}: {'from the cache' if said['hit'] else 'runs'}: {first}")
    for other in others:
        line(f"{' ' * len(name)}  {other}")
