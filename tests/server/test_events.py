"""A subscriber of the server's event socket learns what changed, and no more than that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_mlops.project import open_project
from jupyter_mlops.server import app
from jupyter_mlops.server.feed import SCHEMA_ID
from jupyter_mlops.state import StateDB, record_change

from .conftest import BASE, Server


def events_while(
    server: Server, act: Callable[[], None], count: int, about: str | None = None
) -> list[dict[str, Any]]:
    """The first ``count`` events of ours that a subscriber hears while ``act()`` is done.

    With ``about``, those of this id only: what an earlier test did may be told late.
    """

    async def listen() -> list[dict[str, Any]]:
        url = f"ws://127.0.0.1:{server.port}{BASE}/api/events/subscribe"
        socket = await websocket_connect(
            HTTPRequest(url, headers={"Authorization": f"token {server.token}"})
        )
        try:
            await asyncio.to_thread(act)
            heard: list[dict[str, Any]] = []
            while len(heard) < count:
                message = await asyncio.wait_for(socket.read_message(), 150)
                assert message is not None
                event = json.loads(message)
                if event["schema_id"] == SCHEMA_ID and about in (None, event["id"]):
                    heard.append(event)
            return heard
        finally:
            socket.close()
            while await socket.read_message() is not None:
                pass  # until the server has closed its end, too

    return asyncio.run(listen())


def test_a_change_reaches_the_subscribers(server: Server, place: Path) -> None:
    project = open_project(place)
    hostile = "<img src=x onerror=alert(1)>"

    def act() -> None:
        assert server.get("models", path=place.name).status == 200
        with StateDB(project).write() as connection:
            record_change(connection, "model", "created", hostile)

    (event,) = events_while(server, act, 1)
    assert event == {
        "schema_id": SCHEMA_ID,
        "kind": "model",
        "action": "created",
        "id": hostile,
        "project": project.key,
    }


def test_a_project_that_nobody_asked_about_is_not_told(server: Server, place: Path) -> None:
    quiet = open_project(place)
    asked_folder = place / "asked"
    asked_folder.mkdir()
    (asked_folder / ".mlops").mkdir()
    asked = open_project(asked_folder)

    def act() -> None:
        assert server.get("runs", path=f"{place.name}/asked").status == 200
        for project in (quiet, asked):
            with StateDB(project).write() as connection:
                record_change(connection, "run", "created", project.name)

    (event,) = events_while(server, act, 1)
    assert (event["id"], event["project"]) == ("asked", asked.key)


def test_the_schema_allows_what_the_feed_and_the_jobs_say() -> None:
    path = Path(app.__file__).parent / "events" / "change-v1.yaml"
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert schema["$id"] == SCHEMA_ID
    kinds = {"run", "model", "schedule", "deployment", "pipeline", "snapshot", "sync", "job"}
    assert set(schema["properties"]["kind"]["enum"]) == kinds
    assert set(schema["properties"]) == set(schema["required"])
