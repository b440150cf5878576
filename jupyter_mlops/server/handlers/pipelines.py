"""``pipelines``: what was promoted."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tornado import web

from ... import pipelines
from ...errors import ProjectError
from ...model.pipeline import Pipeline
from ...project import Project
from ..views import broken_json, pipeline_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]


class PipelinesHandler(MlopsHandler):
    """The project's pipelines."""

    @web.authenticated
    @authorized("read", "mlops:pipelines")
    async def get(self) -> None:
        """Answer ``Pipelines``; those in git are there before anything was tracked."""
        path = self.query("path").get("path", "")
        project: Project | None
        try:
            project = await self.project(path)
        except ProjectError:
            project = None
        await self.answer(partial(_pipelines, project, self.root_folder))


def _pipelines(project: Project | None, root: Path) -> dict[str, Any]:
    found = [] if project is None else pipelines.scan_pipelines(project)
    return {
        "pipelines": [pipeline_json(p, root) for p in found if isinstance(p, Pipeline)],
        "broken": [broken_json(p, root) for p in found if not isinstance(p, Pipeline)],
    }


ROUTES = [(r"pipelines", PipelinesHandler)]
