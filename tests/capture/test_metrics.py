"""Which values of a cell are metrics, and under which names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.capture.cellcode import read_cell
from jupyter_mlops.capture.metrics import as_metric, evaluate, last_value, metrics


@pytest.mark.parametrize(
    ("value", "metric"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3.0),
        (np.uint64(7), 7.0),
        (np.array(2.5), 2.5),
        (pd.Series([1.0, 3.0]).mean(), 2.0),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), None),
        (True, None),
        (np.array([1.0]), None),
        (np.complex64(1), None),
        (np.timedelta64(1, "s"), None),
        (np.array("a"), None),
        ("1.0", None),
        (pd.Timedelta(1), None),
        (object(), None),
        (np.float64, None),
    ],
)
def test_what_is_a_metric(value: object, metric: float | None) -> None:
    assert as_metric(value) == metric


def test_numbers_of_other_kinds_are_left_alone() -> None:
    from decimal import Decimal
    from enum import IntEnum
    from fractions import Fraction

    class Level(IntEnum):
        LOW = 1

    assert [as_metric(v) for v in (Decimal(1), Fraction(1), Level.LOW)] == [None, None, None]


def _computed(source: str, **values: Any) -> dict[str, float]:
    return metrics(tuple(values), values, read_cell(source))


def test_a_dictionary_of_scalars_counts_by_its_entries() -> None:
    assert _computed("metrics = f()", metrics={"rmse": 1.5, "note": "x", "ok": True}) == {
        "rmse": 1.5
    }
    assert _computed("evals = f()", evals={"a": np.float32(0.5), 3: 2}) == {
        "evals.a": 0.5,
        "evals.3": 2.0,
    }
    report = {"accuracy": 0.9, "macro avg": {"f1-score": 0.8, "support": 10}}
    assert _computed("report = f()", report=report) == {
        "accuracy": 0.9,
        "macro avg.f1-score": 0.8,
        "macro avg.support": 10.0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("params", {"C": 1.0}),
        ("best_params_", {"C": 1.0}),
        ("grid", {"C": 1.0}),
        ("d", {"a": [1, 2]}),
        ("d", {}),
        ("d", {"a": "b"}),
        ("d", {("a", "b"): 1.0}),
        ("d", {"a": {"b": {"c": 1.0}}}),
        ("d", dict.fromkeys(range(1000), 1.0)),
    ],
)
def test_other_dictionaries_are_no_metrics(name: str, value: dict[Any, Any]) -> None:
    assert _computed(f"{name} = f()", **{name: value}) == {}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("x = 1\nr2_score(y, p)", "r2_score"),
        ("model.score(X, y)", "score"),
        ("round(accuracy, 3)", "accuracy"),
        ("cross_val_score(m, X, y).mean()", "cross_val_score_mean"),
        ("scores.mean()", "scores_mean"),
        ("np.round(scores.std(), 2)", "scores_std"),
        ("report['macro avg']['f1']", "f1"),
        ("m.loss_", "loss_"),
        ("await score()", "score"),
        ("a + b", "result"),
        ("values[0]", "values"),
        ("x = 1", None),
        ("", None),
    ],
)
def test_what_the_last_expression_is_called(source: str, name: str | None) -> None:
    code = read_cell(source)
    assert code is not None
    assert code.last == name


def test_the_last_expression_is_a_metric_where_it_is_a_number() -> None:
    assert last_value("r2", np.float64(0.5)) == {"r2": 0.5}
    assert last_value("scores", {"a": 1.0}) == {"a": 1.0}
    assert last_value("r2", None) == last_value(None, 1.0) == last_value("ok", True) == {}
    assert last_value("frame", pd.DataFrame({"a": [1]})) == {}


def test_expressions_are_evaluated_in_the_notebooks_namespace() -> None:
    namespace: dict[str, Any] = {"y": [1, 2, 3], "report": {"auc": 0.75}}
    found, problems = evaluate(
        [("n", "len(y)"), ("auc", "report['auc']"), ("bad", "missing + 1"), ("s", "'text'")],
        namespace,
    )
    assert found == {"n": 3.0, "auc": 0.75}
    assert problems == [
        "--metric missing + 1: NameError: name 'missing' is not defined",
        "--metric 'text': str is no number, nor a dictionary of them",
    ]
