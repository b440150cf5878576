"""What is promoted: a notebook, the tracked run in it, and the session that executed it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..dataflow import flows
from ..errors import NotebookError, UsageError
from ..journal import REDACTED, SessionFile, list_sessions, read_session
from ..model.events import CellEvent, RunAmended, RunRecord
from ..pipelines import read_notebook
from ..project import Project
from ..tracking import amended

__all__ = ["Tracked", "find_tracked", "has_secret", "of_document", "require_sources"]

_TRACK = re.compile(r"\s*%%track\b")


@dataclass(frozen=True, slots=True)
class Tracked:
    """What to promote: ``events[target]`` is the last execution that may be needed.

    ``document`` is the notebook as it is on disk now (nbformat 4); what was executed is in
    ``events``, in executed order, with the source each cell had then.  ``run`` is the tracked run
    of the target, ``None`` where none is recorded; ``session`` is ``None`` where nobody saw the
    cells being executed and ``events`` are those of the file.  ``targets`` are the variables that
    were asked for, none for the cell itself.
    """

    notebook: Path
    document: Any
    run: RunRecord | None
    session: SessionFile | None
    events: tuple[CellEvent, ...]
    target: int
    targets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    measured: dict[str, float] | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The recorded numbers of the tracked cell; else those that a replay of all gave."""
        if self.run is None:
            return dict(self.measured or {})
        return dict(self.run.metrics)

    @property
    def run_id(self) -> str | None:
        """Our id of the run."""
        return None if self.run is None else self.run.run_id

    @property
    def basis(self) -> str:
        """What is known of the execution: ``session`` or ``document``."""
        return "document" if self.session is None else "session"

    @property
    def interpreter(self) -> str | None:
        """The Python that executed it."""
        header = None if self.session is None else self.session.header
        return None if header is None else header.interpreter

    @property
    def python(self) -> str | None:
        """The version of that Python."""
        header = None if self.session is None else self.session.header
        return None if header is None else header.python


def find_tracked(
    project: Project, notebook: Path, run: str | None = None, targets: Sequence[str] = ()
) -> Tracked:
    """Return the newest finished tracked run of a notebook, or the one that ``run`` names.

    With ``targets`` (variables) it is the newest session of the notebook, up to its end or to the
    run.  Where no execution is recorded, the cells of the file stand for it.

    Raises ``NotebookError`` for a file that is no notebook or in which nothing was tracked,
    ``NotFoundError`` for an unknown run, and ``UsageError`` for one of another notebook and for a
    target that no cell binds.
    """
    document = read_notebook(notebook, whole=True)
    if targets:
        return _of_targets(project, notebook, document, run, tuple(targets))
    if not _has_tracked_cell(document):
        raise NotebookError(
            f"{notebook} has no tracked cell",
            hint="Put %%track on the first line of the cell that computes the result, or name the "
            "variables to promote.",
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
    return of_document(notebook, document)


def has_secret(tracked: Tracked, kept: Sequence[int]) -> bool:
    """Whether a secret was taken out of the recorded source of one of the cells ``kept``."""
    return any(REDACTED.search(tracked.events[i].source) for i in kept)


def require_sources(tracked: Tracked, kept: Sequence[int]) -> None:
    """Make sure that the cells at the positions ``kept`` are recorded as they were executed.

    Raises ``NotebookError`` that names the first one that the person keeps private, or that a
    secret was taken out of: neither would the rest of it give the same result, nor should a secret
    get into a pipeline.
    """
    for position in kept:
        event = tracked.events[position]
        if event.private:
            raise NotebookError(
                f"cell [{event.seq}] of {tracked.notebook} is private, so its source was not "
                "recorded and it cannot be replayed",
                hint="Take the tag 'private' from it and run the notebook again.",
                path=str(tracked.notebook),
                cell=event.seq,
            )
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


def _of_targets(
    project: Project, notebook: Path, document: Any, run: str | None, targets: tuple[str, ...]
) -> Tracked:
    found = None if run is None else _named(project, notebook, document, run)
    if found is None:
        found = _newest_session(project, notebook, document) or of_document(notebook, document)
    known: set[str] = set()
    for flow in flows(found.events[: found.target + 1]):
        known |= flow.must_stores | flow.may_stores
    known |= {name for event in found.events for name in event.bound}
    for name in targets:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise UsageError(
                f"no executed cell of {notebook} binds {name!r}"
                + (f"; did you mean {near[0]!r}?" if near else ""),
                hint="Name variables of the notebook, or none for its tracked cell.",
            )
    return replace(found, targets=targets)


def _newest_session(project: Project, notebook: Path, document: Any) -> Tracked | None:
    shown = project.relative(notebook)
    for path in reversed(list(list_sessions(project.journal))):
        session = read_session(path)
        events = session.cells
        ok = [i for i, event in enumerate(events) if event.status == "ok"]
        if session.header is None or session.header.notebook != shown or not ok:
            continue
        last = ok[-1]
        run = next(
            (
                r
                for r in reversed(session.runs)
                if r.kind == "cell" and r.status == "FINISHED" and r.seq == events[last].seq
            ),
            None,
        )
        return Tracked(notebook, document, run, session, events, last)
    return None


def of_document(notebook: Path, document: Any) -> Tracked:
    """The cells of a file for an execution that nobody recorded.

    Where the file says in which order they ran, that is the order; else it is that of the file.
    The target is the last tracked cell, or the last cell.  Raises ``NotebookError`` for a notebook
    without code.
    """
    code = [c for c in document.cells if c.cell_type == "code" and c.source.strip()]
    counts = [c.get("execution_count") for c in code]
    counted = [count for count in counts if count]
    notes = ["no execution of this notebook is recorded here: the slice rests on its text"]
    if counted and len(set(counted)) == len(counted):
        chosen = sorted((c for c in code if c.get("execution_count")), key=_count)
        if len(chosen) < len(code):
            notes.append(f"{len(code) - len(chosen)} cells were never executed and are left out")
        if counted != sorted(counted):
            notes.append("its cells ran in another order than they stand in: that order is kept")
        gaps = chosen[-1].execution_count - chosen[0].execution_count + 1 - len(chosen)
        if gaps:
            notes.append(f"{gaps} executions between them (edited, deleted or run again) are lost")
    else:
        chosen = code
        notes.append("its cells have no execution numbers: the order of the file is taken")
    if not chosen:
        raise NotebookError(f"{notebook} has no code to promote", path=str(notebook))
    events = tuple(
        CellEvent(
            session="document", seq=_count(cell) or number, source=cell.source, started=0.0,
            ended=0.0, status="error" if _raised(cell) else "ok", cell_id=cell.get("id"),
        )
        for number, cell in enumerate(chosen, 1)
    )  # fmt: skip
    marked = [i for i, cell in enumerate(chosen) if _is_tracked(cell) and not _raised(cell)]
    return Tracked(
        notebook, document, None, None, events, marked[-1] if marked else len(events) - 1,
        notes=tuple(notes),
    )  # fmt: skip


def _count(cell: Any) -> int:
    return int(cell.get("execution_count") or 0)


def _raised(cell: Any) -> bool:
    return any(output.get("output_type") == "error" for output in cell.get("outputs", ()))


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
    later = [item for item in session.records if isinstance(item, RunAmended)]
    return Tracked(notebook, document, amended(run, later), session, events, target)


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
    return any(cell.cell_type == "code" and _is_tracked(cell) for cell in document.cells)


def _is_tracked(cell: Any) -> bool:
    return bool(_TRACK.match(cell.source) or "track" in cell.metadata.get("tags", []))
