"""Gates as data: what ``policy.yaml`` says, without the file.

``pipelines.load_policy`` reads the file, ``registry.evaluate_gates`` judges a version by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Direction", "Gate", "GateVerdict", "Policy"]

Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition on a metric of the version that is to receive an alias.

    Attributes:
        name: what the verdict is called.
        metric: the metric of the version's run that is judged.
        min: the smallest value that passes (inclusive); ``None`` sets no floor.
        max: the largest value that passes (inclusive); ``None`` sets no ceiling.
        not_worse_than: an alias; the metric must not be worse than that version's own.
        tolerance: how much worse, in the metric's unit, is still accepted by ``not_worse_than``.
        direction: whether ``higher`` or ``lower`` values are better; ``None`` decides by the
            metric's name (``model.registry.lower_is_better``).
        aliases: the aliases that this gate guards.
    """

    name: str
    metric: str
    min: float | None = None
    max: float | None = None
    not_worse_than: str | None = None
    tolerance: float = 0.0
    direction: Direction | None = None
    aliases: tuple[str, ...] = ("champion",)


@dataclass(frozen=True, slots=True)
class Policy:
    """All gates of one pipeline, in the order of the file."""

    gates: tuple[Gate, ...] = ()

    def guards(self, alias: str) -> tuple[Gate, ...]:
        """The gates that decide about ``alias``."""
        return tuple(gate for gate in self.gates if alias in gate.aliases)


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What one gate said: ``value`` is the metric, ``limit`` what it was held against."""

    name: str
    passed: bool
    message: str
    value: float | None = None
    limit: float | None = None
