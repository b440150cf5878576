"""Appending to one session's journal."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .format import encode_record
from .redaction import Redactor, default_redactor

__all__ = ["SessionJournal"]


class SessionJournal:
    """The journal of one session, open for appending by its one writer.

    A record is whole on disk or cut off at the next opening; ``append(..., sync=True)`` returns
    when the operating system says that it is durable (file and, for a new file, its folder).

    Every record passes ``redactor`` on its way, so that no secret can get around it; ``None``
    writes records as they are (``redact = false``).
    """

    def __init__(
        self,
        folder: Path,
        session: str,
        *,
        redactor: Redactor | Literal["process"] | None = "process",
    ) -> None:
        self.path = folder / f"{session}.journal"
        self.session = session
        self._redactor = default_redactor() if redactor == "process" else redactor
        self._lock = threading.Lock()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        self._pid = os.getpid()
        self._folder_synced = False
        self._cut_torn_tail()

    def append(self, record: Mapping[str, Any], *, sync: bool = False) -> int:
        """Append one JSON object; return the offset after it.

        Raises ``OSError`` when the disk is full or gone; a partly written line is then cut off.
        """
        if self._redactor is not None:
            record = self._redactor.redact_record(record)
        line = encode_record(record)
        with self._lock:
            if os.getpid() != self._pid:
                raise OSError("the journal belongs to the process that opened it")
            before = os.fstat(self._descriptor).st_size
            try:
                written = os.write(self._descriptor, line)
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
            except OSError:
                # Best effort: the reader skips a torn line just as well.
                os.ftruncate(self._descriptor, before)
                raise
            if sync:
                self._sync()
            return before + len(line)

    def sync(self) -> None:
        """Return when everything appended so far is durable."""
        with self._lock:
            self._sync()

    def close(self) -> None:
        """Close the file; appending afterwards raises ``OSError``."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _sync(self) -> None:
        os.fsync(self._descriptor)
        if not self._folder_synced:
            sync_folder(self.path.parent)
            self._folder_synced = True

    def _cut_torn_tail(self) -> None:
        size = os.fstat(self._descriptor).st_size
        if size == 0:
            return
        position = size
        while position > 0:
            start = max(0, position - 65536)
            block = os.pread(self._descriptor, position - start, start)
            index = block.rfind(b"\n")
            if index >= 0:
                if start + index + 1 < size:
                    os.ftruncate(self._descriptor, start + index + 1)
                return
            position = start
        os.ftruncate(self._descriptor, 0)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable (a no-op on Windows, where folders cannot be opened)."""
    if os.name == "nt":  # pragma: no cover
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
