"""``runs``: what was tracked."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado import web

from ... import registry, tracking
from ...project import Project
from ..views import run_detail_json, run_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]

RESOURCE = "mlops:runs"


class RunsHandler(MlopsHandler):
    """The newest runs."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Runs``."""
        query = self.query("runs")
        project = await self.project_or_none(query.get("path", ""))
        await self.answer(partial(_runs, project, query.get("limit", 50)))


class RunHandler(MlopsHandler):
    """One run."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self, run_id: str) -> None:
        """Answer ``RunDetail``."""
        project = await self.existing_project(self.query("path").get("path", ""))
        await self.answer(partial(_run, project, run_id))


def _runs(project: Project | None, limit: int) -> dict[str, Any]:
    runs = [] if project is None else tracking.list_runs(project, limit)
    return {"runs": [run_json(run) for run in runs]}


def _run(project: Project, text: str) -> dict[str, Any]:
    return run_detail_json(tracking.find_run(project, text), registry.list_models(project))


ROUTES = [
    (r"runs", RunsHandler),
    (r"runs/([0-9A-Za-z]{1,64})", RunHandler),
]
