"""Within MLflow's limits, and the same each time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.integrations.mlflow_writing import (
    batches,
    clean_names,
    experiment_folder,
    metric_points,
    metric_values,
    model_name,
    models_tags,
    param_values,
    run_tags,
    safe_file_name,
)
from jupyter_mlops.model.events import ModelRecord, RunRecord


def record(**fields: Any) -> RunRecord:
    defaults: dict[str, Any] = {"status": "FINISHED", "started": 1.0, "ended": 2.0}
    return RunRecord(run_id="R", session="S", name="n", **(defaults | fields))


@given(st.lists(st.text(max_size=300), unique=True, max_size=8))
def test_cleaned_names_are_accepted_and_told_apart(names: list[str]) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    cleaned = clean_names(names)
    assert list(cleaned) == names
    assert len(set(cleaned.values())) == len(names)
    for name in cleaned.values():
        _validate_param_name(name)
        _validate_metric_name(name)
    assert clean_names(names) == cleaned


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("C", "C"),
        ("größe", "größe"),
        ("a b/c.d-e:f", "a b/c.d-e:f"),
        ("x[0]", "x_0_"),
        ("/abs", "_abs"),
        ("../up", "___up"),
        ("a//b", "a__b"),
        (".", "_"),
        ("", "_"),
    ],
)
def test_names_stay_readable(name: str, cleaned: str) -> None:
    assert clean_names([name]) == {name: cleaned}


def test_a_name_that_fits_keeps_it() -> None:
    assert clean_names(["x?", "x_", "x!"]) == {"x?": "x__2", "x_": "x_", "x!": "x__3"}


def test_values() -> None:
    run = record(
        params={"text": "a", "number": 1, "list": [1, 2], "none": None, "long": "y" * 9000},
        metrics={"a": 1, "nan": math.nan, "inf": -math.inf, "odd": "x"},
    )
    params = param_values(run)
    assert params["text"] == "a"
    assert params["list"] == "[1, 2]"
    assert params["none"] == "None"
    assert len(params["long"]) == 6000
    metrics = metric_values(run)
    assert set(metrics) == {"a", "nan", "inf"}
    assert metrics["inf"] == -math.inf


def test_what_the_person_chose_wins_over_what_an_estimator_says() -> None:
    run = record(params={"C": 1, "a b?": 2}, hyperparameters={"C": 9, "model.C": 3, "a b_": 4})
    assert param_values(run) == {"C": "1", "a b__2": "2", "model.C": "3", "a b_": "4"}


def test_points() -> None:
    run = record(
        metrics={"loss": 0.25, "best": 0.5, "other": 9.0, "nan": math.nan},
        series={
            "loss": [[0, 0.5, 1.5], [1, 0.25, 2.5]],
            "other": [[7, 1.0, 1.0]],
            "nan": [[0, math.nan, 1.0], ["x", "y", 2.0]],
        },
        resources={"wall_seconds": 2.0, "peak_memory_bytes": 3e6, "odd": "x"},
    )
    assert [point for point in metric_points(run) if point[0] != "nan"] == [
        ("loss", 0.5, 1500, 0),
        ("loss", 0.25, 2500, 1),
        ("other", 1.0, 1000, 7),
        ("best", 0.5, 2000, 0),
        ("other", 9.0, 2000, 7),  # another value than the last that was logged
        ("system/wall_seconds", 2.0, 2000, 0),
        ("system/peak_memory_megabytes", 3.0, 2000, 0),
    ]
    assert [point[0] for point in metric_points(run)].count("nan") == 1


@given(
    st.dictionaries(
        st.text(max_size=6),
        st.lists(
            st.tuples(st.integers() | st.floats(), st.floats() | st.none(), st.floats(0, 4e9)).map(
                list
            ),
            max_size=4,
        ),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=6), st.floats(), max_size=4),
)
def test_any_points_are_within_the_limits(series: Any, metrics: Any) -> None:
    points = metric_points(record(series=series, metrics=metrics))
    assert all(type(v) is float and -(2**63) <= s < 2**63 for _, v, _, s in points)
    assert points == points or any(math.isnan(v) for _, v, _, _ in points)
    shown = {name for name, *_ in points}
    assert len(shown) <= len({*series, *metrics})
    assert len(shown) >= len(metrics)


@pytest.mark.parametrize("count", [0, 1, 50, 51, 100, 101, 2000])
def test_batches_hold_everything_within_the_limits(count: int) -> None:
    items = list(range(count))
    parts = list(batches(items, items, items))
    for i in range(3):
        assert [x for part in parts for x in part[i]] == items
    for metrics, params, tags in parts:
        assert len(params) <= 100
        assert len(tags) <= 100
        assert len(metrics) + len(params) + len(tags) <= 1000


def test_tags() -> None:
    run = record(
        kind="pipeline",
        pipeline="p",
        parent="P",
        source="s" * 9000,
        error={"ename": "ValueError", "evalue": "no"},
        tags={"mlflow.user": "me", "bad?key": "v"},
    )
    tags = run_tags(run, full=False)
    assert tags["mlops.parent_run_id"] == "P"
    assert tags["mlops.capture"] == "minimal"
    assert tags["mlops.error"] == "ValueError: no"
    assert tags["bad_key"] == "v"
    assert max(map(len, tags.values())) == 8000
    assert "mlops.capture" not in run_tags(run, full=True)


def test_what_became_of_many_models_fits_into_a_tag() -> None:
    models = [ModelRecord(f"m{i}", "C") for i in range(200)]
    tags = models_tags(models, {}, {m.name: "r" * 400 for m in models})
    assert len(tags["mlops.models"]) <= 8000
    assert models_tags([], {}, {}) == {}


@pytest.mark.parametrize(
    "name", ["", "/x", "../x", "a/../x", "a//b", "a\\b", "C:x", ".", "a/.", "a\0"]
)
def test_file_names_that_leave_their_folder(name: str) -> None:
    assert safe_file_name(name) is None


def test_other_names() -> None:
    assert safe_file_name("plots/a b.png") == "plots/a b.png"
    assert model_name("grid.best/it") == "grid_best_it"
    assert experiment_folder("My work / 2026") == "My-work-2026"
    assert experiment_folder("..") == "experiment"
