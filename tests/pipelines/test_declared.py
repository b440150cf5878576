"""What a notebook's ``parameters`` cell declares, read without running it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jupyter_mlops.errors import NotebookError, ParameterError
from jupyter_mlops.pipelines import declared_parameters
from jupyter_mlops.pipelines.declared import notebook_values, read_notebook


def notebook(*cells: str, tag: str = "parameters", language: str | None = None) -> Any:
    """A notebook whose second cell carries the tag."""
    node = new_notebook(cells=[new_markdown_cell("# x"), *map(new_code_cell, cells)])
    node.cells[1].metadata["tags"] = [tag]
    if language:
        node.metadata["language_info"] = {"name": language}
    return node


@pytest.mark.parametrize(
    ("source", "name", "default", "schema"),
    [
        ("n = 5", "n", 5, {"type": "number"}),
        ("n = -5", "n", -5, {"type": "number"}),
        ("n: int = 5", "n", 5, {"type": "integer"}),
        ("a = 0.5", "a", 0.5, {"type": "number"}),
        ("a: float = 1", "a", 1, {"type": "number"}),
        ("flag = True", "flag", True, {"type": "boolean"}),
        ("s = 'x'", "s", "x", {"type": "string"}),
        ("x = None", "x", None, {}),
        ("x: str | None = None", "x", None, {"type": ["string", "null"]}),
        ("x: 'int | None' = None", "x", None, {"type": ["integer", "null"]}),
        ("x: Optional[float] = None", "x", None, {"type": ["number", "null"]}),
        ("x: typing.Union[int, str] = 1", "x", 1, {"type": ["integer", "string"]}),
        ("x: Literal['a', 'b'] = 'a'", "x", "a", {"enum": ["a", "b"]}),
        ("x: list[str] = ['a']", "x", ["a"], {"type": "array", "items": {"type": "string"}}),
        ("x: dict = {}", "x", {}, {"type": "object"}),
        ("x: Path = 'a'", "x", "a", {"type": "string", "format": "path"}),
        ("cols = ('a', 'b')", "cols", ["a", "b"], {"type": "array"}),
        ("o = {'a': [1, None]}", "o", {"a": [1, None]}, {"type": "object"}),
        ("# comment\n%matplotlib inline\n!ls\nn = 1", "n", 1, {"type": "number"}),
        ("n = 1\nn = 2", "n", 2, {"type": "number"}),
    ],
)
def test_literal_assignments(source: str, name: str, default: Any, schema: Any) -> None:
    found = declared_parameters(notebook(source), "a.ipynb")
    (parameter,) = found.parameters
    assert (parameter.name, parameter.default, parameter.schema) == (name, default, schema)
    assert not found.opaque
    assert found.tagged


@pytest.mark.parametrize(
    "source",
    ["x = f()", "x = date.today()", "x = time()", "x = b'a'", "x = 1j", "x: int", "x = [f]"],
)
def test_other_assignments_declare_a_name_without_a_known_default(source: str) -> None:
    found = declared_parameters(notebook(source), "a.ipynb")
    assert found.names == found.opaque == {"x"}


def test_what_is_no_assignment_declares_nothing() -> None:
    source = "import os\nprint(1)\nif True:\n    a = 1\nx.y = 1\nb, c = 1, 2\nd += 1"
    assert declared_parameters(notebook(source), "a.ipynb").names == frozenset()


def test_a_trailing_comment_is_the_description() -> None:
    found = declared_parameters(notebook("n = 5  # how many, '#' counts\nm = '# no'"), "a.ipynb")
    assert [p.description for p in found.parameters] == ["how many, '#' counts", ""]


def test_a_cell_that_is_not_python() -> None:
    with pytest.raises(NotebookError, match=r"parameters cell of a\.ipynb is not valid .*line 2"):
        declared_parameters(notebook("a = 1\nb = ="), "a.ipynb")


@given(st.text(max_size=80))
def test_any_cell_is_read_or_refused(source: str) -> None:
    with contextlib.suppress(NotebookError):
        declared_parameters(notebook(source), "a.ipynb")


def test_values_for_a_notebook() -> None:
    declared = declared_parameters(notebook("n: int = 5\nwhen = today()\na = 'x'"), "a.ipynb")
    assert notebook_values(declared, {}, "a.ipynb") == ({}, {"n": 5, "a": "x"})
    assert notebook_values(declared, {"n": "7", "when": "2024-01-01"}, "a.ipynb") == (
        {"n": 7, "when": "2024-01-01"},
        {"n": 7, "a": "x", "when": "2024-01-01"},
    )
    with pytest.raises(ParameterError, match=r"'n' of a\.ipynb: expected a whole number"):
        notebook_values(declared, {"n": "0.5"}, "a.ipynb")
    with pytest.raises(ParameterError, match=r"unknown parameter 'm' of a\.ipynb"):
        notebook_values(declared, {"m": "1"}, "a.ipynb")


def test_without_a_parameters_cell_the_message_says_how_to_tag() -> None:
    declared = declared_parameters(notebook("n = 5", tag="other"), "a.ipynb")
    assert notebook_values(declared, {}, "a.ipynb") == ({}, {})
    with pytest.raises(NotebookError, match=r"a\.ipynb has no cell tagged 'parameters'") as caught:
        notebook_values(declared, {"n": "1"}, "a.ipynb")
    assert caught.value.hint is not None
    assert "Property Inspector" in caught.value.hint


def test_other_languages_take_any_identifier() -> None:
    declared = declared_parameters(notebook("n <- 5", language="R"), "a.ipynb")
    assert not declared.readable
    assert notebook_values(declared, {"n": "5", "s": "x"}, "a.ipynb")[0] == {"n": 5, "s": "x"}
    with pytest.raises(ParameterError, match="cannot name a parameter"):
        notebook_values(declared, {"n; system('ls')": "5"}, "a.ipynb")


@pytest.mark.parametrize(
    "text",
    ["", "{ not json", "[]", "{}", '{"nbformat": 4, "nbformat_minor": 5}', "null"],
)
def test_a_file_that_is_no_notebook(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookError, match=r"a\.ipynb is not a notebook"):
        read_notebook(path)


def test_a_notebook_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="does not exist"):
        read_notebook(tmp_path / "a.ipynb")
    (tmp_path / "b.ipynb").write_bytes(b"\xff\xfe")
    with pytest.raises(NotebookError, match="not UTF-8"):
        read_notebook(tmp_path / "b.ipynb")
    (tmp_path / "c.ipynb").mkdir()
    with pytest.raises(NotebookError, match="cannot be read"):
        read_notebook(tmp_path / "c.ipynb")


def test_older_formats_are_read(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "input": "a = 1", "language": "python", "outputs": []}
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [cell], "metadata": {}}],
    }
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps(old))
    assert read_notebook(path).cells[0].source == "a = 1"
