"""What one delivery did."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.registry import ModelVersion

__all__ = ["DeliveryReport"]


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What one call of ``deliver`` did.

    Attributes:
        delivered: runs that reached MLflow.
        waiting: ended runs that still wait.
        errors: why they wait, and what was damaged; each said once.
        versions: model versions that were made.
        warnings: models and files that were left out and why, what the libraries warned about.
        busy: another process holds the lease and delivers.
    """

    delivered: int = 0
    waiting: int = 0
    errors: tuple[str, ...] = ()
    versions: tuple[ModelVersion, ...] = ()
    warnings: tuple[str, ...] = ()
    busy: bool = False
