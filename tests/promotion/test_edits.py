"""Edits that cannot be: the error names the one that is wrong, for the view that shows it there."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.promotion import PlanEdits, plan

from .sessions import Cell, record, write

CELLS: list[Cell] = [
    ("a", "rate = 3\nbase = 2"),
    ("b", "total = rate * base"),
    ("c", "%%track\nresult = total + rate"),
]


def parameter(**change: Any) -> dict[str, Any]:
    return {"parameters": {"rate": change}}


@pytest.mark.parametrize(
    ("edits", "field"),
    [
        (parameter(name="a b"), "edits.parameters.rate"),
        (parameter(name="total"), "edits.parameters.rate"),
        (parameter(name="base"), "edits.parameters.rate"),
        (parameter(type="boolean"), "edits.parameters.rate"),
        (parameter(type="decimal"), "edits.parameters.rate"),
        ({"parameters": {"gone": {"name": "x"}}}, "edits.parameters.gone"),
        ({"cells": {"9": True}}, "edits.cells.9"),
        ({"cells": {"3": False}}, "edits.cells.3"),
        ({"steps": [{"name": "one", "first": 1}, {"name": "a/b", "first": 2}]}, "edits.steps.2"),
        ({"steps": [{"name": "one", "first": 1}, {"name": "two", "first": 9}]}, "edits.steps.9"),
    ],
)
def test_the_edit_that_is_wrong_is_named(
    project: Project, edits: dict[str, Any], field: str
) -> None:
    notebook = write(project.root / "n.ipynb", CELLS)
    record(project, notebook, CELLS, metrics={"result": 9.0})
    with pytest.raises(UsageError) as caught:
        plan(project, Config(), notebook, edits=PlanEdits.from_dict(edits))
    assert caught.value.fields["field"] == field


def test_the_name_of_the_pipeline_is_named(project: Project) -> None:
    notebook = write(project.root / "n.ipynb", CELLS)
    record(project, notebook, CELLS, metrics={"result": 9.0})
    with pytest.raises(UsageError) as caught:
        plan(project, Config(), notebook, name="a b")
    assert caught.value.fields["field"] == "name"
