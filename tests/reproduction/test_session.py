"""A tracked session, executed again in a fresh kernel and compared."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from jupyter_mlops.cli.main import cli
from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotebookError, NotFoundError, UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.reproduction import CellFailed, Reproduction, reproduce
from jupyter_mlops.tracking import deliver, list_runs, open_backend, run_details
from tests.capture.conftest import start_kernel

TRAIN = """\
%%track
model = LogisticRegression(C=c, max_iter=500).fit(rows[["a", "b"]], rows["y"])
accuracy = model.score(rows[["a", "b"]], rows["y"])
weight = float(model.coef_[0, 0])"""
CELLS = [
    "%load_ext jupyter_mlops",
    "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression\nimport helper",
    "c = 0.1",
    "rows = helper.clean(pd.read_csv('data/rows.csv'))",
    "rows.describe()",
    TRAIN,
]


def write_data(project: Project, shift: int = 0) -> None:
    folder = project.root / "work"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    lines = [f"{i % 7 + shift},{i % 5},{int(i % 7 > 3)}" for i in range(60)]
    (folder / "data" / "rows.csv").write_text("a,b,y\n" + "\n".join(lines) + "\n")
    (folder / "helper.py").write_text("def clean(frame):\n    return frame.dropna()\n")


def track(project: Project, cells: list[str], *, keeps: int = 0, reads: str = "") -> str:
    """Execute cells in a kernel as Jupyter starts it; return the id of the last run.

    The kernel goes on until ``keeps`` snapshots of inputs are there, and an input from the file
    ``reads``.
    """
    notebook = project.root / "work" / "study.ipynb"
    with start_kernel(notebook.parent, JPY_SESSION_NAME=str(notebook)) as kernel:
        for number, source in enumerate(cells):
            outcome = kernel.run(source, {"cellId": f"cell{number}"})
            assert outcome.ename is None, outcome.traceback
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if len(kept_inputs(project)) >= keeps and (not reads or reads in sources(project)):
                break
            time.sleep(0.1)
    return list_runs(project)[0].run_id


def kept_inputs(project: Project) -> set[str | None]:
    run = run_details(project, Config(), list_runs(project)[0].run_id).record
    return {item.snapshot for item in run.inputs} - {None}


def sources(project: Project) -> set[str | None]:
    run = run_details(project, Config(), list_runs(project)[0].run_id).record
    return {item.source for item in run.inputs}


def again(project: Project, run: str, **options: bool) -> Reproduction:
    return reproduce(project, Config(), run, this_environment=True, **options)  # type: ignore[arg-type]


@pytest.fixture
def tracked(mlflow_project: Project) -> tuple[Project, str]:
    write_data(mlflow_project)
    return mlflow_project, track(mlflow_project, CELLS, keeps=2)


def test_the_same_result_and_the_verdict_on_the_run(tracked: tuple[Project, str]) -> None:
    project, run = tracked
    found = again(project, run)
    assert found.verdict.verdict == "equal", found.verdict.reasons
    assert {m.name for m in found.verdict.metrics} == {"accuracy", "weight"}
    assert [(m.name, m.verdict) for m in found.verdict.models] == [("model", "equal")]
    assert found.verdict.inputs
    assert all(item.equal for item in found.verdict.inputs)
    assert found.cells == 4  # neither %load_ext nor describe()
    assert found.unrecorded is None
    mlflow_id = run_details(project, Config(), run).summary.mlflow_run_id
    assert mlflow_id is not None
    tags = open_backend(project, Config()).tags(mlflow_id)
    assert tags["mlops.reproduced"] == "equal"
    # After delivery the model comes from MLflow, and its predictions are compared.
    assert again(project, run).verdict.verdict == "equal"


def test_data_that_changed_come_from_their_snapshot(tracked: tuple[Project, str]) -> None:
    project, run = tracked
    inputs = run_details(project, Config(), run).record.inputs
    (file,) = [item for item in inputs if item.kind == "file"]
    assert (file.name, file.how, file.snapshot) == (
        "work/data/rows.csv", "earlier", "work/data/rows.csv@1",
    )  # fmt: skip
    write_data(project, shift=3)
    found = again(project, run)
    assert found.verdict.verdict == "equal", found.verdict.reasons
    assert found.snapshots == ("work/data/rows.csv@1",)
    (project.root / "work" / "data" / "rows.csv").unlink()
    assert again(project, run).verdict.verdict == "equal"


def test_other_data_and_another_module_are_named(
    mlflow_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = mlflow_project
    monkeypatch.setenv("JUPYTER_MLOPS_SNAPSHOT_INPUTS", "never")
    write_data(project)
    run = track(project, CELLS, reads="work/data/rows.csv")
    write_data(project, shift=3)
    found = again(project, run)
    assert found.verdict.verdict in ("differs", "unproven")
    assert any("data of rows" in reason for reason in found.verdict.reasons)
    module = project.root / "work" / "helper.py"
    module.write_text("def clean(frame):\n    return frame.head(30)\n")
    with pytest.raises(UsageError, match=r"helper\.py"):
        again(project, run)
    write_data(project)
    (project.root / "work" / "data" / "rows.csv").unlink()
    # The file is an input of the run: its absence is noticed before anything is executed.
    with pytest.raises(UsageError, match=r"rows\.csv"):
        again(project, run)


def test_a_result_that_chance_made_has_a_tolerance(mlflow_project: Project) -> None:
    (mlflow_project.root / "work").mkdir()
    cells = ["%load_ext jupyter_mlops", "import random", "%%track\nvalue = random.random()"]
    run = track(mlflow_project, cells)
    found = again(mlflow_project, run)
    assert found.repeats > 1
    (metric,) = found.verdict.metrics
    assert metric.tolerance > 0
    assert found.verdict.verdict == metric.verdict
    assert any("without a seed" in warning for warning in found.warnings)


def test_the_command(tracked: tuple[Project, str], monkeypatch: pytest.MonkeyPatch) -> None:
    project, run = tracked
    monkeypatch.chdir(project.root)
    result = CliRunner().invoke(cli, ["reproduce", run, "--this-environment"])
    assert result.exit_code == 0, result.output
    assert "equal" in result.output
    kept = project.root.parent / "kept"
    result = CliRunner().invoke(
        cli, ["reproduce", run, "--this-environment", "--json", "--keep", str(kept)]
    )
    data = json.loads(result.stdout)
    assert data["verdict"] == "equal"
    assert data["recorded"] is True
    assert (Path(data["folder"]) / "1" / "work" / "data" / "rows.csv").is_file()
    result = CliRunner().invoke(cli, ["reproduce", "nosuch"])
    assert isinstance(result.exception, NotFoundError)


def test_what_cannot_be_repeated_says_why(
    mlflow_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = mlflow_project
    monkeypatch.setenv("JUPYTER_MLOPS_SNAPSHOT_INPUTS", "never")
    write_data(project)
    run = track(project, CELLS)
    (project.root / "work" / "data" / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CellFailed, match="KeyError") as caught:
        again(project, run)
    assert caught.value.exit_code == 4
    deliver(project, Config())
    for journal in project.journal.glob("*.journal"):
        journal.unlink()
    with pytest.raises(NotebookError, match="not in this project's journal"):
        again(project, run)
