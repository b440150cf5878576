"""Metrics, data and code beside those of the base."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.reporting import (
    DataReport,
    Spread,
    code_changes,
    data_changes,
    metric_changes,
    tolerance,
)

from .conftest import run

NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "old", "new", "verdict"),
    [
        ("accuracy", 0.8, 0.9, "better"),
        ("accuracy", 0.9, 0.8, "worse"),
        ("rmse", 0.8, 0.9, "worse"),
        ("rmse", 0.9, 0.8, "better"),
        ("accuracy", 0.9, 0.9, "same"),
        ("accuracy", NAN, NAN, "same"),
        ("accuracy", 0.9, NAN, "worse"),
        ("rmse", NAN, 0.9, "better"),
        ("rmse", None, 0.9, "new"),
        ("rmse", 0.9, None, "gone"),
    ],
)
def test_verdicts(name: str, old: float | None, new: float | None, verdict: str) -> None:
    base = run(metrics={} if old is None else {name: old})
    head = run(metrics={} if new is None else {name: new})
    (change,) = metric_changes(base, head)
    assert change.verdict == verdict


def test_two_runs_of_the_same_are_within_tolerance_in_95_of_100() -> None:
    rng = random.Random(0)
    inside = 0
    for _ in range(2000):
        learned = [rng.gauss(5, 0.1) for _ in range(3)]
        a, b = rng.gauss(5, 0.1), rng.gauss(5, 0.1)
        inside += abs(a - b) <= tolerance(Spread(tuple(learned)))
    assert 0.93 < inside / 2000 < 0.97


@given(st.lists(st.floats(allow_nan=True), max_size=40))
def test_a_tolerance_is_always_a_number(values: list[float]) -> None:
    width = tolerance(Spread(tuple(values)))
    assert width >= 0
    assert math.isfinite(width)


def test_data_that_is_the_same_is_no_change() -> None:
    assert data_changes(run(), run()) == []


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"digest": "blake3:2"}, "values changed, rows and columns are the same"),
        ({"digest": "blake3:2", "rows": 8}, "10 → 8 rows (-2)"),
        ({"digest": "blake3:2", "columns": {"a": "text"}}, "column a is text, was int64"),
        ({"digest": None}, "read"),
        ({"source": "b.csv"}, "read from b.csv instead of data/a.csv"),
    ],
)
def test_what_changed_in_the_data(changes: dict[str, object], fact: str) -> None:
    now: dict[str, object] = {
        "name": "source", "source": "data/a.csv", "digest": "blake3:1", "snapshot": None,
        "rows": 10, "columns": {"a": "int64"},
    }  # fmt: skip
    (change,) = data_changes(run(), run(data=(DataReport(**now | changes),)))  # type: ignore[arg-type]
    assert fact in "; ".join(change.facts) or changes["digest"] is None


def test_sources_that_come_and_go() -> None:
    found = data_changes(run(), run(data=(DataReport("other", "b.csv"),)))
    assert [(c.name, c.facts) for c in found] == [
        ("b.csv", ("not read before",)),
        ("data/a.csv", ("no longer read",)),
    ]


def test_a_notebook_that_is_new_is_all_changed() -> None:
    head = run(steps=run().steps[:1])
    (gone,) = code_changes(run(), head)
    assert (gone.file, gone.cells) == ("pipelines/wine/train.ipynb", 2)
    assert gone.diff.startswith("--- a/pipelines/wine/train.ipynb")
