"""``runs``: what was tracked."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado import web

from ... import registry, tracking
from ...config import Config
from ...project import Project
from ..views import run_detail_json, run_json, shaped
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


class CompareHandler(MlopsHandler):
    """Two runs side by side."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Comparison``, of what is known on this machine."""
        query = self.query("pair")
        project = await self.existing_project(query.get("path", ""))
        config = await self.config_of(project)
        await self.answer(partial(_compare, project, config, query["a"], query["b"]))


class RunHandler(MlopsHandler):
    """One run."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self, run_id: str) -> None:
        """Answer ``RunDetail``: what is known here, with ``fetch`` all that MLflow has."""
        query = self.query("run")
        project = await self.existing_project(query.get("path", ""))
        config = await self.config_of(project)
        details = await self.read(partial(tracking.run_details, project, config, run_id, ask=False))
        more = None
        if query.get("fetch") and not details.complete:
            more = await self.agent(project, "run_details", run=details.run_id)
        await self.answer(partial(_run, project, details, more))

    @web.authenticated
    @authorized("write", RESOURCE)
    async def delete(self, run_id: str) -> None:
        """Delete it, so that it can be restored; answer ``RunChange``."""
        project = await self.existing_project(self.query("place")["path"])
        change = await self.agent(project, "delete_run", run=run_id)
        await self.answer(lambda: shaped("RunChange", change))


class WhyHandler(MlopsHandler):
    """What changed since a run was best."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self, run_id: str) -> None:
        """Answer ``Explanation``, of what is known on this machine."""
        query = self.query("why")
        project = await self.existing_project(query.get("path", ""))
        config = await self.config_of(project)
        await self.answer(partial(_why, project, config, run_id, query.get("metric")))


class RestoreHandler(MlopsHandler):
    """Bringing a deleted run back."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def post(self, run_id: str) -> None:
        """Answer ``RunChange``."""
        project = await self.existing_project(self.body("Place")["path"])
        change = await self.agent(project, "restore_run", run=run_id)
        await self.answer(lambda: shaped("RunChange", change))


class NameHandler(MlopsHandler):
    """A run's name."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def put(self, run_id: str) -> None:
        """Answer ``RunChange``."""
        body = self.body("NewName")
        project = await self.existing_project(body["path"])
        change = await self.agent(project, "rename_run", run=run_id, name=body["name"])
        await self.answer(lambda: shaped("RunChange", change))


class NoteHandler(MlopsHandler):
    """A run's note."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def put(self, run_id: str) -> None:
        """Answer ``RunChange``."""
        body = self.body("NewNote")
        project = await self.existing_project(body["path"])
        change = await self.agent(project, "note_run", run=run_id, note=body["note"])
        await self.answer(lambda: shaped("RunChange", change))


def _runs(project: Project | None, limit: int) -> dict[str, Any]:
    runs = [] if project is None else tracking.list_runs(project, limit)
    return {"runs": [run_json(run) for run in runs]}


def _run(
    project: Project, details: tracking.RunDetails, more: dict[str, Any] | None
) -> dict[str, Any]:
    data = run_detail_json(details, registry.list_models(project))
    return data if more is None else data | {"details": shaped("RunContent", more)}


def _compare(project: Project, config: Config, a: str, b: str) -> dict[str, Any]:
    return tracking.compare_runs(project, config, a, b, ask=False).to_dict()


def _why(project: Project, config: Config, run: str, metric: str | None) -> dict[str, Any]:
    return tracking.explain(project, config, run, metric, ask=False).to_dict()


_RUN = r"runs/([0-9A-Za-z]{1,64})"
ROUTES = [
    (r"runs", RunsHandler),
    (r"runs/compare", CompareHandler),
    (_RUN, RunHandler),
    (rf"{_RUN}/why", WhyHandler),
    (rf"{_RUN}/restore", RestoreHandler),
    (rf"{_RUN}/name", NameHandler),
    (rf"{_RUN}/note", NoteHandler),
]
