from __future__ import annotations

import pytest

from jupyter_mlops.project import Project

from ..agent.living import living

__all__ = ["living", "pipeline"]

PIPELINE = """\
version: 1
name: flights
kernelspec: python3
parameters:
  alpha:
    type: number
    default: 0.5
  fail:
    type: boolean
    default: false
  seconds:
    type: number
    default: 0
steps:
  - name: train
    notebook: train.ipynb
"""
NOTEBOOK = """\
{"cells": [
  {"cell_type": "code", "id": "params", "metadata": {"tags": ["parameters"]},
   "execution_count": null, "outputs": [], "source": "alpha = 0.5\\nfail = False\\nseconds = 0"},
  {"cell_type": "code", "id": "work", "metadata": {}, "execution_count": null, "outputs": [],
   "source": "import time\\ntime.sleep(seconds)\\nassert not fail\\nprint(alpha * 2)"}],
 "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
 "nbformat": 4, "nbformat_minor": 5}
"""


@pytest.fixture
def pipeline(project: Project) -> str:
    """A small real pipeline in the project; its name."""
    folder = project.pipelines / "flights"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "train.ipynb").write_text(NOTEBOOK)
    return "flights"
