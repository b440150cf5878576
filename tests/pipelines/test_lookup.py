"""Finding pipelines and notebooks by what a person types."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.errors import NotFoundError, PipelineError, UsageError
from jupyter_mlops.pipelines import (
    BrokenPipeline,
    find_pipeline,
    find_target,
    list_pipelines,
    scan_pipelines,
)
from jupyter_mlops.project import Project


def add(project: Project, folder: str, name: str | None = None) -> Path:
    path = project.pipelines / folder
    path.mkdir(parents=True)
    text = f"version: 1\nname: {name or folder}\nsteps:\n  - {{name: a, notebook: a.ipynb}}\n"
    (path / "pipeline.yaml").write_text(text)
    return path


@pytest.fixture
def stocked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two pipelines, a broken one, a stray folder; the current folder is the root."""
    add(project, "churn")
    add(project, "tips", name="taxi-tips")
    broken = add(project, "broken")
    (broken / "pipeline.yaml").write_text("version: 1\nname: broken\n")
    (project.pipelines / "notes").mkdir()
    (project.root / "a.ipynb").write_text("{}")
    monkeypatch.chdir(project.root)
    return project


def test_a_project_without_pipelines(project: Project) -> None:
    assert list_pipelines(project) == []
    with pytest.raises(NotFoundError) as caught:
        find_pipeline(project, "churn")
    assert caught.value.hint is not None
    assert "jupyter mlops promote NOTEBOOK" in caught.value.hint


def test_listing_says_which_are_broken_and_why(stocked: Project) -> None:
    assert [p.name for p in list_pipelines(stocked)] == ["churn", "taxi-tips"]
    (broken,) = [p for p in scan_pipelines(stocked) if isinstance(p, BrokenPipeline)]
    assert broken.name == "broken"
    assert "the key 'steps' is missing" in broken.error.message


@pytest.mark.parametrize(
    "target",
    ["churn", "pipelines/churn", "./pipelines/churn/", "pipelines/churn/pipeline.yaml"],
)
def test_a_pipeline_by_name_folder_and_file(stocked: Project, target: str) -> None:
    assert find_pipeline(stocked, target).folder == str(stocked.pipelines / "churn")
    assert find_pipeline(stocked, stocked.pipelines / "churn").name == "churn"


def test_a_pipeline_by_the_folders_name_and_by_its_own(stocked: Project) -> None:
    assert find_pipeline(stocked, "tips") == find_pipeline(stocked, "taxi-tips")


def test_paths_are_looked_up_from_the_root_too(
    stocked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stocked.pipelines)
    assert find_pipeline(stocked, "pipelines/churn").name == "churn"
    assert find_target(stocked, "a.ipynb") == stocked.root / "a.ipynb"


def test_a_name_that_two_have(stocked: Project) -> None:
    add(stocked, "other", name="taxi-tips")
    with pytest.raises(UsageError, match=r"two .*'taxi-tips': pipelines/other, pipelines/tips"):
        find_pipeline(stocked, "taxi-tips")
    assert find_pipeline(stocked, "other").name == "taxi-tips"


def test_a_broken_one_says_what_is_wrong(stocked: Project) -> None:
    with pytest.raises(PipelineError, match="the key 'steps' is missing"):
        find_pipeline(stocked, "broken")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("chum", r"there is no pipeline or notebook 'chum' \(did you mean 'churn'\?\)"),
        ("pipelines/notes", "there is no pipeline or notebook"),
        ("b.ipynb", r"there is no notebook b\.ipynb"),
        ("pyproject.toml", r"pyproject\.toml is neither a pipeline nor a notebook"),
        ("", "there is no pipeline or notebook ''"),
        ("..", r"there is no pipeline or notebook '\.\.'"),
        ("\0", "there is no pipeline or notebook"),
    ],
)
def test_anything_else_lists_the_pipelines(stocked: Project, target: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=message) as caught:
        find_target(stocked, target)
    assert caught.value.hint == "The pipelines are: broken, churn, taxi-tips."
    assert caught.value.exit_code == 2


def test_a_notebook_is_no_pipeline(stocked: Project) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_pipeline(stocked, "a.ipynb")
    assert caught.value.hint == "To make it one: jupyter mlops promote a.ipynb"
