"""From cuts to steps: which cell goes where, what each step takes, says again, and leaves.

Imports, functions, classes and constants are no hand-offs.  Where several steps use a function, it
goes to ``lib.py`` if all it refers to can stand there as well; else each gets a copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..dataflow.known_functions import PROLOGUE
from ..dataflow.machine import BUILTINS
from ..dataflow.paths import linked
from .boundaries import Cut, Flowing
from .statements import CLASS, CONSTANT, FUNCTION, IMPORT, Definition, only_defines

__all__ = ["Draft", "Layout", "lay_out", "step_names"]


@dataclass(slots=True)
class Draft:
    """A step to be; cells are positions among the kept ones.

    ``repeated`` are cells of earlier steps that only set things, and are set here again; ``before``
    the definitions said again, ``shared`` the names taken from ``lib.py``; ``inputs`` maps a
    variable to the number of the step that writes it.
    """

    name: str
    cells: list[int]
    reason: str = ""
    title: str | None = None
    repeated: list[int] = field(default_factory=list)
    before: list[Definition] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    needs: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """The steps, what is in ``lib.py``, and by cell the definitions that were moved there."""

    drafts: tuple[Draft, ...]
    library: tuple[Definition, ...] = ()
    moved: Mapping[int, tuple[Definition, ...]] = field(default_factory=dict)

    @property
    def step_of(self) -> dict[int, int]:
        """The number of each cell's step."""
        return {cell: number for number, d in enumerate(self.drafts) for cell in d.cells}


def lay_out(cells: Flowing, cuts: Sequence[Cut], names: Sequence[str]) -> Layout:
    """Divide the kept cells into steps called ``names``, one more than there are ``cuts``."""
    starts = [0, *(cut.position for cut in cuts), len(cells.events)]
    drafts = [Draft(name, list(range(starts[i], starts[i + 1]))) for i, name in enumerate(names)]
    for draft, cut in zip(drafts[1:], cuts, strict=True):
        draft.reason, draft.title = cut.reason, cut.title
    if len(drafts) == 1:
        return Layout(tuple(drafts))
    _float_definitions(cells, drafts)
    library = _library(cells, drafts)
    inside = {d.name for d in library}
    for number, draft in enumerate(drafts):
        _settings(cells, drafts, number)
        _take(cells, drafts, number, inside)
        _files(cells, drafts, number)
        draft.needs = sorted({*draft.needs, *draft.inputs.values()} - {number})
    moved: dict[int, tuple[Definition, ...]] = {}
    for d in library:
        if d.kind in (FUNCTION, CLASS):
            moved[d.cell] = (*moved.get(d.cell, ()), d)
    return Layout(tuple(drafts), tuple(library), moved)


def step_names(
    cells: Flowing, cuts: Sequence[Cut], last: str, headings: Mapping[int, str]
) -> list[str]:
    """Names of the steps: of their headings, else of what they do; then the last is ``last``.

    ``headings`` maps positions of cells to the heading that they are first under.
    """
    starts = [0, *(cut.position for cut in cuts), len(cells.events)]
    if not cuts:
        return [last]
    opening = next((headings[i] for i in range(starts[1]) if i in headings), None)
    titles = [opening, *(cut.title for cut in cuts)]
    names: list[str] = []
    for number, title in enumerate(titles):
        span = range(starts[number], starts[number + 1])
        name = _slug(title) if title else ""
        if number == len(titles) - 1 and sum(i in headings for i in span) > 1:
            name = ""  # It is more than what its first heading says.
        if not name and number == len(titles) - 1:
            name = last
        elif not name:
            reads = any(cells.flows[i].files_read for i in span)
            name = "load" if number == 0 and reads else "prepare"
        names.append(_free(name, names))
    return names


