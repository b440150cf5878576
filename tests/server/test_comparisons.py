"""Differences that are paged through: compared once, forgotten later, refused when too large."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.server import comparisons as module
from jupyter_mlops.server.comparisons import Comparisons
from jupyter_mlops.snapshots.diffing import Diff
from jupyter_mlops.snapshots.service import diff, existing_store, take


@pytest.fixture
def compared(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Two versions of a frame and of an array; the pairs that were compared."""
    for factor in (1, 2):
        take(project, pd.DataFrame({"x": np.arange(100) * factor}), "frame")
        take(project, np.arange(100) * factor, "array")
    said: list[tuple[str, str]] = []

    def counted(project: Project, a: str, b: str, **options: Any) -> Diff:
        said.append((a, b))
        return diff(project, a, b, **options)

    monkeypatch.setattr(module, "diff", counted)
    return said


def pages(project: Project, *asked: tuple[str, str, int]) -> list[list[int | None]]:
    """The rows on each page, all asked of the same comparisons."""

    async def run() -> list[list[int | None]]:
        found = Comparisons()
        try:
            answers = [await found.page(project, a, b, None, start, 10) for a, b, start in asked]
        finally:
            found.close()
        return [[row["b"] for row in answer["whole"]["rows"]] for answer in answers]

    return asyncio.run(run())


def test_pages_of_one_comparison_compare_once(
    project: Project, compared: list[tuple[str, str]]
) -> None:
    first, last = pages(project, ("frame@1", "frame@2", 0), ("frame@1", "frame", 90))
    assert first == list(range(1, 11))
    assert last == list(range(91, 100))
    assert compared == [("frame@1", "frame@2")]


def test_what_a_name_means_is_looked_up_for_each_page(
    project: Project, compared: list[tuple[str, str]]
) -> None:
    pages(project, ("frame@1", "frame", 0))
    take(project, pd.DataFrame({"x": [1]}), "frame")
    pages(project, ("frame@1", "frame", 0))
    assert compared == [("frame@1", "frame@2"), ("frame@1", "frame@3")]


def test_of_many_comparisons_the_last_are_kept(
    project: Project, compared: list[tuple[str, str]]
) -> None:
    one, two, three = (
        ("frame@1", "frame@2", 0), ("array@1", "array@2", 0), ("frame@2", "frame@1", 0),
    )  # fmt: skip
    pages(project, one, two, two, one, three, one, two)
    assert [a for a, _ in compared] == ["frame@1", "array@1", "frame@2", "array@1"]


def test_what_is_too_large_is_left_to_the_kernel(
    project: Project, compared: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = existing_store(project).resolve("array@1").size
    monkeypatch.setattr(module, "_VALUE_LIMIT", 2 * size - 1)
    pages(project, ("frame@1", "frame@2", 0))
    with pytest.raises(UsageError, match="too large") as caught:
        pages(project, ("array@1", "array@2", 0))
    assert caught.value.hint == "In a notebook: %diff array@1 array@2"
    pages(project, ("array@1", "array@1", 0))  # Nothing is read of what is the same.
    assert [a for a, _ in compared] == ["frame@1", "array@1"]
