"""What follows the name in ``name@...``: a version, a tag, ``latest`` or a moment."""

from __future__ import annotations

import re
from datetime import datetime, time

from ..errors import UsageError

__all__ = ["parse_moment", "split_spec"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def split_spec(spec: str) -> tuple[str, str | int]:
    """Return ``(name, selector)``: a version's number, or a tag, a moment or ``latest``.

    Raises ``UsageError`` for what is neither.
    """
    if not isinstance(spec, str):
        raise UsageError(f"a snapshot is named by text, not by {type(spec).__name__}")
    name, at, selector = spec.partition("@")
    if not name or (at and not selector):
        raise UsageError(
            f"{spec!r} names no snapshot",
            hint="Write NAME, NAME@3, NAME@tag, NAME@latest or NAME@2026-11-21T10:00.",
        )
    if re.fullmatch(r"v?[0-9]+", selector):
        return name, int(selector.removeprefix("v"))
    return name, selector or "latest"


def parse_moment(text: str) -> float | None:
    """Seconds since the epoch of an ISO 8601 moment; ``None`` when ``text`` is none.

    Without a zone it is local time.  A date alone means its end.
    """
    if not _DATE.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if _DATE.fullmatch(text):
            moment = datetime.combine(moment.date(), time.max)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r} is not a moment", hint="Write it as 2026-11-21 or 2026-11-21T10:00."
        ) from None
