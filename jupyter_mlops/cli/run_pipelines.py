"""Options of ``jupyter mlops run`` that are about the steps of a pipeline."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

__all__ = ["RunCommand", "pipeline_options"]

_FOREVER = "forever"
# Options whose value may be missing, with what that means and what can be a value: another word
# behind the option is the target.
_OPTIONAL = {
    "--resume": ("last", re.compile(r"last|0[0-9A-Za-z]{2,25}|[0-9a-f]{32}")),
    "--wait": (_FOREVER, re.compile(r"[0-9]*\.?[0-9]+|forever")),
}


class RunCommand(click.Command):
    """A command that takes ``--resume`` and ``--wait`` with and without a value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give the bare options the value that they stand for."""
        return super().parse_args(ctx, _with_values(args))

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; SIGTERM before there is a run to end is an end by a signal, too."""
        from ..pipelines.interrupts import Terminated, exit_code_of

        try:
            return super().invoke(ctx)
        except Terminated as ended:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(exit_code_of(ended)) from None


def _with_values(args: list[str]) -> list[str]:
    filled: list[str] = []
    for at, word in enumerate(args):
        if word == "--":
            return [*filled, *args[at:]]
        if word in _OPTIONAL:
            usual, value = _OPTIONAL[word]
            following = args[at + 1] if at + 1 < len(args) else ""
            word = word if value.fullmatch(following) else f"{word}={usual}"
        filled.append(word)
    return filled


class _Patience(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Seconds, or as long as it takes."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bool | float:
        if isinstance(value, bool) or value == _FOREVER:
            return bool(value)
        seconds = click.FloatRange(min=0).convert(value, param, ctx)
        return float(seconds)


def pipeline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; they are parameters of ``run_pipeline``, but for ``why``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="How many steps may run at once; as many as there are processors, if not given.",
    ),
    click.option(
        "--cell-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="End a cell that takes longer, whatever the pipeline says of it.",
    ),
    click.option("--fail-fast", is_flag=True, help="When a step fails, end the others."),
    click.option(
        "--resume",
        metavar="[RUN]",
        help="Take over the finished steps of an earlier run; of the newest, if none is named.",
    ),
    click.option(
        "--wait",
        type=_Patience(),
        default=False,
        metavar="[SECONDS]",
        help="Wait for another run of the pipeline to end, instead of refusing.",
    ),
    click.option(
        "--cache/--no-cache",
        default=True,
        help="Take steps from the step cache and keep them in it, or neither.",
    ),
    click.option("--why", is_flag=True, help="Say why each step was taken from the cache or ran."),
)
