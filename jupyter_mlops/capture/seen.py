"""What was seen of a run beside its values: everything that the probes found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.events import EnvironmentRecord, FileRecord, InputRecord

__all__ = ["Seen"]


@dataclass(slots=True)
class Seen:
    """Each field is that of ``RunRecord``; ``params`` and ``metrics`` are what MLflow was told."""

    files: tuple[FileRecord, ...] = ()
    inputs: tuple[InputRecord, ...] = ()
    environment: EnvironmentRecord | None = None
    modules: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    git_branch: str | None = None
    git_dirty: bool | None = None
    adopted: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
