"""Moving aliases: judged by gates, one at a time, with a way back.

MLflow overwrites an alias unconditionally and keeps no history.  Here a lease lets one process move
an alias at a time, what it was is read from MLflow itself just before, and every move is recorded
with who made it and what the gates said.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..config import Config
from ..errors import ConflictError, GateRefusedError, NotFoundError, ServiceError
from ..model.policy import Gate, GateVerdict, Policy
from ..model.ports import TrackingBackend
from ..model.registry import ModelSpec, ModelVersion, check_alias, check_model_name
from ..project import Project
from ..state import StateDB
from ..state.aliases import AliasMove, add_move, alias_history, last_move, mark_undone
from ..state.held import HeldLease, hold
from ..state.readmodel import move_alias, put_version
from ..tracking import open_backend, refresh
from .gates import evaluate_gates
from .versions import get_version

__all__ = ["AliasChange", "alias_moves", "policy_for", "revert_alias", "set_alias"]


@dataclass(frozen=True, slots=True)
class AliasChange:
    """A move of an alias from version ``before`` to ``after`` (``None``: there is none).

    ``undo`` is the command that takes it back; ``gated`` says whether any gate guards the alias.
    """

    name: str
    alias: str
    before: int | None
    after: int | None
    verdicts: tuple[GateVerdict, ...] = ()
    undo: str = ""
    gated: bool = False


def set_alias(
    project: Project, config: Config, name: str, version: int, alias: str, *, by: str
) -> AliasChange:
    """Point ``alias`` at a version if the gates that guard it agree.

    The gates are those of the ``policy.yaml`` of every pipeline that registers this model; without
    any, the alias is set.  ``by`` says who asks.  Raises ``GateRefusedError`` with each verdict in
    ``fields["gates"]``, ``NotFoundError`` for no such version, ``ConflictError`` while another
    process moves it, ``PipelineError`` for a policy that is not valid and ``ServiceError`` when
    MLflow does not answer.
    """
    check_model_name(name)
    check_alias(alias)
    state = StateDB(project)
    backend = _reachable(project, config)
    with hold(state, f"alias:{name}", wait=30.0) as held:
        lease = _held(held, name)
        found = _find(project, config, backend, name, version)
        holders = backend.aliases(name)
        policy = policy_for(project, found)
        verdicts = _judge(policy, backend, found, holders, alias)
        if not all(verdict.passed for verdict in verdicts):
            raise _refusal(name, version, alias, verdicts)
        before = holders.get(alias)
        if before != version:
            _move(state, lease, backend, name, alias, version)
            with state.write() as connection:
                add_move(
                    connection,
                    by=by,
                    name=name,
                    alias=alias,
                    before=before,
                    after=version,
                    verdicts=verdicts,
                )
        with state.write() as connection:
            put_version(connection, found)
            move_alias(connection, name, alias, version)
    undo = "" if before == version else _undo(name, alias)
    return AliasChange(name, alias, before, version, verdicts, undo, bool(policy.guards(alias)))


def revert_alias(
    project: Project, config: Config, name: str, alias: str = "champion", *, by: str = ""
) -> AliasChange:
    """Take the last move of an alias back; called again, the one before it.

    No gate is asked: the version had the alias before.  Raises ``ConflictError`` when there is no
    move to take back, or when the alias was moved elsewhere since, and ``ServiceError`` when MLflow
    does not answer.
    """
    check_model_name(name)
    check_alias(alias)
    state = StateDB(project)
    backend = _reachable(project, config)
    with hold(state, f"alias:{name}", wait=30.0) as held:
        lease = _held(held, name)
        current = backend.aliases(name).get(alias)
        with state.read() as connection:
            move = last_move(connection, name, alias)
        if move is None:
            raise ConflictError(
                f"no move of {alias} on {name} is known here that could be taken back",
                hint=f"Set it instead: jupyter mlops models set {name}@VERSION {alias}",
            )
        if current != move.after:
            raise ConflictError(
                f"{alias} of {name} was moved elsewhere since: it is {_shown(current)} and not "
                f"{_shown(move.after)}, which was set here",
                hint=f"Set what you want: jupyter mlops models set {name}@VERSION {alias}",
                current=current,
                expected=move.after,
            )
        _move(state, lease, backend, name, alias, move.before)
        with state.write() as connection:
            mark_undone(connection, move.seq)
            add_move(
                connection,
                by=by or move.by,
                name=name,
                alias=alias,
                before=move.after,
                after=move.before,
                undone=True,
            )
            move_alias(connection, name, alias, move.before)
    undo = f"jupyter mlops models set {_quoted(f'{name}@{move.after}')} {alias}"
    return AliasChange(name, alias, move.after, move.before, (), undo)


def alias_moves(project: Project, name: str) -> list[AliasMove]:
    """Who moved which alias of a model, newest first, as far as it was done here."""
    if not project.exists or not project.database.is_file():
        return []
    with StateDB(project).read() as connection:
        return alias_history(connection, name)


def policy_for(project: Project, version: ModelVersion) -> Policy:
    """The gates of all pipelines that register the version's model, or that made the version."""
    from ..pipelines import BrokenPipeline, load_policy, scan_pipelines

    gates: list[Gate] = []
    for pipeline in scan_pipelines(project):
        concerned = pipeline.name in (version.pipeline, version.name)
        if isinstance(pipeline, BrokenPipeline):
            if concerned:  # its gates cannot be known, so nothing passes them
                raise pipeline.error
            continue
        registers = pipeline.model is not None and pipeline.model.name == version.name
        if registers or pipeline.name == version.pipeline:
            gates.extend(load_policy(pipeline.folder).gates)
    return Policy(tuple(gates))


