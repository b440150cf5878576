"""The order of a pipeline's steps: pure functions over names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["ancestors", "execution_order", "find_cycle", "is_chain"]


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return names that need each other in a ring, first one repeated at the end, or ``None``."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        pending: list[tuple[str, int]] = [(start, 0)]
        while pending:
            name, position = pending.pop()
            if position == 0:
                if name in path:
                    return [*path[path.index(name) :], name]
                if name in done:
                    continue
                path.append(name)
            following = needs.get(name, ())
            if position < len(following):
                pending.append((name, position + 1))
                pending.append((following[position], 0))
            else:
                path.pop()
                done.add(name)
    return None


def execution_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each comes after what it needs, else in the order given.

    There must be no cycle and no name that is not a key.
    """
    ordered: list[str] = []
    remaining = list(needs)
    while remaining:
        ready = next(name for name in remaining if all(n in ordered for n in needs[name]))
        ordered.append(ready)
        remaining.remove(ready)
    return ordered


def ancestors(name: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return everything that ``name`` needs, directly or not."""
    found: set[str] = set()
    pending = list(needs.get(name, ()))
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending.extend(needs.get(one, ()))
    return found


def is_chain(needs: Mapping[str, Sequence[str]]) -> bool:
    """Whether each name needs the one before it, directly or not: no two can be done at once.

    The names must be in an order in which they can be done.
    """
    names = list(needs)
    return all(a in ancestors(b, needs) for a, b in pairwise(names))
