"""What was seen while a cell ran: the typed form of ``CellEvent.evidence``.

The kernel writes it (``capture.evidence``), slicing and the findings read it.  The rule that all of
them keep: evidence refutes what the text says only where it is complete, and adds where it saw
more.  What is absent says nothing: the static answer stands.

The wire form is a JSON object with the keys of ``Evidence``'s attributes and ``"v": 1``.  Keys are
added, never given another meaning.  Paths are absolute; names that begin with ``$`` are those of
``CellFlow.effects`` and ``CellFlow.may_mutate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ..model.events import CellEvent

__all__ = ["VERSION", "Evidence", "evidence_of"]

VERSION = 1
_STATES = {"$rng:python": "$rng:random"}  # Spellings of the same state.


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one execution of a cell was seen to do.

    A name is *touched* when the cell's text or a function that it may run mentions it, or when it
    shares a mutable object with one that is.  A *fingerprint* is 16 hex digits over the content of
    a value: equal in another process for equal content, as far as it is complete.

    Attributes:
        rebound: names that are bound to another object after the cell than before it, or were not
            bound before; ``None`` where nobody looked, else complete.
        unchanged: names bound to the same object before and after, with complete and equal
            fingerprints: the cell did not change them.
        mutated: names bound to the same object before and after whose fingerprints differ.
        opaque: touched names of which no complete fingerprint could be taken (a handle, a
            connection, more than the time allows): nothing is known.
        consumed: of the opaque ones, those that reading changes: generators, iterators, files.
        linked: of the opaque ones, those with state that nothing can see (a connection and its
            cursor): what changes one in a component changes all of these in it.
        aliases: components of names that share a mutable object, each with a touched one.
        functions: functions of the notebook that ran, as ``(seq, qualified name)`` with the cell
            that defined them; ``None`` where that is not known to be complete (Python 3.11, work
            in other processes).
        loads: names of the notebook whose value from before the cell those functions may have
            read; complete where ``functions`` is not ``None``.
        files_read: files that it read.
        files_written: files that it wrote, by Python, by a library or by a shell.
        cwd: the working directory when it began; ``""`` where unknown.
        rng: random states that it changed (``$rng:random``, ``$rng:numpy``, ``$rng:torch``).
        ambient: other process-wide state that it changed (``$environment``, ``$cwd``,
            ``$options:pandas`` ...).
        watched: all the states that were looked at before and after: one that is here and neither
            in ``rng`` nor in ``ambient`` is as it was.
        modules: modules of the project (not installed ones) whose state it changed.
        drifted: names that were found changed when the cell began, as ``(name, seq)`` with the
            last cell after which they were looked at.
        fingerprints: of names that it touched or bound, after it, where complete.
        cost: CPU seconds that taking the evidence cost.
    """

    rebound: frozenset[str] | None = None
    unchanged: frozenset[str] = frozenset()
    mutated: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    consumed: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    aliases: tuple[frozenset[str], ...] = ()
    functions: tuple[tuple[int, str], ...] | None = None
    loads: frozenset[str] = frozenset()
    files_read: frozenset[str] = frozenset()
    files_written: frozenset[str] = frozenset()
    cwd: str = ""
    rng: frozenset[str] = frozenset()
    ambient: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    drifted: tuple[tuple[str, int], ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    cost: float = 0.0

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Read the wire form; never raises.

        Whatever is not of the right form is left out, so that the static answer stands for it.  A
        name that is said to be unchanged and something else as well is not unchanged.
        """
        if not isinstance(data, Mapping):
            return cls()
        mutated, opaque = _names(data.get("mutated")), _names(data.get("opaque"))
        rebound = data.get("rebound")
        return cls(
            rebound=_names(rebound) if isinstance(rebound, (list, tuple)) else None,
            unchanged=_names(data.get("unchanged")) - mutated - opaque,
            mutated=mutated,
            opaque=opaque,
            consumed=_names(data.get("consumed")),
            linked=_names(data.get("linked")),
            aliases=tuple(
                group for group in map(_names, _items(data.get("aliases"))) if len(group) > 1
            ),
            functions=_functions(data.get("functions")),
            loads=_names(data.get("loads")),
            files_read=_names(data.get("files_read")),
            files_written=_names(data.get("files_written")),
            cwd=data["cwd"] if isinstance(data.get("cwd"), str) else "",
            rng=_states(data.get("rng")),
            ambient=_states(data.get("ambient")),
            watched=_states(data.get("watched")),
            modules=_names(data.get("modules")),
            drifted=tuple(
                (pair[0], pair[1])
                for pair in map(_items, _items(data.get("drifted")))
                if len(pair) == 2 and isinstance(pair[0], str) and _is_int(pair[1])
            ),
            fingerprints=_fingerprints(data.get("fingerprints")),
            cost=_seconds(data.get("cost")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form; what is empty is left out."""
        wire: dict[str, Any] = {"v": VERSION}
        for name in (
            "unchanged", "mutated", "opaque", "consumed", "linked", "loads", "files_read",
            "files_written", "rng", "ambient", "watched", "modules",
        ):  # fmt: skip
            if names := getattr(self, name):
                wire[name] = sorted(names)
        if self.rebound is not None:
            wire["rebound"] = sorted(self.rebound)
        if self.aliases:
            wire["aliases"] = sorted(sorted(group) for group in self.aliases)
        if self.functions is not None:
            wire["functions"] = [list(pair) for pair in self.functions]
        if self.cwd:
            wire["cwd"] = self.cwd
        if self.drifted:
            wire["drifted"] = [list(pair) for pair in self.drifted]
        if self.fingerprints:
            wire["fingerprints"] = dict(self.fingerprints)
        wire["cost"] = round(self.cost, 6)
        return wire


def evidence_of(event: CellEvent) -> Evidence | None:
    """The evidence of an executed cell; ``None`` where none was taken or it cannot be read."""
    data = event.evidence
    if not isinstance(data, Mapping) or not _is_int(data.get("v")) or data["v"] < 1:
        return None
    return Evidence.from_dict(data)


def _items(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else []


def _names(value: object) -> frozenset[str]:
    return frozenset(item for item in _items(value) if isinstance(item, str) and item)


def _states(value: object) -> frozenset[str]:
    return frozenset(_STATES.get(name, name) for name in _names(value))


def _functions(value: object) -> tuple[tuple[int, str], ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    found = []
    for pair in map(_items, value):
        if len(pair) != 2 or not _is_int(pair[0]) or not isinstance(pair[1], str):
            return None  # A list that cannot be read is not complete.
        found.append((pair[0], pair[1]))
    return tuple(found)


def _fingerprints(value: object) -> dict[str, str]:
    pairs: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else ()
    return {k: v for k, v in pairs if isinstance(k, str) and isinstance(v, str) and v}


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 <= value < 1e9 else 0.0
