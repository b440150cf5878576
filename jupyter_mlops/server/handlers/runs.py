"""``runs``: what was tracked."""

from __future__ import annotations

from functools import partial

from tornado import web

from ... import registry, tracking
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
        runs = (
            []
            if project is None
            else await self.read(partial(tracking.list_runs, project, query.get("limit", 50)))
        )
        self.answer({"runs": [run_json(run) for run in runs]})


class RunHandler(MlopsHandler):
    """One run."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self, run_id: str) -> None:
        """Answer ``RunDetail``."""
        project = await self.existing_project(self.query("path").get("path", ""))
        run = await self.read(partial(tracking.find_run, project, run_id))
        models = await self.read(partial(registry.list_models, project))
        self.answer(run_detail_json(run, models))


ROUTES = [
    (r"runs", RunsHandler),
    (r"runs/([0-9A-Za-z]{1,64})", RunHandler),
]
