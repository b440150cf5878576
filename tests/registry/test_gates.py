"""What gates say, as a table."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.model.policy import Gate, Policy
from jupyter_mlops.registry import evaluate_gates

NAN = math.nan


@pytest.mark.parametrize(
    ("gate", "candidate", "champion", "passed", "words"),
    [
        ({"min": 0.9}, {"auc": 0.9}, None, True, "at least 0.9"),
        ({"min": 0.9}, {"auc": 0.89}, None, False, "below the minimum 0.9"),
        ({"max": 0.9}, {"auc": 0.9}, None, True, "at most 0.9"),
        ({"max": 0.9}, {"auc": 0.91}, None, False, "above the maximum"),
        ({"min": 0, "max": 1}, {"auc": 0.5}, None, True, "between 0 and 1"),
        ({"min": 0.9}, {"acc": 1.0}, None, False, "no metric 'auc' (it has: acc)"),
        ({"min": 0.9}, {}, None, False, "it has: none"),
        ({"min": 0.9}, {"auc": NAN}, None, False, "not a number"),
        ({"min": 0.9}, {"auc": math.inf}, None, True, "inf"),
        ({}, {"auc": NAN}, None, False, "not a number"),
        ({}, {"auc": 0.1}, None, True, "is 0.1"),
        ({"not_worse_than": "champion"}, {"auc": 0.5}, None, True, "no champion yet"),
        ({"not_worse_than": "champion"}, {"auc": 0.5}, {"auc": 0.5}, True, "not worse"),
        ({"not_worse_than": "champion"}, {"auc": 0.4}, {"auc": 0.5}, False, "higher is better"),
        ({"not_worse_than": "champion"}, {"auc": 0.4}, {"acc": 1}, True, "has no auc"),
        ({"not_worse_than": "champion"}, {"auc": 0.4}, {"auc": NAN}, True, "has no auc"),
        ({"not_worse_than": "champion"}, {"auc": NAN}, {"auc": 0.5}, False, "not a number"),
        (
            {"not_worse_than": "champion", "tolerance": 0.1},
            {"auc": 0.45},
            {"auc": 0.5},
            True,
            "not worse",
        ),
        (
            {"not_worse_than": "champion", "tolerance": 0.01},
            {"auc": 0.4},
            {"auc": 0.5},
            False,
            "by more than 0.01",
        ),
        (
            {"not_worse_than": "champion", "metric": "rmse"},
            {"rmse": 4},
            {"rmse": 5},
            True,
            "lower is better",
        ),
        (
            {"not_worse_than": "champion", "metric": "rmse"},
            {"rmse": 6},
            {"rmse": 5},
            False,
            "lower is better",
        ),
        (
            {"not_worse_than": "champion", "direction": "lower"},
            {"auc": 0.6},
            {"auc": 0.5},
            False,
            "lower is better",
        ),
        (
            {"not_worse_than": "champion", "min": 0.9},
            {"auc": 0.8},
            {"auc": 0.1},
            False,
            "below the minimum",
        ),
    ],
)
def test_verdicts(
    gate: dict[str, Any],
    candidate: dict[str, float],
    champion: dict[str, float] | None,
    passed: bool,
    words: str,
) -> None:
    policy = Policy((Gate("g", **({"metric": "auc"} | gate)),))
    (verdict,) = evaluate_gates(policy, candidate, champion, "champion")
    assert verdict.name == "g"
    assert verdict.passed is passed, verdict.message
    assert words in verdict.message


def test_only_the_gates_of_the_alias_are_asked() -> None:
    policy = Policy(
        (
            Gate("a", "auc", min=0.9),
            Gate("b", "auc", min=0.5, aliases=("challenger",)),
            Gate("c", "auc", not_worse_than="champion", aliases=("challenger", "champion")),
        )
    )
    champion = evaluate_gates(policy, {"auc": 0.8}, {"auc": 0.7}, "champion")
    assert [(v.name, v.passed) for v in champion] == [("a", False), ("c", True)]
    challenger = evaluate_gates(
        policy, {"auc": 0.8}, None, "challenger", others={"champion": {"auc": 0.9}}
    )
    assert [(v.name, v.passed) for v in challenger] == [("b", True), ("c", False)]
    assert evaluate_gates(policy, {}, None, "other") == ()


@given(st.floats(), st.floats(allow_nan=False), st.floats(0, 10))
def test_a_version_is_never_worse_than_itself(value: float, limit: float, slack: float) -> None:
    policy = Policy((Gate("g", "m", not_worse_than="champion", tolerance=slack),))
    (verdict,) = evaluate_gates(policy, {"m": value}, {"m": value}, "champion")
    assert verdict.passed is (not math.isnan(value))
    (verdict,) = evaluate_gates(
        Policy((Gate("g", "m", min=limit),)), {"m": value}, None, "champion"
    )
    assert verdict.passed is (value >= limit)
