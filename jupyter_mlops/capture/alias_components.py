"""Which names share mutable objects: components over the addresses that their values reach.

Only addresses are known here, and only those of values that were walked through.  An address that
was given to something new joins names that share nothing: they are then looked at once too often.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Components"]


class Components:
    """The names that reach each address; joined from one name to the next."""

    def __init__(self) -> None:
        self._reach: dict[str, frozenset[int]] = {}
        self._names: dict[int, set[str]] = {}

    def set(self, name: str, reach: frozenset[int]) -> None:
        """A name's value reaches these objects now, and no others."""
        before = self._reach.get(name, frozenset())
        if before == reach:
            return
        for address in before - reach:
            names = self._names[address]
            names.discard(name)
            if not names:
                del self._names[address]
        for address in reach - before:
            self._names.setdefault(address, set()).add(name)
        if reach:
            self._reach[name] = reach
        else:
            self._reach.pop(name, None)

    def drop(self, name: str) -> None:
        """A name is gone."""
        self.set(name, frozenset())

    def joined(self, names: Iterable[str]) -> list[frozenset[str]]:
        """The components that hold any of these names, each of two names or more."""
        found: list[frozenset[str]] = []
        done: set[str] = set()
        for name in names:
            if name in done:
                continue
            group, todo, seen = {name}, [name], set[int]()
            while todo:
                for address in self._reach.get(todo.pop(), frozenset()) - seen:
                    seen.add(address)
                    for other in self._names[address] - group:
                        group.add(other)
                        todo.append(other)
            done |= group
            if len(group) > 1:
                found.append(frozenset(group))
        return found
