"""A step of a run with everything decided, as the plan makes it and the runner takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .resources import Demand

__all__ = ["PlannedStep"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One notebook to execute, with every path already decided.

    ``outputs`` are the files that it must have written, by parameter name; ``inputs`` those that it
    reads, written by earlier steps of this run, by parameter name.  ``retries`` is how often a
    failed attempt is repeated; ``backoff`` the seconds before the first of them, twice as long each
    time but never longer than ``longest_pause``.  ``timeout`` and ``cell_timeout`` are in seconds.
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
    backoff: float = 1.0
    longest_pause: float = 30.0
    timeout: float | None = None
    cell_timeout: float | None = None
    demand: Demand = field(default_factory=Demand)

    def pause(self, attempt: int) -> float:
        """Seconds to wait after ``attempt`` (from 1) has failed."""
        return min(self.longest_pause, self.backoff * 2.0 ** (attempt - 1))
