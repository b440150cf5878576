"""``jupyter mlops promote``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..config import load_config
from ..errors import NotebookError, UsageError
from ..project import Project, open_project
from ..promotion import PlanEdits, Promotion, PromotionPlan
from ..promotion import plan as plan_promotion
from ..promotion import promote as promote_notebook
from .output import echo_json, json_option, number
from .progress import RunLog, log_stream

__all__ = ["promote"]


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.argument("targets", nargs=-1, metavar="[TARGET...]")
@click.option(
    "--name", metavar="NAME", help="The pipeline's name; by default made of the notebook's."
)
@click.option(
    "--steps",
    type=click.Choice(["auto", "one", "headings"]),
    default="auto",
    show_default=True,
    help="Where steps begin: where little passes between them, nowhere, or at headings.",
)
@click.option(
    "--from",
    "--run",
    "run",
    metavar="RUN",
    help="Which tracked run to promote; by default the newest finished one.",
)
@click.option(
    "--plan",
    "--dry-run",
    "only_plan",
    is_flag=True,
    help="Say what would be kept and written, and why; execute and write nothing.",
)
@click.option(
    "--edits",
    metavar="FILE",
    help="A JSON file (- for standard input) with changes to the plan.",
)
@click.option(
    "--data",
    type=click.Choice(["source", "pinned"]),
    default="source",
    show_default=True,
    help="Replay on the sources, or on the snapshots that the run recorded.",
)
@click.option(
    "--drop-displays", is_flag=True, help="Leave out statements that only display something."
)
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Hand values over as pickles where no other format holds them: loading one runs code.",
)
@click.option(
    "--diff", "show_diff", is_flag=True, help="Show what changes in an earlier promotion."
)
@click.option(
    "--force", is_flag=True, help="Replace a pipeline that was edited by hand (it is kept aside)."
)
@json_option
def promote(
    notebook: Path,
    targets: tuple[str, ...],
    name: str | None,
    steps: str,
    run: str | None,
    only_plan: bool,
    edits: str | None,
    data: str,
    drop_displays: bool,
    allow_pickle: bool,
    show_diff: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Turn a notebook into a pipeline, proven by replay.

    The cells that NOTEBOOK's tracked result needs (or the variables TARGET) become
    pipelines/NAME/, with the literals they assign as parameters, and run in fresh kernels: the
    result must be the tracked one.  If it is not, nothing is written and the exit code is 4.
    """
    if not notebook.is_file():
        raise NotebookError(f"{notebook} does not exist", path=str(notebook))
    project = open_project(notebook, create=False)
    config = load_config(project.root)
    changed = PlanEdits() if edits is None else _edits(edits)
    if only_plan:
        made = plan_promotion(
            project, config, notebook, targets, run,
            name=name, steps=steps, edits=changed, drop_displays=drop_displays,
        )  # fmt: skip
        if as_json:
            echo_json(made.to_dict())
        else:
            _show_plan(made)
        return
    log = RunLog(log_stream(as_json))
    log.line(f"Replaying what {project.relative(notebook)} needs in a fresh kernel")
    try:
        promotion = promote_notebook(
            project, config, notebook,
            name=name, targets=targets, run=run, steps=steps, edits=changed, data=data,
            drop_displays=drop_displays, allow_pickle=allow_pickle, force=force,
            progress=log.cell,
        )  # fmt: skip
    finally:
        log.end()
    if as_json:
        echo_json(promotion.to_dict())
        return
    _show(project, promotion, show_diff)


def _edits(file: str) -> PlanEdits:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        data = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"--edits {file} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"--edits {file} must hold a JSON object")
    return PlanEdits.from_dict(data)


def _show(project: Project, promotion: Promotion, show_diff: bool) -> None:
    total = promotion.kept + promotion.dropped
    metrics = ", ".join(f"{k} {number(v)}" for k, v in promotion.metrics.items())
    verdict = promotion.verdict + (f" ({metrics})" if metrics else "")
    click.echo()
    click.echo(f"Promoted to {project.relative(promotion.folder)}")
    _pair("proof", verdict)
    _pair("cells", f"{promotion.kept} of {total} kept")
    if len(promotion.steps) > 1:
        _pair("steps", ", ".join(promotion.steps))
    for parameter in promotion.parameters:
        _pair("parameter", f"{parameter.name} = {json.dumps(parameter.default)}")
    if promotion.model is not None:
        _pair("model", f"a run makes a version of {promotion.model}")
    if promotion.replaced:
        for change in promotion.changes:
            _pair("file", f"{change.file} {change.status}")
            if show_diff and change.diff:
                click.echo(change.diff)
    _pair("run it", f"jupyter mlops run {promotion.name}")
    _pair("undo", promotion.undo)
    for warning in promotion.warnings:
        click.echo(f"Warning: {warning}", err=True)


def _show_plan(made: PromotionPlan) -> None:
    what = ", ".join(made.targets) or made.run_id or "its last tracked cell"
    click.echo(f"{made.notebook} would become pipelines/{made.name} (from {what})")
    click.echo(f"Cells: {len(made.kept)} of {len(made.cells)} kept")
    for cell in made.cells:
        mark = "keep" if cell.kept else "drop"
        back = "" if cell.state in ("as_is", "failed") else f" [{cell.state}]"
        first = next((x for x in cell.source.split("\n") if x.strip()), "").strip()
        click.echo(f"  {mark} [{cell.seq}]{back} {first[:48]}  ({cell.reason})")
    for parameter in made.parameters:
        value = json.dumps(parameter.default)
        kind = parameter.schema.get("type", "any")
        left = "" if parameter.included else " (left out)"
        click.echo(f"  parameter {parameter.name}: {kind} = {value}  ({parameter.reason}){left}")
    for step in made.steps:
        cells = ", ".join(f"[{seq}]" for seq in step.cells)
        taken = ", ".join(f"{v} from {s}" for v, s in step.inputs.items())
        click.echo(f"  step {step.name}: {cells}" + (f"; takes {taken}" if taken else ""))
    for file in made.files:
        kept = f", kept as {file.snapshot}" if file.snapshot else ""
        click.echo(f"  reads {file.source}{kept}")
    for note in (*made.refused_cuts, *made.warnings):
        click.echo(f"Warning: {note}", err=True)


def _pair(label: str, text: str) -> None:
    click.echo(f"  {label:<9} {text}")
