"""What runs without a call being written: operators, going over an iterator, letting go."""

from __future__ import annotations

from collections.abc import Iterable

from .arguments import Arguments
from .functions import Functions
from .heap import EMPTY, Kind, Thing, Value, elements
from .known_methods import words
from .protocols import BUILTIN, OUTSIDE

__all__ = ["USED_UP", "Implicit"]

USED_UP = frozenset({Kind.ITERATOR, Kind.HANDLE})
# Called when an object is made or ends, or by name; everything else a library may call.
_APART = words(
    "__init__ __new__ __post_init__ __init_subclass__ __set_name__ __class_getitem__ __del__ "
    "__enter__ __exit__ __aenter__ __aexit__"
)


class Implicit(Functions):
    """Methods of the notebook's classes that Python calls by itself."""

    def consume(self, value: Iterable[Thing], *, deep: bool = False) -> Value:
        """Go on with iterators, generators, coroutines and handles: they and their sources change.

        ``deep``: also with those inside of what is given.  Returns what they may give.
        """
        stack = list(self.reach(value) if deep else value)
        spent: set[Thing] = set()
        while stack:
            thing = stack.pop()
            if thing.kind in USED_UP and thing not in spent:
                spent.add(thing)
                stack.extend(thing.holds)
        if not spent:
            return EMPTY
        self.mutate(spent)
        found: set[Thing] = set()
        for thing in spent:
            given: Value = EMPTY
            if thing.resume is not None and thing not in self.resuming:
                self.resuming.add(thing)
                try:
                    given = thing.resume(self)
                finally:
                    self.resuming.discard(thing)
            if thing.kind is Kind.ITERATOR and any(
                t.kind in (Kind.FUNCTION, Kind.METHOD) for t in thing.holds
            ):
                rest = frozenset(thing.holds)
                given |= self.call_back(rest | self._sources(rest))
            self.hold([thing], given)
            found |= given
        return frozenset(found)

    @staticmethod
    def _sources(value: Value) -> Value:
        return EMPTY.union(*(elements({t}) for t in value if t.kind in USED_UP))

    def iterate(self, value: Value) -> Value:
        """What going over the value gives; iterators and strangers are used up by it."""
        self.mutate(t for t in value if t.kind is Kind.UNKNOWN)
        given = self.consume(value)
        own = self.special(value, "__iter__", "__aiter__", "__getitem__", "__len__")
        given |= self.consume(own)
        own |= self.special(own | value, "__next__", "__anext__")
        return elements(value) | given | own | elements(own)

    def implicit(self, value: Value, names: Iterable[str] | None = None) -> Value:
        """Let these methods of instances, and of those one step inside, be called.

        Without ``names`` all that a library may call by itself.
        """
        result: Value = EMPTY
        for thing in value | elements(value):
            if thing.kind is not Kind.INSTANCE:
                continue
            wanted = self.dunders(thing) if names is None else names
            result |= self.special(frozenset({thing}), *wanted, arguments=Arguments(rest=value))
        return result

    def dunders(self, thing: Thing) -> list[str]:
        """Methods of an instance's classes that Python or a library may call by itself."""
        found: dict[str, None] = {}
        todo = list(thing.bases)
        while todo:
            base = todo.pop()
            todo.extend(base.bases)
            for name in base.members:
                if name[:2] == "__" == name[-2:] and name not in _APART:
                    found[name] = None
        return list(found)

    def built_in(self, name: str, arguments: Arguments) -> Value:
        """What a built-in function calls on the instances that it is given."""
        names = BUILTIN.get(name)
        if names is not None and name in OUTSIDE:
            return self.special(arguments.all, *names)
        return self.implicit(arguments.all, names)

    def released(self, name: str, value: Value) -> None:
        """A name lets go of a value: ``__del__`` and finalizers may run."""
        loose = [t for t in value if t.kind in (Kind.INSTANCE, Kind.CONTAINER, Kind.ITERATOR)]
        if not loose:
            return
        inside = frozenset(t for t in self.reach(loose) if t.kind is Kind.INSTANCE)
        if any(self.instance_member(t, "__del__") for t in inside):
            self.read(name)
            self.special(inside, "__del__")
        for watched, called in self.session.finalizers:
            if watched & inside:
                self.read(name)
                self.mutate(watched)
                self.call_back(called)
        for thing in loose:
            if thing.kind is Kind.ITERATOR and thing.resume is not None:
                self.read(name)
                self.consume([thing])  # A generator that is closed runs its ``finally``.
