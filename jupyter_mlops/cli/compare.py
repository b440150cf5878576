"""``jupyter mlops compare`` and ``jupyter mlops why``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from ..config import load_config
from ..errors import ConflictError, ProjectError
from ..project import open_project
from ..tracking import (
    Section,
    compare_runs,
    comparison_sections,
    explain,
    explanation_sections,
    plain,
    sections_page,
    sections_text,
)
from .output import echo_json, json_option, table
from .records import finite

__all__ = ["compare", "why"]

html_option = click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it as an HTML file, too, with the curves drawn.",
)


@click.command("compare", context_settings={"ignore_unknown_options": True})
@click.argument("a")
@click.argument("b")
@html_option
@json_option
def compare(a: str, b: str, html_file: Path | None, as_json: bool) -> int:
    """Show what differs between two runs, and only that.

    Metrics and curves, data by digest, parameters, source, imported modules, packages, machine,
    seeds.  A and B are run ids, unique beginnings of them, MLflow's run ids, or last, -1, -2 ...
    """
    project = open_project(create=False)
    found = compare_runs(project, load_config(project.root), a, b)
    sections = list(comparison_sections(found))
    if html_file is not None:
        _write(html_file, sections_page(sections, f"{found.a.name} and {found.b.name}"))
    if as_json:
        echo_json(finite(found.to_dict()))
        return 0
    _print(sections)
    return 0


@click.command("why", context_settings={"ignore_unknown_options": True})
@click.argument("run", default="last")
@click.option("--metric", metavar="METRIC", help="Judge by this metric, not by the key metric.")
@html_option
@json_option
def why(run: str, metric: str | None, html_file: Path | None, as_json: bool) -> int:
    """Say what changed since a run was best: against the best earlier run of the same cell.

    The likeliest cause comes first: data, then code, parameters, packages, seeds.  RUN is as for
    compare; without one, the newest run is meant.
    """
    project = open_project(create=False)
    found = explain(project, load_config(project.root), run, metric)
    if html_file is not None:
        _write(html_file, sections_page(list(explanation_sections(found)), found.run.name))
    if as_json:
        echo_json(finite(found.to_dict()))
        return 0
    _print(explanation_sections(found))
    if found.best is not None:
        click.echo(
            f"\nEverything: jupyter mlops compare {found.best.run_id[:12]} {found.run.run_id[:12]}"
        )
    return 0


def _print(sections: Iterable[Section]) -> None:
    for number, section in enumerate(sections):
        if number:
            click.echo()
        if section.title:
            click.secho(plain(section.title), bold=True)
        for line in section.lines:
            click.echo(plain(line))
        if section.rows:
            columns = [plain(name) for name in section.columns]
            table(columns, [[plain(item) for item in row] for row in section.rows], empty="")
        for line in section.diff.splitlines():
            click.secho(plain(line), fg=_colour(line))
        if section.curves:
            click.echo(plain(sections_text([section])).partition("\n")[2])


def _colour(line: str) -> str | None:
    if line.startswith(("+++", "---")):
        return None
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])


def _write(path: Path, page: str) -> None:
    if path.exists():
        raise ConflictError(f"{path} exists already", hint="Name another file.")
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror or error}") from error
    print(f"Wrote {path}.", file=sys.stderr)
