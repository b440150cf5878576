"""Runs and models as ``--json`` prints them: the same names as the REST API."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from ..model.registry import ModelVersion, RegisteredModel, RunSummary, key_metric

__all__ = ["finite", "model_dict", "run_dict", "version_dict"]


def run_dict(run: RunSummary) -> dict[str, Any]:
    """A run; numbers that JSON cannot express are ``null``."""
    taken = None if run.ended is None else max(0.0, run.ended - run.started)
    data = asdict(run) | {"duration": taken, "delivered": run.mlflow_run_id is not None}
    return dict(finite(data))


def version_dict(version: ModelVersion) -> dict[str, Any]:
    """A model version with the metric to show first."""
    key = key_metric(version.metrics)
    shown = None if key is None else {"name": key, "value": version.metrics[key]}
    return dict(finite(asdict(version) | {"uri": version.uri, "key_metric": shown}))


def model_dict(model: RegisteredModel) -> dict[str, Any]:
    """A registered model with its versions, newest first."""
    return {
        "name": model.name,
        "description": model.description,
        "updated": model.updated,
        "versions": [version_dict(version) for version in model.versions],
    }


def finite(value: Any) -> Any:
    """``value`` with ``None`` for the numbers that JSON cannot express."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
