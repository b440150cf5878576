"""Every operation of the REST API in one table: what it takes, answers and may do.

The handlers take their schemas from here, the OpenAPI document is written from here, and a test
walks the routes of a running server against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["OPERATIONS", "PREFIX", "Operation"]

PREFIX = "mlops/api/v1"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route.

    ``query`` and ``body`` are keys of ``schemas.QUERIES`` and ``schemas.BODIES``, ``answer`` of
    ``schemas.COMPONENTS``; ``action`` and ``resource`` are what the authorizer is asked.
    """

    method: str
    path: str
    summary: str
    action: str
    resource: str
    answer: str
    query: str = "none"
    body: str | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    path_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)


_RUN_ID = {"run_id": {"type": "string", "pattern": "^[0-9A-Za-z]{1,64}$"}}
_DEPLOYMENT_ID = {"deployment_id": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"}}
_JOB_ID = {"job_id": {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"}}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "get", "status", "The project of a path, its tracking store and its agent",
        "read", "mlops:projects", "Status", query="path", errors=(400,),
    ),
    Operation(
        "get", "projects", "The projects below the server's root folder",
        "read", "mlops:projects", "Projects",
    ),
    Operation(
        "get", "models", "Registered models with their versions, newest first",
        "read", "mlops:models", "Models", query="path", errors=(400,),
    ),
    Operation(
        "get", "models/code", "Code that loads one model version",
        "read", "mlops:models", "Code", query="code", errors=(400, 404),
    ),
    Operation(
        "post", "models/versions", "Make a version of a registered model from a run's model",
        "write", "mlops:models", "CreatedVersion", body="NewVersion", status=201,
        errors=(400, 404, 409, 503),
    ),
    Operation(
        "put", "models/aliases", "Point an alias at a version, if the gates agree",
        "write", "mlops:models", "AliasChange", body="NewAlias", errors=(400, 404, 409, 503),
    ),
    Operation(
        "post", "models/aliases/revert", "Take the last move of an alias back",
        "write", "mlops:models", "AliasChange", body="RevertAlias", errors=(400, 404, 409, 503),
    ),
    Operation(
        "get", "runs", "Runs, newest first, those that wait for delivery included",
        "read", "mlops:runs", "Runs", query="runs", errors=(400,),
    ),
    Operation(
        "get", "runs/compare", "What differs between two runs",
        "read", "mlops:runs", "Comparison", query="pair", errors=(400, 404),
    ),
    Operation(
        "get", "runs/{run_id}", "One run with everything known of it and its model versions",
        "read", "mlops:runs", "RunDetail", query="run", errors=(400, 404, 503),
        path_parameters=_RUN_ID,
    ),
    Operation(
        "get", "runs/{run_id}/why", "What changed since a run was best",
        "read", "mlops:runs", "Explanation", query="why", errors=(400, 404),
        path_parameters=_RUN_ID,
    ),
    Operation(
        "delete", "runs/{run_id}", "Delete a run; it can be restored",
        "write", "mlops:runs", "RunChange", query="place", errors=(400, 404, 409, 503),
        path_parameters=_RUN_ID,
    ),
    Operation(
        "post", "runs/{run_id}/restore", "Bring a deleted run back",
        "write", "mlops:runs", "RunChange", body="Place", errors=(400, 404, 409, 503),
        path_parameters=_RUN_ID,
    ),
    Operation(
        "put", "runs/{run_id}/name", "Give a run another name",
        "write", "mlops:runs", "RunChange", body="NewName", errors=(400, 404, 409, 503),
        path_parameters=_RUN_ID,
    ),
    Operation(
        "put", "runs/{run_id}/note", "Replace a run's note; an empty one removes it",
        "write", "mlops:runs", "RunChange", body="NewNote", errors=(400, 404, 409, 503),
        path_parameters=_RUN_ID,
    ),
    Operation(
        "get", "snapshots", "Names of snapshots with their newest versions, newest first",
        "read", "mlops:snapshots", "Snapshots", query="snapshots", errors=(400,),
    ),
    Operation(
        "get", "snapshots/versions", "The versions of one name, newest first",
        "read", "mlops:snapshots", "SnapshotVersions", query="snapshot_versions",
        errors=(400, 404),
    ),
    Operation(
        "get", "snapshots/version", "One version with its columns and their statistics",
        "read", "mlops:snapshots", "SnapshotDetails", query="snapshot", errors=(400, 404),
    ),
    Operation(
        "get", "snapshots/runs", "The runs, among the newest, whose input a version is",
        "read", "mlops:snapshots", "SnapshotRuns", query="snapshot_runs", errors=(400, 404),
    ),
    Operation(
        "get", "snapshots/diff", "What differs between two versions, a page of rows at a time",
        "read", "mlops:snapshots", "SnapshotDiff", query="snapshot_pair", errors=(400, 404),
    ),
    Operation(
        "get", "snapshots/usage", "What takes how much space, and what sharing saved",
        "read", "mlops:snapshots", "SnapshotUsage", query="path", errors=(400,),
    ),
    Operation(
        "put", "snapshots/tags", "Let a tag name a version, whatever it named before",
        "write", "mlops:snapshots", "SnapshotChange", body="SnapshotTag", errors=(400, 404),
    ),
    Operation(
        "delete", "snapshots/tags", "Take a tag away",
        "write", "mlops:snapshots", "SnapshotChange", query="snapshot_tag", errors=(400, 404),
    ),
    Operation(
        "post", "snapshots/remove", "Remove a version; it can come back until gc has run",
        "write", "mlops:snapshots", "SnapshotChange", body="SnapshotPlace", errors=(400, 404),
    ),
    Operation(
        "post", "snapshots/restore", "Bring a removed version back",
        "write", "mlops:snapshots", "SnapshotChange", body="SnapshotPlace", errors=(400, 404),
    ),
    Operation(
        "get", "pipelines", "The project's pipelines",
        "read", "mlops:pipelines", "Pipelines", query="path", errors=(400,),
    ),
    Operation(
        "post", "pipelines/runs", "Run a pipeline headless with these parameters",
        "execute", "mlops:pipelines", "Job", body="NewPipelineRun", status=202,
        errors=(400, 404, 409),
    ),
    Operation(
        "get", "schedules", "Schedules with their next and last firing",
        "read", "mlops:schedules", "Schedules", query="path", errors=(400,),
    ),
    Operation(
        "get", "deployments", "What is deployed on this machine",
        "read", "mlops:deployments", "Deployments", query="path", errors=(400,),
    ),
    Operation(
        "post", "deployments/{deployment_id}/stop", "Stop a deployment",
        "execute", "mlops:deployments", "StoppedDeployment", body="Place", errors=(400, 404, 409),
        path_parameters=_DEPLOYMENT_ID,
    ),
    Operation(
        "post", "promotions", "Turn a notebook into a pipeline, proven by replay",
        "execute", "mlops:pipelines", "Job", body="NewPromotion", status=202,
        errors=(400, 404, 409),
    ),
    Operation(
        "post", "promotions/plan", "What a promotion would keep and write; nothing is executed",
        "read", "mlops:pipelines", "Plan", body="NewPlan", errors=(400, 404),
    ),
    Operation(
        "post", "checks", "Find hidden state and leakage in a notebook; nothing is changed",
        "read", "mlops:notebooks", "Check", body="NewCheck", errors=(400, 404),
    ),
    Operation(
        "get", "jobs/{job_id}", "How a job is doing",
        "read", "mlops:jobs", "Job", errors=(404,), path_parameters=_JOB_ID,
    ),
    Operation(
        "post", "refresh", "Deliver what waits and read the tracking store again",
        "execute", "mlops:projects", "Refreshed", body="Place", errors=(400, 503),
    ),
    Operation(
        "get", "openapi.json", "This document",
        "read", "mlops:api", "Document",
    ),
)  # fmt: skip
