"""Domain objects as the REST API shows them: the shapes of ``schemas.COMPONENTS``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MlopsError
from ..model.pipeline import Pipeline
from ..model.registry import ModelVersion, RegisteredModel, RunSummary, key_metric
from ..model.schedule import Schedule
from ..tracking import RunDetails, details_dict
from .answers import error_json, redact
from .jobs import Job
from .paths import contents_path
from .schemas import COMPONENTS

if TYPE_CHECKING:
    from ..pipelines import BrokenPipeline
    from ..serving import Deployment

__all__ = [
    "broken_json",
    "deployment_json",
    "job_json",
    "model_json",
    "pipeline_json",
    "problem_json",
    "run_detail_json",
    "run_json",
    "schedule_json",
    "shaped",
    "version_json",
]


def version_json(version: ModelVersion) -> dict[str, Any]:
    """A model version, with its address and the metric to show first."""
    key = key_metric(version.metrics)
    return _fields(version) | {
        "uri": version.uri,
        "key_metric": None if key is None else {"name": key, "value": version.metrics[key]},
    }


def model_json(model: RegisteredModel) -> dict[str, Any]:
    """A registered model with its versions."""
    return {
        "name": model.name,
        "description": model.description,
        "updated": model.updated,
        "versions": [version_json(version) for version in model.versions],
    }


def run_json(run: RunSummary) -> dict[str, Any]:
    """A run; ``duration`` is ``None`` while it runs."""
    return _fields(run) | {
        "duration": None if run.ended is None else max(0.0, run.ended - run.started),
        "delivered": run.mlflow_run_id is not None,
    }


def run_detail_json(details: RunDetails, models: Iterable[RegisteredModel]) -> dict[str, Any]:
    """A run with everything known of it and the model versions that were made from it."""
    run = details.summary
    ids = {run.run_id, run.mlflow_run_id} - {None}
    made = [
        {"name": version.name, "version": version.version}
        for model in models
        for version in model.versions
        if version.run_id in ids or version.mlflow_run_id in ids
    ]
    # Where the record is here, its parameters have their types.
    params = {"params": details.record.params} if details.complete else {}
    return run_json(run) | params | {"registered": made, "details": details_dict(details)}


def pipeline_json(pipeline: Pipeline, root: Path) -> dict[str, Any]:
    """A pipeline; ``path`` is the contents path of its folder, if it lies below the root."""
    return {
        "name": pipeline.name,
        "path": contents_path(root, Path(pipeline.folder)) if pipeline.folder else None,
        "description": pipeline.description,
        "parameters": [_fields(parameter) for parameter in pipeline.parameters],
        "model": None if pipeline.model is None else pipeline.model.name,
    }


def broken_json(broken: BrokenPipeline, root: Path) -> dict[str, Any]:
    """A pipeline whose file is not valid, and what is wrong with it."""
    return {
        "name": broken.name,
        "path": contents_path(root, Path(broken.folder)),
        "error": problem_json(broken.error),
    }


def problem_json(error: MlopsError) -> dict[str, Any]:
    """What went wrong, for an answer that is none the less an answer."""
    hint = None if error.hint is None else redact(error.hint)
    return {"message": redact(error.message), "hint": hint}


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule with its next and its last firing."""
    last = schedule.last
    return {
        "id": schedule.id,
        "pipeline": schedule.pipeline,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "next_at": schedule.next_at,
        "last": None
        if last is None
        else {
            "slot": last.slot,
            "state": last.state,
            "run_id": last.run_id,
            "exit_code": last.exit_code,
        },
    }


def deployment_json(deployment: Deployment) -> dict[str, Any]:
    """A deployment, without its token."""
    return {
        "id": deployment.id,
        "model": deployment.model,
        "selector": deployment.selector,
        "version": deployment.version,
        "url": deployment.url,
        "status": deployment.status,
        "error": None if deployment.error is None else redact(deployment.error),
        "hint": deployment.hint,
        "warnings": deployment.warnings,
        "behind": deployment.behind,
        "created": deployment.created,
        "started": deployment.started,
    }


def job_json(job: Job, *secrets: str) -> dict[str, Any]:
    """A job with its result or its error."""
    return {
        "job": {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "message": job.message,
            "result": job.result,
            "error": None if job.error is None else error_json(job.error, *secrets),
        }
    }


def shaped(component: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a component documents, out of an answer of the agent: its version may say more."""
    return {name: data.get(name) for name in COMPONENTS[component]["properties"]}


def _fields(value: Any) -> dict[str, Any]:
    # ``dataclasses.asdict`` copies deeply, which thousands of runs would feel.
    return {field.name: getattr(value, field.name) for field in fields(value)}
