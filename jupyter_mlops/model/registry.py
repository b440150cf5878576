"""Registered models and runs as the read model, REST and the command line show them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError

__all__ = [
    "SYSTEM",
    "ModelSpec",
    "ModelVersion",
    "RegisteredModel",
    "RunSummary",
    "check_alias",
    "check_model_name",
    "key_metric",
    "lower_is_better",
    "parse_model_spec",
]

SYSTEM = "system/"  # MLflow's prefix for metrics of the machine, not of the model
_NAME = re.compile(r"[^\x00-\x1f/:@\\]{1,200}")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_LOWER = re.compile(r"(^|_)(loss|error|err|rmse|mse|mae|mape|msle|deviance|brier|regret)(_|$)")
_PREFERRED = (
    "accuracy", "auc", "roc_auc", "f1", "r2", "rmse", "mae", "mse", "log_loss", "loss", "score",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """``NAME@V`` or ``NAME@ALIAS``: exactly one of ``version`` and ``alias`` is set."""

    name: str
    version: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version if self.version is not None else self.alias}"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model; times in seconds since the epoch."""

    name: str
    version: int
    created: float
    run_id: str | None = None
    mlflow_run_id: str | None = None
    run_name: str | None = None
    notebook: str | None = None
    pipeline: str | None = None
    aliases: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    status: str = "READY"
    source: str | None = None
    class_name: str | None = None

    @property
    def uri(self) -> str:
        """MLflow's own address of this version."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model with its versions, newest first."""

    name: str
    updated: float
    description: str = ""
    versions: tuple[ModelVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as it is listed; ``mlflow_run_id`` is ``None`` until it is delivered.

    ``note`` is the text that a person wrote to it.
    """

    run_id: str
    name: str
    status: str
    started: float
    ended: float | None = None
    kind: str = "cell"
    mlflow_run_id: str | None = None
    session: str | None = None
    experiment: str | None = None
    notebook: str | None = None
    pipeline: str | None = None
    parent: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    models: tuple[dict[str, Any], ...] = ()
    registered: str | None = None
    warnings: tuple[str, ...] = ()
    note: str | None = None


def parse_model_spec(text: str) -> ModelSpec:
    """Parse ``NAME@V`` or ``NAME@ALIAS``.  Raises ``UsageError`` that shows the form."""
    name, separator, selector = text.rpartition("@")
    if not separator or not name or not selector:
        raise UsageError(
            f"{text!r} does not say which version",
            hint="Write NAME@VERSION or NAME@ALIAS, for example taxi-tips@3 or taxi-tips@champion.",
        )
    check_model_name(name)
    if selector.isdecimal():
        return ModelSpec(name, version=int(selector))
    check_alias(selector)
    return ModelSpec(name, alias=selector)


def check_model_name(name: str) -> str:
    """Return ``name`` if it can name a registered model, else raise ``UsageError``."""
    if _NAME.fullmatch(name) is None or name.strip() != name:
        raise UsageError(
            f"{name!r} cannot name a model",
            hint="Use 1 to 200 characters without '/', ':', '@', '\\' or line breaks.",
        )
    return name


def check_alias(alias: str) -> str:
    """Return ``alias`` if MLflow accepts it as an alias, else raise ``UsageError``."""
    if _ALIAS.fullmatch(alias) is None or re.fullmatch(r"[vV]\d+|latest", alias):
        raise UsageError(
            f"{alias!r} cannot be an alias",
            hint="Use a word such as champion or challenger; 'latest' and v1, v2 ... are MLflow's.",
        )
    return alias


def lower_is_better(metric: str) -> bool:
    """Whether a metric's name says that smaller values are better (loss, error, rmse ...)."""
    return _LOWER.search(metric.lower()) is not None


def key_metric(metrics: dict[str, float]) -> str | None:
    """Name of the metric to show first: a well-known one, else the first recorded.

    What a run used of the machine (``system/...``) judges no model.
    """
    metrics = {name: value for name, value in metrics.items() if not name.startswith(SYSTEM)}
    for wanted in _PREFERRED:
        for name in metrics:
            if name.lower() == wanted or name.lower().endswith("_" + wanted):
                return name
    return next(iter(metrics), None)
