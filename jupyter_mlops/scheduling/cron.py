"""Cron expressions in a time zone, right across daylight-saving changes.

The expression is Debian cron's, five fields, evaluated by ``cronsim``.  Two kinds behave
differently when the clocks change, as in Debian cron:

- an expression that names its minute and hour (``30 2 * * *``) fires exactly once a day: a time
  that the clocks skip fires at the first moment after the gap, one that comes twice fires the
  first time;
- one whose minute or hour begins with ``*`` (``*/15 * * * *``) fires whenever the wall clock
  matches, so also in both passes of a repeated hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from ..errors import UsageError

__all__ = ["Cron"]

_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_EXAMPLE = "Five fields: minute hour day-of-month month day-of-week, such as '0 6 * * MON-FRI'."
_SECOND = timedelta(seconds=1)
# How long after a change of the clocks stepping by whole hours of elapsed time can be out of step
# with the wall clock.
_UNSETTLED = 4 * 3600.0


class Cron:
    """A checked cron expression in a checked time zone.

    Raises ``UsageError`` that names the field, or the zone, that is wrong.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = " ".join(expression.split())
        self.timezone = timezone
        self.zone = _zone(timezone)
        _check(self.expression)
        minute, hour, *_ = self.expression.split()
        self._by_wall_clock = minute.startswith("*") or hour.startswith("*")
        try:
            next(CronSim(self.expression, datetime.now(UTC)))
        except StopIteration:
            raise UsageError(
                f"cron expression {expression!r} never fires", hint=_EXAMPLE, cron=expression
            ) from None

    def after(self, moment: float) -> float:
        """Return the first slot later than ``moment`` (both seconds since the epoch).

        The answer does not depend on where one starts: every slot is found from any moment between
        it and the slot before it.
        """
        slot = self._simulate(moment)
        if not self._by_wall_clock:
            return slot
        change = self._next_change(moment - _UNSETTLED, slot)
        if change is None:
            return slot
        # cronsim steps over whole hours of elapsed time; where the clocks move by half an hour
        # (Lord Howe) it then comes out in the middle of a wall-clock hour and misses matches.
        # So the hours after a change are read off the wall clock, minute by minute.
        minute = max(change, moment + 1)
        minute += -minute % 60
        settled = change + _UNSETTLED
        while minute < min(slot, settled):
            if self._matches(minute):
                return minute
            minute += 60
        return slot if slot < settled else self._simulate(settled - 1)

    def upcoming(self, moment: float) -> Iterator[float]:
        """Yield the slots after ``moment``, without end."""
        while True:
            moment = self.after(moment)
            yield moment

    def local(self, moment: float) -> datetime:
        """A moment as an aware datetime in the schedule's zone."""
        return datetime.fromtimestamp(moment, self.zone)

    def _simulate(self, moment: float) -> float:
        for found in CronSim(self.expression, self.local(math.floor(moment))):
            slot = found.timestamp()
            # Starting in the second pass of a repeated hour, cronsim offers the first pass again;
            # where midnight falls into a gap, it offers a wall-clock time that there is not.
            if slot > moment and (not self._by_wall_clock or self._matches(slot)):
                return slot
        raise AssertionError("cronsim iterates without end")  # pragma: no cover

    def _matches(self, moment: float) -> bool:
        wall = self.local(moment).replace(tzinfo=None)
        # Without a zone cronsim compares the fields alone.
        return next(CronSim(self.expression, wall - _SECOND)) == wall

    def _next_change(self, start: float, end: float) -> float | None:
        """The first moment in ``(start, end]`` with another UTC offset than ``start``."""
        low, day = float(math.floor(start)), 86400.0
        while low < end:
            high = min(low + day, end)
            if self._offset(high) != self._offset(low):
                while high - low > 1:
                    middle = (low + high) // 2
                    if self._offset(middle) == self._offset(low):
                        low = middle
                    else:
                        high = middle
                return high
            low = high
        return None

    def _offset(self, moment: float) -> timedelta | None:
        return self.local(moment).utcoffset()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{name!r} is not a time zone",
            hint="Use a name of the IANA database, such as Europe/Berlin or UTC.",
            timezone=name,
        ) from None


def _check(expression: str) -> None:
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        raise UsageError(
            f"cron expression {expression!r} has {len(parts)} fields, not 5",
            hint=_EXAMPLE,
            cron=expression,
        )
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for index, (name, part) in enumerate(zip(_FIELDS, parts, strict=True)):
        # One field at a time, so that the message can say which and show what was written.
        alone = ["*"] * len(_FIELDS)
        alone[index] = part
        try:
            CronSim(" ".join(alone), start)
        except (CronSimError, ValueError, TypeError):
            raise UsageError(
                f"cron expression {expression!r}: {part!r} is not a valid {name}",
                hint=_EXAMPLE,
                cron=expression,
                field=name,
            ) from None
    try:
        CronSim(expression, start)
    except (CronSimError, ValueError, TypeError):
        raise UsageError(
            f"cron expression {expression!r}: no month of it has day {parts[2]}",
            hint=_EXAMPLE,
            cron=expression,
            field="day-of-month",
        ) from None
