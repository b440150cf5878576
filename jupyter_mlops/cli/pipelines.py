"""``jupyter mlops pipelines``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..model.pipeline import Pipeline
from ..model.policy import Gate
from ..pipelines import expected, find_pipeline, load_policy, scan_pipelines
from ..project import Project, open_project
from .output import echo_json, json_option, table
from .run import project_of

__all__ = ["pipelines"]


@click.group()
def pipelines() -> None:
    """List and show pipelines."""


@pipelines.command("ls")
@json_option
def list_command(as_json: bool) -> int:
    """List the project's pipelines."""
    project = open_project(create=False)
    found = scan_pipelines(project)
    if as_json:
        echo_json({"pipelines": [_listed(project, one) for one in found]})
        return 0
    rows = []
    for one in found:
        if isinstance(one, Pipeline):
            parameters = ", ".join(f"{p.name}={json.dumps(p.default)}" for p in one.parameters)
            model = one.model.name if one.model else "-"
            steps = " > ".join(step.name for step in one.steps)
            rows.append((one.name, parameters or "-", steps, model, _verdict(Path(one.folder))))
        else:
            rows.append((one.name, f"not valid: {one.error.message}", "-", "-", "-"))
    table(
        ("NAME", "PARAMETERS", "STEPS", "MODEL", "PROOF"),
        rows,
        empty="There are no pipelines yet. To make one: jupyter mlops promote NOTEBOOK",
    )
    return 0


@pipelines.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> int:
    """Show a pipeline: parameters, steps, model, gates and proof.

    NAME is a pipeline's name or its folder.
    """
    project = project_of(name)
    pipeline = find_pipeline(project, name)
    policy = load_policy(pipeline.folder)
    if as_json:
        data = _listed(project, pipeline)
        data["gates"] = [asdict(gate) for gate in policy.gates]
        data["proof"] = _proof(Path(pipeline.folder))
        echo_json(data)
        return 0
    click.echo(f"{pipeline.name}  {project.relative(pipeline.folder)}")
    if pipeline.description:
        click.echo(pipeline.description)
    click.echo(f"kernel {pipeline.kernelspec}")
    click.echo("\nParameters")
    table(
        ("NAME", "DEFAULT", "TYPE", "DESCRIPTION"),
        [
            (p.name, json.dumps(p.default, ensure_ascii=False), expected(p.schema), p.description)
            for p in pipeline.parameters
        ],
        empty="  none",
    )
    click.echo("\nSteps")
    table(
        ("NAME", "NOTEBOOK", "NEEDS", "READS", "WRITES", "RETRIES", "TIMEOUT"),
        [
            (
                step.name,
                step.notebook,
                ", ".join(step.needs) or "-",
                ", ".join(step.inputs.values()) or "-",
                ", ".join(step.outputs.values()) or "-",
                str(step.retries),
                "-" if step.timeout is None else f"{step.timeout:g} s",
            )
            for step in pipeline.steps
        ],
        empty="  none",
    )
    if pipeline.model is not None:
        click.echo(f"\nModel    {pipeline.model.name}, from {pipeline.model.output}")
    if pipeline.metrics is not None:
        click.echo(f"Metrics  from {pipeline.metrics}")
    click.echo("\nGates")
    table(
        ("NAME", "GUARDS", "CONDITION"),
        [(gate.name, ", ".join(gate.aliases), _condition(gate)) for gate in policy.gates],
        empty="  none: any version may receive any alias",
    )
    click.echo(f"\nProof    {_verdict(Path(pipeline.folder))}")
    click.echo(f"\nTo run it: jupyter mlops run {pipeline.name}")
    return 0


def _listed(project: Project, one: Any) -> dict[str, Any]:
    if not isinstance(one, Pipeline):
        return {
            "name": one.name,
            "path": project.relative(one.folder),
            "error": one.error.to_dict(),
        }
    data = asdict(one)
    data["path"] = project.relative(data.pop("folder"))
    data["error"] = None
    data["verdict"] = _verdict(Path(one.folder))
    return data


def _condition(gate: Gate) -> str:
    parts = []
    if gate.min is not None:
        parts.append(f"{gate.metric} at least {gate.min:g}")
    if gate.max is not None:
        parts.append(f"{gate.metric} at most {gate.max:g}")
    if gate.not_worse_than is not None:
        by = f" by more than {gate.tolerance:g}" if gate.tolerance else ""
        parts.append(f"{gate.metric} not worse than {gate.not_worse_than}{by}")
    return ", ".join(parts)


def _proof(folder: Path) -> dict[str, Any] | None:
    """What ``promote`` wrote beside the pipeline; ``None`` if it did not make this pipeline."""
    try:
        data = json.loads((folder / "proof.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _verdict(folder: Path) -> str:
    proof = _proof(folder)
    return str(proof.get("verdict", "-")) if proof else "-"
