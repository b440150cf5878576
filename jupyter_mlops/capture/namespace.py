"""What a cell really bound: the notebook's namespace before and after it.

Only addresses are kept from before, never the objects: a cell that replaces a frame must not hold
the old one in memory.  An address can be reused by a new object once the old one is gone, so plain
scalars, which are what that happens to, are held for as long as the cell runs.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping
from typing import Any

from .cellcode import CellCode

__all__ = ["Namespace", "as_metric", "bound_names", "metrics"]

_HELD = frozenset({int, float, complex, bool, type(None), bytes})
_NOT_METRICS = frozenset({"loop", "import", "with", "except", "def", "del"})
_SMALL_INTS = range(-5, 257)  # CPython has one object for each of these.


class Namespace:
    """The addresses that the public names of a namespace had at one moment."""

    __slots__ = ("_addresses", "_held")

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        items = _items(namespace)
        self._addresses = {name: id(value) for name, value in items if name[:1] != "_"}
        numpy = sys.modules.get("numpy")
        generic: Any = getattr(numpy, "generic", ())
        self._held = [
            value for _, value in items if type(value) in _HELD or isinstance(value, generic)
        ]

    def had(self, name: str, value: Any) -> bool:
        """Whether ``name`` was bound to this very object."""
        return self._addresses.get(name) == id(value)

    def __contains__(self, name: str) -> bool:
        return name in self._addresses


def bound_names(
    before: Namespace,
    namespace: Mapping[str, Any],
    code: CellCode | None,
    *,
    hidden: Mapping[str, Any],
    finished: bool,
    again: Container[str] = (),
) -> tuple[str, ...]:
    """Return the public names that a cell bound, those of its source first and in its order.

    A name is bound if its object changed; or if the source binds it for certain and the cell
    ``finished``; or if the source may bind it, its object is one that CPython shares (small
    integers, ``True``, ``None``) so that nothing can be seen, and this cell bound it the last time,
    too (``again``).  ``hidden`` are the shell's own names.
    """
    present = {n: v for n, v in _items(namespace) if n[:1] != "_" and not _is_hidden(hidden, n, v)}
    kinds = code.kinds if code is not None else {}
    certain = code.certain if code is not None else set()

    def was_bound(name: str, value: Any) -> bool:
        if not before.had(name, value):
            return True
        if name in certain:
            return finished
        return name in kinds and name in again and _is_shared(value)

    first = [n for n in kinds if n in present and was_bound(n, present[n])]
    rest = [n for n in present if n not in kinds and not before.had(n, present[n])]
    return tuple(first + rest)


def metrics(
    bound: tuple[str, ...], namespace: Mapping[str, Any], code: CellCode | None
) -> dict[str, float]:
    """Return the numeric scalars among ``bound``, without literals and loop variables."""
    found = {}
    for name in bound:
        kinds = code.kinds.get(name, set()) if code is not None else set()
        if kinds & _NOT_METRICS or kinds == {"literal"}:
            continue
        value = as_metric(namespace.get(name))
        if value is not None:
            found[name] = value
    return found


def as_metric(value: Any) -> float | None:
    """A plain or NumPy real number (also a 0-d array) as a float; ``None`` for anything else.

    Not a truth value.  NaN and infinities are kept: a diverged loss is a result.
    """
    if type(value) not in (int, float):
        numpy = sys.modules.get("numpy")
        if numpy is None or type(value).__module__.partition(".")[0] != "numpy":
            return None
        kind = isinstance(value, (numpy.generic, numpy.ndarray)) and value.dtype.kind
        if not kind or kind not in "iuf" or value.ndim != 0:
            return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float
        return None


def _items(namespace: Mapping[str, Any]) -> list[tuple[str, Any]]:
    for _ in range(3):
        try:
            return list(namespace.items())
        except RuntimeError:  # a thread of the person's added a name meanwhile
            continue
    return []


def _is_hidden(hidden: Mapping[str, Any], name: str, value: Any) -> bool:
    return name in hidden and hidden[name] is value


def _is_shared(value: Any) -> bool:
    if value is None or type(value) is bool:
        return True
    return type(value) is int and value in _SMALL_INTS
