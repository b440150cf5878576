"""``jupyter mlops check``."""

from __future__ import annotations

from pathlib import Path

import click

from ..checking import FORMATS, check_notebook, chosen_rules, render
from ..errors import NotebookError, ProjectError
from ..project import Project, open_project

__all__ = ["check"]


@click.command()
@click.argument(
    "notebooks", nargs=-1, required=True, metavar="NOTEBOOK...", type=click.Path(path_type=Path)
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="Text for people, JSON, SARIF 2.1.0, or annotations of GitHub Actions.",
)
@click.option(
    "--select",
    metavar="RULES",
    multiple=True,
    help="Only these rules: ids or their beginnings, with commas between.",
)
@click.option("--ignore", metavar="RULES", multiple=True, help="All but these rules.")
@click.option(
    "--session/--no-session", default=None,
    help="Insist on the recorded session, or go by execution counts; by default it is used where "
    "it fits.",
)  # fmt: skip
def check(
    notebooks: tuple[Path, ...],
    format_: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    session: bool | None,
) -> int:
    """Find hidden state and leakage in notebooks.

    Nothing is executed: each NOTEBOOK is read with the session that ran it, where that is
    recorded.  The exit code is 1 when there is an error among the findings, 2 for a file that is no
    notebook.
    """
    rules = chosen_rules(select, ignore)
    found = []
    for notebook in notebooks:
        if not notebook.exists():
            raise NotebookError(f"{notebook} does not exist", path=str(notebook))
        found.append(
            check_notebook(_project(notebook), notebook.resolve(), session=session, rules=rules)
        )
    text = render(found, format_)
    if text:
        click.echo(text)
    return 1 if any(notebook.failed for notebook in found) else 0


def _project(notebook: Path) -> Project | None:
    try:
        return open_project(notebook, create=False)
    except ProjectError:
        return None  # a notebook of the home folder, say: it can be checked all the same
