"""Promotion with real kernels: from a journal of executed cells to a proven pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_mlops.config import Config
from jupyter_mlops.errors import (
    NotebookError,
    ReplayDiffersError,
    UsageError,
)
from jupyter_mlops.journal import SessionJournal, this_process
from jupyter_mlops.model.events import CellEvent, RunRecord, SessionHeader
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.pipelines import load_pipeline, load_policy
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote

Cell = tuple[str, str]  # cell id, source


def record(
    project: Project,
    notebook: Path,
    executed: Sequence[Cell],
    *,
    metrics: dict[str, float],
    status: str = "FINISHED",
    failed: frozenset[int] = frozenset(),
) -> RunRecord:
    """Write the journal of a session whose last executed cell was tracked."""
    session = new_id()
    journal = SessionJournal(project.journal, session)
    me = this_process()
    header = SessionHeader(
        session=session, started=1.0, interpreter=sys.executable, python="3.11", version="0",
        pid=me.pid, pid_started=me.started, boot_id=me.boot_id, host=me.host, cwd="/",
        notebook=project.relative(notebook),
    )  # fmt: skip
    journal.append(header.to_dict())
    for seq, (cell_id, source) in enumerate(executed, 1):
        state = "error" if seq - 1 in failed else "ok"
        event = CellEvent(session, seq, source, float(seq), seq + 0.5, state, cell_id=cell_id)
        journal.append(event.to_dict())
    run = RunRecord(
        run_id=new_id(), session=session, name="n", status=status, started=1.0, ended=2.0,
        seq=len(executed), notebook=project.relative(notebook), metrics=metrics,
    )  # fmt: skip
    journal.append(run.to_dict(), sync=True)
    journal.close()
    return run


def write(path: Path, cells: Sequence[Cell], title: str = "# A title") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=[new_markdown_cell(title)])
    for cell_id, source in cells:
        cell = new_code_cell(source)
        cell["id"] = cell_id
        notebook.cells.append(cell)
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(notebook, path)
    return path


def pipelines(project: Project) -> list[str]:
    return sorted(p.name for p in project.pipelines.glob("*")) if project.pipelines.exists() else []


def code_of(folder: Path, step: str = "main") -> list[Any]:
    document = nbformat.read(folder / f"{step}.ipynb", as_version=4)
    nbformat.validate(document)
    return [c for c in document.cells if c.cell_type == "code"]


MESSY = [
    ("c1", "%load_ext jupyter_mlops\nimport math"),
    ("c2", "numbers = [3.0, 4.0]"),
    ("c3", "explored = [n * 100 for n in numbers]\nexplored"),
    ("c4", "factor = 2"),
    ("c5", "scaled = [n * factor for n in numbers]"),
    ("c6", "%%track\npower = 2\nlength = math.sqrt(sum(n**power for n in scaled))"),
]


def test_a_messy_notebook_becomes_a_proven_pipeline(project: Project) -> None:
    notebook = write(project.root / "work" / "Messy one.ipynb", MESSY)
    # Run out of order, a cell edited and run again, a dead end, a failure, and a deleted cell.
    executed = [
        MESSY[0],
        ("c2", "numbers = [1.0]"),
        ("gone", "offset = 0.0"),
        (*MESSY[4][:1], "scaled = undefined"),
        MESSY[1],
        MESSY[3],
        MESSY[2],
        ("c5", "scaled = [n * factor + offset for n in numbers]"),
        MESSY[5],
    ]
    run = record(project, notebook, executed, metrics={"length": 10.0}, failed=frozenset({3}))
    promotion = promote(project, Config(), notebook)
    assert promotion.name == "messy-one"
    assert promotion.verdict == "equal"
    assert promotion.run_id == run.run_id
    cells = code_of(promotion.folder)
    source = "\n".join(c.source for c in cells)
    assert "explored" not in source
    assert "undefined" not in source
    assert "track" not in source.replace("_marks", "")
    assert "jupyter_mlops" not in source
    (parameters,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert "factor: int = 2" in parameters.source
    assert "power: int = 2" in parameters.source
    assert "offset = 0.0" in parameters.source
    pipeline = load_pipeline(promotion.folder)
    assert {p.name: p.default for p in pipeline.parameters} == {
        "numbers": [3.0, 4.0], "offset": 0.0, "factor": 2, "power": 2,
    }  # fmt: skip
    assert pipeline.model is None
    assert load_policy(promotion.folder).gates == ()
    proof = json.loads((promotion.folder / "proof.json").read_text())
    assert proof["cells"]["dropped"] == [2, 4, 7]
    assert proof["metrics"] == {"length": {"tracked": 10.0, "replayed": 10.0}}
    assert pipelines(project) == ["messy-one"]
    # Plain papermill, from a folder below the project, with another value.
    out = project.root / "work" / "metrics.json"
    subprocess.run(
        [
            Path(sys.executable).with_name("papermill"),
            promotion.folder / "main.ipynb",
            os.devnull,
            "-p",
            "factor",
            "1",
            "-p",
            "metrics_path",
            out,
            "--no-progress-bar",
        ],
        cwd=project.root / "work",
        check=True,
        capture_output=True,
    )
    assert json.loads(out.read_text()) == {"length": 5.0}


def test_relative_files_are_found_from_anywhere_in_the_project(project: Project) -> None:
    cells = [
        ("a", "from pathlib import Path\nsource = 'data/numbers.txt'"),
        ("b", "%%track\ntotal = sum(map(float, Path(source).read_text().split()))"),
    ]
    notebook = write(project.root / "deep" / "files.ipynb", cells)
    (notebook.parent / "data").mkdir()
    (notebook.parent / "data" / "numbers.txt").write_text("1 2 3.5")
    record(project, notebook, cells, metrics={"total": 6.5})
    promotion = promote(project, Config(), notebook, name="files")
    assert promotion.verdict == "equal"
    assert promotion.parameters[0].default == "data/numbers.txt"


def test_a_replay_that_differs_leaves_nothing(project: Project) -> None:
    cells = [("a", "import random"), ("b", "%%track\nluck = random.random()")]
    notebook = write(project.root / "luck.ipynb", cells)
    record(project, notebook, cells, metrics={"luck": 0.5})
    with pytest.raises(ReplayDiffersError) as caught:
        promote(project, Config(), notebook)
    assert caught.value.exit_code == 4
    assert "luck: tracked 0.5, replayed 0." in str(caught.value)
    assert "seed" in (caught.value.hint or "")
    assert caught.value.fields["differences"][0]["tracked"] == 0.5
    assert pipelines(project) == []
    assert not list(project.state.glob("replay-*"))


def test_a_replay_that_fails_names_the_cell(project: Project) -> None:
    cells = [("b", "%%track\nvalue = from_the_console + 1")]
    notebook = write(project.root / "hidden.ipynb", cells)
    record(project, notebook, cells, metrics={"value": 2.0})
    with pytest.raises(ReplayDiffersError, match="NameError: name 'from_the_console'") as caught:
        promote(project, Config(), notebook)
    assert "No recorded cell binds from_the_console" in (caught.value.hint or "")
    assert caught.value.fields["step"] == "main"
    assert pipelines(project) == []


def test_promoting_again_keeps_policy_and_the_old_one(project: Project) -> None:
    cells = [("b", "%%track\nx = 2\nvalue = x**2")]
    notebook = write(project.root / "twice.ipynb", cells)
    record(project, notebook, cells, metrics={"value": 4.0})
    first = promote(project, Config(), notebook)
    assert first.undo == "rm -r pipelines/twice"
    (first.folder / "policy.yaml").write_text("version: 1\ngates: []\n# mine\n")
    (first.folder / "NOTES.md").write_text("mine")
    second = promote(project, Config(), notebook)
    assert second.replaced
    assert (second.folder / "policy.yaml").read_text().endswith("# mine\n")
    assert (second.folder / "NOTES.md").read_text() == "mine"
    subprocess.run(second.undo, shell=True, cwd=project.root, check=True)
    assert (second.folder / "proof.json").is_file()
    assert pipelines(project) == ["twice"]


def test_the_same_input_writes_the_same_notebook(project: Project) -> None:
    cells = [("a", "x = 3"), ("b", "%%track\nvalue = x * 2")]
    notebook = write(project.root / "same.ipynb", cells)
    record(project, notebook, cells, metrics={"value": 6.0})
    first = (promote(project, Config(), notebook).folder / "main.ipynb").read_bytes()
    assert (promote(project, Config(), notebook).folder / "main.ipynb").read_bytes() == first


def test_a_renamed_notebook_is_still_known(project: Project) -> None:
    cells = [("b", "%%track\nvalue = 1 + 1")]
    old = write(project.root / "Untitled.ipynb", cells)
    record(project, old, cells, metrics={"value": 2.0})
    new = old.rename(project.root / "named.ipynb")
    assert promote(project, Config(), new).name == "named"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        ("{ not json", "is not a notebook"),
        ("[]", "is not a notebook"),
    ],
)
def test_what_is_no_notebook(project: Project, content: str | None, words: str) -> None:
    path = project.root / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(NotebookError, match=words):
        promote(project, Config(), path)
    assert pipelines(project) == []


def test_nothing_tracked_and_nothing_recorded(project: Project) -> None:
    plain = write(project.root / "plain.ipynb", [("a", "x = 1")])
    with pytest.raises(NotebookError, match="no tracked cell") as caught:
        promote(project, Config(), plain)
    assert "%%track" in (caught.value.hint or "")
    failed = write(project.root / "failed.ipynb", [("a", "%%track\n1 / 0")])
    record(project, failed, [("a", "%%track\n1 / 0")], metrics={}, status="FAILED")
    with pytest.raises(NotebookError, match="did not finish: FAILED"):
        promote(project, Config(), failed)
    assert pipelines(project) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b"])
def test_names_that_cannot_be(project: Project, name: str) -> None:
    cells = [("b", "%%track\nvalue = 1 + 1")]
    notebook = write(project.root / "n.ipynb", cells)
    record(project, notebook, cells, metrics={"value": 2.0})
    with pytest.raises(UsageError, match="cannot name a pipeline"):
        promote(project, Config(), notebook, name=name)
    assert pipelines(project) == []
