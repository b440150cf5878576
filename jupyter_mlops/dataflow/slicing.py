"""The backward slice: which executed cells a result needs.

Cells are taken in the order in which they ran, each with the source it had then, so edited, re-run
and deleted cells come out right.  From what is needed, the walk goes back to the latest earlier
cell that bound it; a cell that may have changed it is kept and the walk goes on; ``del`` ends it.

Branches are not folded by the values that flags had: a pipeline's parameters may take the other
way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..model.events import CellEvent
from .flow import CellFlow, analyse
from .heap import reach
from .known_functions import PROLOGUE, TAME
from .machine import UNSEEN, Session
from .paths import ANY, linked
from .refine import refine_all

__all__ = ["Follower", "Reason", "Slice", "backward_slice", "flows", "goes_on"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a cell is in a slice: ``reader`` needs ``name``, which the cell ``how``.

    ``how`` is ``binds``, ``may bind``, ``may change``, ``writes`` (a file), ``sets`` (process-wide
    state) or ``target``.
    """

    reader: int | None
    name: str
    how: str


@dataclass(frozen=True, slots=True)
class Slice:
    """The cells that a result needs.

    Attributes:
        indices: positions in the events, ascending: executed order.
        reasons: for each of them, the first reason found to keep it.
        flows: what every event up to the target does.
        unseeded: ``(position, what)`` for random numbers drawn without a seed in kept cells.
    """

    indices: tuple[int, ...]
    reasons: dict[int, Reason]
    flows: tuple[CellFlow, ...]
    unseeded: tuple[tuple[int, str], ...] = ()


class Follower:
    """Analyses a session that grows: the text of each cell is read once."""

    def __init__(self) -> None:
        self._session = Session()
        self._found: list[CellFlow] = []
        self._first: tuple[int, float] | None = None

    def follow(self, events: Sequence[CellEvent]) -> tuple[CellFlow, ...]:
        """The flows of all cells of the session so far, in executed order.

        ``events`` are those of the last call with more at the end; where they begin otherwise, all
        are read again.  What was seen while cells ran corrects what their text says (``refine``).
        """
        first = (events[0].seq, events[0].started) if events else None
        if first != self._first or len(events) < len(self._found):
            self._session, self._found, self._first = Session(), [], first
        for event in events[len(self._found) :]:
            failed = event.status != "ok"
            if failed and _never_ran(event):
                self._found.append(CellFlow())
            else:
                self._found.append(
                    analyse(event.source, self._session, failed=failed, bound=event.bound)
                )
        return tuple(refine_all(events, self._found))

    def read_by_using(self, names: Iterable[str]) -> frozenset[str]:
        """Names that are read when the iterators among the values of ``names`` are used up.

        What is left in a generator depends on what its globals are by then.  It counts as a cell
        more: nothing can be followed after it.
        """
        found: frozenset[str] = frozenset()
        for name in names:
            value = self._session.names.get(name, frozenset())
            if name.isidentifier() and any(thing.resume is not None for thing in reach(value)):
                found |= analyse(f"list({name})", self._session).reads
        return found


def flows(events: Sequence[CellEvent]) -> tuple[CellFlow, ...]:
    """Analyse executed cells in order, each in the light of those before it.

    What was seen while they ran corrects what their text says (``refine``).
    """
    return Follower().follow(events)


def goes_on(event: CellEvent) -> bool:
    """Whether what comes after the cell runs, too, where it is executed again.

    It does after an error that ``%%capture`` showed and kept to itself: what the cell had done by
    then is done.
    """
    kept = event.status == "error" and event.source.lstrip().startswith("%%capture")
    return event.status == "ok" or kept


def backward_slice(
    events: Sequence[CellEvent],
    target_index: int,
    names: Iterable[str] | None = None,
    *,
    follower: Follower | None = None,
) -> Slice:
    """Return the cells needed for ``names`` as they are after the cell at ``target_index``.

    Without ``names`` the whole execution of that cell is the target.  The slice is sound as far as
    text can tell: whatever is not known to be harmless is kept.  Cells that raised are left out.
    ``follower`` has read earlier cells of the same session.
    Raises ``IndexError`` when there is no such event.
    """
    if not 0 <= target_index < len(events):
        raise IndexError(f"no executed cell {target_index}")
    own = follower or Follower()
    cells = own.follow(events[: target_index + 1])
    # What raised would raise again and end the replay: whatever it did before is not kept.
    walk = _Walk(
        [cell if goes_on(event) else CellFlow() for cell, event in zip(cells, events, strict=False)]
    )
    if names is None:
        walk.keep(target_index, Reason(None, "", "target"))
    else:
        targets = tuple(names)
        late = own.read_by_using(targets) if follower is None else frozenset()
        for name in dict.fromkeys((*targets, *sorted(late))):
            walk.need(target_index + 1, name)
    walk.finish(target_index)
    return Slice(
        indices=tuple(sorted(walk.reasons)),
        reasons=walk.reasons,
        flows=cells,
        unseeded=tuple((i, what) for i in sorted(walk.reasons) for what in cells[i].unseeded),
    )


