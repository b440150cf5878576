"""``jupyter mlops gate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import MlopsError, NotFoundError, UsageError
from ..model.policy import GateVerdict, Policy
from ..model.registry import ModelSpec, check_alias, parse_model_spec
from ..pipelines import find_pipeline, load_policy
from ..project import Project, open_project
from .gates import judge
from .output import echo_json, json_option

__all__ = ["gate"]


@dataclass(frozen=True)
class _Candidate:
    """What is judged: its name for people, its pipeline, and its metrics."""

    name: str
    pipeline: str
    model: str | None
    metrics: Mapping[str, float]
    policy: Policy


@click.command()
@click.argument("target")
@click.option(
    "--alias",
    default="champion",
    show_default=True,
    metavar="ALIAS",
    help="Ask the gates that guard this alias.",
)
@click.option(
    "--against",
    metavar="BASE",
    help="Compare with a report.json or the run of a git commit, not with who has the alias.",
)
@json_option
def gate(target: str, alias: str, against: str | None, as_json: bool) -> int:
    """Ask the gates of a policy.yaml about a result; no alias moves.

    TARGET is a report (report.json, or the folder it is in), a pipeline (its newest finished run
    here), a RUN, or a model version.  The exit code is 3 when a gate says no.
    """
    check_alias(alias)
    project = open_project(create=False)
    candidates = _candidates(project, target)
    bases, label = _bases(project, against, target, candidates)
    found: list[tuple[_Candidate, tuple[GateVerdict, ...]]] = []
    for candidate in candidates:
        base = bases.get(candidate.pipeline)
        beside: dict[str, Mapping[str, float] | None] = {"base": base}
        if against is not None:
            # A pipeline that the base does not have has nothing to be worse than.
            beside = {"against": base or {}}
        verdicts = judge(
            project, candidate.policy, candidate.model, candidate.metrics, alias, **beside
        )
        found.append((candidate, verdicts))
    refused = any(not verdict.passed for _, verdicts in found for verdict in verdicts)
    if as_json:
        echo_json({"passed": not refused, "alias": alias, "results": [_dict(*e) for e in found]})
    else:
        for candidate, verdicts in found:
            _show(candidate, verdicts, alias, label)
    return 3 if refused else 0


def _candidates(project: Project, target: str) -> list[_Candidate]:
    path = Path(target)
    if path.suffix == ".json" or (path.is_dir() and (path / "report.json").is_file()):
        return _reported(project, path)
    if "@" in target:
        return [_version(project, target)]
    try:
        pipeline = find_pipeline(project, target)
    except NotFoundError as no_pipeline:
        if path.suffix == ".ipynb":
            raise
        return [_run(project, target, no_pipeline)]
    from ..tracking import list_runs

    runs = [
        run
        for run in list_runs(project, 1000)
        if run.pipeline == pipeline.name and run.status == "FINISHED"
    ]
    if not runs:
        raise NotFoundError(
            f"no finished run of {pipeline.name} is known here",
            hint=f"Run it: jupyter mlops run {pipeline.name}",
        )
    model = pipeline.model.name if pipeline.model else None
    policy = load_policy(pipeline.folder)
    name = f"{pipeline.name}, run {runs[0].run_id}"
    return [_Candidate(name, pipeline.name, model, runs[0].metrics, policy)]


def _reported(project: Project, path: Path) -> list[_Candidate]:
    from .base_reports import read_base

    found = []
    for run in read_base(path).runs.values():
        if run.kind != "pipeline":
            continue
        if run.exit_code not in (0, 5):
            raise UsageError(
                f"{run.name} did not finish, so there is nothing to judge",
                hint=f"See {path} for why.",
            )
        found.append(_of_pipeline(project, run.name, run.name, run.metrics))
    if not found:
        raise UsageError(f"{path} has no run of a pipeline", hint="Notebooks have no gates.")
    return found


def _of_pipeline(
    project: Project, name: str, pipeline: str, metrics: Mapping[str, float]
) -> _Candidate:
    found = find_pipeline(project, pipeline)
    model = found.model.name if found.model else None
    return _Candidate(name, found.name, model, metrics, load_policy(found.folder))


def _run(project: Project, target: str, no_pipeline: MlopsError) -> _Candidate:
    from ..tracking import find_run

    try:
        run = find_run(project, target)
    except NotFoundError:
        raise NotFoundError(
            f"there is no pipeline, run, version or report {target!r}", hint=no_pipeline.hint
        ) from None
    if run.pipeline is None:
        raise UsageError(
            f"run {run.run_id} is not of a pipeline, so no policy.yaml says what it must be",
            hint="Promote its notebook: jupyter mlops promote NOTEBOOK",
        )
    return _of_pipeline(project, f"run {run.run_id}", run.pipeline, run.metrics)


def _version(project: Project, target: str) -> _Candidate:
    from ..registry import get_version, policy_for

    version = get_version(project, parse_model_spec(target))
    spec = ModelSpec(version.name, version=version.version)
    name = f"{spec.name}@{spec.version}"
    policy = policy_for(project, version)
    pipeline = version.pipeline or version.name
    return _Candidate(name, pipeline, version.name, version.metrics, policy)


def _bases(
    project: Project, against: str | None, target: str, candidates: list[_Candidate]
) -> tuple[dict[str, Mapping[str, float]], str]:
    """The metrics of the base, by pipeline; by default those in a report's own folder."""
    from .base_reports import base_metrics, read_base, worktree

    if against is None:
        beside = Path(target) / "base.json"
        if not beside.is_file():
            return {}, ""
        found = read_base(beside)
        return {name: run.metrics for name, run in found.runs.items()}, ""
    path = Path(against)
    if path.exists() or path.suffix == ".json":
        found = read_base(path)
        return {name: run.metrics for name, run in found.runs.items()}, found.label
    metrics: dict[str, Mapping[str, float]] = {}
    with worktree(project, against) as base:
        for candidate in candidates:
            found_there = base_metrics(project, base, candidate.pipeline)
            if found_there is not None:
                metrics[candidate.pipeline] = found_there
    return metrics, against


def _show(candidate: _Candidate, verdicts: tuple[GateVerdict, ...], alias: str, label: str) -> None:
    beside = f", beside {label}" if label else ""
    if not verdicts:
        click.echo(f"{candidate.name}: no gate guards {alias}")
        return
    said = "passes" if all(verdict.passed for verdict in verdicts) else "DOES NOT PASS"
    click.echo(f"{candidate.name} {said} the gates of {alias}{beside}")
    for verdict in verdicts:
        click.echo(f"  {'yes' if verdict.passed else 'NO '}  {verdict.name}: {verdict.message}")


def _dict(candidate: _Candidate, verdicts: tuple[GateVerdict, ...]) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "pipeline": candidate.pipeline,
        "metrics": dict(candidate.metrics),
        "gates": [asdict(verdict) for verdict in verdicts],
    }
