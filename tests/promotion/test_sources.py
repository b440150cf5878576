"""Paths in the text become parameters; what a pipeline was proven on is kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.dataflow import flows
from jupyter_mlops.errors import NotFoundError
from jupyter_mlops.model.events import CellEvent
from jupyter_mlops.pipelines import run_pipeline
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import PlanEdits, promote
from jupyter_mlops.promotion.keeping import keep_sources, marks_of
from jupyter_mlops.promotion.plan import PlannedFile
from jupyter_mlops.promotion.sources import name_sources
from jupyter_mlops.snapshots.service import existing_store

from .sessions import record, text_of, write


def named(folder: Path, *cells: str, leave: frozenset[str] = frozenset()) -> list[str]:
    events = [CellEvent("s", n, c, float(n), n + 0.5, "ok") for n, c in enumerate(cells, 1)]
    return name_sources(cells, flows(events), folder, leave)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("rows.csv", "données 2.csv", "1.txt", "made.csv"):
        (tmp_path / name).write_text("a\n1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ('df = pd.read_csv("rows.csv", sep=",")',
         'rows_file = "rows.csv"\ndf = pd.read_csv(rows_file, sep=",")'),
        ("é = 'é'; df = pd.read_csv('données 2.csv')  # é",
         "donn_es_2_file = 'données 2.csv'\né = 'é'; df = pd.read_csv(donn_es_2_file)  # é"),
        ('with open("1.txt") as f:\n    text = f.read()',
         'file_1_file = "1.txt"\nwith open(file_1_file) as f:\n    text = f.read()'),
        ('rows_file = 3\ndf = pd.read_csv("rows.csv")',
         'rows_file_2 = "rows.csv"\nrows_file = 3\ndf = pd.read_csv(rows_file_2)'),
        ('a, b = pd.read_csv("rows.csv"), pd.read_csv("rows.csv")',
         'rows_file = "rows.csv"\na, b = pd.read_csv(rows_file), pd.read_csv(rows_file)'),
        ('df = pd.read_json("https://example.org/a/b.json?x=1")',
         'b_file = "https://example.org/a/b.json?x=1"\ndf = pd.read_json(b_file)'),
        # What stays as it is: no such file, a function's, an address that nothing reads, a name.
        ('df = pd.read_csv("gone.csv")', None),
        ('def get():\n    return pd.read_csv("rows.csv")', None),
        ('print("https://example.org")', None),
        ('SOURCE = "rows.csv"\ndf = pd.read_csv(SOURCE)', None),
        ('df = pd.read_csv("rows" + ".csv")', None),
        ("df = pd.read_csv(\n", None),
    ],
)  # fmt: skip
def test_paths_in_calls(folder: Path, cell: str, wanted: str | None) -> None:
    assert named(folder, "import pandas as pd", cell)[1] == (cell if wanted is None else wanted)


def test_one_name_for_one_file_and_none_for_what_is_made(folder: Path) -> None:
    cells = named(
        folder,
        "import pandas as pd",
        'df = pd.read_csv("rows.csv")\ndf.to_csv("made.csv")',
        'again, back = pd.read_csv("rows.csv"), pd.read_csv("made.csv")',
    )
    assert cells[1].startswith('rows_file = "rows.csv"\n')
    assert cells[2] == 'again, back = pd.read_csv(rows_file), pd.read_csv("made.csv")'
    given = ("import pandas as pd", 'df = pd.read_csv("rows.csv")')
    assert named(folder, *given, leave=frozenset({"rows_file"})) == list(given)


def test_what_cannot_be_kept_is_said(project: Project) -> None:
    (project.root / "a b.csv").write_text("1")
    names = ("a b.csv", "../x.csv", "https://example.org/x", "gone.csv")
    files = [PlannedFile(name, "text") for name in names]
    before = marks_of(project, files)
    kept, warnings = keep_sources(project, files, before, "sums")
    assert [(f.snapshot, f.exact) for f in kept] == [("a b.csv@1", True), *[(None, False)] * 3]
    assert warnings == []
    assert existing_store(project).resolve("a b.csv@pipeline-sums").version == 1
    os.utime(project.root / "a b.csv", ns=(1, 1))
    kept, (warning,) = keep_sources(project, files[:1], before, "sums")
    assert kept == (files[0],)
    assert "changed while it was replayed" in warning


def test_a_clone_fetches_what_the_pipeline_was_proven_on(project: Project) -> None:
    cells = [
        ("a", "from pathlib import Path\ntext = Path('data/numbers.txt').read_text()"),
        ("b", 'with open("data/more.txt") as file:\n    more = float(file.read())'),
        ("c", "%%track\ntotal = sum(map(float, text.split())) + more"),
    ]
    notebook = write(project.root / "work" / "sums.ipynb", cells)
    data = notebook.parent / "data"
    data.mkdir()
    (data / "numbers.txt").write_text("1 2 3.5")
    (data / "more.txt").write_text("4")
    record(project, notebook, cells, metrics={"total": 10.5})
    promotion = promote(project, Config(), notebook)
    assert promotion.verdict == "equal"
    assert promotion.warnings == ()
    parameters = {p.name: p.default for p in promotion.parameters}
    assert parameters == {"numbers_file": "data/numbers.txt", "more_file": "data/more.txt"}
    text = text_of(promotion.folder / f"{promotion.steps[-1]}.ipynb")
    assert "text = Path(numbers_file).read_text()" in text
    proof = json.loads((promotion.folder / "proof.json").read_text())
    assert proof["snapshots"] == ["work/data/more.txt@1", "work/data/numbers.txt@1"]
    assert all(source["exact"] for source in proof["sources"])

    (data / "more.txt").unlink()
    assert run_pipeline(project, Config(), "sums").metrics == {"total": 10.5}
    shutil.rmtree(project.state / "pinned")
    shutil.rmtree(project.state / "snapshots")
    with pytest.raises(NotFoundError, match="work/data/more"):
        run_pipeline(project, Config(), "sums")
    edits = PlanEdits.from_dict({"parameters": {"numbers_file": {"included": False}}})
    (data / "more.txt").write_text("4")
    again = promote(project, Config(), notebook, edits=edits)
    assert {p.name for p in again.parameters} == {"more_file"}
