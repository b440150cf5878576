"""What is searched when a pipeline is tuned: dimensions, trials, and how they ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["SAMPLERS", "Dimension", "Trial"]

SAMPLERS = ("tpe", "random", "grid")


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values that one parameter may take.

    ``kind`` is ``float``, ``int`` (from ``low`` to ``high``, both included; by ``step``, or with
    ``log`` by their logarithm) or ``choice`` (one of ``choices``, JSON values).
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON, to compare with what a study was begun with."""
        if self.kind == "choice":
            return {"name": self.name, "choices": list(self.choices)}
        data = {"name": self.name, "kind": self.kind, "low": self.low, "high": self.high}
        return data | {"step": self.step, "log": self.log}


@dataclass(frozen=True, slots=True)
class Trial:
    """One try: ``state`` is ``running``, ``finished``, ``failed`` or ``lost`` (to be done again).

    ``value`` is the metric's where it finished; ``run`` the run's id where that is known.
    """

    number: int
    parameters: dict[str, Any] = field(default_factory=dict)
    state: str = "running"
    value: float | None = None
    run: str | None = None
