"""The numbers that a cell computed: scalars, dictionaries of scalars, its last expression."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .cellcode import CellCode

__all__ = ["as_metric", "evaluate", "last_value", "metrics"]

_NOT_METRICS = frozenset({"loop", "import", "with", "except", "def", "del"})
# A dictionary of settings is no result, however it was made.
_SETTINGS = re.compile(
    r"(^|_)(param(eter)?s?|config|cfg|kwargs|args|settings|options|grid|space|weights?|mapping|map)"
    r"(_|$)",
    re.IGNORECASE,
)
# Names that say no more than that the dictionary holds metrics.
_BARE = frozenset({"metric", "metrics", "score", "scores", "result", "results", "report"})
_ENTRIES = 200  # A longer dictionary is data.
_DEPTH = 2  # classification_report(output_dict=True) has two levels.


def metrics(
    bound: Iterable[str], namespace: Mapping[str, Any], code: CellCode | None
) -> dict[str, float]:
    """Return the numbers among ``bound``, without literals and loop variables.

    A dictionary of scalars counts by its entries: ``name.key``, and only ``key`` where the name
    says no more than ``metrics`` or ``scores``.
    """
    found: dict[str, float] = {}
    for name in bound:
        kinds = code.kinds.get(name, set()) if code is not None else set()
        if kinds & _NOT_METRICS or kinds == {"literal"}:
            continue
        found |= _named(name, namespace.get(name))
    return found


def last_value(name: str | None, value: Any) -> dict[str, float]:
    """What the last expression of a cell, called ``name``, is as metrics; empty for anything else.

    A truth value is none, nor is a count that a method returned in passing.
    """
    return {} if name is None or value is None else _named(name, value)


def evaluate(
    expressions: Iterable[tuple[str, str]], namespace: dict[str, Any]
) -> tuple[dict[str, float], list[str]]:
    """Evaluate ``--metric`` expressions after the cell; return the numbers and what went wrong."""
    found: dict[str, float] = {}
    problems = []
    for name, expression in expressions:
        try:
            # The person's own words, in the person's own namespace, as if at the cell's end.
            value = eval(expression, namespace)  # noqa: S307
        except Exception as error:
            problems.append(f"--metric {expression}: {type(error).__name__}: {error}")
            continue
        values = _named(name, value)
        if not values:
            kind = type(value).__name__
            problems.append(f"--metric {expression}: {kind} is no number, nor a dictionary of them")
        found |= values
    return found, problems


def as_metric(value: Any) -> float | None:
    """A plain or NumPy real number (also a 0-d array or tensor) as a float; else ``None``.

    Not a truth value.  NaN and infinities are kept: a diverged loss is a result.
    """
    if type(value) not in (int, float):
        home = type(value).__module__.partition(".")[0]
        if home == "torch":
            return _of_tensor(value)
        numpy = sys.modules.get("numpy")
        if numpy is None or home != "numpy":
            return None
        kind = isinstance(value, (numpy.generic, numpy.ndarray)) and value.dtype.kind
        if not kind or kind not in "iuf" or value.ndim != 0:
            return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float
        return None


def _named(name: str, value: Any) -> dict[str, float]:
    number = as_metric(value)
    if number is not None:
        return {name: number}
    if type(value) is not dict or _SETTINGS.search(name):
        return {}
    prefix = "" if name.lower() in _BARE else f"{name}."
    return dict(_entries(prefix, value, _DEPTH)) if _is_scalars(value, _DEPTH) else {}


def _is_scalars(value: dict[Any, Any], depth: int) -> bool:
    """Whether a dictionary holds scalars only, numbers among them, maybe one level below."""
    if not 0 < len(value) <= _ENTRIES or not all(type(key) in (str, int, bool) for key in value):
        return False
    numbers = False
    for item in value.values():
        if type(item) is dict:
            if depth < 2 or not _is_scalars(item, depth - 1):
                return False
            numbers = True
        elif as_metric(item) is not None:
            numbers = True
        elif not (item is None or type(item) in (str, bool)):
            return False
    return numbers


def _entries(prefix: str, value: dict[Any, Any], depth: int) -> Iterator[tuple[str, float]]:
    for key, item in value.items():
        if type(item) is dict:
            yield from _entries(f"{prefix}{key}.", item, depth - 1)
        else:
            number = as_metric(item)
            if number is not None:
                yield f"{prefix}{key}", number


def _of_tensor(value: Any) -> float | None:
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    if tensor is None or not isinstance(value, tensor):
        return None
    try:
        if value.dim() != 0 or not (value.is_floating_point() or value.dtype.itemsize > 1):
            return None
        return float(value.item())
    except Exception:  # a tensor without data
        return None
