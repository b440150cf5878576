"""A parameter that is a snapshot: pinned, recorded, refused before a kernel starts."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pandas as pd
import pytest

from jupyter_mlops.config import load_config
from jupyter_mlops.errors import UsageError
from jupyter_mlops.pipelines import run_pipeline
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.service import take

from .conftest import write_notebook


@pytest.fixture
def notebook(mlflow_project: Project) -> Path:
    path = mlflow_project.root / "count.ipynb"
    write_notebook(
        path,
        'data: str = "snapshot://rows"',
        "import pandas as pd\nprint(data, len(pd.read_parquet(data)))",
        tags={0: "parameters"},
    )
    return path


def test_the_newest_version_is_pinned_and_recorded(
    mlflow_project: Project, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mlflow_project.root)
    for count in (3, 4):
        take(mlflow_project, pd.DataFrame({"x": range(count)}), "rows")
    outcome = run_pipeline(mlflow_project, load_config(mlflow_project.root), str(notebook), {})
    assert outcome.status == "FINISHED", outcome.error
    assert outcome.params == {"data": "snapshot://rows@2"}
    executed = nbformat.read(mlflow_project.runs / outcome.run_id / "count.ipynb", as_version=4)
    texts = [out["text"] for cell in executed.cells for out in cell.get("outputs", [])]
    assert "snapshot://rows@2 4\n" in texts


def test_a_snapshot_that_is_not_here_fails_before_a_kernel_starts(
    mlflow_project: Project, notebook: Path
) -> None:
    with pytest.raises(UsageError, match="data is snapshot://rows") as caught:
        run_pipeline(mlflow_project, load_config(mlflow_project.root), str(notebook), {})
    assert caught.value.hint == "jupyter mlops snapshots pull rows"
    assert caught.value.exit_code == 2
    assert not list(mlflow_project.runs.iterdir())
