"""Adding, finding, listing and removing schedules."""

from __future__ import annotations

import os
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from jupyter_mlops.errors import NotFoundError, ParameterError, UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.scheduling import (
    add_schedule,
    find_schedule,
    list_schedules,
    list_slots,
    local_timezone,
    next_firings,
    remove_schedule,
    tick,
)
from jupyter_mlops.state import StateDB, changes_after

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = datetime(2026, 3, 27, 12, tzinfo=BERLIN).timestamp()


def test_a_schedule_keeps_what_it_was_given(project: Project, pipeline: str) -> None:
    added = add_schedule(
        project, pipeline, "0  6 * * *", "Europe/Berlin", {"alpha": "0.25"}, "none", "queue",
        retries=3, now=MARCH,
    )  # fmt: skip
    assert added.id == "flights"
    assert added.cron == "0 6 * * *"
    assert added.parameters == {"alpha": 0.25}
    assert (added.catch_up, added.overlap, added.retries) == ("none", "queue", 3)
    assert list_schedules(project) == [added]
    with StateDB(project).read() as connection:
        (change,) = changes_after(connection, 0)
    assert (change.kind, change.action, change.id) == ("schedule", "created", "flights")


def test_next_firings_are_in_the_schedules_zone(project: Project, pipeline: str) -> None:
    added = add_schedule(project, pipeline, "30 2 * * *", "Europe/Berlin", now=MARCH)
    firings = next_firings(added, now=MARCH)
    assert [f.isoformat() for f in firings] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",  # there is no 02:30 on this day
        "2026-03-30T02:30:00+02:00",
    ]


def test_ids_are_the_pipelines_name_and_never_used_again(project: Project, pipeline: str) -> None:
    first = add_schedule(project, pipeline, "0 6 * * *", "UTC")
    second = add_schedule(project, project.pipelines / "flights", "0 7 * * *", "UTC")
    assert (first.id, second.id) == ("flights", "flights-2")
    assert first.pipeline == second.pipeline == "flights"
    remove_schedule(project, "flights")
    assert add_schedule(project, pipeline, "0 8 * * *", "UTC").id == "flights-3"


def test_find_by_id_or_unique_beginning(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC")
    assert find_schedule(project, "fli").id == "flights"
    add_schedule(project, pipeline, "0 7 * * *", "UTC")
    assert find_schedule(project, "flights").id == "flights"
    with pytest.raises(UsageError, match="beginning of 2") as caught:
        find_schedule(project, "fl")
    assert "flights-2" in str(caught.value.hint)
    with pytest.raises(NotFoundError) as missing:
        find_schedule(project, "taxi")
    assert "flights" in str(missing.value.hint)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"pipeline": "taxi"}, NotFoundError),
        ({"cron": "61 * * * *"}, UsageError),
        ({"timezone": "Mars/Olympus"}, UsageError),
        ({"parameters": {"beta": 1}}, ParameterError),
        ({"parameters": {"alpha": "high"}}, ParameterError),
        ({"catch_up": "some"}, UsageError),
        ({"overlap": "cancel"}, UsageError),
        ({"retries": -1}, UsageError),
    ],
)
def test_bad_input_stores_nothing(
    project: Project, pipeline: str, arguments: dict[str, object], error: type[Exception]
) -> None:
    good: dict[str, object] = {"pipeline": pipeline, "cron": "0 6 * * *", "timezone": "UTC"}
    with pytest.raises(error):
        add_schedule(project, **(good | arguments))  # type: ignore[arg-type]
    assert list_schedules(project) == []


def test_removing_keeps_the_history_and_cancels_what_waits(project: Project, pipeline: str) -> None:
    add_schedule(project, pipeline, "0 6 * * *", "UTC", now=MARCH)
    tick(project, MARCH + 86400)
    assert [s.state for s in list_slots(project, "flights")] == ["due"]
    remove_schedule(project, "flights")
    assert list_schedules(project) == []
    assert [s.state for s in list_slots(project, "flights")] == ["cancelled"]
    after = tick(project, MARCH + 3 * 86400)
    assert after.start == ()
    assert after.next_at is None
    assert len(list_slots(project, "flights")) == 1
    assert next_firings(find_schedule(project, "flights")) == []
    with pytest.raises(NotFoundError, match="already"):
        remove_schedule(project, "flights")


def test_the_local_zone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert local_timezone() == "Europe/Berlin"
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    assert local_timezone() == "UTC"
    monkeypatch.delenv("TZ")
    monkeypatch.setattr(os.path, "realpath", lambda path: "/usr/share/zoneinfo/America/New_York")
    assert local_timezone() == "America/New_York"
