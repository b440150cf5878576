"""Values in the source of a cell that are plain enough to be a seed; nothing is evaluated."""

from __future__ import annotations

import ast
import sys
from typing import Any

__all__ = ["MANY", "UNKNOWN", "Several", "attribute", "calculate", "plain", "put"]

MANY = 100  # More values are data, not seeds.
UNKNOWN: Any = object()


class Several(list[Any]):
    """The values that a loop gives to a name."""


def put(found: dict[str, list[Any]], label: str, value: Any) -> None:
    """Add a value, or each of several, that is not there yet."""
    known = found.setdefault(label, [])
    for item in value if type(value) is Several else [value]:
        if item not in known:
            known.append(item)


def plain(value: Any) -> Any:
    """A plain value, NumPy's integers as Python's; anything else is ``UNKNOWN``."""
    if value is None or type(value) in (int, str, float, Several):
        return value
    if type(value) in (list, tuple) and 0 < len(value) <= MANY:
        return list(value) if all(type(item) is int for item in value) else UNKNOWN
    numpy: Any = sys.modules.get("numpy")
    integer: Any = getattr(numpy, "integer", ()) if type(value).__module__ == "numpy" else ()
    if isinstance(value, integer):
        return int(value)
    return UNKNOWN


def attribute(holder: Any, name: str) -> Any:
    """An attribute that is simply there: no property and no ``__getattr__`` is run."""
    kinds = holder.__mro__ if issubclass(type(holder), type) else type(holder).__mro__
    try:
        own = object.__getattribute__(holder, "__dict__")
    except AttributeError:
        own = {}
    for values in (own, *(vars(kind) for kind in kinds)):
        if name in values:
            return values[name]
    return UNKNOWN


def calculate(left: Any, sign: ast.operator, right: Any) -> Any:
    """What an operator makes of two whole numbers, or of several and one."""
    if isinstance(left, Several) and type(right) is int:
        return Several(calculate(item, sign, right) for item in left)
    if isinstance(right, Several) and type(left) is int:
        return Several(calculate(left, sign, item) for item in right)
    if type(left) is not int or type(right) is not int or max(abs(left), abs(right)) >= 1 << 64:
        return UNKNOWN
    match sign:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Mod() if right > 0:
            return left % right
        case ast.Pow() if 0 <= right <= 64:
            return left**right
    return UNKNOWN
