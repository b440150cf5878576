"""The projects' change feeds become events, none lost and none told twice."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.project import Project, open_project
from jupyter_mlops.server import feed as feed_module
from jupyter_mlops.server.feed import ChangeFeed
from jupyter_mlops.snapshots.service import existing_store, take
from jupyter_mlops.state import StateDB, record_change

Said = list[tuple[str, str, str, str]]


def change(project: Project, kind: Any, action: Any, id: str) -> None:
    with StateDB(project).write() as connection:
        record_change(connection, kind, action, id)


def with_feed(
    steps: Callable[[ChangeFeed, Said], Coroutine[Any, Any, None]],
) -> None:
    """Run ``steps`` with a feed whose polls the test makes itself."""

    async def run() -> None:
        said: Said = []
        with ThreadPoolExecutor(1) as threads:
            feed = ChangeFeed(
                lambda *event: said.append(event), threads, logging.getLogger("feed"), 3600
            )
            try:
                await steps(feed, said)
            finally:
                feed.close()

    asyncio.run(run())


def test_what_changes_after_the_first_question_is_told_once(project: Project) -> None:
    change(project, "model", "created", "before")

    async def steps(feed: ChangeFeed, said: Said) -> None:
        await feed.watch(project)
        change(project, "model", "created", "taxi")
        await feed.watch(project)  # asked again: the change in between is not lost
        change(project, "run", "updated", "01ARZ3")
        await feed.poll()
        await feed.poll()
        assert said == [
            ("model", "created", "taxi", project.key),
            ("run", "updated", "01ARZ3", project.key),
        ]

    with_feed(steps)


def test_watching_makes_nothing_and_sees_the_state_appear(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    project = open_project(tmp_path / "new", create=False)

    async def steps(feed: ChangeFeed, said: Said) -> None:
        await feed.watch(project)
        await feed.poll()
        assert list((tmp_path / "new").iterdir()) == []
        project.create()
        await feed.poll()
        assert not project.database.exists()
        change(project, "schedule", "created", "s1")
        await feed.poll()
        assert said == [("schedule", "created", "s1", project.key)]

    with_feed(steps)


def test_state_that_was_removed_and_made_anew_is_told_from_its_start(project: Project) -> None:
    for number in range(5):
        change(project, "run", "created", f"old{number}")

    async def steps(feed: ChangeFeed, said: Said) -> None:
        await feed.watch(project)
        shutil.rmtree(project.state)
        project.create()
        change(project, "run", "created", "new")
        await feed.poll()
        assert said == [("run", "created", "new", project.key)]

    with_feed(steps)


def test_a_change_is_seen_after_a_long_quiet(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "_COARSE_NS", -1)  # every stamp counts as old enough
    opened: list[Path] = []

    class Counting(StateDB):
        def read(self) -> Any:
            opened.append(self.path)
            return super().read()

    monkeypatch.setattr(feed_module, "StateDB", Counting)
    change(project, "run", "created", "before")

    async def steps(feed: ChangeFeed, said: Said) -> None:
        await feed.watch(project)
        for _ in range(3):
            await feed.poll()
        opened.clear()
        await feed.poll()
        assert opened == []  # nothing was written: SQLite is not even opened
        change(project, "run", "created", "after")
        await feed.poll()
        assert [event[2] for event in said] == ["after"]
        assert opened == [project.database]

    with_feed(steps)


def test_a_burst_becomes_one_event_a_kind(project: Project) -> None:
    async def steps(feed: ChangeFeed, said: Said) -> None:
        await feed.watch(project)
        for number in range(80):
            change(project, "run", "created", f"r{number}")
        change(project, "model", "updated", "taxi")
        await feed.poll()
        assert said == [
            ("run", "created", "r79", project.key),
            ("model", "updated", "taxi", project.key),
        ]
        said.clear()
        for _ in range(3):
            change(project, "model", "updated", "taxi")
        await feed.poll()
        assert said == [("model", "updated", "taxi", project.key)]

    with_feed(steps)


def test_a_damaged_database_stops_no_other_project(project: Project, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = open_project(tmp_path / "other")
    change(other, "run", "created", "r0")

    async def steps(feed: ChangeFeed, said: Said) -> None:
        project.database.write_bytes(b"not a database, and long enough to be read as one" * 100)
        await feed.watch(project)
        await feed.watch(other)
        change(other, "run", "created", "r1")
        await feed.poll()
        assert said == [("run", "created", "r1", other.key)]

    with_feed(steps)


def test_only_so_many_projects_are_watched(tmp_path: Path) -> None:
    projects = []
    for number in range(70):
        (tmp_path / f"p{number}").mkdir()
        projects.append(open_project(tmp_path / f"p{number}", create=False))

    async def steps(feed: ChangeFeed, said: Said) -> None:
        for project in projects:
            await feed.watch(project)
            await feed.watch(projects[0])  # asked about all the time: it stays
        for project in (projects[0], projects[1], projects[-1]):
            project.create()
            change(project, "run", "created", project.name)
        await feed.poll()
        assert sorted(event[2] for event in said) == ["p0", "p69"]

    with_feed(steps)


def test_snapshots_that_come_change_and_go_are_told_once(project: Project) -> None:
    take(project, [1], "before")

    async def steps(feed: ChangeFeed, said: Said) -> None:
        def told(*wanted: tuple[str, str]) -> None:
            assert said == [("snapshot", action, id, project.key) for action, id in wanted]
            said.clear()

        await feed.watch(project)
        take(project, [1], "data/flights.csv")
        take(project, [2], "before")
        await until_told(feed, said)
        told(("updated", "before"), ("created", "data/flights.csv"))
        store = existing_store(project)
        for act in (
            lambda: store.tag("before@1", "first"),
            lambda: store.untag("before@first"),
            lambda: store.remove("before@2"),
            lambda: store.restore_removed("before@2"),
        ):
            act()
            await until_told(feed, said)
            told(("updated", "before"))
        shutil.rmtree(project.state / "snapshots" / "refs" / "before")
        await until_told(feed, said)
        told(("removed", "before"))
        await feed.poll()
        told()

    with_feed(steps)


async def until_told(feed: ChangeFeed, said: Said) -> None:
    for _ in range(200):
        await feed.poll()
        if said:
            return
        await asyncio.sleep(0.02)
