"""Promotion into several steps, with real kernels: hand-offs, ``lib.py``, ``track`` without us."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.pipelines import load_pipeline, run_pipeline
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import Promotion, plan, promote

from .sessions import block_package, code, execute, record, text_of, write

CHURN = [
    ("md0", "# Churn"),
    ("imports", "%load_ext jupyter_mlops\nimport numpy as np\nimport pandas as pd\n"
     "from jupyter_mlops import track"),
    ("helper", 'UNIT = 100.0\n\ndef scaled(frame, column):\n    """Of one unit."""\n'
     "    return np.round(frame[column] / UNIT, 3)"),
    ("md1", "## Load\nfrom the export"),
    ("load", 'source = "data/churn.csv"\ndf = pd.read_csv(source)\n'
     'df["when"] = pd.to_datetime(df["when"])'),
    ("clean", 'df = df.dropna().set_index("id")\ndf["amount"] = scaled(df, "amount")'),
    ("look", "df.describe()"),
    ("md2", "## 2. Train"),
    ("split", 'features = ["amount", "visits"]\nX, y = df[features], df["left"]\nX.head()'),
    ("fit", "%%track\nfrom sklearn.linear_model import LogisticRegression\n"
     'strength = 0.5\nmodel = LogisticRegression(C=strength).fit(X, y)\n'
     "accuracy = model.score(X, y)\nmean = float(scaled(df, \"visits\").mean())\n"
     'track.log(rows=len(df), step=3)\n{"mean": mean, "days": df["when"].dt.day.sum()}'),
]  # fmt: skip


@pytest.fixture
def churn(project: Project) -> Path:
    notebook = write(project.root / "work" / "Churn.ipynb", CHURN)
    (notebook.parent / "data").mkdir()
    rows = [f"{i},{i * 7 % 900 + 0.5},{i % 13},2026-01-{i % 28 + 1:02},{i % 3 == 0}"
            for i in range(60)]  # fmt: skip
    text = "\n".join(["id,amount,visits,when,left", *rows, "60,,1,2026-01-01,False"])
    (notebook.parent / "data" / "churn.csv").write_text(text)
    return notebook


def promoted(project: Project, notebook: Path) -> Promotion:
    cells = code(CHURN)
    found = execute(
        [s.replace("track.log", "dict").replace("from jupyter_mlops import track", "")
         for _, s in cells], notebook.parent,
    )  # fmt: skip
    metrics = {
        "accuracy": float(found["accuracy"]),
        "mean": float(found["mean"]),
        "rows": 60.0,
        "days": float(found["df"]["when"].dt.day.sum()),
    }
    record(project, notebook, cells, metrics=metrics)
    return promote(project, Config(), notebook, steps="headings")


def test_a_notebook_becomes_steps_that_run_without_us(project: Project, churn: Path) -> None:
    promotion = promoted(project, churn)
    assert promotion.verdict == "equal"
    assert promotion.steps == ("load", "train")
    assert set(promotion.metrics) == {"accuracy", "mean", "rows", "days"}
    assert promotion.warnings == ()
    pipeline = load_pipeline(promotion.folder)
    load, train = pipeline.steps
    assert load.outputs == {"df_path": "df.parquet"}
    assert train.inputs == {"df_input": "load.df_path"}
    assert train.needs == ("load",)
    assert train.outputs == {"metrics_path": "metrics.json"}
    assert {p.name: p.default for p in pipeline.parameters} == {
        "source": "data/churn.csv", "features": ["amount", "visits"], "strength": 0.5,
        "UNIT": 100.0,
    }  # fmt: skip
    first, second = (text_of(promotion.folder / s.notebook) for s in pipeline.steps)
    for text in (first, second):
        assert "import jupyter_mlops" not in text
        assert "from jupyter_mlops" not in text
        # It reads a parameter, so it cannot be shared: each step has it.
        assert text.count("def scaled") == 1
    assert "describe" not in first + second
    assert "strength" not in first
    assert "source" not in second
    markdown = [
        c.source
        for c in nbformat.read(promotion.folder / "load.ipynb", as_version=4).cells
        if c.cell_type == "markdown"
    ]
    assert markdown == ["# Churn", "## Load\nfrom the export"]

    outcome = run_pipeline(project, Config(), promotion.name)
    assert outcome.metrics == promotion.metrics

    # Plain papermill, in an environment where importing us fails, from another folder.
    out = project.root / "out"
    block_package(out)
    run = [sys.executable, "-m", "papermill", "--no-progress-bar"]
    frame, numbers = str(out / "df.parquet"), str(out / "metrics.json")
    for name, words in {
        "load": ["-p", "df_path", frame],
        "train": ["-p", "df_input", frame, "-p", "metrics_path", numbers, "-p", "strength", "9.5"],
    }.items():
        words = [*run, str(promotion.folder / f"{name}.ipynb"), str(out / "x.ipynb"), *words]
        subprocess.run(words, cwd=out, check=True, capture_output=True)
    found = json.loads(Path(numbers).read_text())
    assert found["rows"] == 60.0
    assert {k: found[k] for k in ("mean", "days")} == {
        k: promotion.metrics[k] for k in ("mean", "days")
    }


def test_the_plan_says_what_is_kept_and_why(project: Project, churn: Path) -> None:
    cells = code(CHURN)
    executed = [cells[0], cells[1], ("load", 'df = pd.read_csv("data/old.csv")'), *cells[2:]]
    executed.insert(2, ("gone", "seen = {}"))
    record(project, churn, executed, metrics={"accuracy": 1.0})
    made = plan(project, Config(), churn, steps="headings")
    data = made.to_dict()
    assert data == json.loads(json.dumps(data))
    by_name = {cell.name: cell for cell in made.cells}
    assert by_name["gone"].state == "deleted"
    assert not by_name["gone"].kept
    assert by_name["load"].state == "edited"
    assert by_name["load"].reason == "it was run again as [5]"
    assert by_name["load-2"].reason.startswith("it binds df, which [")
    assert by_name["fit"].reason == "it is the tracked cell"
    assert not by_name["look"].kept
    assert [(s.name, s.inputs) for s in made.steps] == [("load", {}), ("train", {"df": "load"})]
    (frame,) = made.steps[0].outputs
    assert (frame.variable, frame.kind) == ("df", "frame")
    ranks = {p.name: p for p in made.parameters}
    assert ranks["strength"].reason == "it is given to LogisticRegression(C=)"
    assert ranks["strength"].schema == {"type": "number"}
    assert [(f.source, f.parameter) for f in made.files] == [("work/data/churn.csv", "source")]
    assert not project.pipelines.exists()
