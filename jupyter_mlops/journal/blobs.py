"""Bytes on their way to the tracking store, addressed by their BLAKE3 digest."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from blake3 import blake3

from ..errors import CorruptError, NotFoundError
from .writer import sync_folder

__all__ = ["BlobStore"]


class BlobStore:
    """``journal/blobs/<blake3>``: written whole and durable before a record names them."""

    def __init__(self, journal: Path) -> None:
        self.folder = journal / "blobs"

    def put(self, data: bytes | memoryview) -> str:
        """Store bytes durably; return their 64 hex digits.  The same bytes are stored once.

        Raises ``OSError`` when the disk is full or not writable; nothing half-written is left.
        """
        digest = blake3(data).hexdigest()
        path = self.folder / digest
        with contextlib.suppress(FileNotFoundError):
            # Touched, so that a delivery that is about to remove it sees it wanted again.
            os.utime(path)
            return digest
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.folder / f".{digest}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(self.folder)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes; ``NotFoundError`` if gone, ``CorruptError`` if they changed."""
        try:
            data = (self.folder / digest).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"blob {digest[:12]} is not in {self.folder}") from None
        if blake3(data).hexdigest() != digest:
            raise CorruptError(f"blob {digest[:12]} in {self.folder} does not match its digest")
        return data

    def remove(self, digest: str, *, unless_put_since: float | None = None) -> bool:
        """Forget a blob that has been delivered; return whether it is gone.

        A blob that was put again at or after ``unless_put_since`` (seconds since the epoch) stays:
        a record that names it may follow.  Removing twice is no error.
        """
        path = self.folder / digest
        if unless_put_since is None:
            path.unlink(missing_ok=True)
            return True
        # Moved aside first: from here on ``put`` writes it anew, before this it has touched it.
        aside = self.folder / f".{digest}.removing"
        try:
            path.rename(aside)
        except FileNotFoundError:
            return True
        if aside.stat().st_mtime >= unless_put_since:
            aside.replace(path)
            return False
        aside.unlink(missing_ok=True)
        return True

    def digests(self) -> list[str]:
        """The blobs that are here."""
        try:
            return [name for name in os.listdir(self.folder) if not name.startswith(".")]
        except FileNotFoundError:
            return []
