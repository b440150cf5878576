"""One kernel's session in a project: its journal, its blobs, and what is still to be written.

A record that cannot be written (the disk is full, the folder is gone) stays in a bounded queue and
is written, in order, with the next one that can be.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path

from .._version import version
from ..config import Config
from ..errors import ProjectError
from ..journal import BlobStore, SessionJournal, redact_text, this_process
from ..journal.reader import Record
from ..model.events import SessionHeader
from ..model.ids import new_id
from ..project import Project

__all__ = ["Record", "Session", "user_name"]

_QUEUE = 10_000


class Session:
    """An open journal.  ``runs`` counts the runs begun in it."""

    def __init__(
        self,
        project: Project,
        config: Config,
        *,
        notebook: str | None,
        kernel_id: str | None,
        kind: str = "kernel",
    ) -> None:
        self.project = project
        self.config = config
        self.id = new_id()
        self.runs = 0
        self.blobs = BlobStore(project.journal)
        self.environments: set[str] = set()  # digests of those that are in the journal
        self._queue: deque[Record] = deque(maxlen=_QUEUE)
        self._lock = threading.Lock()  # `track.log` may be called by a thread that trains
        try:
            self._journal = SessionJournal(
                project.journal, self.id, redactor="process" if config.redact else None
            )
            self._inode = os.stat(self._journal.path).st_ino
            try:
                self.write(_header(self.id, notebook, kernel_id, kind))
            except OSError:
                self._journal.close()
                self._journal.path.unlink()
                raise
        except OSError as error:
            raise ProjectError(
                f"the project folder {project.root} cannot be written: {_reason(error)}",
                root=str(project.root),
            ) from error

    def clean(self, text: str) -> str:
        """A text that goes beside the journal, without its secrets."""
        return redact_text(text) if self.config.redact else text

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._journal.path

    @property
    def unwritten(self) -> int:
        """How many records wait in memory for a disk that takes them."""
        return len(self._queue)

    def write(self, *records: Record, sync: bool = False) -> None:
        """Append records after everything that still waits; with ``sync`` they are durable after.

        Raises ``OSError``: then what was not written waits in memory.
        """
        with self._lock:
            self._queue.extend(records)
            while self._queue:
                self._journal.append(self._queue[0].to_dict())
                self._queue.popleft()
            if sync:
                self._journal.sync()

    def gone(self) -> bool:
        """Whether the journal's file was removed or replaced, so that writing to it is lost."""
        try:
            return os.stat(self._journal.path).st_ino != self._inode
        except OSError:
            return True

    def close(self) -> None:
        """Close the journal, after a last attempt to write what waits."""
        with contextlib.suppress(OSError):
            self.write()
        self._journal.close()


def user_name() -> str | None:
    """The person's login name, ``None`` where there is none (a container's nameless uid)."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _header(session: str, notebook: str | None, kernel_id: str | None, kind: str) -> SessionHeader:
    process = this_process()
    return SessionHeader(
        session=session,
        started=time.time(),
        interpreter=sys.executable or "",
        python=".".join(map(str, sys.version_info[:3])),
        version=version(),
        pid=process.pid,
        pid_started=process.started,
        boot_id=process.boot_id,
        host=process.host,
        cwd=os.getcwd(),
        kind=kind,
        notebook=notebook,
        kernel_id=kernel_id,
        user=user_name(),
    )


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
