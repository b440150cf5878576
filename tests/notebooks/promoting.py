"""Execute a piece of work in a kernel as a person does, save it, and run what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from jupyter_mlops.pipelines import load_pipeline
from jupyter_mlops.project import Project
from tests.capture.conftest import start_kernel
from tests.capture.drivers import Kernel
from tests.promotion.sessions import block_package

from .reading import WORK, Book, read_book

__all__ = ["DATA", "Session", "by_papermill", "git", "named", "session"]

DATA = Path(__file__).parents[2] / "example_notebooks" / "data"


def named(name: str) -> Book:
    """The piece of work of this name."""
    return read_book(next(path for path in WORK if path.stem == name))


class Session:
    """A kernel in which the cells of a book are executed; ``notebook`` is saved as they are."""

    def __init__(self, book: Book, kernel: Kernel, notebook: Path) -> None:
        self.book, self.kernel, self.notebook = book, kernel, notebook
        self.counts: dict[str, int] = {}

    def run(self, steps: Sequence[tuple[str, str]]) -> None:
        """Execute cells (name, source); none may raise."""
        for name, source in steps:
            outcome = self.kernel.run(source, {"cellId": name})
            assert outcome.ename is None, (name, outcome.traceback)
            self.counts[name] = outcome.count or 0

    def save(self, document: Any) -> None:
        """Save the notebook as a person does, some seconds after the last cell has run."""
        nbformat.write(document, self.notebook)
        saved = time.time() + 10
        os.utime(self.notebook, (saved, saved))


@contextmanager
def session(project: Project, book: Book) -> Iterator[Session]:
    """A kernel in the project's folder, with the data beside the notebook."""
    shutil.copytree(DATA, project.root / "data")
    notebook = project.root / f"{book.name}.ipynb"
    with start_kernel(project.root, JPY_SESSION_NAME=str(notebook)) as kernel:
        yield Session(book, kernel, notebook)


def by_papermill(folder: Path, out: Path) -> dict[str, float]:
    """Execute every step with plain papermill, where our package cannot be imported.

    Returns the metrics of the last step.  ``out`` is a new folder inside the project.
    """
    blocked = out / "without_us"
    block_package(blocked)
    env = {**os.environ, "PYTHONPATH": str(blocked)}
    refused = subprocess.run(
        [sys.executable, "-c", "import jupyter_mlops"], cwd=out, env=env, capture_output=True
    )
    assert refused.returncode == 1
    pipeline = load_pipeline(folder)
    files: dict[str, str] = {}
    for step in pipeline.steps:
        given = {name: files[source] for name, source in step.inputs.items()}
        for name, file in step.outputs.items():
            given[name] = files[f"{step.name}.{name}"] = str(out / step.name / file)
        (out / step.name).mkdir()
        words = [word for name, path in given.items() for word in ("-p", name, path)]
        done = subprocess.run(
            [sys.executable, "-m", "papermill", "--no-progress-bar", "--start-timeout", "240",
             str(folder / step.notebook), str(out / f"{step.name}.ipynb"), *words],
            cwd=out, env=env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    assert pipeline.metrics is not None
    found = json.loads(Path(files[pipeline.metrics]).read_text())
    return {name: float(value) for name, value in found.items()}


def git(*words: str, cwd: Path) -> None:
    """Run git as nobody in particular."""
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "core.autocrlf=false")
    subprocess.run(["git", *who, *words], cwd=cwd, check=True, capture_output=True)
