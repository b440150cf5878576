"""``status``, ``projects``, ``refresh`` and ``openapi.json``: the project as a whole."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tornado import web

from ... import tracking
from ..._version import version
from ...config import Config, is_local_uri, load_config, public_uri
from ...errors import AgentUnavailable, ProjectError, ServiceError
from ...project import Project
from ..openapi import document
from ..paths import contents_path, display_path, find_projects
from ..views import problem_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]

RESOURCE = "mlops:projects"


class StatusHandler(MlopsHandler):
    """The project of a path, its tracking store, what waits, and the agent."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Status``."""
        path = self.query("path").get("path", "")
        try:
            project = await self.project(path)
        except ProjectError as error:
            await self.answer(partial(_nowhere, error))
            return
        config = await self.config_of(project)
        pid = await self.mlops.agents.pid(project)
        await self.answer(partial(_status, project, config, pid, path, self.root_folder))


class ProjectsHandler(MlopsHandler):
    """The projects below the server's root folder."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Projects``, nearest first."""
        self.query("none")
        depth, limit = self.mlops.project_depth, self.mlops.project_limit
        await self.answer(partial(_projects, self.root_folder, depth, limit))


class RefreshHandler(MlopsHandler):
    """Delivering what waits, and reading the tracking store again."""

    @web.authenticated
    @authorized("execute", RESOURCE)
    async def post(self) -> None:
        """Answer ``Refreshed``; a tracking server that is down is an answer, not a failure."""
        project = await self.project(self.body("Place")["path"])
        config = await self.config_of(project)
        if not project.exists and config.tracking_uri is None:
            # Nothing there, and nothing to make for it.
            await self.answer(lambda: {"ok": True, "error": None})
            return
        problem = None
        try:
            if await self.read(partial(tracking.waiting, project)):
                await self.mlops.agents.deliver(project, config)
            await self.agent(project, "refresh")
        except AgentUnavailable:
            raise
        except ServiceError as error:
            problem = problem_json(error)
        if problem is None:
            problem = (await self.read(partial(_tracking, project, config)))["error"]
        await self.answer(lambda: {"ok": problem is None, "error": problem})


class OpenApiHandler(MlopsHandler):
    """The description of this API."""

    @web.authenticated
    @authorized("read", "mlops:api")
    async def get(self) -> None:
        """Answer the OpenAPI document."""
        self.query("none")
        await self.answer(partial(document, self.base_url, version()))


def _status(
    project: Project, config: Config, pid: int | None, path: str, root: Path
) -> dict[str, Any]:
    inside = contents_path(root, project.root)
    return {
        "version": version(),
        "project": {
            "name": project.name,
            "root": display_path(project.root),
            # A project above the server's root folder has no contents path: any inside it will do.
            "path": path if inside is None else inside,
            "exists": project.exists,
            "key": project.key,
        },
        "problem": None,
        "tracking": _tracking(project, config),
        "waiting": tracking.waiting(project),
        "agent": {"running": pid is not None, "pid": pid, "enabled": config.agent},
    }


def _nowhere(error: ProjectError) -> dict[str, Any]:
    config = load_config()
    uri = config.tracking_uri or ""
    return {
        "version": version(),
        "project": None,
        "problem": problem_json(error),
        "tracking": {
            "uri": public_uri(uri),
            "local": is_local_uri(uri),
            "level": config.capture,
            "synced_at": None,
            "error": None,
        },
        "waiting": 0,
        "agent": {"running": False, "pid": None, "enabled": config.agent},
    }


def _projects(root: Path, depth: int, limit: int) -> dict[str, Any]:
    return {
        "projects": [
            {"name": p.name, "path": contents_path(root, p.root) or "", "key": p.key}
            for p in find_projects(root, depth=depth, limit=limit)
        ]
    }


def _tracking(project: Project, config: Config) -> dict[str, Any]:
    uri = tracking.tracking_uri(project, config)
    state = tracking.sync_state(project)
    return {
        "uri": public_uri(uri),
        "local": is_local_uri(uri),
        "level": tracking.capture_level(project, config),
        "synced_at": state.at,
        "error": state.error,
    }


ROUTES = [
    (r"status", StatusHandler),
    (r"projects", ProjectsHandler),
    (r"refresh", RefreshHandler),
    (r"openapi\.json", OpenApiHandler),
]
