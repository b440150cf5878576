"""``jupyter mlops promote``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..config import load_config
from ..errors import NotebookError
from ..project import open_project
from ..promotion import Promotion
from ..promotion import promote as promote_notebook
from .output import echo_json, json_option, number
from .progress import RunLog, log_stream

__all__ = ["promote"]


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option(
    "--name", metavar="NAME", help="The pipeline's name; by default made of the notebook's."
)
@click.option(
    "--run", metavar="RUN", help="Which tracked run to promote; by default the newest finished one."
)
@click.option(
    "--force", is_flag=True, help="Replace a pipeline that was edited by hand (it is kept aside)."
)
@json_option
def promote(notebook: Path, name: str | None, run: str | None, force: bool, as_json: bool) -> None:
    """Turn a tracked notebook into a pipeline, proven by replay.

    The cells that NOTEBOOK's tracked result needs become pipelines/NAME/, with the literals they
    assign as parameters, and run once in a fresh kernel: the metrics must equal the tracked ones.
    If they do not, nothing is written and the exit code is 4.
    """
    if not notebook.is_file():
        raise NotebookError(f"{notebook} does not exist", path=str(notebook))
    project = open_project(notebook, create=False)
    config = load_config(project.root)
    log = RunLog(log_stream(as_json))
    log.line(f"Replaying what {project.relative(notebook)} needs in a fresh kernel")
    try:
        promotion = promote_notebook(
            project, config, notebook, name=name, run=run, force=force, progress=log.cell
        )
    finally:
        log.end()
    if as_json:
        echo_json(promotion.to_dict())
        return
    _show(promotion, project.relative(promotion.folder))


def _show(promotion: Promotion, folder: str) -> None:
    total = promotion.kept + promotion.dropped
    metrics = ", ".join(f"{k} {number(v)}" for k, v in promotion.metrics.items())
    verdict = promotion.verdict + (f" ({metrics})" if metrics else "")
    click.echo()
    click.echo(f"Promoted to {folder}")
    _pair("proof", verdict)
    _pair("cells", f"{promotion.kept} of {total} kept")
    for parameter in promotion.parameters:
        _pair("parameter", f"{parameter.name} = {json.dumps(parameter.default)}")
    if promotion.model is not None:
        _pair("model", f"a run makes a version of {promotion.model}")
    _pair("run it", f"jupyter mlops run {promotion.name}")
    _pair("undo", promotion.undo)
    for warning in promotion.warnings:
        click.echo(f"Warning: {warning}", err=True)


def _pair(label: str, text: str) -> None:
    click.echo(f"  {label:<9} {text}")
