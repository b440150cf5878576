"""``pipelines``: what was promoted, and running it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tornado import web

from ... import pipelines
from ...errors import NotFoundError, ProjectError
from ...model.pipeline import Pipeline
from ...project import Project
from ..views import broken_json, job_json, pipeline_json
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


class PipelineRunsHandler(MlopsHandler):
    """Running a pipeline."""

    @web.authenticated
    @authorized("execute", "mlops:pipelines")
    async def post(self) -> None:
        """Start a run; answer its ``Job``.  What does not fit is said before anything starts."""
        body = self.body("NewPipelineRun")
        project = await self.project(body["path"])
        given = body.get("parameters", {})
        pipeline = await self.read(partial(_checked, project, body["pipeline"], given))
        job = self.mlops.jobs.run(project, pipeline, given)
        await self.answer(partial(job_json, job), status=202)


def _checked(project: Project, name: str, given: dict[str, Any]) -> Pipeline:
    # By name alone: a path could lead out of the project.
    found = next((p for p in pipelines.scan_pipelines(project) if p.name == name), None)
    if found is None:
        raise NotFoundError(f"there is no pipeline {name!r} in {project.name}", name=name)
    if not isinstance(found, Pipeline):
        raise found.error
    pipelines.check_pipeline_parameters(found, given)
    return found


def _pipelines(project: Project | None, root: Path) -> dict[str, Any]:
    found = [] if project is None else pipelines.scan_pipelines(project)
    return {
        "pipelines": [pipeline_json(p, root) for p in found if isinstance(p, Pipeline)],
        "broken": [broken_json(p, root) for p in found if not isinstance(p, Pipeline)],
    }


ROUTES = [(r"pipelines", PipelinesHandler), (r"pipelines/runs", PipelineRunsHandler)]
