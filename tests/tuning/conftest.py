"""A pipeline of one step whose loss is known, in a project without a tracking server."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook, write_pipeline

QUAD = """\
version: 1
name: quad
parameters:
  x:
    type: number
    default: 0.0
  kind:
    type: string
    enum: [a, b]
    default: a
steps:
  - name: fit
    notebook: fit.ipynb
    outputs:
      metrics_path: metrics.json
metrics: fit.metrics_path
"""
CELLS = (
    'x: float = 0.0\nkind = "a"\nmetrics_path = "metrics.json"',
    "import json, os, time\n"
    "with open('log.txt', 'a') as file:\n"
    "    file.write(f'{x!r}\\n')\n"
    "while os.path.exists('hang') and len(open('log.txt').readlines()) > 1:\n"
    "    time.sleep(0.05)\n"
    "assert x != 3, 'three is too much'\n"
    "with open(metrics_path, 'w') as file:\n"
    "    json.dump({'loss': (x - 2) ** 2 + (kind == 'b')}, file)",
)


@pytest.fixture
def quad(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Runs are kept in the journal; ``log.txt`` has the ``x`` of each."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "0.5")
    monkeypatch.chdir(project.root)
    folder = write_pipeline(project, "quad", QUAD)
    write_notebook(folder / "fit.ipynb", *CELLS, tags={0: "parameters"})
    return project


def logged(project: Project) -> list[float]:
    """The ``x`` of each run that began."""
    path: Path = project.root / "log.txt"
    return [float(line) for line in path.read_text().split()] if path.exists() else []
