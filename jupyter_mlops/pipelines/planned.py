"""A step of a run with everything decided, as the plan makes it and the runner takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["PlannedStep"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One notebook to execute, with every path already decided.

    ``outputs`` are the files that it must have written, by parameter name; ``inputs`` those that it
    reads, written by earlier steps of this run, by parameter name.
    """

    name: str
    notebook: Path
    output: Path
    cwd: Path
    kernel: str | None
    parameters: Mapping[str, Any]
    env: Mapping[str, str]
    needs: tuple[str, ...] = ()
    outputs: Mapping[str, Path] = field(default_factory=dict)
    inputs: Mapping[str, Path] = field(default_factory=dict)
    retries: int = 0
    timeout: float | None = None
