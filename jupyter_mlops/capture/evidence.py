"""What a cell really did: the evidence of its event (``dataflow.evidence`` says what each key is).

Taken by the one hook pair, before a cell and after it, in the time that the design allows; what
there is no time for is left out.  From one cell to the next only addresses, digits and numbers are
kept, never an object of the person's: nothing lives longer for it.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..dataflow.evidence import Evidence
from . import fingerprint_kinds, fingerprint_libraries, ran_functions  # noqa: F401 - loaded now, not in a cell's time
from .alias_components import Components
from .ambient import RANDOM, Ambient, OwnModules
from .file_changes import FileChanges, Stamp
from .files import FileWatch, Look
from .fingerprints import Allowance, Fingerprint, Fingerprints, Spent, measure_rate
from .mentioned import data_names, is_shells, mentioned
from .namespace import Namespace

__all__ = ["EvidenceTaker", "Taking"]

# CPU seconds.  Small: for a cell that touches up to a megabyte (2 ms with all that else is done).
_SMALL_BEFORE, _SMALL_AFTER, _REST = 0.0005, 0.0009, 0.0003
_LARGE_BEFORE, _LARGE, _PART, _MOST = 0.003, 0.007, 0.016, 0.045
_VERIFIED = 0.0002  # What costs more is taken to be as it was after the last cell that touched it.
_GUESS = 0.0001  # Of a value that was not looked at yet.
_NAMES = 200  # Names beside those that a cell touches.
_LISTED = 2000  # Names in one list of an event.
_AGAIN = 1.5  # A value that took too long is tried again with that much more time.
_SECRET = re.compile("pass|pwd|secret|cred|key|token|auth|conn|dsn|pin|salt", re.IGNORECASE)
_SCALARS = frozenset({id(t) for t in (int, float, bool, str, bytes, complex, type(None))})


@dataclass(slots=True)
class _Known:
    """A name's value after a cell: its address, what was found, and that cell's number."""

    address: int
    found: Fingerprint
    seq: int


@dataclass(slots=True)
class _Dear:
    """A value that took longer than ``limit``: it is tried again after ``wait`` looks."""

    address: int
    limit: float
    wait: int
    waits: int


@dataclass(slots=True)
class Taking:
    """A cell of which evidence is being taken.  Nothing in it refers to the person's objects."""

    seq: int
    source: str
    before: Namespace
    ambient: Ambient
    touched: set[str] = field(default_factory=set)
    prints: dict[str, Fingerprint] = field(default_factory=dict)
    drifted: list[tuple[str, int]] = field(default_factory=list)
    stamps: dict[str, Stamp | None] = field(default_factory=dict)
    look: Look | None = None
    running: ran_functions.Running | None = None
    cwd: str = ""
    cost: float = 0.0


