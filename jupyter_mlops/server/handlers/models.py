"""``models``: registered models, their versions and aliases."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado import web

from ... import registry
from ...model.registry import ModelSpec
from ...project import Project
from ..views import model_json, shaped
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]

RESOURCE = "mlops:models"


class ModelsHandler(MlopsHandler):
    """Registered models."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Models``."""
        project = await self.project_or_none(self.query("path").get("path", ""))
        await self.answer(partial(_models, project))


class CodeHandler(MlopsHandler):
    """Code that loads a model version."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Code``."""
        query = self.query("code")
        project = await self.existing_project(query.get("path", ""))
        spec = ModelSpec(query["name"], version=query["version"])
        await self.answer(partial(_code, project, spec))


class VersionsHandler(MlopsHandler):
    """Making versions."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def post(self) -> None:
        """Make a version from a run's model; answer ``CreatedVersion``."""
        body = self.body("NewVersion")
        project = await self.existing_project(body.pop("path"))
        body["run"] = body.pop("run_id")
        version = await self.agent(project, "register", **body)
        await self.answer(lambda: {"version": shaped("ModelVersion", version)}, status=201)


class AliasesHandler(MlopsHandler):
    """Moving aliases."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def put(self) -> None:
        """Point an alias at a version; answer ``AliasChange``, 409 where a gate refuses."""
        body = self.body("NewAlias")
        project = await self.existing_project(body.pop("path"))
        change = await self.agent(project, "set_alias", **body, by=self.person)
        await self.answer(lambda: shaped("AliasChange", change))


class RevertHandler(MlopsHandler):
    """Taking the last move of an alias back."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def post(self) -> None:
        """Answer ``AliasChange``."""
        body = self.body("RevertAlias")
        project = await self.existing_project(body.pop("path"))
        change = await self.agent(project, "revert_alias", **body)
        await self.answer(lambda: shaped("AliasChange", change))


def _models(project: Project | None) -> dict[str, Any]:
    models = [] if project is None else registry.list_models(project)
    return {"models": [model_json(model) for model in models]}


def _code(project: Project, spec: ModelSpec) -> dict[str, Any]:
    version = registry.get_version(project, spec)
    return {"code": registry.load_code(project, version), "language": "python"}


ROUTES = [
    (r"models", ModelsHandler),
    (r"models/code", CodeHandler),
    (r"models/versions", VersionsHandler),
    (r"models/aliases", AliasesHandler),
    (r"models/aliases/revert", RevertHandler),
]
