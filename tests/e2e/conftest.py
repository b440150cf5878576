"""One browser for all browser tests; each test starts the server it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser

from .lab import chromium

CELLS = [
    "%load_ext jupyter_mlops\n"
    "from sklearn.datasets import load_wine\n"
    "from sklearn.ensemble import RandomForestClassifier\n"
    "from sklearn.model_selection import train_test_split",
    "X, y = load_wine(return_X_y=True, as_frame=True)\n"
    "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)",
    "%%track --register wine\n"
    "n_trees = 20\n"
    "forest = RandomForestClassifier(n_estimators=n_trees, random_state=0).fit(X_train, y_train)\n"
    "accuracy = forest.score(X_test, y_test)",
    "X_train.head(2)",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the whole session: its event loop would stand in the way of other tests' own.
    with chromium() as opened:
        yield opened


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A project folder with one notebook on real data."""
    root = tmp_path / "work"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    write_notebook(root / "wine.ipynb")
    return root


def write_notebook(path: Path, kernel: str = "python3", cells: list[str] = CELLS) -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {
        "name": kernel,
        "display_name": kernel,
        "language": "python",
    }
    nbformat.write(notebook, path)
