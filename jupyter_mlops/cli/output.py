"""What the command line prints: tables for people, JSON for programs, errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ..errors import MlopsError
from ..model.durations import duration

__all__ = [
    "ago",
    "duration",
    "echo_json",
    "json_mode",
    "json_option",
    "number",
    "run_argument",
    "show_error",
    "table",
]

run_argument = click.argument("run")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def json_mode() -> bool:
    """Whether the running command was asked for JSON."""
    context = click.get_current_context(silent=True)
    while context is not None:
        if context.params.get("as_json"):
            return True
        context = context.parent
    return "--json" in sys.argv


def echo_json(data: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(data, indent=2, default=str))


def show_error(error: MlopsError) -> None:
    """Print an error for people, or as JSON on stdout when ``--json`` was given."""
    if json_mode():
        echo_json({"error": error.to_dict()})
        return
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.echo(error.hint, err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print rows under column heads; ``empty`` says what to do when there are none."""
    rows = [tuple(str(cell) for cell in row) for row in rows]
    if not rows:
        click.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Away from a terminal a table is as wide as it needs to be: a log is no place to wrap.
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "200"))
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(Text(column), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))  # Text: names are never read as markup.
    Console(width=width, highlight=False).print(grid)


def ago(moment: float | None, now: float | None = None) -> str:
    """A moment (seconds since the epoch) as people say it: ``3 min ago``, then the date."""
    if moment is None:
        return "-"
    now = datetime.now(UTC).timestamp() if now is None else now
    seconds = max(0.0, now - moment)
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)} {unit} ago"
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M")


def number(value: float | None) -> str:
    """A metric with five significant digits."""
    return "-" if value is None else f"{value:.5g}"
