"""``promotions`` and ``jobs``: what takes longer than a request may."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tornado import web

from ...config import load_config
from ...project import Project
from ...promotion import PlanEdits, plan
from ..views import job_json
from .base import MlopsHandler, authorized, notebook_path

__all__ = ["ROUTES"]


class PromotionsHandler(MlopsHandler):
    """Turning notebooks into pipelines."""

    @web.authenticated
    @authorized("execute", "mlops:pipelines")
    async def post(self) -> None:
        """Start a promotion; answer its ``Job``."""
        body = self.body("NewPromotion")
        notebook = await self.read(partial(notebook_path, self.root_folder, body["path"]))
        project = await self.existing_project(body["path"])
        job = self.mlops.jobs.promote(project, notebook, body)
        await self.answer(partial(job_json, job), status=202)


class PlansHandler(MlopsHandler):
    """What a promotion would do."""

    @web.authenticated
    @authorized("read", "mlops:pipelines")
    async def post(self) -> None:
        """Answer ``Plan``; nothing is executed and nothing is written."""
        body = self.body("NewPlan")
        notebook = await self.read(partial(notebook_path, self.root_folder, body["path"]))
        project = await self.existing_project(body["path"])
        await self.answer(partial(_plan, project, notebook, body))


def _plan(project: Project, notebook: Path, asked: dict[str, Any]) -> dict[str, Any]:
    found = plan(
        project,
        load_config(project.root),
        notebook,
        asked.get("targets", ()),
        asked.get("run"),
        name=asked.get("name"),
        steps=asked.get("steps", "auto"),
        edits=PlanEdits.from_dict(asked.get("edits", {})),
        drop_displays=asked.get("drop_displays", False),
    )
    return found.to_dict()


class JobHandler(MlopsHandler):
    """One job."""

    @web.authenticated
    @authorized("read", "mlops:jobs")
    async def get(self, job_id: str) -> None:
        """Answer ``Job``."""
        self.query("none")
        await self.answer(partial(job_json, self.mlops.jobs.get(job_id)))


ROUTES = [
    (r"promotions", PromotionsHandler),
    (r"promotions/plan", PlansHandler),
    (r"jobs/([0-7][0-9A-HJKMNP-TV-Z]{25})", JobHandler),
]
