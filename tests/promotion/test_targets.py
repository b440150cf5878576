"""Variables as targets, notebooks without a session, and code that is not deterministic."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotebookError, UsageError
from jupyter_mlops.pipelines import load_pipeline
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import PlanEdits, plan, promote

from .sessions import record, text_of, write

FEATURES = [
    ("a", "import pandas as pd\nimport numpy as np"),
    ("b", 'raw = pd.DataFrame({"v": np.arange(40.0), "k": list("abcd") * 10})'),
    ("c", "seen = []"),
    ("d", 'df_features = raw.groupby("k", observed=True).agg(["mean", "min"])\n'
     'df_features.columns = ["mean", "min"]'),
    ("e", "lines = (line for line in seen)"),
    ("f", "from sklearn.linear_model import LinearRegression\n"
     'model = LinearRegression().fit(raw[["v"]], raw["v"] * 2)'),
]  # fmt: skip


def test_variables_are_promoted(project: Project) -> None:
    notebook = write(project.root / "features.ipynb", FEATURES)
    record(project, notebook, FEATURES, metrics={}, tracked=False)
    promotion = promote(project, Config(), notebook, targets=["df_features", "model"])
    assert promotion.verdict == "equal"
    assert promotion.proof["against"] == "a replay of all cells"
    assert promotion.run_id is None
    assert promotion.proof["cells"]["dropped"] == [3, 5]
    values = promotion.proof["values"]
    assert set(values) == {"df_features", "model"}
    assert all(v["tracked"] == v["replayed"] is not None for v in values.values())
    (step,) = load_pipeline(promotion.folder).steps
    assert step.outputs == {
        "df_features_path": "df_features.parquet", "model_path": "model.skops",
    }  # fmt: skip
    assert promotion.model == "features"
    with pytest.raises(UsageError, match="did you mean 'df_features'"):
        promote(project, Config(), notebook, targets=["df_feature"])
    with pytest.raises(UsageError, match="lines cannot be promoted: a generator has no form"):
        promote(project, Config(), notebook, targets=["lines"], name="other")
    assert [p.name for p in project.pipelines.iterdir()] == ["features"]


def test_a_notebook_that_nobody_watched(project: Project) -> None:
    cells = [("a", "rate = 0.5"), ("b", "unused = 1"),
             ("c", "%%track\nscore = rate * 3\nwords = 'x'"), ("d", "rate = 1.5")]  # fmt: skip
    counts = {"d": 2, "a": 1, "b": 3, "c": 5}
    notebook = write(project.root / "alone.ipynb", cells, counts)
    made = plan(project, Config(), notebook)
    assert made.basis == "document"
    assert [cell.seq for cell in made.cells] == [1, 2, 3, 5]
    assert made.kept == (2, 5)
    notes = " ".join(made.warnings)
    assert "no execution of this notebook is recorded" in notes
    assert "another order than they stand in" in notes
    assert "1 executions between them" in notes
    promotion = promote(project, Config(), notebook)
    assert promotion.verdict == "equal"
    assert promotion.proof["against"] == "a replay of all cells"
    assert promotion.metrics == {"score": 4.5}
    # Without numbers the order of the file counts; a cell that was never executed is left out.
    write(notebook, cells)
    assert plan(project, Config(), notebook).kept == (1, 3)
    write(notebook, cells, {"a": 1, "c": 2})
    assert plan(project, Config(), notebook).kept == (1, 2)
    empty = write(project.root / "empty.ipynb", [("md", "# Nothing")])
    with pytest.raises(NotebookError, match="no code"):
        plan(project, Config(), empty, ["x"])


def test_a_tolerance_is_learned(project: Project) -> None:
    # Three replays give 100, 100.01 and 99.99, in some order.
    cells = [
        ("a", "from pathlib import Path\ncount = int(Path('count').read_text())\n"
         "Path('count').write_text(str(count + 1))"),
        ("b", "%%track\nmean = 100 + [0, 0.01, -0.01][count % 3]"),
    ]  # fmt: skip
    (project.root / "count").write_text("0")
    notebook = write(project.root / "random.ipynb", cells)
    record(project, notebook, cells, metrics={"mean": 100.002})
    promotion = promote(project, Config(), notebook)
    assert promotion.verdict == "within_tolerance"
    learned = promotion.proof["tolerance"]["mean"]
    assert sorted(learned["replayed"]) == [99.99, 100, 100.01]
    assert learned["low"] == pytest.approx(100 - 0.0497, abs=1e-4)
    assert learned["high"] == pytest.approx(100 + 0.0497, abs=1e-4)
    assert promotion.proof["replays"] == 3
    assert any("not deterministic" in w for w in promotion.warnings)


def test_what_cannot_pass_makes_one_step(project: Project) -> None:
    cells = [
        ("md0", "# T"), ("a", "import threading\nclass Box:\n    pass"),
        ("md1", "## One"), ("b", "box = Box()\nbox.lock = threading.Lock()\nbox.n = 3"),
        ("md2", "## Two"), ("c", "table = {1: (2, box.n)}"),
        ("md3", "## Three"), ("d", "%%track\nresult = table[1][1] + 1\nprint(result)\nresult"),
    ]  # fmt: skip
    notebook = write(project.root / "t.ipynb", cells)
    record(project, notebook, [c for c in cells if c[0] in "abcd"], metrics={"result": 4.0})
    promotion = promote(project, Config(), notebook, steps="headings", drop_displays=True)
    assert promotion.verdict == "equal"
    assert promotion.steps == ("one", "three")
    assert any("box: " in w for w in promotion.warnings)
    last = text_of(promotion.folder / "three.ipynb")
    assert "skops.io.load(table_input, trusted=[])" in last
    assert "print" not in last
    drawn = PlanEdits.from_dict(
        {"steps": [{"name": "x", "first": 1}, {"name": "y", "first": 3}]}
    )  # fmt: skip
    with pytest.raises(UsageError, match="cannot be cut as drawn: box"):
        promote(project, Config(), notebook, edits=drawn)


def test_the_command(project: Project) -> None:
    notebook = write(project.root / "features.ipynb", FEATURES)
    record(project, notebook, FEATURES, metrics={}, tracked=False)
    edits = project.root / "edits.json"
    edits.write_text(json.dumps({"cells": {"3": True}}))
    command = [sys.executable, "-m", "jupyter_mlops", "promote", str(notebook), "df_features",
               "--edits", str(edits), "--plan"]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "keep [3] seen = []  (kept by you)" in shown.stdout
    assert "drop [5] lines = (line for line in seen)" in shown.stdout
    as_json = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(as_json.stdout)["cells"][2]["changed_by_person"] is True
    edits.write_text('{"cells": {"9": true}}')
    wrong = subprocess.run(command, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "there is no executed cell [9]" in wrong.stderr
    assert not project.pipelines.exists()
