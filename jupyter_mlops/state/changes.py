"""The feed of changes that the server turns into events.

Writers note what changed in the transaction that changed it; the server polls the highest number
(one indexed read) and tells its clients.  Only kind, action and id: events reach every subscriber.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

__all__ = ["Change", "changes_after", "last_change", "record_change"]

Kind = Literal["run", "model", "schedule", "deployment", "pipeline", "sync"]
Action = Literal["created", "updated", "removed"]
_KEEP = 1000


@dataclass(frozen=True, slots=True)
class Change:
    """One change; ``seq`` orders them."""

    seq: int
    kind: str
    action: str
    id: str


def record_change(connection: sqlite3.Connection, kind: Kind, action: Action, id: str) -> None:
    """Note a change inside the caller's write transaction."""
    cursor = connection.execute(
        "INSERT INTO changes (at, kind, action, id) VALUES (?, ?, ?, ?)",
        (time.time(), kind, action, id),
    )
    connection.execute("DELETE FROM changes WHERE seq <= ?", ((cursor.lastrowid or 0) - _KEEP,))


def last_change(connection: sqlite3.Connection) -> int:
    """The highest number given so far, 0 on a new project."""
    (seq,) = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM changes").fetchone()
    return int(seq)


def changes_after(connection: sqlite3.Connection, seq: int) -> list[Change]:
    """The changes after ``seq``, oldest first (at most the last thousand are kept)."""
    rows = connection.execute(
        "SELECT seq, kind, action, id FROM changes WHERE seq > ? ORDER BY seq", (seq,)
    )
    return [Change(r["seq"], r["kind"], r["action"], r["id"]) for r in rows]
