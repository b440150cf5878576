"""The replay: the written pipeline runs once in a fresh kernel, and its metrics are compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..journal import default_redactor
from ..model.ports import CellProgress, NotebookExecutor
from ..project import Project

__all__ = ["Difference", "Replay", "replay"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric that is not what it was; ``None`` where a side has none."""

    metric: str
    tracked: float | None
    replayed: float | None

    def __str__(self) -> str:
        tracked, replayed = _shown(self.tracked), _shown(self.replayed)
        return f"{self.metric}: tracked {tracked}, replayed {replayed}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What one replay gave: ``error`` is set where the notebook did not run through."""

    metrics: dict[str, float] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    error: dict[str, Any] | None = None
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether it ran through and every metric is exactly the tracked one."""
        return self.error is None and not self.differences


def replay(
    project: Project,
    executor: NotebookExecutor,
    notebook: Path,
    outputs: Mapping[str, str],
    tracked: Mapping[str, float],
    *,
    kernel: str,
    scratch: Path,
    progress: Callable[[CellProgress], None] | None = None,
) -> Replay:
    """Execute a step's notebook with its outputs in ``scratch`` and compare its metrics.

    The executed notebook is ``scratch / notebook.name``.
    """
    paths = {name: str(scratch / file) for name, file in outputs.items()}
    result = executor.execute(
        notebook,
        scratch / notebook.name,
        paths,
        kernel=kernel,
        cwd=project.root,
        env={"JUPYTER_MLOPS_AGENT": "off"},
        progress=progress,
        clean=default_redactor().redact_notebook,
    )
    if result.status != "completed":
        error = result.error or {"ename": result.status, "evalue": ""}
        return Replay(error=error, seconds=result.seconds)
    file = next((name for name in outputs.values() if name.startswith("metrics")), None)
    found: dict[str, float] = {}
    if file is not None:
        found = {k: float(v) for k, v in json.loads((scratch / file).read_text()).items()}
    names = list(dict.fromkeys([*tracked, *found]))
    differences = tuple(
        Difference(name, tracked.get(name), found.get(name))
        for name in names
        if not _same(tracked.get(name), found.get(name))
    )
    return Replay(metrics=found, differences=differences, seconds=result.seconds)


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return False
    return a == b or (math.isnan(a) and math.isnan(b))


def _shown(value: float | None) -> str:
    return "nothing" if value is None else repr(value)
