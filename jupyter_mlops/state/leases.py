"""Leases with a fencing epoch: one holder at a time, and a stale one is found out at commit.

A holder that was stopped past its lease and wakes up again still believes that it holds it.  Each
acquisition therefore raises the epoch; a write made under the lease checks the epoch in the same
transaction (``Lease.check``).
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from ..errors import ConflictError
from .db import StateDB

__all__ = ["Lease", "acquire", "is_held", "release", "renew"]


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease held: its ``epoch`` grows with every acquisition."""

    name: str
    holder: str
    epoch: int

    def check(self, connection: sqlite3.Connection) -> None:
        """Raise ``ConflictError`` unless this lease is still the newest; call it in the write."""
        row = connection.execute(
            "SELECT epoch, holder FROM leases WHERE name = ?", (self.name,)
        ).fetchone()
        if row is None or row["epoch"] != self.epoch or row["holder"] != self.holder:
            raise ConflictError(f"the {self.name} lease has passed to another process")


def acquire(db: StateDB, name: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease for ``seconds`` if it is free or expired; ``None`` while another holds it."""
    now = time.time()
    with db.write() as connection:
        row = connection.execute(
            "INSERT INTO leases (name, holder, epoch, expires) VALUES (?, ?, 1, ?) "
            "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = epoch + 1, "
            "expires = excluded.expires WHERE leases.expires <= ? RETURNING epoch",
            (name, holder, now + seconds, now),
        ).fetchone()
        return None if row is None else Lease(name, holder, row["epoch"])


def renew(db: StateDB, lease: Lease, seconds: float) -> bool:
    """Extend a lease that is still ours; ``False`` when it has passed to another holder."""
    with db.write() as connection:
        cursor = connection.execute(
            "UPDATE leases SET expires = ? WHERE name = ? AND holder = ? AND epoch = ?",
            (time.time() + seconds, lease.name, lease.holder, lease.epoch),
        )
        return cursor.rowcount == 1


def is_held(db: StateDB, name: str) -> bool:
    """Whether anybody holds the lease at this moment."""
    with db.read() as connection:
        row = connection.execute("SELECT expires FROM leases WHERE name = ?", (name,)).fetchone()
    return row is not None and row["expires"] > time.time()


def release(db: StateDB, lease: Lease) -> None:
    """Give the lease up; the epoch stays, so that a later holder still gets a higher one."""
    with db.write() as connection:
        connection.execute(
            "UPDATE leases SET expires = 0 WHERE name = ? AND holder = ? AND epoch = ?",
            (lease.name, lease.holder, lease.epoch),
        )
