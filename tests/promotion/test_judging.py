"""The verdict on replays, without executing any."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from jupyter_mlops.promotion.judging import Judgement, judge
from jupyter_mlops.promotion.replay import Difference, Replay


def judged(
    tracked: dict[str, float],
    replays: Sequence[Replay],
    truth: dict[str, dict[str, object]] | None = None,
    model: Sequence[Difference | None] = (),
) -> Judgement:
    rest = iter(replays[1:])
    models = iter(model)
    return judge(tracked, truth or {}, replays[0], lambda: next(rest), lambda _: next(models, None))


def gives(*values: float) -> list[Replay]:
    return [Replay(metrics={"m": value}) for value in values]


def test_equal_is_exact() -> None:
    assert judged({"m": 0.1}, gives(0.1)).verdict == "equal"
    assert judged({"m": math.nan}, gives(math.nan)).verdict == "equal"
    found = judged({"m": 0.1}, gives(0.1 + 1e-17 + 1e-16, 0.1 + 1e-17 + 1e-16))
    assert found.verdict == "differs"
    assert found.replays == 2
    assert not found.random


def test_a_metric_more_or_less_is_a_difference() -> None:
    more = [Replay(metrics={"m": 1.0, "n": 2.0})] * 2
    found = judged({"m": 1.0}, more)
    assert [str(d) for d in found.differences] == ["n: tracked nothing, replayed 2.0"]
    assert judged({"m": 1.0, "n": 2.0}, gives(1.0, 1.0)).verdict == "differs"


def test_without_anything_to_compare_nothing_is_proven() -> None:
    found = judged({}, [Replay()])
    assert (found.verdict, found.reason) == ("unproven", "the run has no metrics to compare")
    assert judged({}, [Replay()], {"x": {"digest": None}}).verdict == "unproven"


def test_within_what_replays_differ() -> None:
    found = judged({"m": 10.05}, gives(10.0, 10.1, 9.9))
    assert found.verdict == "within_tolerance"
    assert found.tolerance["m"]["replayed"] == [10.0, 10.1, 9.9]
    assert found.tolerance["m"]["low"] < 9.9 < 10.1 < found.tolerance["m"]["high"]
    outside = judged({"m": 11.0}, gives(10.0, 10.1, 9.9))
    assert outside.verdict == "differs"
    assert outside.random
    assert "m was 11.0; replays lie between 9.5" in (outside.reason or "")


def test_a_tolerance_that_proves_nothing_is_refused() -> None:
    found = judged({"m": 0.5}, gives(0.2, 0.9, 0.4))
    assert found.verdict == "differs"
    assert "m varies too much between replays to prove anything: 0.2, 0.9, 0.4" in str(found.reason)
    assert judged({"m": 1.0}, gives(math.nan, 1.0, 1.1)).verdict == "differs"


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_replay_that_fails_differs(failing: int) -> None:
    replays = gives(1.0, 2.0, 3.0)
    replays[failing] = Replay(error={"ename": "ValueError", "evalue": "x"})
    found = judged({"m": 1.5}, replays)
    assert found.verdict == "differs"
    assert found.replay.error is not None


def test_values_and_hand_offs() -> None:
    there = Replay(values={"x": {"digest": "a", "type": "int"}})
    assert judged({}, [there], {"x": {"digest": "a"}}).verdict == "equal"
    other = judged({}, [there, there], {"x": {"digest": "b"}})
    assert [(d.what, d.metric) for d in other.differences] == [("value", "x")]
    broken = judged({"m": 1.0}, [Replay(metrics={"m": 1.0}, broken=("df",))])
    assert [str(d) for d in broken.differences] == [
        "df does not come back from its file as it was written"
    ]


def test_models_that_predict_otherwise() -> None:
    wrong = Difference("model", None, "2 of 5 rows", "model")
    found = judged({"m": 1.0}, gives(1.0, 1.0), model=[wrong, wrong])
    assert found.verdict == "differs"
    assert str(found.differences[0]) == "the model model predicts otherwise: 2 of 5 rows"
    # Another way each time: the model is not deterministic, and the metric is what it was.
    varies = [wrong, Difference("model", None, "3 of 5 rows", "model")]
    found = judged({"m": 1.0}, gives(1.0, 1.0, 1.0), model=varies)
    assert (found.verdict, found.random) == ("within_tolerance", True)
