"""Texts that stand for other values: dates, times, durations, paths and references to secrets.

The names are JSON Schema's where it has one (``date``, ``date-time``, ``time``, ``duration``, RFC
3339 and ISO 8601); ``path`` and ``secret`` are ours.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from pathlib import PurePath
from typing import Any

from ..model.secret import Secret

__all__ = ["FORMATS", "duration_text", "format_code", "format_noun", "normal_text", "plain_value"]

_NOUNS = {
    "date": "a date such as 2026-03-01",
    "date-time": "a date and time such as 2026-03-01T06:30:00",
    "time": "a time of day such as 06:30",
    "duration": "a duration such as 90s, 1h30m or P1DT2H",
    "path": "a path",
    "secret": "a reference to a secret: env:NAME, file:PATH or keyring:SERVICE/NAME",
}
FORMATS = tuple(_NOUNS)
_SECRET = re.compile(r"(?:env:[A-Za-z_]\w*|file:[^\x00]+|keyring:[^/\x00]+/[^\x00]+)", re.ASCII)
_NUMBER = r"(\d+(?:\.\d+)?)"
_ISO = re.compile(
    rf"([+-]?)P(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1, "ms": 0.001}
_WORD = re.compile(rf"\s*{_NUMBER}\s*(min|ms|[wdhms])\s*", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


def normal_text(text: str, form: str) -> str:
    """Return ``text`` as it is written down.  Raises ``ValueError`` for what is no such thing."""
    stripped = text.strip()
    if form == "date":
        return date.fromisoformat(stripped).isoformat()
    if form == "date-time":
        return datetime.fromisoformat(stripped).isoformat()
    if form == "time":
        return time.fromisoformat(stripped).isoformat()
    if form == "duration":
        return duration_text(_duration(stripped))
    if form == "secret" and not _SECRET.fullmatch(text):
        raise ValueError("no reference to a secret")
    if form == "path" and (not text or "\0" in text):
        raise ValueError("no path")
    return text


def format_code(text: str, form: str) -> str:
    """The Python expression that ``text``, as ``normal_text`` returns it, stands for.

    It names nothing but builtins: what a notebook calls ``date`` is the notebook's.
    """
    if form == "date":
        day = date.fromisoformat(text)
        return f'__import__("datetime").date({day.year}, {day.month}, {day.day})'
    if form in ("date-time", "time"):
        kind = "datetime" if form == "date-time" else "time"
        return f'__import__("datetime").{kind}.fromisoformat("{text}")'
    if form == "duration":
        length = _duration(text)
        parts = ("days", length.days), ("seconds", length.seconds)
        given = [f"{n}={v}" for n, v in (*parts, ("microseconds", length.microseconds)) if v]
        return f'__import__("datetime").timedelta({", ".join(given)})'
    if form == "path":
        return f'__import__("pathlib").Path({text!r})'
    return f'__import__("jupyter_mlops").Secret.from_reference({text!r})'


def format_noun(form: str) -> str | None:
    """What a text of this form is, in a message; ``None`` for one that we don't check."""
    return _NOUNS.get(form)


def plain_value(value: Any) -> Any:
    """The JSON that stands for a Python value; what has none is returned as it is."""
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Secret) and value.reference is not None:
        return value.reference
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain_value(item) for item in value), key=lambda v: (str(type(v)), repr(v)))
    if isinstance(value, dict):
        return {key: plain_value(item) for key, item in value.items()}
    return value


def duration_text(length: timedelta) -> str:
    """A duration by ISO 8601, in days, hours, minutes and seconds: ``P1DT2H30M``."""
    sign = "-" if length < timedelta(0) else ""
    total = abs(length) // _MICROSECOND
    seconds, micro = divmod(total, 1_000_000)
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    last = f"{seconds}.{micro:06d}".rstrip("0") if micro else str(seconds)
    parts = (hours, f"{hours}H"), (minutes, f"{minutes}M"), (seconds or micro, f"{last}S")
    clock = "".join(text for amount, text in parts if amount)
    day = f"{days}D" if days else ""
    return f"{sign}P{day}{'T' + clock if clock else ''}" if total else "PT0S"


def _duration(text: str) -> timedelta:
    iso = _ISO.fullmatch(text)
    if iso is not None and any(iso.groups()[1:]) and not text.endswith("T"):
        sign, weeks, days, hours, minutes, seconds = iso.groups()
        amounts = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes}
        given = {unit: float(amount) for unit, amount in amounts.items() if amount}
        return _signed(sign, timedelta(**given) + _exact(seconds or "0"))
    sign, rest = ("-", text[1:]) if text.startswith("-") else ("", text)
    length, place = timedelta(0), 0
    while place < len(rest):
        word = _WORD.match(rest, place)
        if word is None:
            raise ValueError("no duration")
        length += timedelta(seconds=float(word[1]) * _UNITS[word[2]])
        place = word.end()
    if not place:
        raise ValueError("no duration")
    return _signed(sign, length)


def _exact(seconds: str) -> timedelta:
    """Seconds to the microsecond: a float loses them in long durations."""
    whole, _, fraction = seconds.partition(".")
    return timedelta(seconds=int(whole), microseconds=int((fraction + "000000")[:6]))


def _signed(sign: str, length: timedelta) -> timedelta:
    return -length if sign == "-" else length
