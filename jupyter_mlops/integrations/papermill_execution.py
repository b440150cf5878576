"""One headless execution: its state, its files, and the way to stop it from another thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import nbformat

from ..model.ports import CellProgress

__all__ = ["Clean", "Execution", "kill_group", "write_notebook"]

Clean = Callable[[dict[str, Any]], dict[str, Any]]
_v4: Any = nbformat.v4  # its functions are not typed


class Stoppable(Protocol):
    """What runs the cells."""

    def stop(self) -> None:
        """Interrupt what is running; called in its event loop."""


@dataclass
class Execution:
    """One execution: what goes in, what comes out, and the way to stop it from another thread."""

    source: Path
    output: Path
    cwd: Path
    env: Mapping[str, str]
    argv: list[str]
    timeout: float | None
    emit: Callable[[CellProgress], None]
    clean: Clean | None = None
    started: float = field(default_factory=time.monotonic)
    deadline: float | None = None
    notebook: Any = None
    status: str = "completed"
    error: dict[str, Any] | None = None
    stopping: bool = False
    _loop: asyncio.AbstractEventLoop | None = None
    _client: Stoppable | None = None
    kernel_pid: int | None = None

    def attach(self, client: Stoppable) -> None:
        """Note the client that ``stop`` reaches; called in its event loop."""
        self._client = client
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Ask the notebook to end: its cell is interrupted and given a moment.  Any thread."""
        self.stopping = True
        loop, client = self._loop, self._client
        if loop is not None and client is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so has the kernel
                loop.call_soon_threadsafe(client.stop)

    def kill(self) -> None:
        """End the kernel's process group at once.  Any thread."""
        if self.kernel_pid is not None:
            kill_group(self.kernel_pid)

    def begin(self) -> None:
        """Start the clock of the time limit: the kernel has answered."""
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout

    def remaining(self) -> float | None:
        """Seconds left of the time limit, ``None`` without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def fail(self, status: str, error: dict[str, Any]) -> None:
        """Note how it ended; the first reason stays."""
        if self.error is None:
            self.status, self.error = status, error


def write_notebook(nb: Any, path: Path, clean: Clean | None = None) -> None:
    """Write a notebook whole or not at all.  ``OSError`` when it cannot be written.

    ``clean`` makes what is written from its JSON.
    """
    text = _v4.writes(nb)
    if clean is not None:
        data = json.loads(text)
        cleaned = clean(data)
        if cleaned != data:
            text = json.dumps(cleaned, ensure_ascii=False, indent=1, sort_keys=True)
    # Lone surrogates in an output would fail the write; their escapes are valid JSON.
    data = text.encode("utf-8", "backslashreplace") + b"\n"
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def kill_group(pid: int) -> None:
    """End the process group of a kernel, whatever is left of it."""
    # jupyter_client starts each kernel in a session of its own: its pid is its group's.
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
