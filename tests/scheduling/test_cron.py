"""Cron in a time zone: errors, the changes of the clocks, and what does not depend on the start."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import UsageError
from jupyter_mlops.scheduling.cron import Cron

NEW_YORK, BERLIN, LORD_HOWE, HAVANA, SANTIAGO = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Santiago",
)


def slots(cron: str, zone: str, start: str, count: int) -> list[str]:
    """The wall-clock times, with their offset, of the slots after a wall-clock time."""
    schedule = Cron(cron, zone)
    moment = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).timestamp()
    return [
        schedule.local(s).strftime("%d %H:%M %z") for s in islice(schedule.upcoming(moment), count)
    ]


# What Debian cron does on the days when the clocks change.
DST = [
    # A time in the gap fires at the first moment after it, once; the day after as always.
    ("30 2 * * *", NEW_YORK, "2026-03-07T03:00", ["08 03:00 -0400", "09 02:30 -0400"]),
    ("30 2 * * *", BERLIN, "2026-03-28T03:00", ["29 03:00 +0200", "30 02:30 +0200"]),
    ("15 2 * * *", LORD_HOWE, "2026-10-03T03:00", ["04 02:30 +1100", "05 02:15 +1100"]),
    ("0 0 * * *", HAVANA, "2026-03-07T03:00", ["08 01:00 -0400", "09 00:00 -0400"]),
    ("30 0 * * *", SANTIAGO, "2026-09-05T03:00", ["06 01:00 -0300", "07 00:30 -0300"]),
    # Two times in the same gap are one firing, not two.
    ("15,45 2 * * *", BERLIN, "2026-03-28T03:00", ["29 03:00 +0200", "30 02:15 +0200"]),
    # A time that comes twice fires the first time only.
    ("30 1 * * *", NEW_YORK, "2026-10-31T03:00", ["01 01:30 -0400", "02 01:30 -0500"]),
    ("30 2 * * *", BERLIN, "2026-10-24T03:00", ["25 02:30 +0200", "26 02:30 +0100"]),
    ("45 1 * * *", LORD_HOWE, "2026-04-04T03:00", ["05 01:45 +1100", "06 01:45 +1030"]),
    ("30 0 * * *", HAVANA, "2026-10-31T03:00", ["01 00:30 -0400", "02 00:30 -0500"]),
    # Hourly ones go through both passes, and lose nothing but the hour that there is not.
    (
        "30 * * * *",
        NEW_YORK,
        "2026-11-01T00:00",
        ["01 00:30 -0400", "01 01:30 -0400", "01 01:30 -0500", "01 02:30 -0500"],
    ),
    ("0 * * * *", BERLIN, "2026-03-29T00:30", ["29 01:00 +0100", "29 03:00 +0200"]),
    (
        "0 * * * *",
        BERLIN,
        "2026-10-25T01:30",
        ["25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"],
    ),
    (
        "45 * * * *",
        LORD_HOWE,
        "2026-04-05T00:00",
        ["05 00:45 +1100", "05 01:45 +1100", "05 01:45 +1030", "05 02:45 +1030"],
    ),
    ("0 */2 * * *", LORD_HOWE, "2026-04-04T23:00", ["05 00:00 +1100", "05 02:00 +1030"]),
    ("*/20 * * * *", LORD_HOWE, "2026-10-04T01:30", ["04 01:40 +1030", "04 02:40 +1100"]),
    # An hour that there is not, by the wall clock, is not made up for.
    ("*/30 0 * * 0", HAVANA, "2026-03-07T03:00", ["15 00:00 -0400", "15 00:30 -0400"]),
    ("0 6 * * MON-FRI", BERLIN, "2026-03-27T07:00", ["30 06:00 +0200", "31 06:00 +0200"]),
]


@pytest.mark.parametrize(("cron", "zone", "start", "expected"), DST)
def test_across_changes_of_the_clocks(
    cron: str, zone: str, start: str, expected: list[str]
) -> None:
    assert slots(cron, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "field"),
    [
        ("61 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 5-3 * * *", "hour"),
        ("0 0 0 * *", "day-of-month"),
        ("0 0 31 FEB *", "day-of-month"),
        ("0 0 * 13 *", "month"),
        ("0 0 * * FUNDAY", "day-of-week"),
        ("0 0 * * 1#6", "day-of-week"),
    ],
)
def test_a_wrong_field_is_named(expression: str, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        Cron(expression, "UTC")
    assert caught.value.fields["field"] == field
    assert expression in caught.value.message
    assert "minute hour day-of-month month day-of-week" in str(caught.value.hint)


@pytest.mark.parametrize("expression", ["", "@daily", "0 6 * *", "0 0 6 * * *", "* * * * * * *"])
def test_five_fields_and_no_other_number(expression: str) -> None:
    with pytest.raises(UsageError, match="fields, not 5"):
        Cron(expression, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../zoneinfo/UTC", "/etc/passwd", "Europe"])
def test_a_wrong_zone_is_named(zone: str) -> None:
    with pytest.raises(UsageError, match="is not a time zone") as caught:
        Cron("0 6 * * *", zone)
    assert repr(zone) in caught.value.message


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(1, max(2, high // 2)).map(lambda n: f"*/{n}"),
        st.lists(number, min_size=2, max_size=4, unique=True).map(lambda x: ",".join(map(str, x))),
        st.tuples(number, number).map(lambda x: f"{min(x)}-{max(x)}"),
    )


EXPRESSIONS = st.tuples(
    _field(0, 59), _field(0, 23), st.sampled_from(["*", "*", "1-15", "*/2"]), st.just("*"),
    st.sampled_from(["*", "*", "SUN", "MON-FRI"]),
).map(" ".join)  # fmt: skip
# Near the changes of the clocks, both ways, in zones that move by an hour, by half an hour, at
# midnight, and not at all.
MOMENTS = st.one_of(
    *(
        st.tuples(st.just(zone), st.integers(-3 * 86400, 86400).map(lambda s, d=day: d + s))
        for zone, days in {
            NEW_YORK: ("2026-03-08T07:00Z", "2026-11-01T06:00Z"),
            BERLIN: ("2026-03-29T01:00Z", "2026-10-25T01:00Z"),
            LORD_HOWE: ("2026-10-03T15:30Z", "2026-04-04T15:00Z"),
            HAVANA: ("2026-03-08T05:00Z", "2026-11-01T05:00Z"),
            "Asia/Kolkata": ("2026-06-01T00:00Z",),
        }.items()
        for day in (datetime.fromisoformat(d).timestamp() for d in days)
    )
)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, MOMENTS, st.data())
def test_slots_do_not_depend_on_where_one_starts(
    expression: str, moment: tuple[str, float], data: st.DataObject
) -> None:
    zone, start = moment
    cron = Cron(expression, zone)
    chain = list(islice(cron.upcoming(start), 12))
    assert chain == sorted(set(chain))
    index = data.draw(st.integers(0, len(chain) - 1))
    low = chain[index - 1] if index else start
    between = data.draw(st.floats(low, chain[index], exclude_max=True))
    assert cron.after(between) == chain[index]


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, MOMENTS)
def test_slots_are_the_minutes_that_match_the_wall_clock(
    expression: str, moment: tuple[str, float]
) -> None:
    zone, start = moment
    cron = Cron(expression, zone)
    end = start + 2 * 86400
    found = set(takewhile(lambda s: s <= end, cron.upcoming(start)))

    minutes, hours, days, _, weekdays = map(_values, expression.split(), FIELD_RANGES)
    first = start + 1 + -(start + 1) % 60
    expected: set[float] = set()
    plain = not expression.split()[0].startswith("*") and not expression.split()[1].startswith("*")
    either = not expression.split()[2].startswith("*") and not expression.split()[4].startswith("*")
    local = ZoneInfo(zone)

    def matches(wall: datetime) -> bool:
        on_day, on_weekday = wall.day in days, (wall.weekday() + 1) % 7 in weekdays
        day = (on_day or on_weekday) if either else (on_day and on_weekday)
        return wall.minute in minutes and wall.hour in hours and day

    if not plain:
        moments = [first + 60 * n for n in range(int((end - first) // 60) + 1)]
        expected = {m for m in moments if matches(datetime.fromtimestamp(m, local))}
    else:
        # Every wall-clock time once: its first pass, or the end of the gap that it falls into.
        wall = datetime.fromtimestamp(first, local).replace(tzinfo=None) - timedelta(hours=3)
        for _ in range(2 * 1440 + 400):
            if matches(wall):
                real = wall.replace(tzinfo=local)
                while real.astimezone(ZoneInfo("UTC")).astimezone(local) != real:
                    real += timedelta(minutes=1)
                if start < real.timestamp() <= end:
                    expected.add(real.timestamp())
            wall += timedelta(minutes=1)
    assert found == expected


FIELD_RANGES = [range(60), range(24), range(1, 32), range(1, 13), range(7)]
NAMES = {"SUN": "0", "MON-FRI": "1-5"}


def _values(text: str, allowed: range) -> set[int]:
    text = NAMES.get(text, text)
    if text == "*":
        return set(allowed)
    if text.startswith("*/"):
        return set(allowed[:: int(text[2:])])
    if "-" in text:
        low, high = map(int, text.split("-"))
        return set(range(low, high + 1))
    return {int(part) for part in text.split(",")}
