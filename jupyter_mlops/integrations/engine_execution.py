"""One headless execution: what goes in, how it goes, and the way to stop it from outside."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model.ports import CellProgress
from .engine_output import CELL_LIMIT, NOTEBOOK_LIMIT
from .engine_processes import kill_group
from .engine_skips import SKIP_TAG

__all__ = ["Execution"]


@dataclass
class Execution:
    """One execution of a notebook.  ``stop`` and ``kill`` may be called from any thread.

    Times in seconds: ``timeout`` for all cells together, from when the kernel answers,
    ``cell_timeout`` for each, ``start_timeout`` for the kernel to answer.  Limits in bytes.
    """

    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    cell_timeout: float | None = None
    start_timeout: float = 60
    cell_limit: int = CELL_LIMIT
    notebook_limit: int = NOTEBOOK_LIMIT
    emit: Callable[[CellProgress], None] = lambda event: None
    show: Callable[[dict[str, Any]], None] | None = None  # told of each output as it comes
    allow_errors: bool = False  # in all cells, as the tag ``raises-exception`` does for one
    allow_error_names: Collection[str] = ()
    force_raise_errors: bool = False  # whatever would allow them
    skip_tag: str = SKIP_TAG
    interrupt_on_timeout: bool = False  # at ``cell_timeout``; what the cell makes of it counts
    status: str = "completed"
    error: dict[str, Any] | None = None
    failed_index: int | None = None  # the cell that ended the run, in the executed notebook
    signal: str | None = None  # that killed the kernel
    stopping: bool = False
    kernel_pid: int | None = None
    started: float = field(default_factory=time.monotonic)
    deadline: float | None = None

    def __post_init__(self) -> None:
        """Make the pipe that wakes who waits for the kernel."""
        self.waking, self._waker = socket.socketpair()
        self.waking.setblocking(False)
        self._waker.setblocking(False)

    def close(self) -> None:
        """Release the pipe."""
        self.waking.close()
        self._waker.close()

    def stop(self) -> None:
        """Ask the notebook to end: its cell is interrupted and given a moment."""
        self.stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b"x")

    def allows(self, tags: Collection[str], ename: str | None = None) -> bool:
        """Whether a cell with these tags may fail (with this error): nbclient's rule."""
        named = self.allow_errors or ename in self.allow_error_names or "raises-exception" in tags
        return named and not self.force_raise_errors

    def kill(self) -> None:
        """End the kernel's process group at once."""
        if self.kernel_pid is not None:
            kill_group(self.kernel_pid)

    def begin(self) -> None:
        """Start the clock of the time limit: the kernel has answered."""
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout

    def fail(self, status: str, error: dict[str, Any], index: int | None) -> None:
        """Note how it ended; the first reason stays."""
        if self.error is None:
            self.status, self.error, self.failed_index = status, error, index
