"""What a rule says, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ERROR", "NOTE", "WARNING", "Finding", "Place"]

# SARIF's words.  An error: the notebook does not compute what it shows.
ERROR = "error"
WARNING = "warning"
NOTE = "note"


@dataclass(frozen=True, slots=True)
class Place:
    """Another cell that a finding speaks of.

    ``cell`` is its position in the document, from 0, ``None`` where it is no longer in it;
    ``count`` the number of the execution that is meant; ``what`` says what the cell has done.
    """

    cell: int | None
    cell_id: str | None
    count: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a notebook.

    Attributes:
        rule: the rule's id, ``NB003``.
        severity: ``error``, ``warning`` or ``note``.
        cell: position of the cell among all cells of the document, from 0.
        cell_id: nbformat's id of the cell, where it has one.
        line: line in the cell, from 1.
        column: column in the line, from 1, in characters.
        message: what is wrong, in one sentence.
        reason: why that matters here.
        fix: what to do about it.
        names: the variables, columns or files that it is about.
        related: other cells that have part in it.
    """

    rule: str
    severity: str
    cell: int
    cell_id: str | None
    line: int
    column: int
    message: str
    reason: str
    fix: str
    names: tuple[str, ...] = ()
    related: tuple[Place, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON object with these fields."""
        return asdict(self) | {
            "names": list(self.names),
            "related": [asdict(place) for place in self.related],
        }
