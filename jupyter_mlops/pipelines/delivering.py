"""Who hands a headless run over to the tracking server: this process, or the project's agent.

Delivering needs MLflow, whose import alone takes longer than most notebooks.  The journal has the
run either way, so a person who waits for nothing of it need not wait for that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from ..capture import agent_client
from ..capture.agent_start import begin_agent
from ..capture.delivery_key import delivery_key
from ..config import Config, load_config
from ..errors import AgentUnavailable, MlopsError, UsageError
from ..model.registry import ModelVersion
from ..project import Project
from .deliverer import Deliverer
from .outcome import RunOutcome
from .resources import machine

__all__ = ["DELIVER", "check_deliver", "deliver_outcome", "deliverer", "in_ci"]

DELIVER = ("auto", "now", "later")
_LEASE_WAIT = 30.0  # seconds to wait for another process that is delivering
_AGENT_SECONDS = 600.0  # for a delivery in the agent's worker, as for any operation of it
_HELLO_SECONDS = 1.0
_KEPT = "The run is kept: `jupyter mlops sync` delivers it."


def check_deliver(word: str) -> str:
    """Return ``word`` if it is one of ``DELIVER``, raise ``UsageError`` if not."""
    if word not in DELIVER:
        raise UsageError(f"deliver must be one of {', '.join(DELIVER)}, not {word!r}")
    return word


def in_ci(env: Mapping[str, str] | None = None) -> bool:
    """Whether a CI system runs this process: its machine is gone before an agent could deliver."""
    word = (os.environ if env is None else env).get("CI", "")
    return word.strip().lower() not in {"", "0", "false", "no", "off"}


@contextmanager
def deliverer(
    project: Project, config: Config, how: str, *, required: bool = False
) -> Iterator[Deliverer | None]:
    """A worker that gets ready meanwhile, if this process is the one that is going to deliver.

    There is none where MLflow is imported already, where one processor has to do everything, and
    where ``config`` is not what the project's files and the environment say, which it reads.
    """
    here = required or how == "now" or (how == "auto" and (in_ci() or not config.agent))
    helps = not is_imported() and machine().cpus >= 2 and bool(sys.executable)
    if here and helps and load_config(project.root) == config:
        with Deliverer(project) as started:
            yield started
    else:
        yield None


def is_imported() -> bool:
    """Whether this process has MLflow already."""
    return "mlflow" in sys.modules


def deliver_outcome(
    project: Project,
    config: Config,
    outcome: RunOutcome,
    how: str,
    *,
    required: bool = False,
    worker: Deliverer | None = None,
) -> RunOutcome:
    """Hand over what the journal holds, or see to it that the agent does; trouble is a warning.

    ``how`` is ``now``; ``later``: by the agent, which is started if need be; or ``auto``: now where
    it is ``required``, in CI, and where the agent is off; where a model version is made, whose
    number the person wants to know, by an agent that runs, waiting for it; else later.  Now is by
    the ``worker`` that ``deliverer`` started, if it is there and answers.
    """
    if how == "later" and not required:
        return _later(project, config, outcome) or replace(outcome, handed="kept")
    if how == "auto" and not required and config.agent and not in_ci():
        done = _by_agent if _makes_version(outcome) else _later
        return done(project, config, outcome) or _now(project, config, outcome)
    return _prepared(outcome, worker) or _now(project, config, outcome)


def _makes_version(outcome: RunOutcome) -> bool:
    return bool(outcome.register or any(child.register for child in outcome.children))


@dataclass(frozen=True, slots=True)
class _Done:
    """One delivery as this run sees it; ``found``: the tracking server has the run."""

    found: bool
    versions: tuple[ModelVersion, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def _later(project: Project, config: Config, outcome: RunOutcome) -> RunOutcome | None:
    """Tell the agent, or start it; ``None`` if it is not one that would deliver this run."""
    if not config.agent:
        return None
    greeting = _greeting(project)
    try:
        if greeting is None and in_ci():
            return None  # no agent is started there
        if greeting is None:
            begin_agent(project, runner=config.runner)
        elif not _same_environment(greeting):
            return None
        else:
            agent_client.call(
                project, "/v1/deliver", {"interpreter": sys.executable}, timeout=_HELLO_SECONDS
            )
    except MlopsError:
        return None
    return replace(outcome, handed="agent")


def _by_agent(project: Project, config: Config, outcome: RunOutcome) -> RunOutcome | None:
    """Have the agent's worker deliver, and wait; ``None`` if there is none that would."""
    greeting = _greeting(project)
    if greeting is None or not _same_environment(greeting):
        return None
    try:
        report = agent_client.call_op(
            project,
            "deliver",
            {"wait_lease": _LEASE_WAIT, "run": outcome.run_id},
            timeout=_AGENT_SECONDS,
            interpreter=sys.executable,
        )
        return _reported(outcome, report)
    except (MlopsError, KeyError, TypeError, AttributeError):
        return None  # it went away, or is of another version: what it did is not done twice


def _prepared(outcome: RunOutcome, worker: Deliverer | None) -> RunOutcome | None:
    """Have the worker that got ready deliver; ``None`` if it does not answer."""
    report = None if worker is None else worker.deliver(outcome.run_id, _LEASE_WAIT)
    return None if report is None else _reported(outcome, report)


def _reported(outcome: RunOutcome, report: Mapping[str, Any]) -> RunOutcome:
    known = {field.name for field in fields(ModelVersion)}
    versions = tuple(
        ModelVersion(**{name: value for name, value in version.items() if name in known})
        for version in report["versions"]
    )
    found = bool(report["found"])
    errors, warnings = tuple(report["errors"]), tuple(report["warnings"])
    return _finished(outcome, _Done(found, versions, errors, warnings))


def _now(project: Project, config: Config, outcome: RunOutcome) -> RunOutcome:
    from ..tracking import deliver, find_run

    try:
        report = deliver(project, config, wait_lease=_LEASE_WAIT)
        found = find_run(project, outcome.run_id).mlflow_run_id is not None
    except MlopsError as error:
        text = f"not delivered: {error.message.rstrip('.')}. {_KEPT}"
        return replace(outcome, warnings=(*outcome.warnings, text))
    return _finished(outcome, _Done(found, report.versions, report.errors, report.warnings))


def _finished(outcome: RunOutcome, done: _Done) -> RunOutcome:
    own = {outcome.run_id, *(run.run_id for run in outcome.children)}
    warnings = [*outcome.warnings, *done.warnings]
    if done.found:
        warnings += done.errors
    else:
        reasons = done.errors or ("another process is delivering",)
        warnings += [f"not delivered: {reason.rstrip('.')}. {_KEPT}" for reason in reasons]
    return replace(
        outcome,
        delivered=done.found,
        versions=tuple(version for version in done.versions if version.run_id in own),
        warnings=tuple(warnings),
    )


def _greeting(project: Project) -> dict[str, Any] | None:
    """What the agent says of itself; ``None`` unless one of this version is there to stay."""
    if agent_client.read_pointer(project) is None:
        return None
    with suppress(AgentUnavailable):
        greeting = agent_client.hello(project, timeout=_HELLO_SECONDS)
        if not greeting.get("draining") and not agent_client.is_outdated(greeting):
            return greeting
    return None


def _same_environment(greeting: Mapping[str, Any]) -> bool:
    """Whether the agent's environment leads to the server, and the rights, that this one's does."""
    return greeting.get("delivers") == delivery_key(os.environ)
