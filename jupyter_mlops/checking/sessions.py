"""The session that a notebook's cells were executed in, as the journal has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..dataflow.findings import NotebookCell
from ..journal import REDACTED, SessionFile, list_sessions, read_session
from ..model.events import CellEvent
from ..project import Project

__all__ = ["executed_cells", "find_session", "fits", "kept_files"]

_LOOKED_AT = 40  # sessions, newest first


def find_session(
    project: Project, notebook: Path, cells: Sequence[NotebookCell]
) -> SessionFile | None:
    """The newest session whose executions are those that the notebook shows; ``None`` if none is.

    A notebook that was executed again without being recorded shows other execution counts: what
    the journal has of it says nothing of what is shown.
    """
    relative = project.relative(notebook)
    for path in list(reversed(list(list_sessions(project.journal))))[:_LOOKED_AT]:
        try:
            if not _may_be(project, path, relative):
                continue
            session = read_session(path)
        except OSError:
            continue
        if fits(session, cells):
            return session
    return None


def _may_be(project: Project, path: Path, relative: str) -> bool:
    """Whether a session is the notebook's by its header, or the file that it was of is gone."""
    header = read_session(path, start=path.stat().st_size).header
    if header is None or header.notebook is None:
        return True
    return header.notebook == relative or not (project.root / header.notebook).exists()


def fits(session: SessionFile, cells: Sequence[NotebookCell]) -> bool:
    """Whether the execution counts that a notebook shows are of this session."""
    ran = {(event.cell_id, event.seq) for event in session.cells if event.cell_id is not None}
    known = {cell_id for cell_id, _ in ran}
    shown = [(cell.id, cell.count) for cell in cells if cell.count is not None]
    if not shown:
        return any(cell.id in known for cell in cells)
    same = sum(pair in ran for pair in shown)
    other = sum(cell_id in known and (cell_id, count) not in ran for cell_id, count in shown)
    return same > other


def executed_cells(
    session: SessionFile | None, cells: Sequence[NotebookCell]
) -> tuple[CellEvent, ...]:
    """The cells that a session executed, with the notebook's source where only a secret differs.

    Otherwise each cell that a secret was taken out of would count as edited since it ran.
    """
    if session is None:
        return ()
    sources = {cell.id: cell.source for cell in cells if cell.id is not None}
    return tuple(_whole(event, sources.get(event.cell_id or "")) for event in session.cells)


def _whole(event: CellEvent, source: str | None) -> CellEvent:
    if source is None or REDACTED.search(event.source) is None:
        return event
    pieces = [re.escape(event.source[a:b]) for a, b in _between(event.source)]
    same = re.fullmatch(".*?".join(pieces), source, re.DOTALL) is not None
    return replace(event, source=source) if same else event


def _between(text: str) -> Iterator[tuple[int, int]]:
    """What stands before, between and after the marks of secrets."""
    start = 0
    for mark in REDACTED.finditer(text):
        yield start, mark.start()
        start = mark.end()
    yield start, len(text)


def kept_files(session: SessionFile | None) -> frozenset[str]:
    """The sources, as the journal spells them, of inputs that a snapshot keeps."""
    if session is None:
        return frozenset()
    runs = [i for run in session.runs for i in run.inputs]
    later = [i for amendment in session.amendments for i in amendment.inputs]
    return frozenset(i.source for i in (*runs, *later) if i.snapshot is not None and i.source)
