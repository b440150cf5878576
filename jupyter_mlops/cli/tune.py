"""``jupyter mlops tune``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load_config
from ..model.search import SAMPLERS
from .output import json_option
from .run_parameters import (
    ParameterCommand,
    given_parameters,
    parameter_option,
    parameter_words,
    params_option,
)
from .run_sweep import axes_of, show_result, show_sweep

if TYPE_CHECKING:
    from ..tuning import Combination

__all__ = ["tune"]


@click.command(cls=ParameterCommand)
@click.argument("target")
@click.option("--metric", required=True, metavar="NAME", help="What to make as good as it gets.")
@click.option(
    "--direction", type=click.Choice(["higher", "lower"]),
    help="Which values of the metric are better; by its name, if not given.",
)  # fmt: skip
@click.option(
    "--space", "spaces", multiple=True, required=True, metavar="NAME=VALUES",
    help="What to search: C=log:1e-3:1e3, n=1:10, x=0:1:0.25 or kernel=rbf,linear; may be given "
    "several times.",
)  # fmt: skip
@click.option(
    "--trials", type=click.IntRange(min=1), metavar="N",
    help="How many runs in all, those before --resume included; 20, or the whole grid.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="Begin no further run after this time.",
)  # fmt: skip
@click.option(
    "--sampler", type=click.Choice(SAMPLERS), default="tpe", show_default=True,
    help="How values are chosen.",
)  # fmt: skip
@click.option("--seed", type=int, metavar="N", help="Choose the same values each time.")
@click.option("--study", metavar="NAME", help="The search's name; the target's, if not given.")
@click.option("--resume", is_flag=True, help="Go on with a study, also after a crash.")
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="How many runs go on at once, at most one a processor.",
)  # fmt: skip
@parameter_option("Set a parameter for all runs")
@params_option
@click.option(
    "--data", type=click.Choice(["auto", "source", "pinned"]), default="auto", show_default=True,
    help="What a promoted pipeline reads: its sources, its snapshots, or what is here.",
)  # fmt: skip
@json_option
def tune(
    target: str,
    metric: str,
    direction: str | None,
    spaces: tuple[str, ...],
    trials: int | None,
    timeout: float | None,
    sampler: str,
    seed: int | None,
    study: str | None,
    resume: bool,
    jobs: int | None,
    parameters: tuple[tuple[str, str], ...],
    parameter_files: tuple[Path, ...],
    data: str,
    as_json: bool,
) -> int:
    """Search the parameters with which a pipeline or a notebook gets the best metric.

    TARGET is a pipeline's name, its folder, or a notebook (.ipynb).  Each trial is a run of its
    own, nested in one.  The search is Optuna's and is kept in .mlops/tuning.db.
    """
    from ..tuning import tune as search
    from .run import project_of

    project = project_of(target)
    given = given_parameters(parameters, parameter_files)

    def on_result(one: Combination, ended: int, count: int | None) -> None:
        show_result(one, ended, count, metric, as_json)

    outcome = search(
        project,
        load_config(project.root),
        target,
        axes_of(spaces, "--space"),
        metric=metric,
        trials=trials,
        direction=direction,
        parameters=given,
        timeout=timeout,
        sampler=sampler,
        seed=seed,
        study=study,
        resume=resume,
        jobs=jobs,
        data=data,
        on_result=on_result,
    )
    again = ["jupyter", "mlops", "tune", target, "--metric", metric, "--sampler", sampler]
    again += [word for space in spaces for word in ("--space", space)]
    again += ["--direction", outcome.direction, "--study", str(outcome.study)]
    again += ["--trials", str(trials)] if trials is not None else []
    show_sweep(outcome, given, shlex.join([*again, *parameter_words(given), "--resume"]), as_json)
    return outcome.exit_code
