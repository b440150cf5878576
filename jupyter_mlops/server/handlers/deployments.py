"""``deployments``: what is served on this machine."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado import web

from ... import serving
from ...errors import NotFoundError
from ...project import Project
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
        await self.answer(partial(_deployments, project))


class StopHandler(MlopsHandler):
    """Stopping one."""

    @web.authenticated
    @authorized("execute", RESOURCE)
    async def post(self, deployment_id: str) -> None:
        """Answer ``StoppedDeployment``."""
        project = await self.existing_project(self.body("Place")["path"])
        stopped = await self.mlops.agents.slowly(partial(_stop, project, deployment_id))
        await self.mlops.agents.wake(project)
        await self.answer(lambda: {"deployment": deployment_json(stopped)})


def _stop(project: Project, deployment_id: str) -> serving.Deployment:
    # Beginnings of ids are for people to type; a program stops what it names.
    if all(one.id != deployment_id for one in serving.list_deployments(project)):
        raise NotFoundError(f"there is no deployment {deployment_id!r}")
    return serving.stop_deployment(project, deployment_id)


def _deployments(project: Project | None) -> dict[str, Any]:
    found = [] if project is None else serving.list_deployments(project)
    return {"deployments": [deployment_json(deployment) for deployment in found]}


ROUTES = [
    (r"deployments", DeploymentsHandler),
    (r"deployments/([0-9A-Za-z_-]{1,64})/stop", StopHandler),
]
