"""``snapshots``: versions of data, what is in them, what differs, tags and removing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import partial
from typing import Any

from tornado import web

from ... import tracking
from ...config import Config
from ...project import Project
from ...snapshots.addresses import parse_spec
from ...snapshots.refs import Version
from ...snapshots.service import existing_store, show
from ..snapshot_views import details_json, snapshot_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]

RESOURCE = "mlops:snapshots"


class SnapshotsHandler(MlopsHandler):
    """Names with their newest versions."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``Snapshots``."""
        query = self.query("snapshots")
        project = await self.project_or_none(query.pop("path", ""))
        await self.answer(partial(_names, project, **query))


class VersionsHandler(MlopsHandler):
    """The versions of one name."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``SnapshotVersions``."""
        query = self.query("snapshot_versions")
        project = await self.existing_project(query.pop("path", ""))
        await self.answer(partial(_versions, project, **query))


class VersionHandler(MlopsHandler):
    """One version."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``SnapshotDetails``."""
        query = self.query("snapshot")
        project = await self.existing_project(query.pop("path", ""))
        await self.answer(partial(_details, project, **query))


class RunsHandler(MlopsHandler):
    """The runs that used a version."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``SnapshotRuns``, of what is known on this machine."""
        query = self.query("snapshot_runs")
        project = await self.existing_project(query.get("path", ""))
        config = await self.config_of(project)
        await self.answer(partial(_runs, project, config, query["spec"]))


class DiffHandler(MlopsHandler):
    """Two versions side by side."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``SnapshotDiff``."""
        query = self.query("snapshot_pair")
        project = await self.existing_project(query.get("path", ""))
        found = await self.mlops.comparisons.page(
            project, query["a"], query["b"], query.get("key"),
            query.get("offset", 0), query.get("limit", 50),
        )  # fmt: skip
        await self.answer(lambda: found)


class UsageHandler(MlopsHandler):
    """What takes how much space."""

    @web.authenticated
    @authorized("read", RESOURCE)
    async def get(self) -> None:
        """Answer ``SnapshotUsage``."""
        project = await self.project_or_none(self.query("path").get("path", ""))
        await self.answer(partial(_usage, project))


class TagsHandler(MlopsHandler):
    """Tags."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def put(self) -> None:
        """Set one; answer ``SnapshotChange``."""
        body = self.body("SnapshotTag")
        project = await self.existing_project(body.pop("path"))
        await self.answer(partial(_tag, project, **body))

    @web.authenticated
    @authorized("write", RESOURCE)
    async def delete(self) -> None:
        """Take one away; answer ``SnapshotChange``."""
        query = self.query("snapshot_tag")
        project = await self.existing_project(query.pop("path"))
        await self.answer(partial(_untag, project, **query))


class RemoveHandler(MlopsHandler):
    """Removing a version."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def post(self) -> None:
        """Answer ``SnapshotChange``."""
        body = self.body("SnapshotPlace")
        project = await self.existing_project(body.pop("path"))
        await self.answer(partial(_remove, project, **body))


class RestoreHandler(MlopsHandler):
    """Bringing a removed version back."""

    @web.authenticated
    @authorized("write", RESOURCE)
    async def post(self) -> None:
        """Answer ``SnapshotChange``."""
        body = self.body("SnapshotPlace")
        project = await self.existing_project(body.pop("path"))
        await self.answer(partial(_restore, project, **body))


def _names(
    project: Project | None,
    search: str = "",
    automatic: int = 0,
    each: int = 20,
    offset: int = 0,
    limit: int = 200,
) -> dict[str, Any]:
    every = _kept(project)
    shown = [version for version in every if automatic or not version.meta.get("automatic")]
    words = search.lower().split()
    names: dict[str, list[Version]] = {}
    for version in shown:
        if all(word in _searchable(version) for word in words):
            names.setdefault(version.name, []).append(version)
    for versions in names.values():
        versions.sort(key=lambda version: -version.version)
    return {
        "names": [
            {
                "name": name,
                "count": len(versions),
                "versions": [snapshot_json(version) for version in versions[:each]],
            }
            for name, versions in list(names.items())[offset : offset + limit]
        ],
        "total": len(names),
        "hidden": len(every) - len(shown),
    }


