"""The options of ``%%track``: parsed by hand, since a bad option must never cost a run.

A bad option is a warning that names it; the cell runs and is recorded as if it had not been given.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import UsageError

__all__ = ["OPTIONS", "TrackOptions", "parse_options", "parse_tags"]

# option -> (placeholder of its value, or None; one line of help)
OPTIONS: dict[str, tuple[str | None, str]] = {
    "--register": ("NAME", "make a version of the registered model NAME from this cell's model"),
    "--experiment": ("E", "MLflow experiment of the run; the default is the project's name"),
    "--name": ("N", "name of the run"),
    "--tag": ("K=V", "a tag of the run; may be given several times"),
    "--param": ("NAME", "record this variable as a parameter; may be given several times"),
    "--metric": ("EXPR", "record the value of EXPR, or NAME=EXPR, after the cell; several times"),
    "--allow-pickle": (None, "keep models that only a pickle can hold: loading one runs its code"),
    "--no-models": (None, "do not keep the fitted models"),
    "--no-snapshots": (None, "do not keep the data that the cell reads"),
    "--dry-run": (None, "show what would be recorded, and record nothing"),
}
_TAG_KEY = re.compile(r"[\w.\-/ :]{1,250}")  # What MLflow takes as a key.
_LIMIT = 500  # Characters of a name or a tag's value: MLflow's own limit on most stores.


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """What one ``%%track`` line asks for.  ``metrics`` are pairs of a name and an expression."""

    register: str | None = None
    experiment: str | None = None
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    models: bool = True
    dry_run: bool = False
    allow_pickle: bool = False
    snapshots: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the options as the journal's ``CellEvent.options`` holds them."""
        return {
            "register": self.register,
            "experiment": self.experiment,
            "name": self.name,
            "tags": dict(self.tags),
            "params": list(self.params),
            "metrics": [list(pair) for pair in self.metrics],
            "allow_pickle": self.allow_pickle,
            "models": self.models,
            "dry_run": self.dry_run,
            "snapshots": self.snapshots,
        }


def parse_options(line: str) -> tuple[TrackOptions, tuple[str, ...]]:
    """Parse what follows ``%%track``; return the options and one warning for each bad one.

    Quotes are the shell's.  Never raises.
    """
    options = TrackOptions()
    warnings: list[str] = []
    words, problem = _split(line)
    if problem:
        warnings.append(problem)
    for word, value, complaint in _pairs(words):
        if complaint is None:
            try:
                options = _with(options, word, value)
            except UsageError as error:
                complaint = f"{error.message}. {error.hint}" if error.hint else error.message
        if complaint is not None:
            warnings.append(f"%%track {word}: {complaint}; recorded without it")
    if options.register is not None and not options.models:
        warnings.append("%%track --no-models: --register needs the model; recorded without it")
        options = replace(options, models=True)
    return options, tuple(warnings)


def parse_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags as text; raises ``UsageError`` that names a key MLflow does not take."""
    for key in tags:
        if not isinstance(key, str) or _TAG_KEY.fullmatch(key) is None:
            raise UsageError(
                f"{key!r} cannot be the name of a tag",
                hint="Use letters, digits, spaces and . _ - / :, at most 250 characters.",
            )
    return {key: str(value) for key, value in tags.items()}


def _split(line: str) -> tuple[list[str], str | None]:
    try:
        return shlex.split(line), None
    except ValueError:
        return line.split(), f"%%track: unbalanced quotes in {line.strip()!r}; split at spaces"


def _pairs(words: list[str]) -> Iterator[tuple[str, str, str | None]]:
    """Yield ``(option, value, complaint)``: ``--x=v``, ``--x v`` and flags alike."""
    position = 0
    while position < len(words):
        word, equals, value = words[position].partition("=")
        position += 1
        if word not in OPTIONS:
            if word.startswith("--"):
                # What follows is its value, not one more mistake.
                follows = position < len(words) and not words[position].startswith("--")
                position += follows and not equals
                yield word, "", _unknown(word)
            else:
                yield words[position - 1], "", "not an option"
            continue
        wanted = OPTIONS[word][0]
        if wanted is None:
            yield word, "", "takes no value" if equals else None
            continue
        if not equals:
            if position == len(words) or words[position].startswith("--"):
                yield word, "", f"needs a value ({word} {wanted})"
                continue
            value = words[position]
            position += 1
        yield word, value, None if value.strip() else f"needs a value ({word} {wanted})"


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, OPTIONS, n=1)
    return f"unknown option, did you mean {near[0]}?" if near else "unknown option"


def _with(options: TrackOptions, option: str, value: str) -> TrackOptions:
    """Return the options with one more; raises ``UsageError`` for a value that cannot be."""
    if option == "--no-models":
        return replace(options, models=False)
    if option == "--no-snapshots":
        return replace(options, snapshots=False)
    if option == "--dry-run":
        return replace(options, dry_run=True)
    if option == "--allow-pickle":
        return replace(options, allow_pickle=True)
    if option == "--param":
        if not value.isidentifier():
            raise UsageError(f"{value!r} is not the name of a variable")
        return replace(options, params=(*options.params, value))
    if option == "--metric":
        return replace(options, metrics=(*options.metrics, _metric(value)))
    if option == "--register":
        from ..model.registry import check_model_name

        return replace(options, register=check_model_name(value))
    if option == "--tag":
        key, equals, text = value.partition("=")
        if not equals or _TAG_KEY.fullmatch(key) is None:
            raise UsageError(f"{value!r} is not of the form key=value")
        return replace(options, tags={**options.tags, key: _short(text)})
    if option == "--experiment":
        return replace(options, experiment=_short(value))
    return replace(options, name=_short(value))


def _metric(text: str) -> tuple[str, str]:
    """``NAME=EXPR`` or ``EXPR``, which then names itself."""
    name, equals, expression = text.partition("=")
    if equals and name.strip().isidentifier() and expression[:1] not in ("", "="):
        name = name.strip()
    else:
        name, expression = "", text
    try:
        tree = ast.parse(expression.strip(), "<--metric>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{expression!r} is not a Python expression") from error
    from .cellcode import label

    return name or label(tree.body), expression.strip()


def _short(text: str) -> str:
    if len(text) > _LIMIT:
        raise UsageError(f"longer than {_LIMIT} characters")
    return text
