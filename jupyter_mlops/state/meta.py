"""Small facts about the project, as JSON under a key."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

__all__ = ["get_meta", "put_meta"]


def get_meta(connection: sqlite3.Connection, key: str, default: Any = None) -> Any:
    """Return the value kept under ``key``; ``default`` if there is none or it cannot be read."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        return default
    try:
        return json.loads(row["value"])
    except ValueError:
        return default


def put_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Keep a JSON value under ``key`` inside the caller's write transaction."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, json.dumps(value)),
    )
