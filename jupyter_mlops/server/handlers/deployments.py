"""``deployments``: what is served on this machine."""

from __future__ import annotations

from functools import partial

from tornado import web

from ... import serving
from ..views import deployment_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]

RESOURCE = "mlops:deployments"


class DeploymentsHandler(MlopsHandler):
    """The project's deployments."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Deployments``; never with their tokens."""
        project = await self.project_or_none(self.query("path").get("path", ""))
        found = (
            [] if project is None else await self.read(partial(serving.list_deployments, project))
        )
        self.answer({"deployments": [deployment_json(d) for d in found]})


class StopHandler(MlopsHandler):
    """Stopping one."""

    @web.authenticated
    @authorized("execute", RESOURCE)
    async def post(self, deployment_id: str) -> None:
        """Answer ``StoppedDeployment``."""
        project = await self.existing_project(self.body("Place")["path"])
        stopped = await self.read(partial(serving.stop_deployment, project, deployment_id))
        await self.mlops.agents.wake(project)
        self.answer({"deployment": deployment_json(stopped)})


ROUTES = [
    (r"deployments", DeploymentsHandler),
    (r"deployments/([0-9A-Za-z_-]{1,64})/stop", StopHandler),
]
