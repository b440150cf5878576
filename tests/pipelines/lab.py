"""A pipeline of small steps to be run again and again, with and without the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_mlops.config import Config
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.model.ports import NotebookExecutor
from jupyter_mlops.pipelines import load_pipeline
from jupyter_mlops.pipelines.caching import cached
from jupyter_mlops.pipelines.outcome import StepOutcome
from jupyter_mlops.pipelines.plan import plan_pipeline
from jupyter_mlops.pipelines.steps import StepRunner
from jupyter_mlops.project import Project

from .conftest import write_notebook, write_pipeline

ONE = """\
version: 1
name: one
parameters:
  value:
    default: 1
steps:
  - name: only
    notebook: only.ipynb
    outputs:
      out: out.txt
"""
PARAMETERS = "value = 1\nout = 'out.txt'"


class Lab:
    """Runs one pipeline; ``one`` writes a pipeline of a single step from its cells."""

    def __init__(self, project: Project, executor: NotebookExecutor, name: str = "one") -> None:
        self.project = project
        self.executor = executor
        self.name = name
        self.folder = project.pipelines / name
        self.config = Config()

    def one(self, *cells: str) -> None:
        """A pipeline of one step with these cells after that of its parameters."""
        write_pipeline(self.project, self.name, ONE)
        self.cells("only", PARAMETERS, *cells)

    def cells(self, step: str, *cells: str) -> None:
        """Write a step's notebook; its first cell has the parameters."""
        write_notebook(self.folder / f"{step}.ipynb", *cells, tags={0: "parameters"})

    def run(
        self, given: Mapping[str, Any] | None = None, *, use: bool = True, jobs: int = 1
    ) -> tuple[list[StepOutcome], Path]:
        """Run it; how the steps ended, and the run's folder."""
        pipeline = load_pipeline(self.folder)
        plan = plan_pipeline(self.project, pipeline, given or {}, new_id(), self.executor)
        plan.folder.mkdir(parents=True)
        steps = StepRunner(self.executor, deadline=None, on_cell=None, on_step=None, jobs=jobs)
        with cached(self.project, self.config, plan, steps.control, use) as ready:
            steps.run(ready.steps)
        return steps.outcomes, plan.folder

    def why(self, given: Mapping[str, Any] | None = None) -> tuple[str, list[str]]:
        """Run it: how the first step ended, and what the cache said of it."""
        outcomes, _folder = self.run(given)
        assert outcomes[0].cache is not None
        return outcomes[0].status, outcomes[0].cache["why"]

    def kept(self, given: Mapping[str, Any] | None = None) -> tuple[bool, list[str]]:
        """Whether the step that ran is kept, and what the cache said."""
        status, why = self.why(given)
        assert status == "finished", status
        return not any("not kept" in reason for reason in why), why


def outputs(folder: Path) -> dict[str, Any]:
    """All that a run made: files by path, and what its cells have shown."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text())["cells"]
            found[path.name] = [
                ("".join(cell["source"]), cell["outputs"], cell["execution_count"])
                for cell in cells
                if cell["cell_type"] == "code"
                and "injected-parameters" not in cell["metadata"].get("tags", [])
            ]
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
