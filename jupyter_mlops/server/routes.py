"""The URL patterns of the REST API, below the server's base URL."""

from __future__ import annotations

from .handlers import (
    checks,
    deployments,
    jobs,
    models,
    pipelines,
    runs,
    schedules,
    snapshots,
    status,
)
from .handlers.base import MlopsHandler
from .operations import PREFIX

__all__ = ["routes"]


def routes() -> list[tuple[str, type[MlopsHandler]]]:
    """Patterns with their handlers, for tornado."""
    domains = (
        status, models, runs, snapshots, pipelines, schedules, deployments, jobs, checks,
    )  # fmt: skip
    return [
        (rf"/{PREFIX}/{pattern}", handler)
        for domain in domains
        for pattern, handler in domain.ROUTES
    ]
