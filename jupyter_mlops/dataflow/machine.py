"""The state of a session while its cells are read one after another, and what each one does to it.

``Session`` lives across cells; ``Machine`` works through one cell and records in ``Facts`` what
the cell reads from before it, binds, deletes, may change, and which files and process-wide state it
touches.  The subclasses know statements, expressions and calls; this module knows state.
"""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .heap import EMPTY, Frame, FunctionNode, Kind, Thing, Value, reach
from .known_functions import PLOT_PACKAGES, TAME
from .paths import ANY, is_local

__all__ = [
    "BUILTINS",
    "GENERATOR_STATES",
    "UNSEEN",
    "Facts",
    "Machine",
    "Session",
    "State",
    "TooLarge",
]

BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display", "__name__", "__file__"}
GENERATOR_STATES = ("$rng:random", "$rng:numpy", "$rng:torch", "$rng:tensorflow")
UNSEEN = "$unseen"  # What cells that may have bound anything made.
MODULE_STATE = "$module:"  # The state of a package nobody knows.
_STEPS = 20_000


class TooLarge(Exception):
    """A cell takes too long to follow; it is then judged by the names in its text alone."""


@dataclass
class Session:
    """What is known after the cells read so far."""

    names: dict[str, Value] = field(default_factory=dict)
    imported: dict[str, Thing] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    finalizers: list[tuple[Value, Value]] = field(default_factory=list)  # (of what, called then)
    seeded: set[str] = field(default_factory=set)
    anything_bound: bool = False  # a cell ran that may have bound any name
    # What such a cell bound, as one: its names may share objects and read each other.
    stranger: Thing = field(default_factory=lambda: Thing(Kind.UNKNOWN))

    def module(self, dotted: str, kind: Kind = Kind.IMPORTED) -> Thing:
        """The one thing that stands for an import path."""
        thing = self.imported.get(dotted)
        if thing is None:
            thing = Thing(kind, dotted=dotted, opaque=False)
            self.imported[dotted] = thing
            package, dot, _ = dotted.partition(".")
            if dot and package not in TAME:
                # The state of a module nobody knows is one: a call into it may change all of it.
                thing.holds.add(self.module(package, Kind.MODULE))
        return thing


@dataclass
class Facts:
    """What one cell does, collected while it is read."""

    reads: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    mutated: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)  # of these, changed where nobody can look
    files_read: set[str] = field(default_factory=set)
    files_written: set[str] = field(default_factory=set)
    files_replaced: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    side_imports: set[str] = field(default_factory=set)
    unseeded: list[str] = field(default_factory=list)
    effects: set[str] = field(default_factory=set)
    reads_anything: bool = False
    binds_anything: bool = False


@dataclass(slots=True)
class State:
    """The part of the state that branches of a program hold different versions of."""

    names: dict[str, Value]
    local: dict[str, Value]
    defined: set[str]
    gone: set[str]


