"""Sessions to promote: notebooks on disk, journals of what was executed, without a kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import jupyter_mlops
from jupyter_mlops.dataflow import strip_tracking
from jupyter_mlops.journal import SessionJournal, this_process
from jupyter_mlops.model.events import CellEvent, InputRecord, RunRecord, SessionHeader
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.project import Project

Cell = tuple[str, str]  # id (Markdown where it begins with "#"), source


def write(path: Path, cells: Sequence[Cell], counts: Mapping[str, int] | None = None) -> Path:
    """Write a notebook; a cell whose id begins with ``md`` is Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook()
    for cell_id, source in cells:
        cell = new_markdown_cell(source) if cell_id.startswith("md") else new_code_cell(source)
        cell["id"] = cell_id
        if cell.cell_type == "code" and counts is not None:
            cell["execution_count"] = counts.get(cell_id)
        notebook.cells.append(cell)
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(notebook, path)
    return path


def execute(sources: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run cells one after another, as the session did, and return what they bound."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for source in sources:
            exec(strip_tracking(source), namespace)
    finally:
        os.chdir(before)
    return namespace


def record(
    project: Project,
    notebook: Path,
    executed: Sequence[Cell],
    *,
    metrics: Mapping[str, float],
    inputs: Sequence[InputRecord] = (),
    tracked: bool = True,
    evidence: Mapping[int, dict[str, Any]] | None = None,
) -> RunRecord:
    """Write the journal of a session whose last executed cell was tracked."""
    session = new_id()
    journal = SessionJournal(project.journal, session)
    me = this_process()
    header = SessionHeader(
        session=session, started=1.0, interpreter=sys.executable,
        python=".".join(map(str, sys.version_info[:3])), version="0",
        pid=me.pid, pid_started=me.started, boot_id=me.boot_id, host=me.host, cwd="/",
        notebook=project.relative(notebook),
    )  # fmt: skip
    journal.append(header.to_dict())
    for seq, (cell_id, source) in enumerate(executed, 1):
        event = CellEvent(
            session, seq, source, float(seq), seq + 0.5, "ok", cell_id=cell_id,
            evidence=(evidence or {}).get(seq),
        )  # fmt: skip
        journal.append(event.to_dict())
    run = RunRecord(
        run_id=new_id(), session=session, name="n", status="FINISHED", started=1.0, ended=2.0,
        seq=len(executed), notebook=project.relative(notebook), metrics=dict(metrics),
        inputs=tuple(inputs),
    )  # fmt: skip
    if tracked:
        journal.append(run.to_dict(), sync=True)
    journal.close()
    return run


def code(cells: Sequence[Cell]) -> list[Cell]:
    """The code cells."""
    return [cell for cell in cells if not cell[0].startswith("md")]


def text_of(path: Path) -> str:
    """The code of a notebook that must be valid."""
    document = nbformat.read(path, as_version=4)
    nbformat.validate(document)
    return "\n\n".join(c.source for c in document.cells if c.cell_type == "code")


def block_package(folder: Path) -> None:
    """Let importing us fail for who has ``folder`` on the path, but not for papermill itself.

    papermill loads all engines that are installed, ours too: its own process is not where steps
    run.
    """
    package = folder / "jupyter_mlops"
    package.mkdir(parents=True)
    real = str(Path(jupyter_mlops.__file__).parent)
    (package / "__init__.py").write_text(
        "import sys\n\nif 'papermill' not in sys.modules:\n"
        "    raise ImportError('a step must run where jupyter_mlops is not installed')\n"
        f"__path__ = [{real!r}]\n"
    )
