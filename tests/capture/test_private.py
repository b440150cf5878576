"""Which cells a person keeps to themselves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.capture.frontend import is_tagged
from jupyter_mlops.capture.private import is_private


def cell(metadata: Any = None, source: str = "x = 1") -> Any:
    return SimpleNamespace(raw_cell=source, cell_meta=metadata)


def finder(notebook: Any = None) -> Any:
    return SimpleNamespace(find=lambda: notebook)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"cellId": "a", "tags": ["private"]}, True),
        ({"cellId": "a", "tags": ["x", "private"]}, True),
        ({"metadata": {"tags": ["private"]}}, True),
        ({"cellId": "a", "tags": ["track"]}, False),
        ({"cellId": "a", "tags": "private"}, False),
        ({"cellId": "a"}, False),
        (None, False),
    ],
)
def test_by_the_front_ends_metadata(metadata: Any, expected: bool) -> None:
    shell = SimpleNamespace(kernel=object())
    assert is_private(cell(metadata), shell, finder()) is expected


def test_by_the_notebook_where_no_metadata_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "nb.ipynb"
    cells = [
        new_code_cell("a = 1", metadata={"tags": ["private"]}),
        new_code_cell("b = 2", metadata={"tags": ["track"]}),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    shell = SimpleNamespace(kernel=object())
    found = finder(SimpleNamespace(path=path, headless=True, exists=True))
    for _ in range(2):  # The second time from memory: the tags do not get mixed up.
        assert is_private(cell(source="a = 1"), shell, found)
        assert not is_private(cell(source="b = 2"), shell, found)
        assert is_tagged(cell(source="b = 2"), shell, found)
        assert not is_tagged(cell(source="a = 1"), shell, found)


def test_what_cannot_be_told_is_not() -> None:
    def broken() -> Any:
        raise RuntimeError

    shell = SimpleNamespace(kernel=object())
    assert not is_private(cell(), shell, SimpleNamespace(find=broken))
    assert not is_private(cell(), shell, None)
