"""Cells whose recording goes wrong: the cell is the person's, the failure is ours, and is said."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .drivers import Shell


def unwritable(folder: Path) -> None:
    """Make `.mlops` impossible below a folder, for root as well."""
    (folder / ".mlops").rename(folder / "moved")
    (folder / ".mlops").write_text("a file, where a folder should be")


def _recorder(shell: Shell) -> Any:
    from jupyter_mlops import magics

    return magics._loaded[shell.ip].recorder


def test_a_project_that_cannot_be_written(shell: Shell) -> None:
    unwritable(shell.project.root)
    outcome = shell.run("%%track\nx = 1 / 2\nx")
    assert outcome.result == "0.5"
    assert outcome.ename is None
    assert outcome.card is None
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("jupyter_mlops: this run was not recorded: the project folder")
    assert str(shell.project.root) in line
    (shell.project.root / ".mlops").unlink()
    (shell.project.root / "moved").rename(shell.project.root / ".mlops")
    shell.run("%%track\ny = x / 2")
    assert shell.last.metrics == {"y": 0.25}
    assert [c.source for c in shell.cells] == ["%%track\nx = 1 / 2\nx", "%%track\ny = x / 2"]


def test_the_home_folder_is_no_project(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shell.project.root / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (shell.project.root / "pyproject.toml").unlink()
    (shell.project.root / ".mlops").rename(shell.project.root / "moved")
    monkeypatch.chdir(home)
    outcome = shell.run("%%track\nx = 1 / 2\nx")
    assert outcome.result == "0.5"
    assert "JUPYTER_MLOPS_HOME" in outcome.stderr


def test_a_working_folder_that_is_gone(shell: Shell, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    outcome = shell.run("%%track\nx = 1 / 2\nx")
    assert outcome.result == "0.5"
    assert "this run was not recorded" in outcome.stderr
    os.chdir(tmp_path)


def test_a_full_disk_keeps_the_cell_and_writes_the_run_later(shell: Shell) -> None:
    shell.run("%%track\nfirst = 1 / 2")
    size = os.stat(shell.session.path).st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    shell.ip.user_ns["fill"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, hard))
    try:
        outcome = shell.run("%%track\nfill()\nx = 1 / 2\nx")
        plain = shell.run("y = 3\ny")
        again = shell.run("z = 3\nz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert outcome.result == "0.5"
    assert "is not on disk" in outcome.stderr
    assert str(shell.session.path) in outcome.stderr
    assert plain.result == again.result == "3"
    assert (plain.stderr + again.stderr).count("\n") == 1
    assert len(shell.runs) == 1
    shell.run("w = 4")
    assert [run.metrics for run in shell.runs] == [{"first": 0.5}, {"x": 0.5}]
    assert [c.source.splitlines()[-1] for c in shell.cells] == [
        "first = 1 / 2", "x", "y", "z", "w = 4"
    ]  # fmt: skip


def test_a_model_that_the_disk_does_not_take(shell: Shell) -> None:
    shell.run("%%track\nfrom sklearn.preprocessing import StandardScaler\nimport numpy as np")
    blobs = shell.project.journal / "blobs"
    blobs.rmdir()
    blobs.write_text("no folder")
    shell.run("%%track\ns = StandardScaler().fit(np.zeros((3, 2)))\nx = 1 / 2")
    assert shell.last.metrics == {"x": 0.5}
    (model,) = shell.last.models
    assert (model.name, model.blob) == ("s", None)
    assert "cannot be written" in (model.reason or "")


def test_a_state_folder_removed_in_mid_session(shell: Shell) -> None:
    import shutil

    shell.run("%%track\nx = 1 / 2")
    shutil.rmtree(shell.project.state)
    shell.run("%%track\ny = x / 2")
    assert [c.source for c in shell.cells] == ["%%track\nx = 1 / 2", "%%track\ny = x / 2"]
    assert [run.metrics for run in shell.runs] == [{"y": 0.25}]


def test_what_breaks_in_us_stays_with_us(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    import jupyter_mlops.capture.run as run_module

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(run_module, "metrics", broken)
    outcome = shell.run("%%track\nlr = 0.5\nx = 1 / 2\nx")
    assert outcome.result == "0.5"
    assert shell.last.params == {"lr": 0.5}  # One part fails without the others.
    (warning,) = shell.last.warnings
    assert "the metrics were not recorded: RuntimeError: a bug of ours" in warning
    monkeypatch.setattr(run_module, "build_run", broken)
    outcome = shell.run("%%track\nx = 1 / 2\nx")
    assert outcome.result == "0.5"
    assert outcome.stderr == (
        "jupyter_mlops: this cell was not recorded: RuntimeError: a bug of ours\n"
    )
    monkeypatch.undo()
    assert shell.run("%%track\ny = 1 / 2").card is not None


def test_an_object_that_misbehaves_when_looked_at_costs_only_its_part(shell: Shell) -> None:
    shell.run(
        "import numpy as np\n"
        "class Odd(np.ndarray):\n"
        "    @property\n"
        "    def dtype(self): raise KeyError('odd')\n"
        "Odd.__module__ = 'numpy.odd'"
    )
    outcome = shell.run("%%track\nlr = 0.5\no = np.zeros(()).view(Odd)")
    assert outcome.ename is None
    assert shell.last.params == {"lr": 0.5}
    assert "the metrics were not recorded: KeyError" in shell.last.warnings[0]


def test_a_closed_stderr_does_no_harm(shell: Shell) -> None:
    unwritable(shell.project.root)
    outcome = shell.run(
        "%%track\nimport sys, io\nsys.stderr = io.StringIO()\nsys.stderr.close()\n1"
    )
    assert outcome.result == "1"


def test_the_working_folder_decides_without_a_notebook(shell: Shell) -> None:
    shell.run("%%track\nx = 1 / 2")
    run = shell.last
    assert run.name == "proj #1"
    assert run.notebook is None
    assert run.tags["mlflow.source.type"] == "LOCAL"


def test_the_commit_is_recorded(shell: Shell) -> None:
    git = ["git", "-C", str(shell.project.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    shell.run("%%track\nx = 1 / 2")
    assert shell.last.git_commit == head.stdout.strip()
    assert shell.last.tags["mlflow.source.git.commit"] == head.stdout.strip()


def test_very_many_and_very_long_cells_stay_bounded(shell: Shell) -> None:
    from jupyter_mlops.capture import history

    recorder = _recorder(shell)
    shell.run("x = '" + "a" * 300_000 + "'")
    long = recorder.history
    assert len(long) == 1
    for _ in range(30):
        shell.run("y = '" + "b" * 300_000 + "'")
    assert len(long) <= history._CHARACTERS // 300_000 + 1
    shell.run("%%track\nz = 1 / 2")
    assert shell.cells[0].seq > 1  # The gap says that older ones were forgotten.
