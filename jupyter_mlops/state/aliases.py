"""Who moved which alias, when, and what the gates said: what undo and audit need.

MLflow overwrites an alias without keeping what it was.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..model.policy import GateVerdict

__all__ = ["AliasMove", "add_move", "alias_history", "last_move", "mark_undone"]


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One move of an alias from version ``before`` to ``after`` (``None``: it did not exist).

    ``undone`` moves have been taken back, or are themselves the taking back of one.
    """

    seq: int
    at: float
    by: str
    name: str
    alias: str
    before: int | None
    after: int | None
    verdicts: tuple[GateVerdict, ...]
    undone: bool


def add_move(
    connection: sqlite3.Connection,
    *,
    by: str,
    name: str,
    alias: str,
    before: int | None,
    after: int | None,
    verdicts: Sequence[GateVerdict] = (),
    undone: bool = False,
) -> None:
    """Record a move inside the caller's write transaction."""
    connection.execute(
        "INSERT INTO alias_history (at, by, name, alias, before, after, verdict, undone) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            time.time(),
            by,
            name,
            alias,
            before,
            after,
            json.dumps([asdict(verdict) for verdict in verdicts]),
            int(undone),
        ),
    )


def last_move(connection: sqlite3.Connection, name: str, alias: str) -> AliasMove | None:
    """The newest move that can be taken back."""
    row = connection.execute(
        "SELECT * FROM alias_history WHERE name = ? AND alias = ? AND undone = 0 "
        "ORDER BY seq DESC LIMIT 1",
        (name, alias),
    ).fetchone()
    return None if row is None else _move(row)


def mark_undone(connection: sqlite3.Connection, seq: int) -> None:
    """Note that a move was taken back."""
    connection.execute("UPDATE alias_history SET undone = 1 WHERE seq = ?", (seq,))


def alias_history(connection: sqlite3.Connection, name: str, limit: int = 100) -> list[AliasMove]:
    """A model's moves, newest first."""
    rows = connection.execute(
        "SELECT * FROM alias_history WHERE name = ? ORDER BY seq DESC LIMIT ?", (name, limit)
    )
    return [_move(row) for row in rows]


def _move(row: sqlite3.Row) -> AliasMove:
    return AliasMove(
        seq=row["seq"],
        at=row["at"],
        by=row["by"],
        name=row["name"],
        alias=row["alias"],
        before=row["before"],
        after=row["after"],
        verdicts=tuple(GateVerdict(**verdict) for verdict in json.loads(row["verdict"])),
        undone=bool(row["undone"]),
    )
