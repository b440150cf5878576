"""How far each session's journal has been delivered, and when to try again.

The delays double from a second to five minutes, with jitter, so that many sessions that wait for
one server do not all come at once.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..journal.redaction import redact_text

__all__ = ["Progress", "advance", "all_progress", "begin_attempt", "get_progress", "postpone"]

_FIRST = 1.0  # seconds
_LONGEST = 300.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One session's delivery.

    Attributes:
        position: bytes of the journal that have been dealt with.
        attempts: attempts since the last progress, the running one included.
        next_try: not before this moment (seconds since the epoch).
        error: what went wrong last.
        closed: whether its process has ended and everything is delivered.
    """

    session: str
    position: int = 0
    attempts: int = 0
    next_try: float = 0.0
    error: str | None = None
    closed: bool = False


def get_progress(connection: sqlite3.Connection, session: str) -> Progress:
    """The session's progress; a fresh one for a session that was never looked at."""
    row = connection.execute("SELECT * FROM delivery WHERE session = ?", (session,)).fetchone()
    return Progress(session) if row is None else _progress(row)


def all_progress(connection: sqlite3.Connection) -> dict[str, Progress]:
    """The progress of every session that was ever looked at."""
    return {p.session: p for p in _all(connection)}


def begin_attempt(connection: sqlite3.Connection, session: str) -> Progress:
    """Note that an attempt begins; it still counts when the process dies in the middle."""
    _put(connection, session, "attempts = attempts + 1")
    return get_progress(connection, session)


def advance(
    connection: sqlite3.Connection, session: str, position: int, *, closed: bool = False
) -> None:
    """Move the position, never backwards, and forget earlier failures."""
    _put(
        connection,
        session,
        "position = MAX(position, ?), attempts = 0, next_try = 0, error = NULL, closed = ?",
        position,
        int(closed),
    )


def postpone(
    connection: sqlite3.Connection, session: str, error: str, *, now: float | None = None
) -> float:
    """Note a failed attempt; return the moment from which to try again."""
    now = time.time() if now is None else now
    attempts = max(1, get_progress(connection, session).attempts)
    delay = min(_LONGEST, _FIRST * 2.0 ** min(attempts - 1, 20))
    moment = now + delay * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    _put(connection, session, "next_try = ?, error = ?", moment, redact_text(error))
    return moment


def _put(connection: sqlite3.Connection, session: str, change: str, *values: object) -> None:
    now = time.time()
    connection.execute(
        "INSERT INTO delivery (session, updated) VALUES (?, ?) ON CONFLICT (session) DO NOTHING",
        (session, now),
    )
    connection.execute(
        f"UPDATE delivery SET {change}, updated = ? WHERE session = ?",  # noqa: S608 - constants
        (*values, now, session),
    )


def _all(connection: sqlite3.Connection) -> Iterator[Progress]:
    for row in connection.execute("SELECT * FROM delivery"):
        yield _progress(row)


def _progress(row: sqlite3.Row) -> Progress:
    return Progress(
        session=row["session"],
        position=row["position"],
        attempts=row["attempts"],
        next_try=row["next_try"],
        error=row["error"],
        closed=bool(row["closed"]),
    )
