"""The root rule, and the state folder being made once, privately and whole."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mlops.errors import ProjectError
from jupyter_mlops.project import file_lock, find_root, open_project


def test_the_nearest_state_folder_wins_over_nearer_markers(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / ".mlops").mkdir()
    (deep / ".git").mkdir()
    assert find_root(deep) == tmp_path / "a"


@pytest.mark.parametrize("marker", [".git", "pyproject.toml"])
def test_else_the_nearest_marker(tmp_path: Path, marker: str) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / marker).touch()
    assert find_root(deep / "x.ipynb") == tmp_path / "a"


def test_else_the_folder_of_the_notebook(tmp_path: Path) -> None:
    assert find_root(tmp_path / "x.ipynb") == tmp_path


def test_never_the_home_folder_or_the_file_systems_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()
    (tmp_path / ".mlops").mkdir()
    (tmp_path / "work").mkdir()
    assert find_root(tmp_path / "work") == tmp_path / "work"
    for folder in (tmp_path, Path("/")):
        with pytest.raises(ProjectError, match="cannot be a project"):
            find_root(folder)


def test_the_variable_overrides(tmp_path: Path) -> None:
    state = tmp_path / "elsewhere"
    (tmp_path / "work").mkdir()
    project = open_project(tmp_path / "work", env={"JUPYTER_MLOPS_HOME": str(state)})
    assert project.state == state
    assert project.root == tmp_path / "work"
    assert project.exists
    assert not (tmp_path / "work" / ".mlops").exists()


def test_it_is_made_privately_and_ignored_by_git(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    project = open_project(tmp_path)
    assert stat.S_IMODE(project.state.stat().st_mode) == 0o700
    assert (project.state / ".gitignore").read_text() == "*\n"
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert open_project(tmp_path) == project


def test_without_create_nothing_is_made(tmp_path: Path) -> None:
    project = open_project(tmp_path, create=False)
    assert not project.exists
    assert list(tmp_path.iterdir()) == []


def test_eight_processes_make_one_project(tmp_path: Path) -> None:
    code = (
        "import sys; from jupyter_mlops.project import open_project; "
        "from jupyter_mlops.state import StateDB\n"
        "p = open_project(sys.argv[1])\n"
        "with StateDB(p).write() as c:\n"
        "    c.execute(\"INSERT INTO meta VALUES (?, '1')\", (sys.argv[2],))"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in range(8)
    ]
    assert [child.wait() for child in children] == [0] * 8
    from jupyter_mlops.state import StateDB

    with StateDB(open_project(tmp_path)).read() as connection:
        assert connection.execute("SELECT COUNT(*) FROM meta").fetchone()[0] == 8
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    else:  # the super-user may write anywhere
        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ProjectError) as caught:
        open_project(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "JUPYTER_MLOPS_HOME" in (caught.value.hint or "")
    tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_held_elsewhere_is_waited_for_then_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        file_lock(path),
        pytest.raises(ProjectError, match="held by another process"),
        file_lock(path, timeout=0.05),
    ):
        pass
    with file_lock(path, timeout=0.05):
        pass


def test_relative_paths(tmp_path: Path) -> None:
    project = open_project(tmp_path, create=False)
    assert project.relative(tmp_path / "a" / "b.ipynb") == "a/b.ipynb"
    assert project.relative("/elsewhere/x").endswith("/elsewhere/x")
