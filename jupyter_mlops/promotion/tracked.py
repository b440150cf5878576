"""What is promoted: a notebook, the tracked run in it, and the session that executed it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotebookError, UsageError
from ..journal import REDACTED, SessionFile, list_sessions, read_session
from ..model.events import CellEvent, RunRecord
from ..pipelines import read_notebook
from ..project import Project

__all__ = ["Tracked", "find_tracked", "has_secret", "require_sources"]

_TRACK = re.compile(r"\s*%%track\b")


@dataclass(frozen=True, slots=True)
class Tracked:
    """A run to promote: ``events[target]`` is the execution of its cell.

    ``document`` is the notebook as it is on disk now (nbformat 4); what was executed is in
    ``events``, in executed order, with the source each cell had then.
    """

    notebook: Path
    document: Any
    run: RunRecord
    session: SessionFile
    events: tuple[CellEvent, ...]
    target: int

    @property
    def interpreter(self) -> str | None:
        """The Python that executed it."""
        return None if self.session.header is None else self.session.header.interpreter


def find_tracked(project: Project, notebook: Path, run: str | None = None) -> Tracked:
    """Return the newest finished tracked run of a notebook, or the one that ``run`` names.

    Raises ``NotebookError`` for a file that is no notebook or in which nothing was tracked,
    ``NotFoundError`` for an unknown run, and ``UsageError`` for one of another notebook.
    """
    document = read_notebook(notebook)
    if not _has_tracked_cell(document):
        raise NotebookError(
            f"{notebook} has no tracked cell",
            hint="Put %%track on the first line of the cell that computes the result, and run it.",
            path=str(notebook),
        )
    if run is not None:
        return _named(project, notebook, document, run)
    cell_ids = {cell.get("id") for cell in document.cells}
    unfinished: RunRecord | None = None
    for path in reversed(list(list_sessions(project.journal))):
        session = read_session(path)
        for record in reversed(session.runs):
            if record.kind != "cell" or not _is_of(project, notebook, cell_ids, record, session):
                continue
            if record.status == "FINISHED":
                return _tracked(notebook, document, record, session)
            unfinished = unfinished or record
    if unfinished is not None:
        raise NotebookError(
            f"the tracked run of {notebook} did not finish: {unfinished.status}",
            hint="Mend the cell, run it again, and promote then.",
            path=str(notebook),
            run=unfinished.run_id,
        )
    raise NotebookError(
        f"{notebook} has a tracked cell, but no run of it is recorded in {project.root}",
        hint=f"Run it in Jupyter, or here: jupyter mlops run {project.relative(notebook)}",
        path=str(notebook),
    )


def has_secret(tracked: Tracked, kept: Sequence[int]) -> bool:
    """Whether a secret was taken out of the recorded source of one of the cells ``kept``."""
    return any(REDACTED.search(tracked.events[i].source) for i in kept)


def require_sources(tracked: Tracked, kept: Sequence[int]) -> None:
    """Make sure that the cells at the positions ``kept`` are recorded as they were executed.

    Raises ``NotebookError`` that names the first one that a secret was taken out of: neither would
    the rest of it give the same result, nor should a secret get into a pipeline.
    """
    for position in kept:
        event = tracked.events[position]
        found = REDACTED.search(event.source)
        if found is None:
            continue
        kind = found.group(1)
        variable = re.sub(r"\W+", "_", kind).upper()
        raise NotebookError(
            f"cell [{event.seq}] of {tracked.notebook} had a secret in it ({kind}), "
            "which was not recorded, so the cell cannot be replayed",
            hint=f'Read it from the environment, os.environ["{variable}"], run the notebook again '
            "and promote then.",
            path=str(tracked.notebook),
            cell=event.seq,
        )


def _named(project: Project, notebook: Path, document: Any, text: str) -> Tracked:
    from ..tracking import find_run

    wanted = find_run(project, text)
    if wanted.kind != "cell":
        raise UsageError(
            f"run {text} is a {wanted.kind} run, not one of a tracked cell",
            hint="See `jupyter mlops runs ls` for the runs of tracked cells.",
        )
    for session, record in _records(project):
        if record.run_id != wanted.run_id:
            continue
        cell_ids = {cell.get("id") for cell in document.cells}
        if not _is_of(project, notebook, cell_ids, record, session):
            raise UsageError(f"run {text} is of {record.notebook}, not of {notebook}")
        if record.status != "FINISHED":
            raise UsageError(f"run {text} did not finish: {record.status}")
        return _tracked(notebook, document, record, session)
    raise UsageError(
        f"the executed cells of run {text} are not in this project's journal",
        hint="Promote on the machine where it ran, or run the notebook here first.",
    )


def _records(project: Project) -> Iterator[tuple[SessionFile, RunRecord]]:
    for path in reversed(list(list_sessions(project.journal))):
        session = read_session(path)
        for record in session.runs:
            yield session, record


def _tracked(notebook: Path, document: Any, run: RunRecord, session: SessionFile) -> Tracked:
    events = session.cells
    target = next((i for i, event in enumerate(events) if event.seq == run.seq), None)
    if target is None:
        raise NotebookError(
            f"the journal of {notebook} is damaged: the cell of run {run.run_id} is missing",
            hint="Run the notebook again and promote the new run.",
            path=str(notebook),
        )
    return Tracked(notebook, document, run, session, events, target)


def _is_of(
    project: Project,
    notebook: Path,
    cell_ids: set[str | None],
    run: RunRecord,
    session: SessionFile,
) -> bool:
    recorded = run.notebook or (session.header.notebook if session.header else None)
    if recorded is None:
        return False
    if recorded == project.relative(notebook):
        return True
    # Renamed since: the file it was recorded under is gone, and the cell is in this one.
    event = next((e for e in session.cells if e.seq == run.seq), None)
    return (
        not (project.root / recorded).exists()
        and event is not None
        and event.cell_id is not None
        and event.cell_id in cell_ids
    )


def _has_tracked_cell(document: Any) -> bool:
    return any(
        cell.cell_type == "code"
        and (_TRACK.match(cell.source) or "track" in cell.metadata.get("tags", []))
        for cell in document.cells
    )
