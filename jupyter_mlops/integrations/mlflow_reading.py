"""What MLflow answers, as this package's own dataclasses."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..model.registry import ModelVersion, RunSummary
from .mlflow_writing import CHILD_OF, RUN_ID

__all__ = ["is_prompt", "local_folder", "run_summary", "version_of"]


def run_summary(run: Any, experiment: str | None) -> RunSummary:
    """An MLflow ``Run`` as a summary.  Runs that are not ours have MLflow's id as theirs."""
    tags = run.data.tags
    info = run.info
    return RunSummary(
        run_id=tags.get(RUN_ID) or info.run_id,
        name=info.run_name or info.run_id[:8],
        status=str(info.status),
        started=(info.start_time or 0) / 1000,
        ended=None if info.end_time is None else info.end_time / 1000,
        kind=tags.get("mlops.kind", "mlflow"),
        mlflow_run_id=info.run_id,
        session=tags.get("mlops.session"),
        experiment=experiment,
        notebook=tags.get("mlops.notebook"),
        pipeline=tags.get("mlops.pipeline"),
        parent=tags.get(CHILD_OF),
        params=dict(sorted(run.data.params.items())),
        metrics={name: _infinite(value) for name, value in sorted(run.data.metrics.items())},
        models=tuple(row for row in _json_list(tags.get("mlops.models")) if isinstance(row, dict)),
        warnings=tuple(str(text) for text in _json_list(tags.get("mlops.warnings"))),
        note=tags.get("mlflow.note.content") or None,
    )


def version_of(version: Any, aliases: tuple[str, ...] = (), source: str | None = None) -> Any:
    """An MLflow ``ModelVersion``; ``source`` is where its files are, once that is known."""
    tags = version.tags
    return ModelVersion(
        name=version.name,
        version=int(version.version),
        created=(version.creation_timestamp or 0) / 1000,
        run_id=tags.get(RUN_ID) or version.run_id or None,
        mlflow_run_id=version.run_id or None,
        run_name=tags.get("mlops.run_name"),
        notebook=tags.get("mlops.notebook"),
        pipeline=tags.get("mlops.pipeline"),
        aliases=tuple(sorted(aliases)),
        status=str(version.status),
        source=source,
        class_name=tags.get("mlops.class_name"),
    )


def is_prompt(model: Any) -> bool:
    """Whether a registered model is one of MLflow's prompts, which share its table."""
    return str(model.tags.get("mlflow.prompt.is_prompt", "")).lower() == "true"


def local_folder(uri: str) -> Path | None:
    """The folder on this machine that an artifact address means, or ``None``."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme == "" and uri.startswith("/"):
        return Path(uri)
    return None


def _infinite(value: float) -> float:
    """MLflow's databases keep infinities as the largest number there is."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


def _json_list(text: str | None) -> list[Any]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return []
    return value if isinstance(value, list) else []
