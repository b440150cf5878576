"""Making findings and the places they name."""

from __future__ import annotations

from .document import NotebookCell
from .execution import Execution
from .finding import Finding, Place
from .history import History

__all__ = ["place", "report"]


def report(
    history: History,
    run: Execution,
    rule: str,
    severity: str,
    name: str,
    message: str,
    reason: str,
    fix: str,
    *related: Place,
    at: tuple[int, int] | None = None,
) -> Finding:
    """A finding about ``name`` in the cell of ``run``, ``at`` its first use unless told."""
    assert run.cell is not None  # noqa: S101
    line, column = at if at is not None else history.code[run.cell.position].find(name)
    return Finding(
        rule=rule,
        severity=severity,
        cell=run.cell.position,
        cell_id=run.cell.id,
        line=line,
        column=column,
        message=message,
        reason=reason,
        fix=fix,
        names=(name,),
        related=related,
    )


def place(of: Execution | NotebookCell, what: str) -> Place:
    """The cell that has part in a finding."""
    if isinstance(of, NotebookCell):
        return Place(of.position, of.id, of.count, what)
    cell = of.cell
    return Place(
        cell=None if cell is None else cell.position,
        cell_id=of.event.cell_id if cell is None else cell.id,
        count=of.event.seq,
        what=what,
    )
