"""Whether a replay gave what was tracked: exactly, or within what replays differ by themselves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .replay import Difference, Replay, compare_metrics

__all__ = ["Judgement", "judge"]

_REPEATS = 3
# The half-width, in standard deviations, within which the next value lies with 95% after three:
# Student's t with two degrees of freedom, 4.303, times the square root of 1 + 1/3.
_WIDTH = 4.303 * math.sqrt(1 + 1 / _REPEATS)
_WIDEST = 0.25  # Of the value: a tolerance beyond that would prove nothing.


@dataclass(frozen=True, slots=True)
class Judgement:
    """``verdict`` is ``equal``, ``within_tolerance``, ``differs`` or ``unproven``.

    ``replay`` is the first one; ``tolerance`` maps a metric to ``{"low", "high", "replayed"}``;
    ``random`` says that the replays differ among themselves; ``replays`` how many there were.
    """

    verdict: str
    replay: Replay
    differences: tuple[Difference, ...] = ()
    tolerance: dict[str, dict[str, Any]] = field(default_factory=dict)
    random: bool = False
    replays: int = 1
    reason: str | None = None

    @property
    def holds(self) -> bool:
        """Whether it may be written."""
        return self.verdict != "differs"


def judge(
    metrics: Mapping[str, float],
    truth: Mapping[str, Mapping[str, Any]],
    first: Replay,
    again: Callable[[], Replay],
    compare_model: Callable[[Replay], Difference | None],
) -> Judgement:
    """Compare a replay with what was tracked; replay twice more where it differs.

    ``truth`` says of targets what they were: digests.  ``compare_model`` compares the predictions
    of the replayed model.  A replay that did not run through differs.
    """
    if first.error is not None:
        return Judgement("differs", first)
    if first.broken:
        return Judgement(
            "differs", first, tuple(Difference(n, None, None, "hand-off") for n in first.broken)
        )
    found = [*compare_metrics(metrics, first.metrics), *_values(truth, first)]
    model = compare_model(first)
    if not found and model is None:
        return _proven(metrics, truth, first)
    replays = [first, again()]
    failed = [r for r in replays if r.error is not None]
    if failed:
        return Judgement("differs", failed[0], tuple(found), replays=len(replays))
    if replays[1].metrics == first.metrics and _digests(replays[1]) == _digests(first):
        differences = (*found, *(() if model is None else (model,)))
        second = None if model is None else compare_model(replays[1])
        if found or second == model:
            return Judgement("differs", first, differences, replays=2)
    replays.append(again())
    if replays[2].error is not None:
        return Judgement("differs", replays[2], tuple(found), replays=3)
    tolerance: dict[str, dict[str, Any]] = {}
    outside: list[Difference] = []
    reasons: list[str] = []
    for difference in found:
        if difference.what == "metric":
            learned = _tolerance(difference.metric, difference.tracked, replays)
            if isinstance(learned, str):
                outside.append(difference)
                reasons.append(learned)
            else:
                tolerance[difference.metric] = learned
        elif len({r.values.get(difference.metric, {}).get("digest") for r in replays}) == 1:
            outside.append(difference)
    if outside:
        return Judgement(
            "differs", first, tuple(outside), tolerance, True, 3, "; ".join(reasons) or None
        )
    if not metrics and not tolerance:
        reason = "it is not deterministic, and there is no metric to learn a tolerance from"
        return Judgement("unproven", first, (), {}, True, 3, reason)
    return Judgement("within_tolerance", first, (), tolerance, True, 3)


def _proven(
    metrics: Mapping[str, float], truth: Mapping[str, Mapping[str, Any]], first: Replay
) -> Judgement:
    if metrics or any(value.get("digest") for value in truth.values()):
        return Judgement("equal", first)
    return Judgement("unproven", first, reason="the run has no metrics to compare")


def _values(truth: Mapping[str, Mapping[str, Any]], replay: Replay) -> list[Difference]:
    found = []
    for name, known in truth.items():
        wanted, got = known.get("digest"), replay.values.get(name, {})
        if wanted is not None and got.get("digest") != wanted:
            kind = got.get("type", "nothing")
            found.append(Difference(name, wanted, f"now a {kind}", "value"))
    return found


def _digests(replay: Replay) -> dict[str, Any]:
    return {name: value.get("digest") for name, value in replay.values.items()}


def _tolerance(metric: str, tracked: Any, replays: list[Replay]) -> dict[str, Any] | str:
    """The interval in which another replay lies with 95%; a text where it proves nothing."""
    values = [r.metrics.get(metric) for r in replays]
    numbers = [v for v in values if v is not None and math.isfinite(v)]
    if tracked is None or len(numbers) < len(values) or not math.isfinite(tracked):
        return f"{metric} is not a number each time"
    mean, spread = statistics.fmean(numbers), statistics.stdev(numbers)
    half = _WIDTH * spread
    low, high = mean - half, mean + half
    if half > _WIDEST * max(abs(mean), abs(tracked)):
        shown = ", ".join(f"{n:.4g}" for n in numbers)
        return f"{metric} varies too much between replays to prove anything: {shown}"
    if not low <= tracked <= high:
        return f"{metric} was {tracked!r}; replays lie between {low:.6g} and {high:.6g}"
    return {"low": low, "high": high, "replayed": numbers}