def _slug(title: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", title)
    while words and words[0].isdigit():
        words = words[1:]  # "2. Train" is called train
    return "-".join(words[:4]).lower()[:40]


def _free(name: str, taken: Sequence[str]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate


def _step_at(drafts: Sequence[Draft], position: int) -> int:
    return next(i for i, draft in enumerate(drafts) if position in draft.cells)


def _float_definitions(cells: Flowing, drafts: list[Draft]) -> None:
    """A cell of functions moves to the one step that uses them."""
    for position, source in enumerate(cells.sources):
        found = [d for d in cells.defined.get(position, ()) if d.kind in (FUNCTION, CLASS)]
        if not found or not only_defines(source):
            continue
        home = _step_at(drafts, position)
        users = set().union(*(_users(cells, drafts, d) for d in found))
        if len(users) == 1 and users != {home}:
            drafts[home].cells.remove(position)
            target = drafts[users.pop()]
            target.cells = sorted([*target.cells, position])


def _users(cells: Flowing, drafts: Sequence[Draft], definition: Definition) -> set[int]:
    """Steps with a cell that uses this definition, itself or through another function."""
    found = set()
    for position in range(definition.cell + 1, len(cells.flows)):
        if definition.name in cells.flows[position].reads:
            found.add(_step_at(drafts, position))
        if definition.name in cells.flows[position].must_stores:
            return found
    if not only_defines(cells.sources[definition.cell]):
        found.add(_step_at(drafts, definition.cell))
    return found


def _library(cells: Flowing, drafts: Sequence[Draft]) -> list[Definition]:
    every = [d for found in cells.defined.values() for d in found]
    if any(d.kind == IMPORT and d.name == "lib" for d in every):
        return []
    shared = [d for d in every if d.kind in (FUNCTION, CLASS) and len(_users(cells, drafts, d)) > 1]
    chosen: dict[str, Definition] = {}
    for definition in shared:
        group = _closed(cells, definition, {})
        if group is not None:
            chosen |= group
    return sorted(chosen.values(), key=lambda d: (d.cell, d.first))


def _closed(
    cells: Flowing, definition: Definition, group: dict[str, Definition]
) -> dict[str, Definition] | None:
    """The definition with all that it refers to; ``None`` where that is no fixed thing."""
    group[definition.name] = definition
    if definition.writes or _changes(cells, definition.name) or definition.name in cells.fixed:
        return None
    for name in sorted(definition.needs - BUILTINS):
        if name in group:
            continue
        index = cells.writer(name, len(cells.events))
        found = [d for d in cells.defined.get(-1 if index is None else index, ()) if d.name == name]
        if not found or name in cells.fixed or _closed(cells, found[-1], group) is None:
            return None
    return group


def _changes(cells: Flowing, name: str) -> bool:
    """Whether more than one kept cell binds a name, or one changes what it stands for."""
    bound = 0
    for flow in cells.flows:
        bound += name in flow.must_stores | flow.may_stores
        if name in flow.may_mutate:
            return True
    return bound > 1


def _settings(cells: Flowing, drafts: Sequence[Draft], number: int) -> None:
    """Set again what earlier cells set for the whole process and this step depends on."""
    draft = drafts[number]
    packages = frozenset().union(*(cells.flows[i].imports for i in draft.cells))
    for earlier in drafts[:number]:
        for position in earlier.cells:
            flow = cells.flows[position]
            if not cells.setup[position]:
                continue
            lasting = any(
                e in PROLOGUE
                or e in ("$warnings", "$logging", "$anything")
                or (e.startswith("$options:") and e.partition(":")[2] in packages)
                for e in flow.effects
            )
            if lasting or flow.side_imports:
                draft.repeated.append(position)


def _take(cells: Flowing, drafts: Sequence[Draft], number: int, library: set[str]) -> None:
    """Find where everything comes from that the cells of a step need and do not bind."""
    draft = drafts[number]
    pending = [(i, name) for i in draft.repeated for name in sorted(cells.flows[i].reads)]
    bound: set[str] = set()
    for position in draft.cells:
        flow = cells.flows[position]
        pending += [(position, name) for name in sorted(flow.reads - bound)]
        bound |= flow.must_stores
    if number == len(drafts) - 1:
        pending += [(len(cells.events), name) for name in sorted(cells.wanted - bound)]
    seen: set[str] = set()
    while pending:
        position, name = pending.pop(0)
        if name in seen or name in cells.fixed:
            continue
        seen.add(name)
        writer = _source(cells, draft, name, position)
        if writer is None:
            continue
        if name.startswith("$"):
            draft.repeated = sorted([*draft.repeated, writer])
            pending += [(writer, other) for other in sorted(cells.flows[writer].reads)]
            continue
        definition = cells.definition(name, position)
        if definition is None:
            _pass(cells, drafts, draft, name, writer)
        elif name in library and definition.kind in (FUNCTION, CLASS):
            draft.shared.append(name)
        else:
            draft.before.append(definition)
            pending += [(writer + 1, other) for other in sorted(definition.needs - BUILTINS)]
    order = {IMPORT: 0, CONSTANT: 1, FUNCTION: 2, CLASS: 2}
    draft.before.sort(key=lambda d: (order[d.kind], d.cell, d.first, d.text))
    own = {
        d.name
        for position in draft.cells
        for d in cells.defined.get(position, ())
        if d.kind in (FUNCTION, CLASS)
        and d.name in library
        and any(d.name in cells.flows[i].reads for i in draft.cells if i != position)
    }
    draft.shared = sorted({*draft.shared, *own})


def _source(cells: Flowing, draft: Draft, name: str, position: int) -> int | None:
    """The last cell of another step that a value before ``position`` is from, if it is from one."""
    for index in range(position - 1, -1, -1):
        flow = cells.flows[index]
        if index in draft.cells or index in draft.repeated:
            if name in flow.must_stores:
                return None
        elif name in flow.must_stores | flow.may_stores | flow.may_mutate:
            return index
    return None


def _pass(cells: Flowing, drafts: Sequence[Draft], to: Draft, name: str, writer: int) -> None:
    """Let a value pass from the step of ``writer``, and to that one where it only may bind it."""
    number = _step_at(drafts, writer)
    source = drafts[number]
    to.inputs[name] = number
    if name in source.outputs:
        return
    source.outputs.append(name)
    if name in source.inputs or any(name in cells.flows[i].must_stores for i in source.cells):
        return
    earlier = _source(cells, source, name, min(source.cells))
    if earlier is not None:
        _pass(cells, drafts, source, name, earlier)
        source.needs = sorted({*source.needs, source.inputs[name]})


def _files(cells: Flowing, drafts: Sequence[Draft], number: int) -> None:
    """A step needs the earlier ones that write files which it touches, or read those it writes.

    Steps that do not need each other run at once: what was read before it was written stays so.
    """
    read, written = _touched(cells, drafts[number])
    for other in range(number):
        read_there, written_there = _touched(cells, drafts[other])
        if any(linked(a, b) for a in (*read, *written) for b in written_there) or any(
            linked(a, b) for a in written for b in read_there
        ):
            drafts[number].needs.append(other)


def _touched(cells: Flowing, draft: Draft) -> tuple[list[str], list[str]]:
    """The files that a step reads and those that it writes."""
    flows = [cells.flows[i] for i in draft.cells]
    read = [path for flow in flows for path in flow.files_read]
    return read, [path for flow in flows for path in flow.files_written]
