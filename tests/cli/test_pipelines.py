"""``jupyter mlops pipelines``."""

from __future__ import annotations

import json

import pytest

from jupyter_mlops.project import Project

from ..pipelines.conftest import WINE, write_pipeline
from .command_line import Mlops
from .test_run import mlops

__all__ = ["mlops"]


@pytest.fixture
def stocked(project: Project) -> Project:
    folder = write_pipeline(project, "wine", WINE)
    (folder / "policy.yaml").write_text(
        "version: 1\ngates:\n"
        "  - {name: floor, metric: accuracy, min: 0.9}\n"
        "  - {metric: rmse, not_worse_than: champion, tolerance: 0.5, aliases: [shadow]}\n"
    )
    (folder / "proof.json").write_text('{"verdict": "equal", "extra": 1}')
    write_pipeline(project, "broken", "version: 1\nname: broken\n")
    return project


def test_a_project_without_any(project: Project, mlops: Mlops) -> None:
    result = mlops("pipelines", "ls")
    assert result.code == 0
    assert "jupyter mlops promote NOTEBOOK" in result.out
    assert json.loads(mlops("pipelines", "ls", "--json").out) == {"pipelines": []}


def test_ls(stocked: Project, mlops: Mlops) -> None:
    result = mlops("pipelines", "ls")
    assert result.code == 0
    (line,) = [line for line in result.out.splitlines() if line.startswith("wine")]
    for word in ("depth=3, share=0.5", "load > train", "wine", "equal"):
        assert word in line
    assert "the key 'steps' is missing" in result.out
    listed = json.loads(mlops("pipelines", "ls", "--json").out)["pipelines"]
    assert [(p["name"], p["path"]) for p in listed] == [
        ("broken", "pipelines/broken"),
        ("wine", "pipelines/wine"),
    ]
    assert listed[0]["error"]["reason"] == "pipeline"
    assert listed[1]["error"] is None
    assert listed[1]["verdict"] == "equal"
    assert listed[1]["parameters"][0]["schema"] == {"type": "integer", "minimum": 1}


@pytest.mark.parametrize("name", ["wine", "pipelines/wine"])
def test_show(stocked: Project, mlops: Mlops, name: str) -> None:
    result = mlops("pipelines", "show", name)
    assert result.code == 0
    for words in (
        "wine  pipelines/wine",
        "a whole number (at least 1)",
        "load.data_path",
        "model.skops, metrics.json, example.npy",
        "wine, from train.model_path",
        "accuracy at least 0.9",
        "rmse not worse than champion by more than 0.5",
        "shadow",
        "Proof    equal",
        "jupyter mlops run wine",
    ):
        assert words in result.out, words
    shown = json.loads(mlops("pipelines", "show", name, "--json").out)
    assert shown["steps"][1]["needs"] == ["load"]
    assert [gate["name"] for gate in shown["gates"]] == ["floor", "rmse"]
    assert shown["proof"] == {"verdict": "equal", "extra": 1}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "there is no pipeline or notebook 'gone'"),
        ("broken", "the key 'steps' is missing"),
    ],
)
def test_show_what_cannot_be_shown(stocked: Project, mlops: Mlops, name: str, message: str) -> None:
    result = mlops("pipelines", "show", name)
    assert result.code == 2
    assert message in result.err