class Machine(ABC):
    """State and the primitive steps: read, store, delete, mutate, branch and join."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.names = dict(session.names)
        self.facts = Facts()
        self.defined: set[str] = set()
        self.gone: set[str] = set()
        self.frame: Frame | None = None
        self.loops: list[list[State]] = []  # where each open loop was left or begun again
        self.calls: list[list[State]] = []  # where each open call returned
        self.returned: list[Value] = []
        self.running: list[Thing] = []
        self.resuming: set[Thing] = set()
        self._called: set[tuple[Thing, Value]] = set()
        self._steps = 0

    # What the subclasses do.

    @abstractmethod
    def evaluate(self, node: ast.expr | None, *, unused: bool = False) -> Value:
        """Work through an expression; return what it may be."""

    @abstractmethod
    def run_block(self, body: Sequence[ast.stmt]) -> bool:
        """Work through statements; return whether the end may be reached."""

    # Names.

    def step(self, count: int = 1) -> None:
        """Count work; raises ``TooLarge`` when a cell takes too much of it."""
        self._steps += count
        if self._steps > _STEPS:
            raise TooLarge

    def reach(self, things: Iterable[Thing], *, through_views: bool = True) -> set[Thing]:
        """As ``heap.reach``, counted as work."""
        found = reach(things, through_views=through_views)
        self.step(len(found) // 8)
        return found

    def lookup(self, name: str) -> Value:
        """Return what a name is, recording the read where it comes from before the cell."""
        frame = self.frame
        while frame is not None:
            if name in frame.module_names:
                break
            if name in frame.names:
                return frame.names[name]
            if name in frame.own:
                return EMPTY
            frame = frame.parent
        self.read(name)
        value = self.names.get(name)
        if value is None:
            value = frozenset({self._unbound(name)})
            if name not in BUILTINS:
                self.names[name] = value
        self.facts.packages |= {
            t.package for t in value if t.kind in (Kind.MODULE, Kind.IMPORTED) and t.package
        }
        for thing in value:
            if thing.kind in (Kind.MODULE, Kind.IMPORTED) and not _tame(thing):
                self.depend(MODULE_STATE + thing.package)
        if self.session.stranger in value:
            self.depend(UNSEEN)
        return value

    def _unbound(self, name: str) -> Thing:
        if name in BUILTINS:
            return self.session.module(name)
        stars = self.session.stars
        if stars and all(star.partition(".")[0] in TAME for star in stars):
            return self.session.module(f"{stars[-1]}.{name}")
        return self.session.stranger if self.session.anything_bound else Thing(Kind.UNKNOWN)

    def read(self, name: str, _active: set[str] | None = None) -> None:
        """Record that a global name is read, with what functions reached through it read."""
        active = set() if _active is None else _active
        if name in active:
            return
        active.add(name)
        if name not in self.defined:
            self.facts.reads.add(name)
        for thing in self.reach(self.names.get(name, EMPTY)):
            for late in thing.late:
                self.read(late, active)

    def store(self, name: str, value: Value) -> None:
        """Bind a name where the current scope binds it."""
        frame = self.frame
        while frame is not None and name not in frame.module_names:
            if name in frame.own:
                if frame is self.frame:
                    frame.names[name] = value
                else:  # A ``nonlocal``: the state of every function that closes over it.
                    frame.names[name] = frame.names.get(name, EMPTY) | value
                    self.mutate(frame.made)
                return
            frame = frame.parent
        self.released(name, self.names.get(name, EMPTY) - value)
        self.names[name] = value
        self.facts.stored.add(name)
        self.defined.add(name)
        self.gone.discard(name)

    @abstractmethod
    def released(self, name: str, value: Value) -> None:
        """A name lets go of a value."""

    def delete(self, name: str) -> None:
        """Unbind a name."""
        if self.frame is not None and name in self.frame.own:
            self.frame.names.pop(name, None)
            return
        self.read(name)  # It must be there to be deleted.
        self.released(name, self.names.pop(name, EMPTY))
        self.facts.deleted.add(name)
        self.defined.discard(name)
        self.gone.add(name)

    def forget(self, name: str) -> None:
        """Unbind what an ``except ... as name`` bound for its body only."""
        if self.frame is not None and name in self.frame.own:
            self.frame.names.pop(name, None)
        else:
            self.names.pop(name, None)
            self.defined.discard(name)

    # Objects.

    def mutate_hidden(self, things: Iterable[Thing]) -> None:
        """Record a change of what no look at the objects shows: caches, finalizers."""
        before, self.facts.mutated = self.facts.mutated, set()
        self.mutate(things)
        self.facts.hidden |= self.facts.mutated
        self.facts.mutated |= before

    def mutate(self, things: Iterable[Thing], *, deep: bool = False, columns: bool = False) -> None:
        """Record that objects may change, for every name that leads to one of them.

        ``deep``: with all that they hold.  ``columns``: a table gets or loses columns, which what
        was taken from it before does not notice.
        """
        direct = {t for t in things if t.kind not in (Kind.SCALAR, Kind.PATH) and not _tame(t)}
        targets = set(direct)
        if deep:
            targets |= {t for t in self.reach(direct) if not t.fixed}
        elif not columns:
            targets |= {t for v in direct if v.view for t in self.reach([v])}
        if not targets:
            return
        for thing in targets:
            if thing.kind in (Kind.HANDLE, Kind.ARRAY) and thing.text is not None:
                self.facts.files_written.add(thing.text)
            elif thing.kind in (Kind.MODULE, Kind.IMPORTED):
                self.facts.mutated.add(MODULE_STATE + thing.package)
        if self.session.stranger in targets:
            self.facts.mutated.add(UNSEEN)
        for name, value in self.names.items():
            if name in self.defined or name in self.facts.mutated:
                continue
            if not targets.isdisjoint(self.reach(value, through_views=not columns)):
                self.facts.mutated.add(name)

    def hold(self, holders: Iterable[Thing], value: Value) -> None:
        """Let things hold others; numbers are not worth remembering, texts are (paths)."""
        self.step(len(value) // 8)
        kept = {t for t in value if t.kind is not Kind.SCALAR or t.text is not None}
        for holder in holders:
            if not holder.fixed or holder.kind in _ATTACHED:
                holder.holds |= kept - {holder}

    # State outside the namespace.

    def affect(self, pseudo: str) -> None:
        """Record a change of process-wide state such as ``$environment``."""
        if pseudo not in self.defined:
            self.facts.mutated.add(pseudo)
        self.facts.effects.add(pseudo)

    def depend(self, pseudo: str) -> None:
        """Record that process-wide state is used."""
        if pseudo not in self.defined:
            self.facts.reads.add(pseudo)

    def seed(self, generators: Iterable[str], *, known: bool) -> None:
        """Random generators are set; ``known`` is false for a seed taken from the system."""
        for generator in generators:
            self.facts.stored.add(generator)
            self.defined.add(generator)
            self.facts.effects.add(generator)
            if known:
                self.session.seeded.add(generator)
            else:
                self.session.seeded.discard(generator)

    def draw(self, generator: str, what: str) -> None:
        """Random numbers are taken from a global generator by ``what``."""
        self.depend(generator)
        if generator not in self.defined:
            self.facts.mutated.add(generator)
        if generator not in self.session.seeded:
            self.facts.unseeded.append(what)

    def file_read(self, texts: Iterable[str | None]) -> None:
        """Files are read; ``None`` or ``ANY`` where the cell's text does not say which."""
        self.facts.files_read |= {
            ANY if t is None else t for t in texts if t is None or is_local(t)
        }

    def file_written(self, texts: Iterable[str | None], *, whole: bool = False) -> None:
        """Files are written; ``whole`` when nothing of an earlier content is left."""
        found = {ANY if t is None else t for t in texts if t is None or is_local(t)}
        self.facts.files_written |= found
        if whole and len(found) == 1:
            self.facts.files_replaced |= {t for t in found if ANY not in t}

    # Branches.

    def save(self) -> State:
        """Copy the state that a branch may change."""
        local = dict(self.frame.names) if self.frame is not None else {}
        self.step(1 + (len(self.names) + len(local)) // 30)
        return State(dict(self.names), local, set(self.defined), set(self.gone))

    def restore(self, state: State) -> None:
        """Go on from a saved state."""
        self.names = dict(state.names)
        if self.frame is not None:
            self.frame.names = dict(state.local)
        self.defined = set(state.defined)
        self.gone = set(state.gone)

    def join(self, states: Sequence[State]) -> None:
        """Go on from where several branches meet."""
        if not states:
            return
        first = states[0]
        names, local = dict(first.names), dict(first.local)
        defined, gone = set(first.defined), set(first.gone)
        for state in states[1:]:
            self.step(1 + (len(names) + len(local)) // 30)
            _unite(names, state.names)
            _unite(local, state.local)
            defined &= state.defined
            gone &= state.gone
        self.restore(State(names, local, defined, gone))

    def alternatives(self, branches: Sequence[Callable[[], bool]]) -> bool:
        """Run branches from the same state and join those whose end may be reached."""
        start = self.save()
        ends: list[State] = []
        for branch in branches:
            self.restore(start)
            if branch():
                ends.append(self.save())
        if ends:
            self.join(ends)
        else:
            self.restore(start)
        return bool(ends)

    def first_call(self, function: Thing, given: Value) -> bool:
        """Whether a function has not yet been followed in this cell with these arguments."""
        key = (function, given)
        if key in self._called:
            return False
        self._called.add(key)
        return True

    def function_node(self, thing: Thing) -> FunctionNode | None:
        """The definition of a function of the notebook."""
        return None if isinstance(thing.node, ast.ClassDef) else thing.node


# These stay as they are when what holds them changes, yet take attributes.
_ATTACHED = frozenset({Kind.CLASS, Kind.FUNCTION, Kind.LOGGER})


def _tame(thing: Thing) -> bool:
    if thing.kind not in (Kind.MODULE, Kind.IMPORTED):
        return False
    return ("." not in thing.dotted and thing.dotted in BUILTINS) or thing.package in TAME


def _unite(into: dict[str, Value], other: dict[str, Value]) -> None:
    for name, value in other.items():
        mine = into.get(name)
        into[name] = value if mine is None else mine | value


def is_plotting(dotted: str) -> bool:
    """Whether an import path belongs to a plotting package."""
    return dotted.partition(".")[0] in PLOT_PACKAGES
