"""What was executed, as versions of names: who made what each cell read.

Each execution is set beside the cell of the document that it is of.  A version is a binding of a
name, followed by changes of its object in place.  Versions are numbered by value: a cell that ran
again with the same code on the same inputs has made the same version, so nobody is out of date
because of it.  Fingerprints of the session's evidence, where it has them, decide instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...model.events import CellEvent
from ..flow import analyse
from ..slicing import flows
from .document import NotebookCell, same_code
from .execution import Execution
from .state import State
from .statements import Statements, read_statements
from .versions import Version

__all__ = ["Execution", "History", "build_history"]

_CLOCK = 2.0  # seconds that a file's time may lie before what it holds


@dataclass(slots=True)
class History:
    """The executions in order, and the document's cells.

    ``latest`` maps the position of a cell to its last execution that ended well, ``runs`` to all of
    them; ``edited`` holds the cells whose code is not what ran last.  ``seen`` says that there was
    a session: earlier executions of a cell, and cells that are gone, are then known.  ``ordered``
    is false where there is no document, so that above and below mean nothing.  ``kept`` says
    whether a snapshot holds the content of a file.  ``makers`` holds the names that each cell's
    code as it is now may bind; ``may_bind_anything`` says that some cell's text does not tell.
    """

    cells: tuple[NotebookCell, ...]
    executions: list[Execution]
    seen: bool
    ordered: bool
    latest: dict[int, Execution] = field(default_factory=dict)
    runs: dict[int, list[Execution]] = field(default_factory=dict)
    edited: frozenset[int] = frozenset()
    current: dict[str, Version] = field(default_factory=dict)
    code: dict[int, Statements] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    kept: Callable[[str], bool] = lambda _: False
    makers: dict[int, frozenset[str]] = field(default_factory=dict)
    may_bind_anything: bool = False

    def settled(self) -> list[tuple[NotebookCell, Execution]]:
        """The cells whose last execution is known and is of the code that they hold now."""
        return [
            (cell, run)
            for cell in self.cells
            if (run := self.latest.get(cell.position)) is not None
            and run.readable
            and cell.position not in self.edited
        ]

    def expected(self, run: Execution, name: str) -> Execution | None:
        """The run of the nearest cell above that made or changed ``name`` (not ``run``'s own)."""
        assert run.cell is not None  # noqa: S101
        for cell in reversed(self.cells):
            if cell.position >= run.cell.position:
                continue
            other = self.latest.get(cell.position)
            if other is not None and name in other.writes:
                return other
        return None

    def above(self, run: Execution) -> frozenset[int]:
        """The executions of cells that stand above the one of ``run``."""
        assert run.cell is not None  # noqa: S101
        return frozenset(
            other.index
            for other in self.executions
            if other.cell is not None and other.cell.position < run.cell.position
        )

    def label(self, run: Execution) -> str:
        """How messages call a cell: by what stands beside it in the document."""
        return run.cell.label if run.cell is not None else run.label


def build_history(
    cells: Sequence[NotebookCell] | None,
    events: Sequence[CellEvent] = (),
    *,
    saved: float | None = None,
    kept: Callable[[str], bool] = lambda _: False,
) -> History:
    """Put executions and document together.

    Without ``events`` the execution counts say what ran in which order; without those either, the
    document is taken to have run from top to bottom.  Without ``cells`` the document is what the
    session ran.  ``saved`` is when the document was written (seconds since the epoch): what ran
    later may not be in it yet; ``None`` says that it is the document as it is now.
    """
    seen = bool(events)
    document = tuple(_document_of(events)) if cells is None else tuple(cells)
    if not seen:
        events = _events_of(document)
    history = History(document, [], seen, cells is not None, kept=kept)
    history.code = {cell.position: read_statements(cell.source) for cell in document}
    owners = _Owners(document, events, saved)
    edited: set[int] = set()
    state = State(seen=seen)
    for index, (event, flow) in enumerate(zip(events, flows(events), strict=True)):
        cell, gone = owners.find(event)
        run = Execution(index, event, flow, read_statements(event.source), cell, gone)
        state.take(run)
        history.executions.append(run)
        if cell is None or event.private:
            continue
        if event.status == "ok":
            history.latest[cell.position] = run
            history.runs.setdefault(cell.position, []).append(run)
        newer = saved is not None and event.ended > saved - _CLOCK
        if newer or same_code(event.source, cell.source):
            edited.discard(cell.position)
        else:
            edited.add(cell.position)
    history.edited = frozenset(edited)
    _find_makers(history)
    history.current = state.names
    history.modules = frozenset(state.modules)
    return history


def _document_of(events: Sequence[CellEvent]) -> list[NotebookCell]:
    """The cells of a session without a document, in the order in which they first ran."""
    found: dict[str, NotebookCell] = {}
    for event in events:
        key = event.cell_id or event.source
        position = found[key].position if key in found else len(found)
        found[key] = NotebookCell(position, event.source, event.cell_id, event.seq)
    return list(found.values())


def _events_of(cells: Sequence[NotebookCell]) -> list[CellEvent]:
    """What ran, as far as execution counts tell; from top to bottom where there are none."""
    counted = [cell for cell in cells if cell.count is not None]
    ordered = sorted(counted, key=lambda c: c.count or 0) if counted else list(cells)
    return [
        CellEvent(
            session="",
            seq=cell.count if cell.count is not None else number,
            source=cell.source,
            started=0.0,
            ended=0.0,
            status="error" if cell.failed else "ok",
            cell_id=cell.id if cell.id is not None else f"#{cell.position}",
        )
        for number, cell in enumerate(ordered, 1)
    ]


def _find_makers(history: History) -> None:
    for cell in history.cells:
        code, run = history.code[cell.position], history.latest.get(cell.position)
        names = frozenset().union(*(s.stores for s in code.body)) if code.body else frozenset()
        flow = analyse(cell.source)
        history.may_bind_anything |= flow.binds_anything or flow.error is not None
        names |= flow.must_stores | flow.may_stores
        if run is not None and cell.position not in history.edited:
            names |= run.writes.keys()
        history.makers[cell.position] = names


class _Owners:
    """Which cell of the document an execution is of."""

    def __init__(
        self, cells: Sequence[NotebookCell], events: Sequence[CellEvent], saved: float | None
    ) -> None:
        self._by_id = {c.id if c.id is not None else f"#{c.position}": c for c in cells}
        self._by_source: dict[str, list[NotebookCell]] = {}
        for cell in cells:
            self._by_source.setdefault(cell.source.strip(), []).append(cell)
        self._known = {event.cell_id for event in events}
        self._saved = saved

    def find(self, event: CellEvent) -> tuple[NotebookCell | None, bool]:
        """The cell, and whether it is certainly gone."""
        cell = self._by_id.get(event.cell_id or "")
        if cell is not None:
            return cell, False
        same = self._by_source.get(event.source.strip(), [])
        if event.cell_id is None:
            return (same[0] if len(same) == 1 else None), False
        # Pasted elsewhere it has another id, unless that is a cell which ran itself.
        pasted = [c for c in same if c.id is None or c.id not in self._known]
        if len(pasted) == 1:
            return pasted[0], False
        return None, self._saved is None or event.ended <= self._saved - _CLOCK
