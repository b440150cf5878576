"""Pipelines are run over the API: parameters are checked first, and what failed is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_mlops.project import open_project

from .conftest import Server, job_ended

PIPELINE = """\
name: halves
version: 1
parameters:
  n: {default: 4, type: integer, minimum: 0}
  unit: {default: m, enum: [m, km]}
steps:
  - name: halve
    notebook: halve.ipynb
"""


@pytest.fixture
def halves(place: Path) -> Path:
    """A pipeline that was never run, in a project where nothing was tracked."""
    folder = open_project(place).pipelines / "halves"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    cells = [
        nbformat.v4.new_code_cell("n = 4\nunit = 'm'", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("half = n / 2\nassert half < 100, f'{half} {unit} is too much'"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "halve.ipynb")
    return place


def ran(server: Server, place: Path, **parameters: Any) -> dict[str, Any]:
    """Run it, and return the job when it has ended."""
    body = {"path": place.name, "pipeline": "halves", "parameters": parameters}
    answer = server.ask("POST", "pipelines/runs", body)
    return job_ended(server, answer, "run")


def test_a_pipeline_is_run_with_parameters(server: Server, halves: Path) -> None:
    job = ran(server, halves, n="10", unit="km")
    assert (job["state"], job["error"]) == ("done", None), job
    assert job["message"] == "halves has run."
    result = job["result"]
    assert (result["status"], result["exit_code"]) == ("FINISHED", 0)
    assert "output" not in result
    run = server.get(f"runs/{result['run_id']}", path=halves.name).data
    assert run["params"] == {"n": 10, "unit": "km"}


def test_the_cell_that_failed_is_named(server: Server, halves: Path) -> None:
    job = ran(server, halves, n=1000)
    assert job["state"] == "failed"
    error = job["error"]
    assert error["reason"] == "run_failed"
    assert error["message"] == "step halve, cell [3]: AssertionError: 500.0 m is too much"
    run = server.get(f"runs/{error['fields']['run_id']}", path=halves.name).data
    assert run["status"] == "FAILED"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"parameters": {"n": "many"}}, 400, "'n'"),
        ({"parameters": {"n": -1}}, 400, "'n'"),
        ({"parameters": {"unit": "cm"}}, 400, "'unit'"),
        ({"parameters": {"m": 1}}, 400, "'m'"),
        ({"pipeline": "thirds"}, 404, "thirds"),
        ({"pipeline": "../halves"}, 404, "../halves"),
        ({"parameters": [1]}, 400, "'parameters'"),
        ({"speed": 1}, 400, '"speed"'),
    ],
)
def test_what_does_not_fit_starts_nothing(
    server: Server, halves: Path, change: dict[str, Any], status: int, words: str
) -> None:
    body = {"path": halves.name, "pipeline": "halves", **change}
    answer = server.ask("POST", "pipelines/runs", body)
    assert answer.status == status, answer.text
    assert words in answer.data["message"]
    assert server.get("runs", path=halves.name).data["runs"] == []


def test_a_broken_pipeline_says_what_is_wrong(server: Server, halves: Path) -> None:
    (halves / "pipelines" / "halves" / "pipeline.yaml").write_text("name: halves\n")
    body = {"path": halves.name, "pipeline": "halves"}
    answer = server.ask("POST", "pipelines/runs", body)
    assert answer.status == 400, answer.text
    assert answer.data["reason"] == "pipeline"