def _kept(project: Project | None) -> list[Version]:
    """All versions, newest first; none where no snapshot was ever taken."""
    if project is None or not (project.state / "snapshots").is_dir():
        return []
    return existing_store(project).versions()


def _searchable(version: Version) -> str:
    return " ".join((version.spec, *version.tags, version.message or "", version.kind)).lower()


def _versions(
    project: Project, name: str, automatic: int = 0, offset: int = 0, limit: int = 100
) -> dict[str, Any]:
    store = existing_store(project)
    found = store.versions(name)
    if not found:
        store.resolve(name)  # Says that there is none.
    shown = [version for version in found if automatic or not version.meta.get("automatic")]
    return {
        "versions": [snapshot_json(version) for version in shown[offset : offset + limit]],
        "total": len(shown),
    }


def _details(project: Project, spec: str, offset: int = 0, limit: int = 100) -> dict[str, Any]:
    return details_json(show(project, spec), offset, limit)


def _runs(project: Project, config: Config, spec: str) -> dict[str, Any]:
    version = existing_store(project).resolve(parse_spec(spec))
    uses, searched = tracking.runs_using(project, config, version.spec)
    return {
        "runs": [
            {
                "run_id": use.run.run_id,
                "name": use.run.name,
                "status": use.run.status,
                "started": use.run.started,
                "input": use.input,
            }
            for use in uses
        ],
        "searched": searched,
    }


def _usage(project: Project | None) -> dict[str, Any]:
    if project is None or not (project.state / "snapshots").is_dir():
        return {"total": 0, "dead": 0, "unshared": 0, "saved": 0, "names": [], "unreadable": []}
    found = existing_store(project).du()
    return {
        "total": found.total,
        "dead": found.dead,
        "unshared": found.unshared,
        "saved": found.saved,
        "names": [
            {
                "name": item.name,
                "versions": item.versions,
                "raw": item.raw,
                "stored": item.stored,
                "own": item.own,
                "saved": item.saved,
                "automatic": item.automatic,
            }
            for item in sorted(found.names, key=lambda item: -item.stored)
        ],
        "unreadable": found.unreadable,
    }


def _tag(project: Project, name: str, version: int, tag: str) -> dict[str, Any]:
    store = existing_store(project)
    before = _tagged(store.versions(name), tag)
    found = store.tag(f"{name}@{version}", tag)
    undo = _command("untag", f"{name}@{tag}")
    if before is not None and before != version:
        undo = _command("tag", f"{name}@{before}", tag)
    return _change(found, undo, before)


def _untag(project: Project, name: str, tag: str) -> dict[str, Any]:
    found = existing_store(project).untag(name, tag)
    return _change(found, _command("tag", found.spec, tag), found.version)


def _remove(project: Project, name: str, version: int) -> dict[str, Any]:
    found = existing_store(project).remove(f"{name}@{version}")
    return _change(found, _command("restore", found.spec))


def _restore(project: Project, name: str, version: int) -> dict[str, Any]:
    found = existing_store(project).restore_removed(f"{name}@{version}")
    return _change(found, _command("rm", found.spec))


def _tagged(versions: Iterable[Version], tag: str) -> int | None:
    return next((version.version for version in versions if tag in version.tags), None)


def _change(version: Version, undo: str, before: int | None = None) -> dict[str, Any]:
    return {"version": snapshot_json(version), "before": before, "undo": undo}


def _command(verb: str, *arguments: str) -> str:
    return f"jupyter mlops snapshots {verb} {shlex.join(arguments)}"


ROUTES = [
    (r"snapshots", SnapshotsHandler),
    (r"snapshots/versions", VersionsHandler),
    (r"snapshots/version", VersionHandler),
    (r"snapshots/runs", RunsHandler),
    (r"snapshots/diff", DiffHandler),
    (r"snapshots/usage", UsageHandler),
    (r"snapshots/tags", TagsHandler),
    (r"snapshots/remove", RemoveHandler),
    (r"snapshots/restore", RestoreHandler),
]
