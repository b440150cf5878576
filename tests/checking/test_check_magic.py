"""``%check`` in a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.capture import conftest as capture
from tests.capture.drivers import Shell

plain_shell, shell = capture.plain_shell, capture.shell


@pytest.fixture
def notebook(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = shell.project.root / "work.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    return path


def table(shell: Shell, line: str = "%check") -> str:
    (shown,) = shell.run(line).displays
    assert "text/html" in shown
    return str(shown["text/plain"])


def test_what_this_kernel_has_executed_is_checked(shell: Shell) -> None:
    shell.run("n = 0")
    shell.run("n += 1")
    assert "Nothing found" in table(shell)
    shell.run("n += 1")
    assert "NB004 error: " in table(shell)
    assert "Nothing found" in table(shell, "%check --ignore NB004")
    assert "NB004 error: " in table(shell, "%mlops check")
    assert "Nothing found" in table(shell, "%mlops check --select NB1")
    assert "Nothing found" in table(shell, "%check --select=NB1")


def test_a_wrong_option_is_a_warning(shell: Shell) -> None:
    outcome = shell.run("%check --loud")
    assert "%check does not take --loud" in outcome.stderr
    assert outcome.ename is None
    assert "there is no rule NB9" in shell.run("%check --select NB9").stderr


def test_names_are_shown_as_text(shell: Shell) -> None:
    Path("<b>.csv").write_text("a\n1", encoding="utf-8")
    shell.run("import pandas as pd")
    shell.run('df = pd.read_csv("<b>.csv")')
    (shown,) = shell.run("%check").displays
    assert "&lt;b&gt;.csv is read" in shown["text/html"]
    assert "<b>.csv" not in shown["text/html"]


def test_the_file_says_what_is_above(shell: Shell, notebook: Path) -> None:
    shell.run("x = 1")
    shell.run("y = x")
    cells = [new_code_cell("y = x"), new_code_cell("x = 1")]
    notebook.write_text(json.dumps(new_notebook(cells=cells)), encoding="utf-8")
    assert "NB001 error: x was made by" in table(shell)
