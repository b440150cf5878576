"""``jupyter mlops diff``."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ConflictError, ProjectError
from ..project import open_project
from ..snapshots.addresses import parse_columns
from ..snapshots.diffing import Diff
from ..snapshots.service import diff as compare
from .output import echo_json, json_option

__all__ = ["diff"]


@click.command("diff")
@click.argument("a")
@click.argument("b")
@click.option("--key", metavar="COLUMNS", help="Match rows by these columns: a,b.")
@click.option(
    "--rows", type=click.IntRange(min=0), default=20, show_default=True, metavar="N",
    help="How many rows that differ to print.",
)  # fmt: skip
@click.option(
    "--start", type=click.IntRange(min=0), default=0, metavar="N", help="The first of them, from 0."
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 when A and B differ.")
@click.option("--trust", is_flag=True, help="Load pickled objects that somebody else has stored.")
@click.option(
    "--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write it as an HTML file, too.",
)  # fmt: skip
@json_option
def diff(
    a: str, b: str, key: str | None, rows: int, start: int, exit_code: bool, trust: bool,
    html_file: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Show what differs between two snapshots: schema, columns, then rows and cells.

    A and B are NAME, NAME@VERSION, NAME@TAG or NAME@2026-11-21T10:00, or a file or folder that is
    written with a path: ./data.  The output is plain text, the same on every machine.
    """
    sides = [_side(text) for text in (a, b)]
    found = compare(open_project(create=False), *sides, key=parse_columns(key) or [], trust=trust)
    if html_file is not None:
        _write(html_file, found)
    if as_json:
        echo_json(found.to_dict(rows, start))
    else:
        click.echo(found.text(rows, start))
    return 1 if exit_code and not found.equal else 0


def _side(text: str) -> str | Path:
    """A path where it is written as one, else a snapshot."""
    if "://" in text:
        return text
    return Path(text) if text.startswith((".", "/", "~")) or "\\" in text else text


def _write(path: Path, found: Diff) -> None:
    if path.exists():
        raise ConflictError(f"{path} exists already", hint="Name another file.")
    page = f'<!DOCTYPE html><meta charset="utf-8"><title>Diff</title>{found._repr_html_()}'
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror or error}") from error
    click.echo(f"Wrote {path}.", err=True)
