"""One execution of a cell, with the versions that it read and wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...model.events import CellEvent
from ..flow import CellFlow
from .changes import Change
from .document import NotebookCell
from .statements import Columns, Statements
from .versions import Version

__all__ = ["Execution"]


@dataclass(slots=True)
class Execution:
    """One cell that ran.

    ``cell`` is the cell of the document that it is an execution of, ``None`` where that is gone or
    unknown; ``gone`` says that it certainly is gone.  ``reads`` maps what it read to the version
    that it found, ``None`` where the session does not know it; ``writes`` what it left; ``bases``
    what it changed in place, as that was before.
    """

    index: int
    event: CellEvent
    flow: CellFlow
    code: Statements
    cell: NotebookCell | None
    gone: bool = False
    reads: dict[str, Version | None] = field(default_factory=dict)
    writes: dict[str, Version] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    bases: dict[str, Version] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether it is known what it did."""
        flow = self.flow
        return self.event.status == "ok" and flow.error is None and not flow.reads_anything

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"cell [{self.event.seq}]"

    def footprint(self, name: str) -> Columns:
        """The columns of ``name`` that it reads, ``None`` for all."""
        return self.code.columns(name)
