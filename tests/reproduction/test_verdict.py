"""What is called equal, within tolerance, different or unproven."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.model.events import InputRecord, RunRecord
from jupyter_mlops.reproduction.verdict import ComparedModel, judge

RUN = RunRecord("r", "s", "run", "FINISHED", 0.0, 1.0)


def of(**metrics: float) -> RunRecord:
    return replace(RUN, metrics=metrics)


def test_equal_needs_every_metric_to_the_bit() -> None:
    assert judge(of(a=0.1, b=math.nan), [of(a=0.1, b=math.nan)]).verdict == "equal"
    differs = judge(of(a=0.1), [of(a=math.nextafter(0.1, 1))])
    assert differs.verdict == "differs"
    assert "0.1" in differs.reasons[0]
    assert judge(of(a=0.1), [of()]).verdict == "differs"
    assert judge(of(), [of(a=0.1)]).verdict == "differs"


def test_nothing_to_compare_is_unproven() -> None:
    found = judge(of(), [of()])
    assert (found.verdict, len(found.reasons)) == ("unproven", 1)
    unloaded = ComparedModel("m", "unproven", reason="its bytes are gone")
    assert judge(of(), [of()], [unloaded]).verdict == "unproven"
    assert judge(of(a=1.0), [of(a=1.0)], [unloaded]).verdict == "equal"
    with pytest.raises(ValueError, match="nothing was repeated"):
        judge(of(), [])


def test_equal_results_from_other_data_prove_nothing() -> None:
    then = replace(of(a=1.0), inputs=(InputRecord("df", "frame", "blake3:1"),))
    now = replace(of(a=1.0), inputs=(InputRecord("df", "frame", "blake3:2"),))
    assert judge(then, [now]).verdict == "unproven"
    unknown = replace(of(a=1.0), inputs=(InputRecord("df", "frame", None, reason="too large"),))
    assert judge(then, [unknown]).verdict == "equal"


def test_a_model_that_predicts_otherwise_differs() -> None:
    other = ComparedModel("m", "differs", 0.5, "its predictions differ")
    assert judge(of(a=1.0), [of(a=1.0)], [other]).verdict == "differs"


def test_tolerance_is_learned_from_repetitions_that_differ() -> None:
    repeats = [of(a=0.90), of(a=0.91), of(a=0.92)]
    assert judge(of(a=0.93), repeats).verdict == "within_tolerance"
    assert judge(of(a=0.80), repeats).verdict == "differs"
    same = [of(a=0.9), of(a=0.9), of(a=0.9)]
    assert judge(of(a=0.91), same).verdict == "differs"


@given(st.floats(allow_nan=True), st.lists(st.floats(), min_size=1, max_size=4))
def test_a_repetition_that_equals_is_always_equal(value: float, others: list[float]) -> None:
    """And the verdict is always one of the words, whatever the numbers."""
    repeats = [of(a=other) for other in others]
    assert judge(of(a=value), [*repeats, of(a=value)]).metrics[0].verdict == "equal"
    assert judge(of(a=value), repeats).verdict in ("equal", "within_tolerance", "differs")
