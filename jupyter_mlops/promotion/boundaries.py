"""Where a pipeline may be cut into steps, and where it should be.

Between two steps only files pass.  A cut is legal where everything that later cells need from
before it is a value that can be written, something that can be said again (an import, a function, a
constant, a parameter, a setting), or a file.  It is proposed where little passes, at headings,
after files were written, and before cells that took long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..dataflow import CellFlow, Session, analyse
from ..dataflow.heap import Kind, Thing
from ..dataflow.known_functions import PROLOGUE
from ..model.events import CellEvent
from .statements import Definition, definitions, only_defines

__all__ = ["Cut", "Flowing", "choose_cuts", "cut_at", "follow"]

_OPAQUE = {
    Kind.HANDLE: "an open file, connection or generator",
    Kind.ITERATOR: "an iterator, which going over uses up",
    Kind.PLOT: "a figure",
    Kind.LOGGER: "a logger",
}
_KINDS = {
    Kind.FRAME: "frame", Kind.ARRAY: "array", Kind.ESTIMATOR: "estimator", Kind.SCALAR: "plain",
    Kind.CONTAINER: "plain", Kind.PATH: "plain",
}  # fmt: skip
_MOST = 6  # Values that a proposed cut may pass on.
_LONG = 5.0  # Seconds from which a cell is worth a step of its own.
_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Flowing:
    """The kept cells, in executed order, and what flows between them.

    ``flows`` are theirs; ``kinds`` of each cell says what its variables are after it; ``shared``
    names the variables that share something which can change.  ``wanted`` are the names needed
    after the last cell; ``fixed`` those that are said again in each step (the parameters);
    ``setup`` says of each cell, as it will be written, whether it holds imports and settings only.
    """

    events: tuple[CellEvent, ...]
    sources: tuple[str, ...]
    flows: tuple[CellFlow, ...]
    kinds: tuple[Mapping[str, frozenset[Kind]], ...]
    shared: tuple[tuple[frozenset[str], ...], ...]
    defined: Mapping[int, tuple[Definition, ...]]
    wanted: frozenset[str]
    fixed: frozenset[str]
    setup: tuple[bool, ...]

    def live(self, position: int) -> frozenset[str]:
        """Names (and ``$`` states) whose value from before ``position`` is used from there on."""
        needed = set(self.wanted)
        for flow in reversed(self.flows[position:]):
            needed -= flow.must_stores | flow.deletes
            needed |= flow.reads
        return frozenset(needed)

    def writer(self, name: str, position: int) -> int | None:
        """The last cell before ``position`` that binds or may change a name."""
        for index in range(position - 1, -1, -1):
            flow = self.flows[index]
            if name in flow.must_stores | flow.may_stores | flow.may_mutate:
                return index
        return None

    def definition(self, name: str, position: int) -> Definition | None:
        """The statement that can be said again in place of the value, if there is one."""
        index = self.writer(name, position)
        if index is None or name not in self.flows[index].must_stores:
            return None
        found = [d for d in self.defined.get(index, ()) if d.name == name]
        return found[-1] if found else None

    def kind(self, name: str, position: int) -> str:
        """What is known of a variable before ``position``."""
        kinds = self.kinds[position - 1].get(name, frozenset()) if position else frozenset()
        words = {_KINDS.get(kind, "unknown") for kind in kinds}
        return words.pop() if len(words) == 1 else "unknown"


@dataclass(frozen=True, slots=True)
class Cut:
    """A boundary before the kept cell at ``position``.

    ``values`` must be written and read; ``refused`` says why it cannot be, ``None`` if it can;
    ``reason`` why it is proposed.
    """

    position: int
    values: tuple[str, ...] = ()
    refused: str | None = None
    score: int = 0
    reason: str = ""
    title: str | None = field(default=None, compare=False)


def follow(
    events: Sequence[CellEvent],
    kept: Sequence[int],
    flows: Sequence[CellFlow],
    sources: Sequence[str],
    *,
    wanted: frozenset[str],
    parameters: Sequence[str] = (),
    fixed: frozenset[str] = frozenset(),
) -> Flowing:
    """Follow what flows between the cells at the positions ``kept`` of a session's events.

    ``sources`` are those cells as they will be written, ``parameters`` the statements that were
    taken out of them, which bind the names ``fixed``.
    """
    session, written = Session(), Session()
    analyse("\n".join(parameters), written)
    kinds: list[dict[str, frozenset[Kind]]] = []
    shared: list[tuple[frozenset[str], ...]] = []
    for index in kept:
        event = events[index]
        analyse(event.source, session, failed=event.status != "ok", bound=event.bound)
        kinds.append({n: frozenset(t.kind for t in v) for n, v in session.names.items()})
        shared.append(_components(session))
    return Flowing(
        tuple(events[i] for i in kept),
        tuple(sources),
        tuple(flows[i] for i in kept),
        tuple(kinds),
        tuple(shared),
        definitions(sources),
        wanted,
        fixed,
        tuple(analyse(source, written).setup_only for source in sources),
    )


def cut_at(cells: Flowing, position: int) -> Cut:
    """Judge a boundary before the cell at ``position`` (1 is between the first two)."""
    values: list[str] = []
    for name in sorted(cells.live(position)):
        if name.startswith("$"):
            problem = _state_problem(cells, name, position)
            if problem is not None:
                return Cut(position, refused=problem)
            continue
        if name in cells.fixed or cells.definition(name, position) is not None:
            continue
        writer = cells.writer(name, position)
        if writer is None:
            continue  # A builtin, or what nobody bound: the replay will tell.
        kinds = cells.kinds[position - 1].get(name, frozenset())
        if kinds and kinds <= _OPAQUE.keys():  # what may be one of them, the replay will tell
            what = _OPAQUE[next(iter(kinds))]
            return Cut(position, refused=f"{name} is {what}, which no file can hold")
        values.append(name)
    problem = _settings_problem(cells, position) or _sharing_problem(cells, position, values)
    return Cut(position, tuple(values), problem)


def choose_cuts(
    cells: Flowing, headings: Mapping[int, str], mode: str
) -> tuple[list[Cut], list[str]]:
    """Return the cuts to propose and, of those that were wanted, what forbids them.

    ``headings`` maps positions of cells to the heading right above them; ``mode`` is ``auto``,
    ``one`` or ``headings``.
    """
    if mode == "one" or len(cells.events) < 2:
        return [], []
    chosen: list[Cut] = []
    refused: list[str] = []
    total = sum(event.ended - event.started for event in cells.events)
    for position in range(1, len(cells.events)):
        title = headings.get(position)
        if mode == "headings" and title is None:
            continue
        begin = chosen[-1].position if chosen else 0
        if not any(_works(cells, i) for i in range(begin, position)):
            continue  # Nothing is done yet that a step of its own could be for.
        if not any(_works(cells, i) for i in range(position, len(cells.events))):
            break
        cut = cut_at(cells, position)
        if cut.refused is not None:
            if title is not None:
                refused.append(f"no step begins at {title!r}: {cut.refused}")
            continue
        score, why = _score(cells, cut, title, total)
        if mode == "auto":
            few = sum(_works(cells, i) for i in range(begin, position)) < 2
            few = few or sum(_works(cells, i) for i in range(position, len(cells.events))) < 2
            if score < _ENOUGH or few or len(cut.values) > _MOST:
                continue
        chosen.append(Cut(position, cut.values, None, score, why, title))
    return chosen, refused


def _score(cells: Flowing, cut: Cut, title: str | None, total: float) -> tuple[int, str]:
    reasons = []
    passed = len(cut.values)
    score = {0: 3, 1: 2, 2: 1, 3: 0, 4: 0}.get(passed, -1)
    if title is not None:
        score += 2
        reasons.append(f"the heading {title!r}")
    if cells.flows[cut.position - 1].files_written:
        score += 1
        reasons.append("a file was written before it")
    event = cells.events[cut.position]
    seconds = event.ended - event.started
    if seconds >= _LONG and seconds > 0.3 * total:
        score += 1
        reasons.append(f"the cell after it took {seconds:.0f} s")
    words = ", ".join(cut.values)
    reasons.append(
        f"{words} pass" if passed > 1 else f"{f'{words} alone' if words else 'no value'} passes"
    )
    return score, "; ".join(reasons)


def _works(cells: Flowing, position: int) -> bool:
    source = cells.sources[position]
    empty = all(not x.strip() or x.lstrip().startswith("#") for x in source.split("\n"))
    return not (empty or only_defines(source) or cells.setup[position])


def _state_problem(cells: Flowing, name: str, position: int) -> str | None:
    """Why state outside the namespace cannot pass; ``None`` where it is set again in each step."""
    index = cells.writer(name, position)
    if index is None:
        return None
    if name in cells.flows[index].must_stores and cells.setup[index]:
        return None
    what = "random numbers" if name.startswith("$rng") else f"state ({name[1:]})"
    return f"cells on both sides use the same {what}, last set or used in {_label(cells, index)}"


def _settings_problem(cells: Flowing, position: int) -> str | None:
    for index in range(position):
        flow = cells.flows[index]
        lasting = sorted(e for e in flow.effects if e in PROLOGUE or e in ("$anything", "$logging"))
        if lasting and not cells.setup[index]:
            what = ", ".join(e[1:] for e in lasting)
            return f"{_label(cells, index)} changes the process ({what}) for what follows"
    return None


def _sharing_problem(cells: Flowing, position: int, values: Sequence[str]) -> str | None:
    """Two values that share an object which a later cell changes would come back as two."""
    changed = frozenset().union(*(flow.may_mutate for flow in cells.flows[position:]))
    for group in cells.shared[position - 1]:
        both = sorted(group & set(values))
        if len(both) > 1 and changed & set(both):
            return f"{' and '.join(both)} share an object that a later cell may change"
    return None


def _label(cells: Flowing, index: int) -> str:
    return f"cell [{cells.events[index].seq}]"


def _components(session: Session) -> tuple[frozenset[str], ...]:
    """Groups of variables that reach the same thing that can change."""
    owners: dict[int, set[str]] = {}
    for name, value in session.names.items():
        seen: set[int] = set()
        pending: list[Thing] = list(value)
        while pending:
            thing = pending.pop()
            if id(thing) in seen or thing.fixed:
                continue
            seen.add(id(thing))
            owners.setdefault(id(thing), set()).add(name)
            pending += thing.holds
    return tuple({frozenset(names) for names in owners.values() if len(names) > 1})
