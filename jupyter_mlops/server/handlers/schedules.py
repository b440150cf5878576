"""``schedules``: what fires when."""

from __future__ import annotations

from functools import partial

from tornado import web

from ... import scheduling
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
        if project is None:
            self.answer({"schedules": [], "agent_running": False})
            return
        found = await self.read(partial(scheduling.list_schedules, project))
        running = await self.mlops.agents.pid(project) is not None
        self.answer({"schedules": [schedule_json(s) for s in found], "agent_running": running})


ROUTES = [(r"schedules", SchedulesHandler)]
