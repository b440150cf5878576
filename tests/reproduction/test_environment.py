"""Environments built from locks by the real uv."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from jupyter_mlops.errors import ServiceError, UsageError
from jupyter_mlops.model.events import EnvironmentRecord
from jupyter_mlops.reproduction.environment import build_environment, requirements_of

PYTHON = ".".join(map(str, sys.version_info[:3]))


def record(lock: str, digest: str = "blake3:" + "ab" * 32) -> EnvironmentRecord:
    return EnvironmentRecord("s", digest, PYTHON, sys.platform, lock=lock)


def test_a_lock_is_split_into_what_can_be_had_and_what_cannot() -> None:
    lock = (
        "# Python 3.11.2\n# Linux-6\n# uv pip install -r THIS_FILE\nnumpy==2.0\n"
        "jupyter-mlops==0.1\n# mine 1.0: installed from a folder of that machine, editable (-e)\n"
        "# jupyter-mlops 0.1: installed from a folder of that machine\npandas==3.0\n"
    )
    wanted, left_out = requirements_of(lock)
    assert wanted == "numpy==2.0\npandas==3.0\n"
    assert left_out == ("mine 1.0: installed from a folder of that machine, editable (-e)",)


def test_no_lock_and_no_such_python_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no lock"):
        build_environment(record("# Python 3.11\n"), tmp_path)
    old = EnvironmentRecord("s", "blake3:00", "3.2.1", "linux", lock="numpy==2.0\n")
    with pytest.raises(UsageError, match=r"3\.2\.1") as caught:
        build_environment(old, tmp_path)
    assert "--this-environment" in (caught.value.hint or "")


def test_what_the_index_does_not_have_is_named_and_nothing_is_called_ready(tmp_path: Path) -> None:
    lock = "jupyter-mlops-does-not-exist==99.0\n"
    wrong = record(lock.replace("jupyter-mlops", "no-such-package"))
    for _ in range(2):
        with pytest.raises(ServiceError, match="no-such-package"):
            build_environment(wrong, tmp_path)


@pytest.mark.full
def test_an_environment_is_built_once_and_holds_what_the_lock_says(tmp_path: Path) -> None:
    """The lock of this environment; takes minutes where uv's cache is empty."""
    frozen = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "freeze", "--exclude-editable"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lines = [line for line in frozen.splitlines() if "==" in line]
    built = build_environment(record("\n".join(lines) + "\n"), tmp_path)
    code = "import importlib.metadata as m, jupyter_mlops; print(m.version('numpy'))"
    shown = subprocess.run(
        [str(built.python), "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == version("numpy")
    again = build_environment(record("\n".join(lines) + "\n"), tmp_path)
    assert (again.reused, built.reused) == (True, False)
