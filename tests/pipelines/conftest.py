"""A project with a two-step pipeline and some notebooks, as a person would have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.project import Project

WINE = """\
version: 1
name: wine
experiment: wine quality
parameters:
  depth:
    type: integer
    minimum: 1
    default: 3
  share:
    type: number
    default: 0.5
steps:
  - name: load
    notebook: load.ipynb
    outputs:
      data_path: wine.npz
  - name: train
    notebook: train.ipynb
    needs:
      - load
    inputs:
      data_path: load.data_path
    outputs:
      model_path: model.skops
      metrics_path: metrics.json
      example_path: example.npy
model:
  name: wine
  output: train.model_path
  example: train.example_path
metrics: train.metrics_path
"""
LOAD = (
    'data_path = "wine.npz"\nshare = 0.5',
    "import os\nassert os.getcwd() == os.environ['EXPECTED_ROOT']",
    "import numpy as np\nfrom sklearn.datasets import load_wine\n"
    "X, y = load_wine(return_X_y=True)\nn = int(len(X) * share)\n"
    "np.savez(data_path, X=X[:: int(1 / share)], y=y[:: int(1 / share)])",
)
TRAIN = (
    'data_path = "wine.npz"\nmodel_path = "model.skops"\nmetrics_path = "metrics.json"\n'
    'example_path = "example.npy"\ndepth = 3',
    "import json\nimport numpy as np\nimport skops.io\n"
    "from sklearn.tree import DecisionTreeClassifier",
    "data = np.load(data_path)\n"
    "model = DecisionTreeClassifier(max_depth=depth, random_state=0)\n"
    'model.fit(data["X"], data["y"])\n'
    'accuracy = model.score(data["X"], data["y"])',
    "skops.io.dump(model, model_path)\nnp.save(example_path, data['X'][:5])\n"
    'with open(metrics_path, "w") as file:\n    json.dump({"accuracy": accuracy}, file)',
)


def write_notebook(
    path: Path, *cells: str, tags: Mapping[int, str] | None = None, kernel: str = "python3"
) -> Path:
    """A notebook of code cells; ``tags`` by the cell's number."""
    node = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    node.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
    for index, tag in (tags or {}).items():
        node.cells[index].metadata["tags"] = [tag]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(node, path)
    return path


def write_pipeline(project: Project, name: str, text: str) -> Path:
    """The folder of a pipeline with this ``pipeline.yaml``."""
    folder = project.pipelines / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.yaml").write_text(text)
    return folder


@pytest.fixture
def wine(mlflow_project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with the pipeline ``wine``; its first step insists on the kernel's folder."""
    monkeypatch.setenv("EXPECTED_ROOT", str(mlflow_project.root))
    folder = write_pipeline(mlflow_project, "wine", WINE)
    write_notebook(folder / "load.ipynb", *LOAD, tags={0: "parameters"})
    write_notebook(folder / "train.ipynb", *TRAIN, tags={0: "parameters"})
    return mlflow_project
