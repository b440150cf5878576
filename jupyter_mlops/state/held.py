"""Holding a lease for as long as a block of work takes."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator

from ..errors import ConflictError, MlopsError
from .db import StateDB
from .leases import Lease, acquire, release, renew

__all__ = ["HeldLease", "hold"]


class HeldLease:
    """A lease that a thread keeps renewing; ``lease.check`` belongs into every write under it."""

    def __init__(self, db: StateDB, lease: Lease, seconds: float) -> None:
        self.lease = lease
        self._db = db
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{lease.name}", daemon=True)
        self._thread.start()

    def holds(self) -> bool:
        """Whether it is still ours: nobody has taken it since, also not while we were stopped."""
        try:
            with self._db.read() as connection:
                self.lease.check(connection)
        except ConflictError:
            return False
        return True

    def close(self) -> None:
        """Stop renewing and give it up."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(MlopsError):  # it runs out by itself
            release(self._db, self.lease)

    def _renew(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            # A disk that is full for a moment is no reason to stop: the check tells.
            with contextlib.suppress(MlopsError):
                if not renew(self._db, self.lease, self._seconds):
                    return


@contextlib.contextmanager
def hold(
    db: StateDB, name: str, *, seconds: float = 30.0, wait: float = 0.0
) -> Iterator[HeldLease | None]:
    """Hold the lease ``name`` while the block runs; ``None`` if another has it after ``wait`` s.

    ``seconds`` is how long it lasts beyond the death of this process.
    """
    # Not the process alone: two threads of one process are two holders.
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    deadline = time.monotonic() + wait
    lease = acquire(db, name, holder, seconds)
    while lease is None and time.monotonic() < deadline:
        time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))
        lease = acquire(db, name, holder, seconds)
    if lease is None:
        yield None
        return
    held = HeldLease(db, lease, seconds)
    try:
        yield held
    finally:
        held.close()
