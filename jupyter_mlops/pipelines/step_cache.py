"""What the runner asks of a step cache: whether a step has been done before, and to keep it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .planned import PlannedStep

__all__ = ["CacheVerdict", "StepCache"]


@dataclass(frozen=True, slots=True)
class CacheVerdict:
    """Whether a step's results are there already; ``why`` says in sentences why or why not."""

    hit: bool
    key: str
    why: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {"hit": self.hit, "key": self.key, "why": list(self.why)}


class StepCache(Protocol):
    """Results of steps, by what they were made from.  Its methods are called in any thread."""

    def lookup(self, step: PlannedStep) -> CacheVerdict:
        """Say whether ``step`` has been done before; its inputs exist, it has not started."""

    def restore(self, step: PlannedStep, verdict: CacheVerdict) -> bool:
        """Write a hit's outputs and executed notebook to where ``step`` has them.

        False when that failed: then the step runs.
        """

    def keep(self, step: PlannedStep, verdict: CacheVerdict) -> None:
        """Keep a completed step's results if they may be kept.  Never raises."""
