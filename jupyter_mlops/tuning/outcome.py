"""How a sweep or a search went."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Combination", "SweepOutcome"]


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination of parameters and its run.

    ``state`` is ``finished``, ``failed``, ``kept`` (it had finished before, and was not run again)
    or ``not run``.  ``parameters`` are those that were varied.  ``error`` is one line.
    """

    parameters: dict[str, Any]
    state: str = "not run"
    run_id: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.state in ("finished", "kept")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "parameters": self.parameters,
            "state": self.state,
            "run_id": self.run_id,
            "metrics": self.metrics,
            "seconds": self.seconds,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """A sweep or a search that has ended.

    Attributes:
        run_id: of the run that the combinations' runs are nested in.
        kind: ``sweep`` or ``tune``.
        status: ``FINISHED``, ``FAILED`` (a combination failed) or ``KILLED`` (interrupted).
        exit_code: 0, 1, 130 or 143.
        metric: what they are judged by, ``None`` where no run has one.
        direction: ``higher`` or ``lower``.
        combinations: in the order in which they were asked for.
        study: the name of the search that ``--resume`` goes on with.
    """

    run_id: str
    kind: str
    target: str
    status: str
    exit_code: int
    seconds: float
    metric: str | None
    direction: str
    combinations: tuple[Combination, ...]
    delivered: bool = False
    warnings: tuple[str, ...] = ()
    study: str | None = None

    @property
    def ranked(self) -> list[Combination]:
        """The combinations, best first; then those without the metric, then the failed ones."""

        def place(one: Combination) -> tuple[int, float]:
            value = one.metrics.get(self.metric or "")
            if not one.done:
                return (3 if one.state == "not run" else 2), 0.0
            if value is None or math.isnan(value):
                return 1, 0.0
            return 0, value if self.direction == "lower" else -value

        return sorted(self.combinations, key=place)

    @property
    def best(self) -> Combination | None:
        """The best one that has the metric."""
        first = next(iter(self.ranked), None)
        known = first is not None and first.done and (self.metric or "") in first.metrics
        return first if known else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON, the combinations best first."""
        best = self.best
        return {
            "run_id": self.run_id,
            "kind": self.kind,
            "target": self.target,
            "status": self.status,
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "metric": self.metric,
            "direction": self.direction,
            "best": None if best is None else best.to_dict(),
            "combinations": [one.to_dict() for one in self.ranked],
            "delivered": self.delivered,
            "warnings": list(self.warnings),
            "study": self.study,
        }
