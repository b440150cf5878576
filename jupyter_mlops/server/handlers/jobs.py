"""``promotions`` and ``jobs``: what takes longer than a request may."""

from __future__ import annotations

from functools import partial

from tornado import web

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
        job = self.mlops.jobs.promote(project, notebook, body.get("name"))
        await self.answer(partial(job_json, job), status=202)


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
    (r"jobs/([0-7][0-9A-HJKMNP-TV-Z]{25})", JobHandler),
]
