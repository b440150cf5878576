"""Promoting again over a pipeline: what changes on disk, and what edits by hand become."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ConflictError
from jupyter_mlops.pipelines import load_pipeline
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import PlanEdits, Promotion, promote

from .sessions import Cell, code, execute, record, text_of, write

CELLS: list[Cell] = [
    ("md0", "# Sums"),
    ("a", "import json\nimport math"),
    ("b", 'def halves(values):\n    return [math.sqrt(v) / 2 for v in values]'),
    ("md1", "## Make"),
    ("c", "count = 5\nvalues = [float(v) for v in range(count)]"),
    ("d", "values = halves(values)"),
    ("md2", "## Sum"),
    ("e", "power = 2\nrest = halves(values)"),
    ("f", "%%track\ntotal = sum(v**power for v in rest)"),
]  # fmt: skip


def again(
    project: Project, cells: list[Cell], *, force: bool = False, edits: PlanEdits | None = None
) -> Promotion:
    notebook = write(project.root / "sums.ipynb", cells)
    plain = code(cells)
    found = execute([source for _, source in plain], project.root)
    record(project, notebook, plain, metrics={"total": found["total"]})
    return promote(project, Config(), notebook, steps="headings", force=force, edits=edits)


def replaced(cells: list[Cell], cell_id: str, source: str) -> list[Cell]:
    return [(i, source if i == cell_id else s) for i, s in cells]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "proof.json"}


def test_what_changes_and_what_is_kept(project: Project) -> None:
    first = again(project, CELLS)
    assert first.steps == ("make", "sum")
    assert first.verdict == "equal"
    library = (first.folder / "lib.py").read_text()
    assert "import math" in library
    assert "import json" not in library  # no step that shares it needs it
    make, total = (text_of(first.folder / f"{s}.ipynb") for s in first.steps)
    assert "from lib import halves" in make
    assert "from lib import halves" in total
    assert "def halves" not in make + total
    before = contents(first.folder)

    # One cell changes: one notebook changes.
    changed = replaced(CELLS, "f", "%%track\ntotal = sum(v**power for v in rest) + 1")
    second = again(project, changed)
    after = contents(second.folder)
    assert {name for name in after if after[name] != before.get(name)} == {"sum.ipynb"}
    assert {c.file: c.status for c in second.changes} == {
        "make.ipynb": "kept", "sum.ipynb": "changed", "lib.py": "kept", "pipeline.yaml": "kept",
    }  # fmt: skip
    (diff,) = [c.diff for c in second.changes if c.diff]
    assert "+total = sum(v**power for v in rest) + 1" in diff

    # An edit by hand, elsewhere: kept, replayed, and still equal.
    path = second.folder / "make.ipynb"
    edited = json.loads(path.read_text())
    cell = next(c for c in edited["cells"] if c["id"] == "c")
    cell["source"] = "# by hand\n" + "".join(cell["source"])
    path.write_text(json.dumps(edited))
    third = again(project, replaced(changed, "e", "power = 2\nrest = halves(values)[:4]"))
    assert third.verdict == "equal"
    assert "# by hand" in text_of(path)
    assert "[:4]" in text_of(third.folder / "sum.ipynb")
    assert third.proof["edited"] == ["make.ipynb"]

    # The same place on both sides: a conflict, and nothing is written.
    here = contents(third.folder)
    both = replaced(CELLS, "c", "count = 6\nvalues = [float(v + 1) for v in range(count)]")
    with pytest.raises(ConflictError, match=r"make\.ipynb: cell c") as caught:
        again(project, both)
    (conflict,) = caught.value.fields["conflicts"]
    assert "# by hand" in conflict["theirs"]
    assert "v + 1" in conflict["ours"]
    assert contents(third.folder) == here
    assert [p.name for p in project.pipelines.iterdir()] == ["sums"]


def test_an_edit_that_changes_the_result_is_said(project: Project) -> None:
    cells = [("a", "x = 2"), ("b", "%%track\ntotal = x**2")]
    first = again(project, cells)
    step = first.folder / "main.ipynb"
    step.write_text(step.read_text().replace("x**2", "x**3"))
    # As in a clone, where what was promoted last is not known, but nothing new is promoted.
    second = again(project, cells)
    assert second.verdict == "unproven"
    assert "total: tracked 4, replayed 8.0" in second.proof["reason"].replace("4.0", "4")
    assert "x**3" in step.read_text()
    shutil.rmtree(project.state / "promoted")
    with pytest.raises(ConflictError, match=r"main\.ipynb"):
        again(project, cells)
    forced = again(project, cells, force=True)
    assert "x**2" in (forced.folder / "main.ipynb").read_text()
    assert any("x**3" in p.read_text() for p in project.state.glob("replaced/*/main.ipynb"))


def test_the_person_names_things(project: Project) -> None:
    edits = PlanEdits.from_dict(
        {
            "parameters": {
                "count": {"name": "how_many", "type": "number"}, "power": {"included": False},
            },
            "steps": [{"name": "everything", "first": 1}, {"name": "end", "first": 6}],
        }
    )  # fmt: skip
    promotion = again(project, CELLS, edits=edits)
    assert promotion.verdict == "equal"
    assert promotion.steps == ("everything", "end")
    pipeline = load_pipeline(promotion.folder)
    assert [(p.name, p.default, p.schema) for p in pipeline.parameters] == [
        ("how_many", 5, {"type": "number"})
    ]
    first, second = (text_of(promotion.folder / s.notebook) for s in pipeline.steps)
    assert "how_many: float = 5" in first
    assert "count = how_many" in first
    assert "power = 2" in second