class _Walk:
    def __init__(self, cells: Sequence[CellFlow]) -> None:
        self.cells = cells
        self.reasons: dict[int, Reason] = {}
        self._seen: set[tuple[int, str]] = set()
        self._todo: list[tuple[int, str, int | None]] = []
        self._used = frozenset().union(*(cell.reads for cell in cells)) if cells else frozenset()

    def need(self, position: int, name: str, reader: int | None = None) -> None:
        """``name`` is needed as it is just before ``position``."""
        self._todo.append((position, name, reader))
        self._drain()

    def keep(self, index: int, reason: Reason) -> None:
        """Keep a cell, and with it everything that it reads."""
        self._keep(index, reason)
        self._drain()

    def finish(self, target: int) -> None:
        """Add the prologue: settings that everything after them may depend on."""
        while True:
            before = len(self.reasons)
            for index in range(target):
                if index not in self.reasons:
                    self._consider_setting(index, target)
            if len(self.reasons) == before:
                return

    def _consider_setting(self, index: int, target: int) -> None:
        cell = self.cells[index]
        later = {i for i in self.reasons if i > index}
        packages = frozenset().union(*(self.cells[i].imports for i in later))
        for effect in sorted(cell.effects):
            name, _, package = effect.partition(":")
            relevant = (
                effect in PROLOGUE
                or (name == "$options" and package in packages)
                or (effect == "$warnings" and cell.setup_only)
                or (effect == "$mlflow" and cell.setup_only and "mlflow" in packages)
                or (effect == "$anything" and bool(later))
            )
            if relevant:
                self.keep(index, Reason(None, effect, "sets"))
                return
        unused = {p for p in cell.side_imports if p not in self._bound_and_used(cell, p)}
        if unused and later:
            self.keep(index, Reason(None, ", ".join(sorted(unused)), "sets"))

    def _bound_and_used(self, cell: CellFlow, package: str) -> frozenset[str]:
        """``package`` itself where some cell uses a name that this import bound."""
        if package in TAME or (cell.must_stores | cell.may_stores) & self._used:
            return frozenset({package})
        return frozenset()

    def _keep(self, index: int, reason: Reason) -> None:
        if index in self.reasons:
            return
        self.reasons[index] = reason
        cell = self.cells[index]
        for name in sorted(cell.reads):
            self._todo.append((index, name, index))
        for path in sorted(cell.files_read):
            self._todo.append((index, f"file:{path}", index))
        # A file is written into folders that must exist, and may be added to.
        for path in sorted(cell.files_written):
            self._todo.append((index, f"file:{path}", index))
        if cell.reads_anything:
            for earlier in range(index):
                self._keep(earlier, Reason(index, "", "may bind"))

    def _drain(self) -> None:
        while self._todo:
            position, name, reader = self._todo.pop()
            if (position, name) in self._seen:
                continue
            self._seen.add((position, name))
            if name.startswith("file:"):
                self._find_file(position, name[5:], reader)
            else:
                self._find(position, name, reader)

    def _find(self, position: int, name: str, reader: int | None) -> None:
        for index in range(position - 1, -1, -1):
            cell = self.cells[index]
            if name in cell.must_stores:
                self._keep(index, Reason(reader, name, "binds"))
                return
            if name in cell.may_stores or (
                cell.binds_anything and (name == UNSEEN or not name.startswith("$"))
            ):
                self._keep(index, Reason(reader, name, "may bind"))
            elif name in cell.may_mutate:
                self._keep(index, Reason(reader, name, "may change"))
            if name in cell.deletes:
                return

    def _find_file(self, position: int, path: str, reader: int | None) -> None:
        for index in range(position - 1, -1, -1):
            cell = self.cells[index]
            if "$cwd" in cell.effects and not path.startswith("/"):
                # Before it, the same file had another relative path.
                path = ANY + path.rpartition("/")[2]
            if any(linked(path, written) for written in cell.files_written):
                self._keep(index, Reason(reader, path, "writes"))
                if path in cell.files_replaced:
                    return


def _never_ran(event: CellEvent) -> bool:
    """Whether a failed cell failed before its first statement."""
    ename = (event.error or {}).get("ename", "")
    return ename in ("SyntaxError", "IndentationError", "TabError")
