"""A shell in this process (fast) and kernels of their own (real), both with the extension."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_mlops.project import Project

from .drivers import Kernel, Shell


@pytest.fixture
def plain_shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """An IPython shell in the project's folder, without the extension."""
    monkeypatch.chdir(project.root)
    main, excepthook = sys.modules["__main__"], sys.excepthook
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    try:
        yield Shell(shell, project)
    finally:
        if shell.history_manager is not None:
            shell.history_manager.end_session()
        shell.restore_sys_module_state()
        sys.modules["__main__"], sys.excepthook = main, excepthook
        InteractiveShell.clear_instance()


@pytest.fixture
def shell(plain_shell: Shell) -> Iterator[Shell]:
    """The same with the extension loaded."""
    plain_shell.load()
    try:
        yield plain_shell
    finally:
        plain_shell.unload()


@pytest.fixture
def kernel(project: Project) -> Iterator[Kernel]:
    """A real kernel in the project's folder; the extension is not loaded yet."""
    with start_kernel(project.root) as started:
        yield started


@contextlib.contextmanager
def start_kernel(folder: Path, **env: str) -> Iterator[Kernel]:
    """Start a kernel and end it again, whatever happens."""
    root = str(Path(__file__).resolve().parent.parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    started = Kernel(folder, {**os.environ, "PYTHONPATH": path, **env})
    try:
        yield started
    finally:
        started.stop()
