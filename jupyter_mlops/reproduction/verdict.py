"""What a repeated run gave beside what was tracked, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..model.events import InputRecord, RunRecord

__all__ = ["ComparedInput", "ComparedModel", "ComparedValue", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """A metric then and now; ``None`` where a side has none.

    ``tolerance`` is what repeated runs differed by among themselves, 0.0 where they agreed.
    """

    name: str
    tracked: float | None
    repeated: float | None
    tolerance: float = 0.0

    @property
    def verdict(self) -> str:
        """``equal``, ``within_tolerance`` or ``differs``."""
        if same(self.tracked, self.repeated):
            return "equal"
        if self.tracked is None or self.repeated is None:
            return "differs"
        near = abs(self.tracked - self.repeated) <= self.tolerance
        return "within_tolerance" if near else "differs"


@dataclass(frozen=True, slots=True)
class ComparedInput:
    """An input's digest then and now; ``equal`` is ``None`` where it cannot be said."""

    name: str
    source: str | None
    tracked: str | None
    repeated: str | None

    @property
    def equal(self) -> bool | None:
        """Whether the data were the same."""
        if self.tracked is None or self.repeated is None:
            return None
        return self.tracked == self.repeated


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """A model's predictions on the input example, then and now.

    ``verdict`` is ``equal``, ``within_tolerance``, ``differs`` or ``unproven``, then with the
    ``reason``; ``apart`` the largest absolute difference of numbers.
    """

    name: str
    verdict: str
    apart: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``equal``, ``within_tolerance``, ``differs`` or ``unproven``, with what it rests on.

    ``reasons`` are sentences: what differs, or why nothing could be compared.
    """

    verdict: str
    metrics: tuple[ComparedValue, ...] = ()
    inputs: tuple[ComparedInput, ...] = ()
    models: tuple[ComparedModel, ...] = ()
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON, with the verdict of each part."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "metrics": [asdict(m) | {"verdict": m.verdict} for m in self.metrics],
            "inputs": [asdict(i) | {"equal": i.equal} for i in self.inputs],
            "models": [asdict(m) for m in self.models],
        }


def judge(
    tracked: RunRecord, repeats: Sequence[RunRecord], models: Sequence[ComparedModel] = ()
) -> Verdict:
    """Compare a run with one or more repetitions of it.

    Values are compared exactly.  With several repetitions that differ among themselves, a metric is
    within tolerance when it is no further from their mean than twice the range that they span: the
    range of three draws of one distribution holds a fourth only half of the time, twice the range
    around the mean nearly always.  Raises ``ValueError`` without a repetition.
    """
    if not repeats:
        raise ValueError("nothing was repeated")
    last = repeats[-1]
    names = list(dict.fromkeys([*tracked.metrics, *last.metrics]))
    metrics = tuple(_value(name, tracked.metrics, [r.metrics for r in repeats]) for name in names)
    inputs = _inputs(tracked.inputs, last.inputs)
    reasons = [
        f"{m.name}: tracked {_shown(m.tracked)}, repeated {_shown(m.repeated)}"
        + (f", tolerance {m.tolerance:.3g}" if m.tolerance else "")
        for m in metrics
        if m.verdict == "differs"
    ]
    reasons += [
        f"the data of {i.name}" + (f" ({i.source})" if i.source else "") + " were others"
        for i in inputs
        if i.equal is False
    ]
    reasons += [f"model {m.name}: {m.reason}" for m in models if m.reason is not None]
    found = {m.verdict for m in metrics} | {m.verdict for m in models}
    proven = found - {"unproven"}
    if "differs" in found:
        verdict = "differs"
    elif not proven:
        verdict = "unproven"
        reasons.append("the run has neither metrics nor models that could be compared")
    elif any(i.equal is False for i in inputs):
        verdict = "unproven"
    elif "within_tolerance" in found:
        verdict = "within_tolerance"
    else:
        verdict = "equal"
    return Verdict(verdict, metrics, inputs, tuple(models), tuple(reasons))


def same(a: float | None, b: float | None) -> bool:
    """Whether two values are equal; NaN equals NaN, and a missing value only a missing one."""
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))


def _value(
    name: str, tracked: Mapping[str, float], repeats: Sequence[Mapping[str, float]]
) -> ComparedValue:
    then, now = tracked.get(name), repeats[-1].get(name)
    values = [r[name] for r in repeats if name in r and math.isfinite(r[name])]
    if same(then, now) or then is None or len(values) < 2 or len(values) < len(repeats):
        return ComparedValue(name, then, now)
    spread = max(values) - min(values)
    if spread == 0.0 or not math.isfinite(2.0 * spread):
        return ComparedValue(name, then, now)
    mean = math.fsum(value / len(values) for value in values)
    return ComparedValue(name, then, mean, 2.0 * spread)


def _inputs(then: Sequence[InputRecord], now: Sequence[InputRecord]) -> tuple[ComparedInput, ...]:
    found = {(item.name, item.source): item.digest for item in now}
    by_name = {item.name: item.digest for item in now}
    return tuple(
        ComparedInput(
            item.name,
            item.source,
            item.digest,
            found.get((item.name, item.source), by_name.get(item.name)),
        )
        for item in then
    )


def _shown(value: float | None) -> str:
    return "nothing" if value is None else repr(value)
