"""``jupyter mlops runs rm|restore|rename|note|export``: what changes a run, and its page."""

from __future__ import annotations

from pathlib import Path

import click

from ..config import load_config
from ..errors import UsageError
from ..project import open_project
from ..tracking import (
    RunChange,
    delete_run,
    export_run,
    find_run,
    note_run,
    rename_run,
    restore_run,
)
from .output import echo_json, json_option, run_argument

__all__ = [
    "export_command",
    "note_command",
    "remove_command",
    "rename_command",
    "restore_command",
]

# -1 names the newest run: it must not be taken for an option.
_RUNS = {"ignore_unknown_options": True}


@click.command("rm", context_settings=_RUNS)
@run_argument
@json_option
def remove_command(run: str, as_json: bool) -> int:
    """Delete a run in MLflow, which keeps it: restore brings it back.

    RUN is a run id, a unique beginning of one, MLflow's run id, or last, -1, -2 ...
    """
    project = open_project(create=False)
    change = delete_run(project, load_config(project.root), run)
    return _tell(change, f"Deleted run {change.run.name} ({change.run.run_id}).", as_json)


@click.command("restore", context_settings=_RUNS)
@run_argument
@json_option
def restore_command(run: str, as_json: bool) -> int:
    """Bring a deleted run back.

    RUN is its run id, a unique beginning of one that was deleted from here, or MLflow's run id.
    """
    project = open_project(create=False)
    change = restore_run(project, load_config(project.root), run)
    return _tell(change, f"Restored run {change.run.name} ({change.run.run_id}).", as_json)


@click.command("rename", context_settings=_RUNS)
@run_argument
@click.argument("name")
@json_option
def rename_command(run: str, name: str, as_json: bool) -> int:
    """Give a run another name, here and in MLflow."""
    project = open_project(create=False)
    change = rename_run(project, load_config(project.root), run, name)
    return _tell(change, f"Run {change.run.run_id} is now called {change.run.name}.", as_json)


@click.command("note", context_settings=_RUNS)
@run_argument
@click.argument("text", required=False)
@click.option("--clear", is_flag=True, help="Remove the note.")
@json_option
def note_command(run: str, text: str | None, clear: bool, as_json: bool) -> int:
    """Write a note to a run, in place of the one before; without TEXT, print it.

    MLflow shows it as the run's description (Markdown).
    """
    project = open_project(create=False)
    if text is not None and clear:
        raise UsageError("a note is either written or removed: give TEXT or --clear")
    if text is None and not clear:
        found = find_run(project, run)
        if as_json:
            echo_json({"run_id": found.run_id, "note": found.note})
        else:
            click.echo(found.note or f"Run {found.name} ({found.run_id}) has no note.")
        return 0
    change = note_run(project, load_config(project.root), run, text or "")
    done = "Noted it on" if change.run.note else "Removed the note of"
    return _tell(change, f"{done} run {change.run.name} ({change.run.run_id}).", as_json)


@click.command("export", context_settings=_RUNS)
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; by default one in this folder, named after the run.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@json_option
def export_command(run: str, output: Path | None, force: bool, as_json: bool) -> int:
    """Write a run as one HTML file that a person without Jupyter can read, secrets replaced."""
    project = open_project(create=False)
    path = export_run(project, load_config(project.root), run, output, force=force)
    if as_json:
        echo_json({"path": str(path), "size": path.stat().st_size})
        return 0
    click.echo(f"Wrote {path} ({path.stat().st_size / 1000:,.0f} kB).")
    return 0


def _tell(change: RunChange, text: str, as_json: bool) -> int:
    if as_json:
        echo_json(change.to_dict())
        return 0
    click.echo(text)
    click.echo(f"To take it back: {change.undo}")
    return 0
