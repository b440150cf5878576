from __future__ import annotations

import importlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_mlops.capture import changes as changes_module
from jupyter_mlops.capture.changes import Changes, CodeState
from jupyter_mlops.capture.git import Repository
from jupyter_mlops.capture.git_process import Git, git_executable

from .git_repository import age, commit_all, git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text("one\ntwo\nthree\n")
    (folder / "work.ipynb").write_text("{}\n")
    (folder / ".gitignore").write_text("ignored*\n")
    return folder


@pytest.fixture
def import_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Import a file as a module whose name nobody else has."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(path: Path) -> None:
        monkeypatch.syspath_prepend(str(path.parent))
        importlib.import_module(path.stem)

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


def look(state: CodeState) -> Changes:
    state.begin()
    found = state.end(20.0)
    assert found is not None
    return found


@pytest.fixture
def count_gits(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    started: list[Path] = []

    class Counted(Git):
        def __init__(self, repository: Repository, timeout: float) -> None:
            started.append(repository.top)
            super().__init__(repository, timeout)

    monkeypatch.setattr(changes_module, "Git", Counted)
    return started


def test_a_clean_tree(repository: Path) -> None:
    first = commit_all(repository)
    assert look(CodeState(repository)) == Changes(first, "main", False)


def test_the_text_rebuilds_the_tree(repository: Path, tmp_path: Path) -> None:
    (repository / "gone.py").write_text("x\n")
    (repository / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    first = commit_all(repository)
    (repository / "train.py").write_text("one\n2\nthree")  # No line end.
    (repository / "crlf.txt").write_bytes(b"a\r\nc\r\n")
    (repository / "gone.py").unlink()
    (repository / "added ünicode.py").write_text("new\n")
    git(repository, "add", "added ünicode.py")
    found = look(CodeState(repository))
    assert (found.commit, found.dirty, found.truncated) == (first, True, 0)

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    (tmp_path / "patch").write_text(found.diff, newline="")
    git(clone, "apply", str(tmp_path / "patch"))
    for name in ("train.py", "crlf.txt", "added ünicode.py"):
        assert (clone / name).read_bytes() == (repository / name).read_bytes()
    assert not (clone / "gone.py").exists()


def test_a_notebook_makes_dirty_but_no_text(repository: Path) -> None:
    commit_all(repository)
    (repository / "work.ipynb").write_text('{"cells": []}\n')
    found = look(CodeState(repository))
    assert found.dirty
    assert "work.ipynb" in found.diff
    assert "outputs" in found.diff
    assert "cells" not in found.diff


def test_before_the_first_commit(repository: Path) -> None:
    git(repository, "add", "-A")
    found = look(CodeState(repository))
    assert (found.commit, found.branch, found.dirty) == (None, "main", True)
    assert "+++ b/train.py" in found.diff


def test_a_repository_with_longer_names(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256")
    (tmp_path / "train.py").write_text("one\n")
    git(tmp_path, "add", "-A")
    assert "+++ b/train.py" in look(CodeState(tmp_path)).diff
    first = commit_all(tmp_path)
    assert len(first) == 64
    assert look(CodeState(tmp_path)) == Changes(first, "main", False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_repository_of_somebody_else(repository: Path) -> None:
    first = commit_all(repository)
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    found = look(CodeState(repository))  # Git does not trust it, and neither do we.
    assert (found.commit, found.dirty) == (first, None)
    assert "git" in str(found.reason)


def test_a_linked_worktree_and_a_folder_below(repository: Path, tmp_path: Path) -> None:
    commit_all(repository)
    git(repository, "worktree", "add", "-q", "-b", "feature/x", str(tmp_path / "linked"))
    (tmp_path / "linked" / "train.py").write_text("changed\n")
    (tmp_path / "linked" / "deep").mkdir()
    found = look(CodeState(tmp_path / "linked" / "deep"))
    assert (found.branch, found.dirty) == ("feature/x", True)
    assert "+changed" in found.diff
    assert look(CodeState(repository)).dirty is False


def test_imported_files_that_git_does_not_follow(
    repository: Path, tmp_path: Path, import_file: Callable[[Path], None]
) -> None:
    commit_all(repository)
    (repository / "src").mkdir()
    (repository / "src" / "loose_by_test.py").write_text("a = 1\nb = 2")
    (repository / "src" / "empty_by_test.py").write_text("")
    (repository / "src" / "unused_by_test.py").write_text("c = 3\n")
    (repository / "ignored_by_test.py").write_text("key = 'private'\n")
    age(repository)  # So that the first answer may be used again.
    state = CodeState(repository / "src")
    assert look(state).dirty is False  # Nothing of it was imported.
    state.begin()
    import_file(repository / "src" / "loose_by_test.py")  # By the cell.
    import_file(repository / "src" / "empty_by_test.py")
    import_file(repository / "ignored_by_test.py")
    found = state.end(20.0)
    assert found is not None
    assert found.dirty
    assert "unused_by_test" not in found.diff
    whole = look(CodeState(repository))
    assert "imported, but ignored by git): ignored_by_test.py" in whole.diff
    assert "private" not in whole.diff

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    (tmp_path / "patch").write_text(found.diff, newline="")
    git(clone, "apply", str(tmp_path / "patch"))
    assert (clone / "src" / "loose_by_test.py").read_text() == "a = 1\nb = 2"
    assert (clone / "src" / "empty_by_test.py").read_text() == ""


def test_a_long_text_is_cut_and_says_what_is_missing(repository: Path) -> None:
    (repository / "zzz.py").write_text("x\n")
    commit_all(repository)
    (repository / "train.py").write_text("".join(f"line {n}\n" for n in range(10_000)))
    (repository / "zzz.py").write_text("y\n")
    whole = look(CodeState(repository))
    cut = look(CodeState(repository, limit=5000))
    notes = [line for line in cut.diff.splitlines() if line.startswith("#")]
    body = cut.diff.split("\n", len(notes))[-1]
    assert len(body) <= 5000
    assert whole.diff.startswith(body)
    assert body.endswith("\n")
    assert cut.truncated == len(whole.diff) - len(body)
    assert any("zzz.py" in note for note in notes)
    assert str(cut.truncated) in notes[0]


def test_large_and_binary_files_are_named_only(repository: Path) -> None:
    (repository / "data.csv").write_text("1\n")
    (repository / "raw.bin").write_bytes(b"\0")
    commit_all(repository)
    (repository / "data.csv").write_text("1,2,3\n" * 400_000)
    (repository / "raw.bin").write_bytes(b"\0\1")
    found = look(CodeState(repository))
    assert "Binary files a/data.csv and b/data.csv differ" in found.diff
    assert "Binary files a/raw.bin and b/raw.bin differ" in found.diff
    assert len(found.diff) < 2000


def test_nothing_is_started_while_nothing_changes(repository: Path, count_gits: list[Path]) -> None:
    commit_all(repository)
    age(repository)
    state = CodeState(repository)
    first = look(state)
    state.begin()
    assert state.end(0.0) == first
    assert len(count_gits) == 1
    (repository / "train.py").write_text("changed\n")
    assert look(state).dirty
    assert len(count_gits) == 2
    age(repository)
    second = commit_all(repository)
    assert look(state) == Changes(second, "main", False)
    age(repository)
    (repository / "train.py").unlink()
    assert look(state).dirty
    git(repository, "checkout", "-q", "-b", "other")
    assert look(state).branch == "other"


def test_the_index_is_not_touched_and_nothing_is_left(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    commit_all(repository)
    age(repository)  # Now `git diff` would write what it finds.
    before = (repository / ".git" / "index").stat()
    assert look(CodeState(repository)).dirty is False
    after = (repository / ".git" / "index").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert not list((tmp_path / "temporary").iterdir())


def test_a_file_changed_a_moment_ago_is_looked_at_again(
    repository: Path, count_gits: list[Path]
) -> None:
    commit_all(repository)
    state = CodeState(repository)
    (repository / "train.py").write_text("1\n")
    # However long the first look takes.
    soon = time.time() + 60
    os.utime(repository / "train.py", (soon, soon))
    look(state)
    look(state)
    assert len(count_gits) == 2


def test_a_short_cell_does_not_wait(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = commit_all(repository)
    go = threading.Event()

    class Slow(Git):
        def __init__(self, repository: Repository, timeout: float) -> None:
            go.wait(20)
            super().__init__(repository, timeout)

    monkeypatch.setattr(changes_module, "Git", Slow)
    state = CodeState(repository)
    answers: list[Changes] = []
    for _ in range(5):
        state.begin()
        assert state.end(0.0) is None
        state.when_done(answers.append)
    assert not state.wait(0.01)
    go.set()
    assert state.wait(20)
    assert answers == [Changes(first, "main", False)] * 5
    state.when_done(answers.append)  # Known by now.
    assert len(answers) == 6


def test_a_callback_that_raises_ends_nothing(repository: Path) -> None:
    commit_all(repository)
    state = CodeState(repository)
    state.begin()
    answers: list[Changes] = []
    state.when_done(lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    state.when_done(answers.append)
    assert state.wait(20)
    assert len(answers) == 1
    assert look(state).dirty is False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_looks_for_itself(repository: Path) -> None:
    commit_all(repository)
    code = f"""
import os, sys
from pathlib import Path
from jupyter_mlops.capture.changes import CodeState
state = CodeState(Path({str(repository)!r}))
state.begin()
assert state.end(20.0).dirty is False
state._working = True  # As it is while the parent's thread works.
state._lock.acquire()
child = os.fork()
if child == 0:
    state.begin()
    os._exit(0 if state.end(20.0).dirty is False else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr


def test_no_repository(tmp_path: Path) -> None:
    state = CodeState(tmp_path)
    assert look(state) == Changes(None, None, None, reason="not a git repository")


def test_no_git_still_has_commit_and_branch(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = commit_all(repository)
    # Not in the folder of the notebook either.
    program = repository / "git"
    program.write_text("#!/bin/sh\ntouch canary\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}/nonexistent")
    assert git_executable() is None
    found = look(CodeState(repository))
    assert found == Changes(first, "main", None, reason="git is not installed")
    assert not (repository / "canary").exists()


def test_a_git_that_hangs_is_ended_and_left_alone(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count_gits: list[Path]
) -> None:
    first = commit_all(repository)
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\n/bin/sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    state = CodeState(repository, timeout=0.3)
    began = time.monotonic()
    found = look(state)
    assert time.monotonic() - began < 10
    assert found == Changes(first, "main", None, reason="git did not answer within 0.3 s")
    assert look(state) == found  # At once: it is not asked again for a while.
    assert len(count_gits) == 1
    for pid in (tmp_path / "pids").read_text().split():
        assert not Path("/proc", pid).exists()


def test_a_broken_repository(repository: Path) -> None:
    first = commit_all(repository)
    (repository / ".git" / "index").write_bytes(b"nonsense")
    found = look(CodeState(repository))
    assert (found.commit, found.dirty) == (first, None)
    assert "exit code" in str(found.reason)


def test_nothing_that_the_repository_names_is_run(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\necho $0 $* >> {canary}\ncat\n")
    evil.chmod(0o755)
    (repository / "a.txt").write_text("one\n")
    (repository / "b.txt").write_text("one\n")
    (repository / ".gitattributes").write_text(
        "*.txt filter=evil diff=evil\n*.py filter=dotted.name diff=evil\n*.ipynb filter=slow\n"
    )
    (repository / "inner").mkdir()
    git(repository / "inner", "init", "-q")
    (repository / "inner" / "file.txt").write_text("x\n")
    commit_all(repository / "inner")
    commit_all(repository)
    blob = git(repository, "rev-parse", "HEAD:train.py")
    config = repository / ".git" / "config"
    text = f"""
[core]
    fsmonitor = {evil}
    hooksPath = {tmp_path}/hooks
    sshCommand = {evil}
    pager = {evil}
    editor = {evil}
    gitProxy = {evil}
    askPass = {evil}
    worktree = {tmp_path}
[diff]
    external = {evil}
[diff "evil"]
    command = {evil}
    textconv = {evil}
[pager]
    diff = {evil}
    config = {evil}
[filter "evil"]
    clean = {evil}
    smudge = {evil}
    required = true
[FILTER "dotted.name"]
    CLEAN = {evil}
[filter "slow"]
    process = {evil}
    required
[filter "Case"]
    clean = {evil}
[alias]
    diff = !{evil}
    ls-files = !{evil}
    config = !{evil}
[extensions]
    partialClone = origin
[remote "origin"]
    url = ext::{evil}
    promisor = true
    uploadpack = {evil}
[credential]
    helper = !{evil}
"""
    config.write_text(config.read_text() + text)
    git_inner = repository / "inner" / ".git" / "config"
    git_inner.write_text(git_inner.read_text() + text)
    (tmp_path / "hooks").mkdir()
    for hooks in (tmp_path / "hooks", repository / ".git" / "hooks"):
        hooks.mkdir(exist_ok=True)
        for hook in ("post-index-change", "fsmonitor-watchman", "pre-commit"):
            shutil.copy(evil, hooks / hook)
    # The person's own variables must not bring any of it back.
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(name, str(evil))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    for name in ("a.txt", "train.py", "work.ipynb", "inner/file.txt"):
        (repository / name).write_text("two\n")
    os.utime(repository / "b.txt", (1, 1))
    found = look(CodeState(repository))
    assert found.reason is None
    assert found.dirty
    assert "-one\n+two\n" in found.diff
    assert not canary.exists(), canary.read_text()

    # A missing object of a partial clone would be fetched, by a command of the configuration.
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert look(CodeState(repository)).dirty is None
    assert not canary.exists(), canary.read_text()

    for name in ("GIT_DIR", "GIT_EXTERNAL_DIFF"):
        monkeypatch.delenv(name)
    command = ["git", "-C", str(repository), f"--work-tree={repository}", "diff", "--no-ext-diff"]
    subprocess.run(command, capture_output=True)  # The trap is one.
    assert canary.exists()


def test_a_filter_that_cannot_be_switched_off_ends_it(repository: Path, tmp_path: Path) -> None:
    first = commit_all(repository)
    config = repository / ".git" / "config"
    config.write_text(f'{config.read_text()}[filter "a=b"]\n    clean = touch {tmp_path}/canary\n')
    (repository / ".gitattributes").write_text("* filter=a=b\n")
    (repository / "train.py").write_text("two\n")
    found = look(CodeState(repository))
    assert (found.commit, found.dirty) == (first, None)
    assert "filter" in str(found.reason)
    assert not (tmp_path / "canary").exists()


def test_the_cost_of_a_cell_without_a_change(repository: Path) -> None:
    for number in range(200):
        (repository / f"m{number}.py").write_text("x\n")
    commit_all(repository)
    age(repository)
    state = CodeState(repository)
    look(state)
    took = []
    for _ in range(50):
        began = time.perf_counter()
        state.begin()
        state.end(0.0)
        took.append(time.perf_counter() - began)
    assert sorted(took)[10] < 0.003
