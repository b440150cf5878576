"""Failures at the line of the notebook's file."""

from __future__ import annotations

import json
import re

import nbformat
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.reporting import Problem, code_quality, github_annotations, problems

from .conftest import failed, run

NOTEBOOK = nbformat.writes(
    new_notebook(cells=[new_code_cell("import x"), new_code_cell("x = 1\nraise ValueError(x)")])
)


def read(file: str) -> str | None:
    return NOTEBOOK if file == "pipelines/wine/load.ipynb" else None


def test_a_failure_is_at_the_line_of_the_file() -> None:
    (found,) = problems([failed()], read=read, prefix="sub/")
    assert found.file == "sub/pipelines/wine/load.ipynb"
    assert NOTEBOOK.splitlines()[found.line - 1].strip() == '"raise ValueError(x)"'
    assert found.title == "wine/load: ValueError: bad | <b>value</b>"
    assert found.message.startswith("In [2], line 2: ValueError: bad")


def test_a_notebook_that_cannot_be_read_is_annotated_at_its_beginning() -> None:
    (found,) = problems([failed()], read=lambda file: None)
    assert found.line == 1


def test_gates_proof_and_warnings() -> None:
    made = run(
        gates=({"name": "good", "passed": False, "message": "too low"},),
        proof={"verdict": "differs", "reasons": ["a", "b"]},
        warnings=("not delivered",),
    )
    found = problems([made], read=read)
    assert [(p.file, p.severity) for p in found] == [
        ("pipelines/wine/proof.json", "error"),
        ("pipelines/wine/policy.yaml", "error"),
        ("pipelines/wine/pipeline.yaml", "warning"),
    ]


def test_a_run_without_problems_has_none() -> None:
    assert problems([run()], read=read) == []
    assert github_annotations([]) == ""
    assert json.loads(code_quality([])) == []


@given(st.lists(st.builds(Problem, st.text(), st.integers(1, 9), st.text(), st.text())))
def test_a_workflow_command_is_one_line_and_says_it_all(found: list[Problem]) -> None:
    lines = github_annotations(found).split("\n")[:-1]
    assert len(lines) == len(found)
    for line, problem in zip(lines, found, strict=True):
        match = re.fullmatch(r"::error file=([^,:]*),line=(\d+),title=([^,:]*)::(.*)", line)
        assert match is not None
        file, number, title, message = match.groups()
        assert (unescape(file), int(number)) == (problem.file, problem.line)
        assert (unescape(title), unescape(message)) == (problem.title, problem.message)


def unescape(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


@given(st.lists(st.builds(Problem, st.text(), st.integers(1, 9), st.text(), st.text())))
def test_the_code_quality_report_has_what_gitlab_needs(found: list[Problem]) -> None:
    entries = json.loads(code_quality(found))
    assert len({entry["fingerprint"] for entry in entries}) == len(found)
    for entry, problem in zip(entries, found, strict=True):
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"] == {"path": problem.file, "lines": {"begin": problem.line}}
