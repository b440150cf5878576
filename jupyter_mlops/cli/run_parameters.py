"""Parameters on the command line: ``-p``, ``--params FILE`` and what ``--help`` lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..capture.redact import redact
from ..errors import MlopsError

__all__ = [
    "ParameterCommand",
    "given_parameters",
    "parameter_option",
    "parameter_words",
    "params_option",
]

_Pairs = Sequence[tuple[str, str]]
params_option: Callable[[Any], Any] = click.option(
    "--params",
    "parameter_files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Read parameters from a YAML, JSON or TOML file; -p wins.",
)


def parameter_option(does: str = "Set a parameter") -> Callable[[Any], Any]:
    """``-p NAME VALUE``; ``does`` begins its help."""
    return click.option(
        "-p",
        "--parameter",
        "parameters",
        type=(str, str),
        multiple=True,
        metavar="NAME VALUE",
        help=f"{does}; may be given several times.",
    )


def given_parameters(pairs: _Pairs, files: Sequence[Path] = ()) -> dict[str, Any]:
    """The parameters that were given: those of files in order, then those of ``-p``.

    Raises ``ParameterError`` that names a file which cannot be read.
    """
    given: dict[str, Any] = {}
    if files:
        from ..pipelines.parameter_listing import read_parameters

        for file in files:
            given |= read_parameters(file)
    return given | dict(pairs)


def parameter_words(given: dict[str, Any]) -> list[str]:
    """The words of a command line that give these parameters, without secrets."""
    words = []
    for name, value in given.items():
        shown = redact(name, value)
        words += ["-p", name, shown if isinstance(shown, str) else json.dumps(shown)]
    return [str(word) for word in words]


class ParameterCommand(click.Command):
    """A command whose help page ends with the parameters of its target, where one is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words: ``--help`` is answered before they are understood."""
        ctx.meta["jupyter_mlops.words"] = list(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options and then the parameters."""
        super().format_options(ctx, formatter)
        target = self._target(ctx)
        if target is None:
            return
        from ..pipelines.parameter_listing import target_parameters
        from .run import project_of

        try:
            found = target_parameters(project_of(target), target)
        except MlopsError as error:
            with formatter.section(f"Parameters of {target}"):
                formatter.write_text(error.message)
            return
        with formatter.section(f"Parameters of {found.target}"):
            rows = [
                (name, f"{about + '; ' if about else ''}{kind}  [{_default(default)}]")
                for name, kind, default, about in found.rows()
            ]
            if rows:
                formatter.write_dl(rows)
            else:
                formatter.write_text("none")

    def _target(self, ctx: click.Context) -> str | None:
        words = ctx.meta.get("jupyter_mlops.words") or []
        with click.Context(self, resilient_parsing=True) as quiet:
            values, _, _ = self.make_parser(quiet).parse_args(list(words))
        name = next(p.name for p in self.params if isinstance(p, click.Argument))
        target = values.get(str(name))
        return target if isinstance(target, str) else None


def _default(text: str) -> str:
    return text if text in ("required", "computed") else f"default: {text}"
