"""``jupyter mlops run --sweep``: options, progress and the table at the end."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..capture.redact import redact
from ..config import load_config
from ..errors import ParameterError, UsageError
from .output import duration, echo_json, number, table
from .run_parameters import given_parameters, parameter_words

if TYPE_CHECKING:
    from ..tuning import Combination, SweepOutcome

__all__ = ["axes_of", "read_combinations", "show_result", "show_sweep", "sweep_options"]

_F = TypeVar("_F", bound=Callable[..., Any])
# Options that are about one run, with the values that mean nothing was asked.
_OF_ONE_RUN = {"junit": None, "summary": None, "report": None, "base": None, "base_ref": None,
               "repeats": 0, "output": False}  # fmt: skip
_JOBS = click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N",
    help="How many runs of a sweep go on at once, at most one a processor.",
)  # fmt: skip
_RESUME = click.option(
    "--resume", is_flag=True, help="Take over what an earlier sweep of the same kind has finished."
)
_OPTIONS = (
    click.option(
        "--sweep", "sweeps", multiple=True, metavar="NAME=VALUES",
        help="Run for each value: C=0.1,1,10 or n=1:10:3 or lr=log:1e-4:1e-1:4; all combinations "
        "where it is given several times.",
    ),
    click.option(
        "--sweep-file", type=click.Path(path_type=Path), metavar="FILE",
        help="Run for each combination in a YAML, JSON or TOML file.",
    ),
    click.option(
        "--metric", metavar="NAME", help="What the runs of a sweep are ranked by."
    ),
    click.option(
        "--direction", type=click.Choice(["higher", "lower"]),
        help="Which values of the metric are better; by its name, if not given.",
    ),
)  # fmt: skip


def sweep_options(command: _F) -> _F:
    """Add the options to ``run``; with ``--sweep`` the command itself is not called.

    ``--jobs`` and ``--resume`` are added where the command has none of its own.
    """
    known = {parameter.name for parameter in getattr(command, "__click_params__", ())}
    own = [option for name, option in (("jobs", _JOBS), ("resume", _RESUME)) if name not in known]

    @functools.wraps(command)
    def wrapped(**kwargs: Any) -> Any:
        given = {n: kwargs.pop(n) for n in ("sweeps", "sweep_file", "metric", "direction")}
        if given["sweeps"] or given["sweep_file"] is not None:
            return _sweep(**given, **kwargs)
        if given["metric"] or given["direction"]:
            raise UsageError("--metric and --direction rank a sweep", hint="Give --sweep, too.")
        for name in ("jobs", "resume"):
            if name not in known and kwargs.pop(name):
                raise UsageError(f"--{name} is for a sweep", hint="Give --sweep, too.")
        return command(**kwargs)

    decorated: Any = wrapped
    for option in reversed([*_OPTIONS, *own]):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def axes_of(texts: Sequence[str], option: str) -> dict[str, str]:
    """``NAME=VALUES`` by name.  Raises ``ParameterError``, also for a name that is there twice."""
    from ..tuning import split_axis

    axes: dict[str, str] = {}
    for text in texts:
        name, values = split_axis(text, option)
        if name in axes:
            raise ParameterError(f"{option} {name} is given twice", parameter=name)
        axes[name] = values
    return axes


def read_combinations(path: Path) -> list[dict[str, Any]]:
    """The combinations in a file: a list of objects, in TOML the list ``combinations``.

    Raises ``ParameterError`` that names the file.
    """
    from ..pipelines.parameter_listing import read_document

    data = read_document(path)
    if isinstance(data, dict) and set(data) == {"combinations"}:
        data = data["combinations"]
    if not isinstance(data, list) or not data or not all(isinstance(o, dict) for o in data):
        raise ParameterError(
            f"{path} must be a list of combinations, each with parameters by name", file=str(path)
        )
    return data


def _sweep(
    target: str,
    sweeps: Sequence[str],
    sweep_file: Path | None,
    metric: str | None,
    direction: str | None,
    **other: Any,
) -> int:
    from ..tuning import sweep
    from .run import project_of

    for name, usual in _OF_ONE_RUN.items():
        if other.get(name, usual) != usual:
            raise UsageError(f"--{name.replace('_', '-')} is about one run, not about a sweep")
    project = project_of(target)
    config = load_config(project.root)
    given = given_parameters(other["parameters"], other["parameter_files"])
    as_json = other["as_json"]

    def on_result(one: Combination, ended: int, count: int | None) -> None:
        show_result(one, ended, count, metric, as_json)

    outcome = sweep(
        project,
        config,
        target,
        axes_of(sweeps, "--sweep"),
        given,
        combinations=read_combinations(sweep_file) if sweep_file is not None else (),
        metric=metric,
        direction=direction,
        jobs=other.get("jobs"),
        resume=bool(other.get("resume")),
        timeout=other.get("timeout"),
        data=other.get("data", "auto"),
        on_result=on_result,
    )
    words = [w for name in sweeps for w in ("--sweep", name)]
    words += ["--sweep-file", str(sweep_file)] if sweep_file is not None else []
    again = ["jupyter", "mlops", "run", target, *words, *parameter_words(given), "--resume"]
    show_sweep(outcome, given, shlex.join(again), as_json)
    if other.get("require_delivery") and not outcome.delivered and outcome.exit_code == 0:
        return 5
    return outcome.exit_code


def show_result(
    one: Combination, ended: int, count: int | None, metric: str | None, as_json: bool
) -> None:
    """One line for a run that has ended."""
    of = "" if count is None else f"/{count}"
    line = f"[{ended}{of}] {_shown(one.parameters)}: "
    if one.done:
        values = one.metrics if metric is None else {
            name: value for name, value in one.metrics.items() if name == metric
        }  # fmt: skip
        text = ", ".join(f"{name} {number(value)}" for name, value in values.items())
        line += f"{text or 'done'} ({duration(one.seconds)})"
        line += ", from before" if one.state == "kept" else ""
    else:
        line += f"FAILED: {one.error}"
    click.echo(line, err=as_json)


def show_sweep(outcome: SweepOutcome, given: Mapping[str, Any], again: str, as_json: bool) -> None:
    """The table, best first, and what to do next."""
    if as_json:
        echo_json(outcome.to_dict())
        return
    names = list(dict.fromkeys(name for one in outcome.combinations for name in one.parameters))
    metrics = list(dict.fromkeys(name for one in outcome.combinations for name in one.metrics))
    if outcome.metric in metrics:
        metrics.remove(str(outcome.metric))
        metrics.insert(0, str(outcome.metric))
    click.echo()
    table(
        ("", *names, *metrics, "TIME", "RUN"),
        [
            (
                str(place) if one.done else one.state,
                *(_text(name, one.parameters.get(name)) for name in names),
                *(number(one.metrics.get(name)) for name in metrics),
                duration(one.seconds) if one.run_id else "-",
                one.run_id or "-",
            )
            for place, one in enumerate(outcome.ranked, start=1)
        ],
        empty="Nothing was run.",
    )
    counts = [one.done for one in outcome.combinations]
    said = f"{sum(counts)} of {len(counts)} finished in {duration(outcome.seconds)}"
    click.echo(f"\n{said}: run {outcome.run_id}")
    best = outcome.best
    if best is not None:
        better = "lowest" if outcome.direction == "lower" else "highest"
        value = number(best.metrics[str(outcome.metric)])
        click.echo(f"  best      {_shown(best.parameters)}: {better} {outcome.metric}, {value}")
        words = ["jupyter", "mlops", "run", outcome.target]
        words += parameter_words({**given, **best.parameters})
        click.echo(f"  run it    {shlex.join(words)}")
    if outcome.exit_code:
        click.echo(f"  go on     {again}")
    click.echo(f"  see       jupyter mlops runs show {outcome.run_id}")
    for warning in outcome.warnings:
        click.echo(f"Warning: {warning}", err=True)


def _shown(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_text(name, value)}" for name, value in parameters.items())


def _text(name: str, value: Any) -> str:
    shown = redact(name, value)
    if isinstance(shown, float):
        return number(shown)
    return shown if isinstance(shown, str) else json.dumps(shown)
