"""Gates of a pipeline's policy, judged by metrics alone: no alias moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ..errors import MlopsError, NotFoundError
from ..model.policy import GateVerdict, Policy
from ..model.registry import ModelSpec
from ..pipelines import find_pipeline, load_policy
from ..project import Project

__all__ = ["champion_metrics", "judge", "verdict_dicts", "verdicts_of"]


def judge(
    project: Project,
    policy: Policy,
    model: str | None,
    metrics: Mapping[str, float],
    alias: str = "champion",
    against: Mapping[str, float] | None = None,
    base: Mapping[str, float] | None = None,
) -> tuple[GateVerdict, ...]:
    """What each gate says that guards ``alias``.

    Compared is with ``against`` where given; else with the versions of ``model`` that have the
    aliases now, as this machine knows them, and with ``base`` where it knows of none.
    """
    from ..registry import evaluate_gates

    gates = policy.guards(alias)
    aliases = {alias, *(gate.not_worse_than for gate in gates if gate.not_worse_than)}
    holders: dict[str, Mapping[str, float] | None] = {}
    beside_base = set()
    for name in aliases:
        held = None if against is not None else champion_metrics(project, model, name)
        if held is None and (against or base) is not None:
            held = against if against is not None else base
            beside_base.add(name)
        holders[name] = held
    verdicts = evaluate_gates(policy, metrics, holders.pop(alias), alias, others=holders)
    return tuple(
        replace(verdict, message=verdict.message.replace(f"the {other}'s ", "the base's "))
        if (other := gate.not_worse_than or "") in beside_base
        else verdict
        for gate, verdict in zip(gates, verdicts, strict=True)
    )


def champion_metrics(project: Project, model: str | None, alias: str) -> Mapping[str, float] | None:
    """The metrics of the version that has an alias; ``None`` where none has it."""
    if model is None:
        return None
    from ..registry import get_version

    try:
        return get_version(project, ModelSpec(model, alias=alias)).metrics
    except NotFoundError:
        return None


def verdicts_of(
    project: Project,
    pipeline: str,
    metrics: Mapping[str, float],
    base: Mapping[str, float] | None = None,
) -> tuple[dict[str, Any], ...]:
    """The verdicts of a pipeline's champion gates for a report; none where it has no policy."""
    try:
        found = find_pipeline(project, pipeline)
        policy = load_policy(found.folder)
        model = found.model.name if found.model else None
        return verdict_dicts(judge(project, policy, model, metrics, base=base))
    except MlopsError:
        return ()  # the gate verb says what is wrong with a policy


def verdict_dicts(verdicts: tuple[GateVerdict, ...]) -> tuple[dict[str, Any], ...]:
    """The same as plain JSON."""
    return tuple(asdict(verdict) for verdict in verdicts)
