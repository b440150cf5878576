"""Advisory locks between processes and threads, shared or exclusive; freed when a holder dies."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["KeyLock", "hold"]

_LOOK = 0.05  # seconds between attempts

if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int, exclusive: bool) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(descriptor: int, exclusive: bool) -> bool:
        try:
            kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def hold(path: Path, *, exclusive: bool, timeout: float = 60.0) -> Iterator[None]:
    """Hold a lock on ``path``.  ``TimeoutError`` (an ``OSError``) after ``timeout`` seconds."""
    lock = KeyLock(path)
    try:
        if not lock.take(timeout, exclusive=exclusive):
            raise TimeoutError(f"{path} is held by another process")
        yield
    finally:
        lock.release()


class KeyLock:
    """One lock; not reentrant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self, timeout: float, *, exclusive: bool = True) -> bool:
        """Take it, waiting for at most ``timeout`` seconds; return whether it was taken."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        end = time.monotonic() + timeout
        while not _lock(self._descriptor, exclusive):
            if time.monotonic() >= end:
                self.release()
                return False
            time.sleep(min(_LOOK, max(0.0, end - time.monotonic())))
        return True

    def release(self) -> None:
        """Give it back; nothing happens if it is not held."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
