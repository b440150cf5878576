from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jupyter_mlops.capture.git import find_repository, head_commit

from .git_repository import git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git to compare with")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "deep" / "er").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    return folder


def commit(folder: Path) -> str:
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def test_a_branch_below_and_packed(repository: Path) -> None:
    assert head_commit(repository) is None
    first = commit(repository)
    assert head_commit(repository) == head_commit(repository / "deep" / "er") == first
    git(repository, "pack-refs", "--all")
    assert head_commit(repository) == first
    second = commit(repository)  # Loose again, beside the packed one.
    assert head_commit(repository) == second != first


def test_a_detached_head_and_a_branch_with_a_slash(repository: Path) -> None:
    first = commit(repository)
    git(repository, "checkout", "-q", "-b", "feature/x")
    second = commit(repository)
    assert head_commit(repository) == second
    git(repository, "checkout", "-q", first)
    assert head_commit(repository) == first


def test_a_linked_worktree(repository: Path, tmp_path: Path) -> None:
    commit(repository)
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    second = commit(tmp_path / "linked")
    assert head_commit(tmp_path / "linked") == second
    assert head_commit(repository) != second
    git(repository, "pack-refs", "--all")
    assert head_commit(tmp_path / "linked") == second


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".git": "nonsense"},
        {".git": "gitdir: /does/not/exist"},
        {".git/HEAD": "ref: refs/heads/.invalid"},
        {".git/HEAD": "ref: HEAD"},
        {".git/HEAD": ""},
        {".git/HEAD": b"\xff\xfe"},
    ],
)
def test_anything_else_has_no_commit(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert head_commit(tmp_path) is None


def test_the_branch(repository: Path, tmp_path: Path) -> None:
    def branch(folder: Path) -> str | None:
        found = find_repository(folder)
        assert found is not None
        return found.head().branch

    assert branch(repository) == "main"  # Before the first commit.
    first = commit(repository)
    git(repository, "checkout", "-q", "-b", "feature/x")
    assert branch(repository / "deep") == "feature/x"
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    assert branch(tmp_path / "linked") == "other"
    git(repository, "checkout", "-q", first)
    assert branch(repository) is None
    assert find_repository(tmp_path) is None
