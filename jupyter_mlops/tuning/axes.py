"""``NAME=VALUES`` as a person types it: lists, ranges and logarithmic ranges.

    C=0.1,1,10          a list; commas within brackets and quotes do not separate
    n=1:10:3            from 1 by 3 up to and including 10: 1, 4, 7, 10
    lr=log:1e-4:1e-1:4  four values, each a fixed factor from the last: 1e-4, 1e-3, 1e-2, 1e-1

A range is a range only where the parameter takes numbers: ``06:30`` may be a time of day.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any

from ..errors import ParameterError
from ..model.pipeline import Parameter
from ..model.search import Dimension
from ..pipelines import check_parameters

__all__ = ["MOST", "axis_values", "dimension_of", "grid", "split_axis"]

MOST = 10_000  # combinations
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*(?::\s*({_NUMBER})\s*)?")
_LOG = re.compile(rf"\s*log:\s*({_NUMBER})\s*:\s*({_NUMBER})\s*(?::\s*(\d+)\s*)?")


def split_axis(text: str, option: str) -> tuple[str, str]:
    """``NAME=VALUES`` in two.  Raises ``ParameterError`` that shows how ``option`` is written."""
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals or not name or not values.strip():
        example = "C=0.1,1,10" if option == "--sweep" else "C=log:1e-3:1e3"
        raise ParameterError(
            f"{option} {text!r} does not say NAME=VALUES", hint=f"For example {option} {example}"
        )
    return name, values


def axis_values(name: str, text: str, parameters: Sequence[Parameter], of: str) -> list[Any]:
    """The values that ``--sweep NAME=TEXT`` means, each checked against its parameter.

    Raises ``ParameterError``.
    """
    schema = _schema(name, parameters)
    found = _range(name, text, schema) if _takes_numbers(schema) else None
    texts = found if found is not None else _split(text)
    values = [check_parameters(parameters, {name: one}, of=of)[name] for one in texts]
    return _unique(values)


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination, the last axis changing fastest.  ``ParameterError`` for too many."""
    count = math.prod(len(values) for values in axes.values())
    if count > MOST:
        raise ParameterError(
            f"{count} combinations are more than {MOST}", hint="Give fewer values."
        )
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def dimension_of(name: str, text: str, parameters: Sequence[Parameter], of: str) -> Dimension:
    """What ``--space NAME=TEXT`` means: a range, a logarithmic range, or a list of choices.

    Raises ``ParameterError``, also where a bound does not fit the parameter.
    """
    schema = _schema(name, parameters)
    log, plain = _LOG.fullmatch(text), _RANGE.fullmatch(text)
    found = log or plain
    if found is None or not _takes_numbers(schema):
        return Dimension(name, "choice", choices=tuple(axis_values(name, text, parameters, of)))
    low, high, third = found.groups()
    check_parameters(parameters, {name: low}, of=of)
    check_parameters(parameters, {name: high}, of=of)
    whole = _is_whole(name, schema, parameters, (low, high, third if plain else None))
    if not float(low) < float(high) or (log and float(low) <= 0):
        raise ParameterError(
            f"{name}={text}: {'bounds above 0, ' if log else ''}the smaller first", parameter=name
        )
    if log and third is not None:
        raise ParameterError(
            f"{name}={text}: a search takes any value between the bounds",
            hint=f"Leave the number away: {name}=log:{low}:{high}",
            parameter=name,
        )
    if third is not None and float(third) <= 0:
        raise ParameterError(f"{name}={text}: the step must be above 0", parameter=name)
    return Dimension(
        name,
        "int" if whole else "float",
        float(low),
        float(high),
        None if third is None else float(third),
        log is not None,
    )


def _schema(name: str, parameters: Sequence[Parameter]) -> Mapping[str, Any]:
    return next((one.schema for one in parameters if one.name == name), {})


def _takes_numbers(schema: Mapping[str, Any]) -> bool:
    if not schema:
        return True
    options = [schema, *schema.get("anyOf", ())]
    types = [t for one in options for t in _types(one)]
    return "number" in types or "integer" in types


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", ())
    return [types] if isinstance(types, str) else list(types)


def _is_whole(
    name: str,
    schema: Mapping[str, Any],
    parameters: Sequence[Parameter],
    written: tuple[str | None, ...],
) -> bool:
    """Whether only whole numbers are meant: by the type, else by default and bounds together."""
    types = _types(schema)
    if "integer" in types and "number" not in types:
        return True
    default = next((one.default for one in parameters if one.name == name), None)
    whole = isinstance(default, int) and not isinstance(default, bool)
    return whole and all(re.fullmatch(r"[+-]?\d+", one) for one in written if one is not None)


def _range(name: str, text: str, schema: Mapping[str, Any]) -> list[str] | None:
    log = _LOG.fullmatch(text)
    if log is not None:
        return _log_range(name, text, log, "number" not in _types(schema) and bool(schema))
    plain = _RANGE.fullmatch(text)
    if plain is None:
        if text.strip().startswith("log:") or re.fullmatch(rf"{_NUMBER}:.*", text.strip()):
            raise ParameterError(
                f"{name}={text} is no range",
                hint="A range is START:STOP, START:STOP:STEP or log:START:STOP:COUNT.",
                parameter=name,
            )
        return None
    try:  # decimals: 0:1:0.1 ends at 1, which sums of floats miss
        start, stop, step = (Decimal(one) if one else Decimal(1) for one in plain.groups())
        steps = (stop - start) / step if step else Decimal(-1)
        count = int(steps) + 1 if steps >= 0 else 0
    except (InvalidOperation, OverflowError):
        count = 0
    if count < 1:
        raise ParameterError(
            f"{name}={text} is empty", hint="START:STOP:STEP, STOP included.", parameter=name
        )
    if count > MOST:
        raise ParameterError(f"{name}={text} has {count} values, more than {MOST}", parameter=name)
    return [_shown(start + step * number) for number in range(count)]


def _shown(value: Decimal) -> str:
    """A decimal without needless zeros and without an exponent where it is a whole number."""
    return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "g")


def _log_range(name: str, text: str, found: re.Match[str], whole: bool) -> list[str]:
    low, high, count = float(found[1]), float(found[2]), int(found[3] or 0)
    if low <= 0 or high <= 0 or not 2 <= count <= MOST:
        raise ParameterError(
            f"{name}={text} is no logarithmic range",
            hint="log:START:STOP:COUNT, both above 0, COUNT from 2.",
            parameter=name,
        )
    first, last = math.log10(low), math.log10(high)
    values = [10 ** (first + (last - first) * place / (count - 1)) for place in range(count)]
    values[0], values[-1] = low, high
    if whole:
        return [str(round(value)) for value in values]
    return [repr(float(f"{value:.12g}")) for value in values]


def _split(text: str) -> list[str]:
    """Split at commas that are not within brackets or double quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, sign in enumerate(text):
        if sign == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif not quoted and sign in "[{(":
            depth += 1
        elif not quoted and sign in "]})":
            depth -= 1
        elif sign == "," and depth <= 0 and not quoted:
            parts.append(text[start:place])
            start = place + 1
    return [part.strip() for part in [*parts, text[start:]]]


def _unique(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if not any(value == one and type(value) is type(one) for one in found):
            found.append(value)
    return found
