"""What a cell really bound: the notebook's namespace before and after it.

Only addresses are kept from before, never the objects: a cell that replaces a frame must not hold
the old one in memory.  An address can be reused by a new object once the old one is gone, so plain
scalars, which are what that happens to, are held for as long as the cell runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from itertools import compress
from typing import Any

from .cellcode import CellCode

__all__ = ["Namespace", "bound_names"]

_PLAIN = frozenset({int, float, complex})
_with_numpy: frozenset[type] | None = None
_SMALL_INTS = range(-5, 257)  # CPython has one object for each of these.


class Namespace:
    """The addresses that the names of a namespace had at one moment."""

    __slots__ = ("_addresses", "_held")

    # These loops run for every cell over every name there is: nothing is called in them but `id`.
    def __init__(self, namespace: dict[str, Any]) -> None:
        namespace = _steady(namespace)
        self._addresses = {name: id(value) for name, value in namespace.items()}
        held, values = _held_types(), namespace.values()
        self._held = list(compress(values, map(held.__contains__, map(type, values))))

    def had(self, name: str, value: Any) -> bool:
        """Whether ``name`` was bound to this very object."""
        return self._addresses.get(name) == id(value)

    def changed(self, namespace: dict[str, Any]) -> list[str]:
        """Names that are bound to another object now, or were not bound then."""
        had = self._addresses.get
        return [name for name, value in _steady(namespace).items() if had(name) != id(value)]


def bound_names(
    before: Namespace,
    namespace: dict[str, Any],
    code: CellCode | None,
    *,
    hidden: Mapping[str, Any],
    finished: bool,
    again: Callable[[str], bool] = lambda name: False,
) -> tuple[str, ...]:
    """Return the public names that a cell bound, those of its source first and in its order.

    A name is bound if its object changed; or if the source binds it for certain and the cell
    ``finished``; or if the source may bind it, its object is one that CPython shares (small
    integers, ``True``, ``None``) so that nothing can be seen, and this cell bound it the last time,
    too (``again``).  ``hidden`` are the shell's own names.
    """
    kinds = code.kinds if code is not None else {}
    certain = code.certain if code is not None else set()
    changed = before.changed(namespace)
    seen = set(changed)

    def was_bound(name: str) -> bool:
        if name in seen:
            return True
        if name in certain:
            return finished
        return _is_shared(namespace[name]) and again(name)

    def is_public(name: str) -> bool:
        return name[:1] != "_" and (name not in hidden or hidden[name] is not namespace.get(name))

    first = [n for n in kinds if n in namespace and is_public(n) and was_bound(n)]
    return tuple(first + [n for n in changed if n not in kinds and is_public(n)])


def _held_types() -> frozenset[type]:
    """The types of plain scalars, NumPy's among them if it is loaded."""
    global _with_numpy
    numpy: Any = sys.modules.get("numpy")
    if not hasattr(numpy, "generic"):
        return _PLAIN
    if _with_numpy is None:
        found, todo = set(_PLAIN), [numpy.generic]
        while todo:
            kind = todo.pop()
            found.add(kind)
            todo.extend(kind.__subclasses__())
        _with_numpy = frozenset(found)
    return _with_numpy


def _steady(namespace: dict[str, Any]) -> dict[str, Any]:
    """A copy in one step, so that a thread of the person's cannot change it while it is walked."""
    return dict(namespace)


def _is_shared(value: Any) -> bool:
    if value is None or type(value) is bool:
        return True
    return type(value) is int and value in _SMALL_INTS
