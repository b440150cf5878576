"""Judging a version by a policy: a pure function of the metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..model.policy import Gate, GateVerdict, Policy
from ..model.registry import lower_is_better

__all__ = ["evaluate_gates"]


def evaluate_gates(
    policy: Policy,
    candidate: Mapping[str, float],
    champion: Mapping[str, float] | None,
    alias: str,
    *,
    others: Mapping[str, Mapping[str, float] | None] | None = None,
) -> tuple[GateVerdict, ...]:
    """Return what each gate that guards ``alias`` says about a version with these metrics.

    ``champion`` are the metrics of the version that has ``alias`` now, ``None`` if none has it;
    ``others`` those of other aliases that gates compare with.  A metric that is missing or NaN
    fails; nothing to compare with passes and says so.
    """
    holders = {alias: champion} | dict(others or {})
    return tuple(_judge(gate, candidate, holders) for gate in policy.guards(alias))


def _judge(
    gate: Gate,
    candidate: Mapping[str, float],
    holders: Mapping[str, Mapping[str, float] | None],
) -> GateVerdict:
    value = candidate.get(gate.metric)
    if value is None:
        known = ", ".join(sorted(candidate)) or "none"
        return GateVerdict(
            gate.name, False, f"the run has no metric {gate.metric!r} (it has: {known})"
        )
    if math.isnan(value):
        return GateVerdict(gate.name, False, f"{gate.metric} is not a number", value)
    if gate.min is not None and value < gate.min:
        return GateVerdict(
            gate.name,
            False,
            f"{gate.metric} {value:.6g} is below the minimum {gate.min:.6g}",
            value,
            gate.min,
        )
    if gate.max is not None and value > gate.max:
        return GateVerdict(
            gate.name,
            False,
            f"{gate.metric} {value:.6g} is above the maximum {gate.max:.6g}",
            value,
            gate.max,
        )
    if gate.not_worse_than is not None:
        return _compare(gate, value, holders.get(gate.not_worse_than))
    limit = gate.min if gate.min is not None else gate.max
    return GateVerdict(gate.name, True, f"{gate.metric} is {value:.6g}{_range(gate)}", value, limit)


def _compare(gate: Gate, value: float, holder: Mapping[str, float] | None) -> GateVerdict:
    alias = gate.not_worse_than
    if holder is None:
        return GateVerdict(
            gate.name, True, f"{gate.metric} is {value:.6g}; there is no {alias} yet", value
        )
    held = holder.get(gate.metric)
    if held is None or math.isnan(held):
        return GateVerdict(
            gate.name,
            True,
            f"{gate.metric} is {value:.6g}; the {alias} has no {gate.metric} to compare with",
            value,
        )
    direction = gate.direction or ("lower" if lower_is_better(gate.metric) else "higher")
    limit = held + gate.tolerance if direction == "lower" else held - gate.tolerance
    passed = value <= limit if direction == "lower" else value >= limit
    slack = f" by more than {gate.tolerance:.6g}" if gate.tolerance and not passed else ""
    verb = "not worse" if passed else "worse"
    message = (
        f"{gate.metric} {value:.6g} is {verb} than the {alias}'s {held:.6g}{slack} "
        f"({direction} is better)"
    )
    return GateVerdict(gate.name, passed, message, value, limit)


def _range(gate: Gate) -> str:
    if gate.min is not None and gate.max is not None:
        return f", between {gate.min:.6g} and {gate.max:.6g}"
    if gate.min is not None:
        return f", at least {gate.min:.6g}"
    if gate.max is not None:
        return f", at most {gate.max:.6g}"
    return ""