class EvidenceTaker:
    """Takes the evidence of one shell's cells.  ``files`` sees what Python opens."""

    def __init__(self, shell: Any, files: Callable[[], FileWatch]) -> None:
        self._shell = shell
        self._files = files
        self._rate = measure_rate()
        self._known: dict[str, _Known] = {}
        self._dear: dict[str, _Dear] = {}
        self._components = Components()
        self._ambient = Ambient()
        self._modules = OwnModules(shell.user_ns)
        self._modules.take(Allowance(0.01, 0.01))
        self._changes = FileChanges()
        self._functions = ran_functions.RanFunctions(shell)

    def begin(self, seq: int, source: str, before: Namespace) -> Taking:
        """A cell begins; ``before`` are the names as they are now."""
        began = time.thread_time()
        taking = Taking(seq, source, before, self._ambient)
        cwd = self._ambient.states.get("$cwd")
        taking.cwd = cwd if isinstance(cwd, str) else ""
        namespace = self._shell.user_ns
        taking.touched = mentioned(source, namespace, self._shell.user_ns_hidden)
        for group in self._components.joined(taking.touched):
            taking.touched |= group & namespace.keys()
        self._look_before(taking, namespace)
        with contextlib.suppress(Exception):
            taking.stamps = self._changes.begin(source, _texts(namespace, taking.touched))
        with contextlib.suppress(Exception):
            taking.running = self._functions.begin(seq, source, before)
        taking.look = self._files().begin()
        taking.cost = time.thread_time() - began
        return taking

    def end(self, taking: Taking, bound: Iterable[str], seconds: float) -> dict[str, Any]:
        """The cell has ended after ``seconds``, having bound ``bound``: the event's evidence."""
        began = time.thread_time()
        watch = self._files()
        read = {o.path for o in watch.end(taking.look) if "://" not in o.path}
        written = set(taking.look.written) if taking.look is not None else set()
        functions, loads = None, set[str]()
        if taking.running is not None:
            functions, loads = self._functions.end(taking.running)
        with contextlib.suppress(Exception):
            written |= self._changes.end(taking.source, taking.stamps)
        now = Ambient()
        changed, watched = taking.ambient.changes(now)
        self._ambient = now
        modules = set[str]()
        with contextlib.suppress(Exception):
            modules, _ = self._modules.take(Allowance(0.0005, 0.002, self._rate))
        namespace = dict(self._shell.user_ns)
        seen = _Seen()
        other = taking.before.changed(namespace)
        self._look_after(taking, namespace, {*bound, *other}, seconds, seen)
        hidden = self._shell.user_ns_hidden
        rebound = frozenset(
            n
            for n in other
            if not is_shells(n) and (n not in hidden or hidden[n] is not namespace[n])
        )
        evidence = Evidence(
            rebound=rebound if len(rebound) <= _LISTED else None,
            unchanged=_some(seen.unchanged),
            mutated=frozenset(seen.mutated),
            opaque=_some(seen.opaque),
            consumed=_some(seen.consumed),
            linked=_some(seen.linked),
            aliases=tuple(g for g in seen.groups if len(g) <= _NAMES),
            functions=functions,
            loads=_some(loads),
            files_read=_some(read - written),
            files_written=_some(p for p in written if not watch.is_excluded(p)),
            cwd=taking.cwd,
            rng=frozenset(n for n in changed if n.startswith(RANDOM)),
            ambient=frozenset(n for n in changed if not n.startswith(RANDOM)),
            watched=frozenset(watched),
            modules=frozenset(modules),
            drifted=tuple(taking.drifted),
            fingerprints=seen.fingerprints,
            cost=taking.cost + time.thread_time() - began,
        )
        return evidence.to_dict()

    def close(self) -> None:
        """Nothing is taken any more."""
        self._functions.close()
        self._known.clear()

    def _look_before(self, taking: Taking, namespace: dict[str, Any]) -> None:
        allowance = Allowance(_SMALL_BEFORE, _LARGE_BEFORE, self._rate)
        prints = Fingerprints(namespace, allowance)
        for name in self._in_order(taking.touched):
            if name not in namespace:
                continue
            value = namespace[name]
            known = self._of(name, value)
            if known is not None and known.found.cost > _VERIFIED:
                taking.prints[name] = known.found
                continue
            found = self._take(prints, name, value)
            if found is None:
                if known is not None:
                    taking.prints[name] = known.found
                continue
            taking.prints[name] = found
            if known is not None and known.found.digits != found.digits:
                taking.drifted.append((name, known.seq))

    def _look_after(
        self,
        taking: Taking,
        namespace: dict[str, Any],
        bound: set[str],
        seconds: float,
        seen: _Seen,
    ) -> None:
        names = data_names(namespace, self._shell.user_ns_hidden)
        data = set(names)
        new = bound & data
        for name in self._known.keys() - data:
            self._forget(name)
        most = min(_MOST, max(_LARGE, _PART * seconds)) - taking.cost
        allowance = Allowance(_SMALL_AFTER, max(_SMALL_AFTER, most), self._rate)
        prints = Fingerprints(self._shell.user_ns, allowance)
        first = (taking.touched & data) | new
        self._compare(taking, prints, namespace, self._in_order(first), first, seen)
        seen.groups = self._components.joined(first)
        aliases = set().union(*seen.groups) & data - first
        self._compare(taking, prints, namespace, self._in_order(aliases), first | aliases, seen)
        for name in new:
            self._functions.note(namespace[name], taking.seq)
        # What nothing in the cell leads to, as far as there is time: it refutes what the text
        # alone must fear of an unknown call.
        spare = min(_REST, max(0.0, allowance.small - allowance.spent))
        prints.allowance = Allowance(spare, spare, self._rate)
        rest = [n for n in names if n not in first and n not in aliases]
        if len(rest) <= _NAMES:
            self._compare(taking, prints, namespace, self._in_order(rest), set(), seen)

    def _compare(
        self,
        taking: Taking,
        prints: Fingerprints,
        namespace: dict[str, Any],
        names: list[str],
        touched: set[str],
        seen: _Seen,
    ) -> None:
        for name in names:
            value = namespace[name]
            same = taking.before.had(name, value)
            if same and name not in touched and id(type(value)) in _SCALARS:
                seen.unchanged.add(name)
                continue
            known = self._of(name, value)
            found = self._take(prints, name, value)
            if found is None:
                if name in touched:
                    seen.opaque.add(name)
                self._forget(name)
                continue
            self._known[name] = _Known(id(value), found, taking.seq)
            self._components.set(name, found.reach)
            if name in touched:
                if found.consumed:
                    seen.consumed.add(name)
                if found.linked:
                    seen.linked.add(name)
            if found.digits is None:
                if name in touched:
                    seen.opaque.add(name)
                continue
            if name in touched and not _SECRET.search(name):
                seen.fingerprints[name] = found.digits
            if not same:
                continue
            before = taking.prints.get(name) or (known.found if known is not None else None)
            if before is None or before.digits is None:
                if name in touched:
                    seen.opaque.add(name)
            elif before.same(found):
                seen.unchanged.add(name)
            elif before.digits != found.digits:
                seen.mutated.add(name)
                # Another cell since may have done it, where nobody looked.
                if name not in taking.prints and known is not None and known.seq < taking.seq - 1:
                    taking.drifted.append((name, known.seq))

    def _take(self, prints: Fingerprints, name: str, value: Any) -> Fingerprint | None:
        """The fingerprint of a name's value, ``None`` if there is no time for it."""
        limit = prints.allowance.large
        dear = self._dear.get(name)
        if dear is not None and dear.address != id(value):
            dear = None
        if dear is not None and dear.wait > 0 and limit < _AGAIN * dear.limit:
            dear.wait -= 1
            return None
        if prints.allowance.spent > limit:
            return None
        try:
            found = prints.of(value)
            self._dear.pop(name, None)
            return found
        except Spent:
            if limit > _REST:
                waits = 4 * dear.waits if dear is not None else 4
                self._dear[name] = _Dear(id(value), limit, waits, waits)
            return None
        except Exception:  # An object in a state that its own type does not expect.
            return Fingerprint(None, frozenset({id(value)}))

    def _of(self, name: str, value: Any) -> _Known | None:
        known = self._known.get(name)
        return known if known is not None and known.address == id(value) else None

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._components.drop(name)

    def _in_order(self, names: Iterable[str]) -> list[str]:
        """The cheapest first, so that one large value does not hide many small ones."""
        known = self._known

        def cost(name: str) -> float:
            entry = known.get(name)
            return entry.found.cost if entry is not None else _GUESS

        return sorted(names, key=cost)


@dataclass(slots=True)
class _Seen:
    unchanged: set[str] = field(default_factory=set)
    mutated: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    consumed: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    groups: list[frozenset[str]] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)


def _some(names: Iterable[str]) -> frozenset[str]:
    return frozenset(sorted(names)[:_LISTED])


def _texts(namespace: dict[str, Any], names: Iterable[str]) -> list[str]:
    """Variables that may be paths."""
    import pathlib

    found = []
    for name in names:
        value = namespace.get(name)
        if type(value) is str and len(value) < 250:
            found.append(value)
        elif type(value) in (pathlib.PosixPath, pathlib.WindowsPath):
            found.append(str(value))
    return found[:50]
