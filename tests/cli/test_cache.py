"""``jupyter mlops cache`` and the options of ``run`` about it, with a real kernel."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from jupyter_mlops.cli.main import cli
from jupyter_mlops.project import Project

from ..pipelines.conftest import write_notebook, write_pipeline
from ..pipelines.lab import ONE, PARAMETERS


@pytest.fixture
def one(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = write_pipeline(project, "one", ONE)
    cell = "with open(out, 'w') as file:\n    file.write(str(value))"
    write_notebook(folder / "only.ipynb", PARAMETERS, cell, tags={0: "parameters"})
    # No server answers there: delivering is another test's subject.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("JUPYTER_MLOPS_DELIVERY_TIMEOUT", "0.1")
    monkeypatch.chdir(project.root)
    return project


def said(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
    assert result.exception is None, result.exception
    assert result.return_value in (0, None)
    return result.stdout


def test_from_a_first_run_to_an_empty_cache(one: Project) -> None:
    assert "Nothing is kept yet" in said("cache", "ls")
    assert "only: runs: no result of this step is kept" in said("run", "one", "--why")
    text = said("run", "one", "--why")
    assert "only: done before, and kept" in text
    assert "only: from the cache: as in run 01" in text
    asked = said("cache", "why", "one", "only", "-p", "value", "5")
    assert asked == "only: runs: the parameter value was 1, is 5\n"
    asked = json.loads(said("cache", "why", "one", "--json"))["steps"]
    assert [(step["step"], step["hit"]) for step in asked] == [("only", True)]
    outcome = json.loads(said("run", "one", "--no-cache", "--json"))
    assert (outcome["steps"][0]["status"], outcome["steps"][0]["cache"]) == ("finished", None)
    listed = json.loads(said("cache", "ls", "--json"))
    assert [(e["pipeline"], e["step"]) for e in listed["entries"]] == [("one", "only")]
    assert 0 < listed["size"] < listed["limit"] == 2_000_000_000
    assert "only" in said("cache", "ls")
    assert said("cache", "clear", "other").startswith("Removed 0 results")
    assert said("cache", "clear", "one", "only").startswith("Removed 1 result,")
    assert json.loads(said("cache", "ls", "--json"))["size"] == 0
    assert sorted(p.name for p in one.runs.iterdir()) == sorted(
        {p.name for p in one.runs.iterdir() if (p / "only.ipynb").exists()}
    )


def test_a_step_that_is_not_there(one: Project) -> None:
    result = CliRunner().invoke(cli, ["cache", "why", "one", "no"], standalone_mode=False)
    assert "has no step 'no'" in str(result.exception)
