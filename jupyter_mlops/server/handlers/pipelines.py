"""``pipelines``: what was promoted."""

from __future__ import annotations

from functools import partial

from tornado import web

from ... import pipelines
from ...errors import ProjectError
from ..views import pipeline_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]


class PipelinesHandler(MlopsHandler):
    """The project's pipelines."""

    @web.authenticated
    @authorized("read", "mlops:pipelines")
    async def get(self) -> None:
        """Answer ``Pipelines``; those in git are there before anything was tracked."""
        path = self.query("path").get("path", "")
        try:
            project = await self.project(path)
        except ProjectError:
            self.answer({"pipelines": []})
            return
        found = await self.read(partial(pipelines.list_pipelines, project))
        self.answer({"pipelines": [pipeline_json(p, self.root_folder) for p in found]})


ROUTES = [(r"pipelines", PipelinesHandler)]
