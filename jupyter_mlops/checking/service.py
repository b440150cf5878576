"""``check_notebook``: read a notebook and its session, apply the rules."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dataflow.findings import ERROR, Finding, NotebookCell, cells_of, check
from ..errors import NotebookError, ProjectError
from ..journal import SessionFile, read_session
from ..model.events import CellEvent
from ..project import Project
from .lines import CellLines, cell_lines
from .sessions import executed_cells, find_session, kept_files

__all__ = ["Checked", "check_cells", "check_executed", "check_notebook"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the rules have found in one notebook.

    ``path`` is as people read it.  ``session`` is the id of the session that they went by, ``None``
    where execution counts had to do.  ``cells`` are the code cells, ``lines`` where they are in the
    file.  ``skipped`` says why nothing was looked at.
    """

    path: str
    findings: tuple[Finding, ...]
    cells: tuple[NotebookCell, ...] = ()
    session: str | None = None
    lines: CellLines = field(default_factory=CellLines)
    skipped: str | None = None

    @property
    def failed(self) -> bool:
        """Whether there is a finding that is an error."""
        return any(finding.severity == ERROR for finding in self.findings)

    def count(self, severity: str) -> int:
        """How many findings are ``error``, ``warning`` or ``note``."""
        return sum(finding.severity == severity for finding in self.findings)

    def label(self, finding: Finding) -> str:
        """How people know the finding's cell: ``cell [5]``, ``cell 3`` where it never ran."""
        found = (cell.label for cell in self.cells if cell.position == finding.cell)
        return next(found, f"cell {finding.cell + 1}")

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--format json`` has for each notebook."""
        return {
            "path": self.path,
            "session": self.session,
            "skipped": self.skipped,
            "findings": [
                finding.to_dict() | {"file_line": self.lines.line(finding.cell, finding.line)}
                for finding in self.findings
            ],
        }


def check_notebook(
    project: Project | None,
    notebook: Path,
    *,
    session: bool | None = None,
    rules: frozenset[str] | None = None,
) -> Checked:
    """Check a notebook file, with the session that its cells ran in where the journal has it.

    ``project`` is ``None`` where there can be none.  ``session``: ``True`` insists on one,
    ``False`` goes by execution counts.  ``rules`` are the ids to apply, by default all.  Raises
    ``NotebookError`` for a file that is no notebook, or when the session that is insisted on is
    not there.
    """
    text, content = _read(notebook)
    shown = _shown(notebook)
    try:
        cells = cells_of(content)
    except ValueError as problem:
        raise NotebookError(
            f"{notebook} is not a notebook: {problem}", path=str(notebook)
        ) from None
    language = _language(content)
    if language != "python":
        return Checked(shown, (), cells, skipped=f"its language is {language}")
    found = None
    if session is not False:
        found = find_session(project, notebook, cells) if project is not None else None
        if found is None and session:
            raise NotebookError(
                f"no recorded session executed {notebook} as it stands",
                hint="Run it with `%load_ext jupyter_mlops` and a %%track cell, or leave --session "
                "away.",
                path=str(notebook),
            )
    saved = notebook.stat().st_mtime
    checked = _apply(project, notebook.parent, shown, cells, found, saved, rules)
    return Checked(checked.path, checked.findings, cells, checked.session, cell_lines(text))


def check_cells(
    project: Project | None,
    notebook: Path,
    cells: Sequence[NotebookCell],
    *,
    rules: frozenset[str] | None = None,
) -> Checked:
    """Check a notebook as it is in front of a person: ``cells`` are those of its document now."""
    cells = tuple(cells)
    found = find_session(project, notebook, cells) if project is not None else None
    return _apply(project, notebook.parent, _shown(notebook), cells, found, None, rules)


def check_executed(
    events: Sequence[CellEvent],
    notebook: Path | None,
    *,
    project: Project | None = None,
    rules: frozenset[str] | None = None,
) -> Checked:
    """Check what a kernel has executed against its notebook's file, which may be older.

    Without a readable file what ran is taken for the document.  The files that ``project``'s
    journal knows a snapshot of, by the session of the events, count as kept.
    """
    cells: tuple[NotebookCell, ...] | None = None
    saved = None
    if notebook is not None:
        try:
            cells, saved = cells_of(_read(notebook)[1]), notebook.stat().st_mtime
        except (NotebookError, OSError, ValueError):
            cells = None
    session = next((event.session for event in reversed(events) if event.session), None)
    sources: frozenset[str] = frozenset()
    if project is not None and session is not None:
        with contextlib.suppress(OSError):
            sources = kept_files(read_session(project.journal / f"{session}.journal"))

    def kept(path: str) -> bool:
        return path in sources or (project is not None and project.relative(path) in sources)

    findings = check(cells, events, saved=saved, kept=kept, rules=rules)
    path = _shown(notebook) if notebook is not None else "this session"
    return Checked(path, findings, cells or (), session=session or ("this" if events else None))


def _shown(notebook: Path) -> str:
    """The path below the working directory where it is there: what tools of the shell expect."""
    here = Path.cwd()
    place = notebook.resolve()
    return place.relative_to(here).as_posix() if place.is_relative_to(here) else place.as_posix()


def _apply(
    project: Project | None,
    folder: Path,
    shown: str,
    cells: tuple[NotebookCell, ...],
    session: SessionFile | None,
    saved: float | None,
    rules: frozenset[str] | None,
) -> Checked:
    sources = kept_files(session)
    cwd = Path(session.header.cwd) if session is not None and session.header else folder

    def kept(path: str) -> bool:
        place = Path(os.path.normpath(cwd / path))
        return path in sources or (project is not None and project.relative(place) in sources)

    events = executed_cells(session, cells)
    findings = check(cells, events, saved=saved, kept=kept, rules=rules)
    return Checked(shown, findings, cells, session.session if session is not None else None)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotebookError(f"{path} does not exist", path=str(path)) from None
    except UnicodeDecodeError as error:
        raise NotebookError(f"{path} is not a notebook: not UTF-8 text", path=str(path)) from error
    except IsADirectoryError:
        raise NotebookError(f"{path} is a folder", path=str(path)) from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is nested too deeply"
        raise NotebookError(f"{path} is not a notebook: {reason}", path=str(path)) from error
    if not isinstance(content, dict):
        raise NotebookError(f"{path} is not a notebook: it is no object", path=str(path))
    return text, content


def _language(content: dict[str, Any]) -> str:
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for key, inner in (("language_info", "name"), ("kernelspec", "language")):
        part = metadata.get(key)
        if isinstance(part, dict) and isinstance(part.get(inner), str):
            return str(part[inner]).lower()
    return "python"