def _find(
    project: Project, config: Config, backend: TrackingBackend, name: str, version: int
) -> ModelVersion:
    """The version as MLflow has it now; ``NotFoundError`` that lists what there is."""
    try:
        return backend.version(name, version)
    except NotFoundError:
        refresh(project, config)
        get_version(project, ModelSpec(name, version=version))
        raise


def _judge(
    policy: Policy,
    backend: TrackingBackend,
    version: ModelVersion,
    holders: Mapping[str, int],
    alias: str,
) -> tuple[GateVerdict, ...]:
    gates = policy.guards(alias)
    wanted = {gate.not_worse_than for gate in gates if gate.not_worse_than} | {alias}
    metrics: dict[str, Mapping[str, float] | None] = {
        other: backend.version(version.name, holders[other]).metrics
        if other in holders and gates
        else None
        for other in wanted
    }
    return evaluate_gates(policy, version.metrics, metrics.pop(alias), alias, others=metrics)


def _refusal(
    name: str, version: int, alias: str, verdicts: tuple[GateVerdict, ...]
) -> GateRefusedError:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    reasons = "; ".join(f"{verdict.name}: {verdict.message}" for verdict in failed)
    return GateRefusedError(
        f"{name}@{version} does not become {alias}: {reasons}",
        hint="The gates are in the policy.yaml of the pipeline that registers the model.",
        gates=[asdict(verdict) for verdict in verdicts],
        name=name,
        version=version,
        alias=alias,
    )


def _move(
    state: StateDB,
    lease: HeldLease,
    backend: TrackingBackend,
    name: str,
    alias: str,
    version: int | None,
) -> None:
    with state.read() as connection:
        lease.lease.check(connection)
    backend.set_alias(name, alias, version)


def _reachable(project: Project, config: Config) -> TrackingBackend:
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    return backend


def _held(lease: HeldLease | None, name: str) -> HeldLease:
    if lease is None:
        raise ServiceError(
            f"another process is moving an alias of {name}", hint="Try again in a moment."
        )
    return lease


def _undo(name: str, alias: str) -> str:
    option = "" if alias == "champion" else f" --alias {alias}"
    return f"jupyter mlops models revert {_quoted(name)}{option}"


def _quoted(text: str) -> str:
    return shlex.quote(text)


def _shown(version: int | None) -> str:
    return "not set" if version is None else f"version {version}"
