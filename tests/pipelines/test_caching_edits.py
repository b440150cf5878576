"""Whatever is edited, a run with the cache gives what one without it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.project import Project

from .edits import Figures, edit_and_compare
from .shell import ShellExecutor


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages of the test's own."""
    folder = tmp_path / "own" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    # Python itself takes a compiled file for the source if both changed within a second.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("FUZZ_CHOICE", "x")
    monkeypatch.setenv("SSH_CONNECTION", "")
    return folder


def edits(project: Project, site: Path, count: int, seed: int) -> Figures:
    executor = ShellExecutor()
    try:
        return edit_and_compare(project, executor, site, count, seed)
    finally:
        executor.close()


def test_random_edits_never_give_another_result(project: Project, site: Path) -> None:
    figures = edits(project, site, 12, 1)
    assert figures.hits > figures.steps / 5, figures
    assert figures.needless < figures.steps / 5, (str(figures), figures.why)


@pytest.mark.full
def test_two_thousand_random_edits(project: Project, site: Path) -> None:
    figures = edits(project, site, 2000, 2)
    print(figures, figures.why)
    assert figures.hits > figures.steps / 2, figures
