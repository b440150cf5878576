"""A model whose bytes MLflow has by now is compared all the same."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.config import Config
from jupyter_mlops.journal import BlobStore
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import promote
from jupyter_mlops.tracking import deliver, list_runs, run_details
from tests.capture.conftest import start_kernel

CELLS = [
    "%load_ext jupyter_mlops",
    "from sklearn.datasets import load_wine\nfrom sklearn.linear_model import LogisticRegression",
    "X, y = load_wine(return_X_y=True, as_frame=True)",
    "%%track\nmodel = LogisticRegression(max_iter=20_000).fit(X[['alcohol', 'hue']], y)\n"
    "accuracy = model.score(X[['alcohol', 'hue']], y)",
]


def test_the_predictions_of_a_delivered_model_are_compared(mlflow_project: Project) -> None:
    project = mlflow_project
    path = project.root / "wine.ipynb"
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(notebook, path)
    with start_kernel(project.root, JPY_SESSION_NAME=str(path)) as kernel:
        for cell in notebook.cells:
            outcome = kernel.run(cell.source, {"cellId": cell.id})
            assert outcome.ename is None, outcome.traceback
    assert deliver(project, Config()).delivered == 1
    (model,) = run_details(project, Config(), list_runs(project)[0].run_id).record.models
    assert model.blob is not None
    assert model.blob not in BlobStore(project.journal).digests()
    made = promote(project, Config(), path)
    assert made.verdict == "equal"
    assert not [warning for warning in made.warnings if "compared" in warning]
    assert made.proof["model"]["rows"] == 5
    assert made.proof["model"]["equal"] is True
