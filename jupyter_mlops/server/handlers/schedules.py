"""``schedules``: what fires when."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado import web

from ... import scheduling
from ...project import Project
from ..views import schedule_json
from .base import MlopsHandler, authorized

__all__ = ["ROUTES"]


class SchedulesHandler(MlopsHandler):
    """Schedules with their next and last firing."""

    @web.authenticated
    @authorized("read", "mlops:schedules")
    async def get(self) -> None:
        """Answer ``Schedules``."""
        project = await self.project_or_none(self.query("path").get("path", ""))
        running = project is not None and await self.mlops.agents.pid(project) is not None
        await self.answer(partial(_schedules, project, running))


def _schedules(project: Project | None, running: bool) -> dict[str, Any]:
    found = [] if project is None else scheduling.list_schedules(project)
    return {"schedules": [schedule_json(one) for one in found], "agent_running": running}


ROUTES = [(r"schedules", SchedulesHandler)]
