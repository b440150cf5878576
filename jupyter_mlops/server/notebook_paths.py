"""Telling kernels what their notebook is called now.

A kernel learns its notebook's path when it starts; one that was started as ``Untitled.ipynb`` and
renamed later would be recorded under its old name.  So this writes, for each notebook session,
``<Jupyter runtime folder>/mlops/kernel-<kernel id>.path``: the absolute path, in UTF-8, without a
line break.  It is replaced when the notebook, or a folder above it, is renamed through the server,
and removed when the session ends.  The folder is private (0700), and so is each file (0600).
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from logging import Logger
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_events import EventLogger
from tornado.ioloop import PeriodicCallback

__all__ = ["CONTENTS_EVENTS", "KERNEL_EVENTS", "NotebookPaths", "path_file"]

CONTENTS_EVENTS = "https://events.jupyter.org/jupyter_server/contents_service/v1"
KERNEL_EVENTS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
_KERNEL_ID = re.compile(r"[0-9A-Za-z_-]{1,100}")
_STALE = 7 * 86400.0  # seconds after which a file that no live server keeps is removed


@dataclass(slots=True)
class _Notebook:
    reported: str  # the contents path as the session last reported it
    path: str  # the contents path as it is now


def path_file(kernel_id: str) -> Path:
    """Where the current notebook path of a kernel is written."""
    return Path(jupyter_runtime_dir()) / "mlops" / f"kernel-{kernel_id}.path"


class NotebookPaths:
    """Keeps the path files of this server's notebook sessions.

    ``sessions`` lists them as ``SessionManager.list_sessions`` does; ``root`` is the folder that
    their paths are relative to.  Sessions are not announced by events, so they are also looked at
    every ``interval`` seconds.
    """

    def __init__(
        self,
        sessions: Callable[[], Awaitable[list[dict[str, Any]]]],
        root: Path,
        log: Logger,
        interval: float,
    ) -> None:
        self._sessions = sessions
        self._root = root
        self._log = log
        self._known: dict[str, _Notebook] = {}
        self._timer = PeriodicCallback(self.look, interval * 1000)
        self._problem: str | None = None

    def start(self) -> None:
        """Begin to look at the sessions; call it in the event loop."""
        _remove_stale(path_file("x").parent)
        self._timer.start()

    async def on_contents(self, logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        """Listener of contents events: follow a rename of a notebook or of a folder above it."""
        if data.get("action") != "rename":
            return
        old = str(data.get("source_path", "")).strip("/")
        new = str(data.get("path", "")).strip("/")
        if old and new:
            # A session begun since the last look may be the one that was renamed.
            await self.look()
            for kernel_id, notebook in self._known.items():
                if notebook.path == old or notebook.path.startswith(old + "/"):
                    notebook.path = new + notebook.path[len(old) :]
                    self._write(kernel_id, notebook.path)

    async def on_kernel(self, logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        """Listener of kernel events: a kernel that ended needs no file any more."""
        if data.get("action") == "shutdown" and data.get("status") == "success":
            self._forget(str(data.get("kernel_id")))

    async def look(self) -> None:
        """Compare the sessions with what was last seen."""
        current: set[str] = set()
        for session in await self._sessions():
            kernel_id = str((session.get("kernel") or {}).get("id") or "")
            if session.get("type") != "notebook" or not _KERNEL_ID.fullmatch(kernel_id):
                continue
            current.add(kernel_id)
            reported = str(session.get("path") or "").strip("/")
            known = self._known.get(kernel_id)
            if known is None:
                self._known[kernel_id] = _Notebook(reported, reported)
            elif known.reported != reported:
                # Only a new report counts: after a rename, the session goes on reporting the old
                # path until its client tells it otherwise.
                known.reported = known.path = reported
            else:
                continue
            self._write(kernel_id, reported)
        for kernel_id in set(self._known) - current:
            self._forget(kernel_id)

    async def close(self) -> None:
        """Stop, and remove the files: the kernels end with their server."""
        self._timer.stop()
        for kernel_id in list(self._known):
            self._forget(kernel_id)

    def _write(self, kernel_id: str, path: str) -> None:
        # A collaborative session prefixes its drive's name; elsewhere a session's path may be no
        # file at all (VS Code adds an id of its own).
        for name in (path, path.partition(":")[2]):
            notebook = Path(os.path.abspath(self._root / name))
            if name and notebook.is_file():
                try:
                    _replace(path_file(kernel_id), os.fsencode(notebook))
                except OSError as error:
                    if str(error) != self._problem:
                        self._problem = str(error)
                        self._log.warning("jupyter_mlops: notebook paths: %s", error)
                return

    def _forget(self, kernel_id: str) -> None:
        if self._known.pop(kernel_id, None) is not None:
            with contextlib.suppress(OSError):
                path_file(kernel_id).unlink()


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _remove_stale(folder: Path) -> None:
    """Remove what servers that were killed have left behind."""
    with contextlib.suppress(OSError):
        for path in folder.glob("kernel-*.path"):
            connection = folder.parent / f"{path.stem}.json"
            if not connection.exists() and path.stat().st_mtime < time.time() - _STALE:
                path.unlink()
