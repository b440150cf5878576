"""The papermill engine of headless runs: true states per cell, and saves that cost little.

papermill's own engine says "completed" of every cell after a kernel has died or timed out, saves
the notebook in place and in full after each cell, and dies with its process, leaving the kernel to
find out.  This one subclasses it at its extension points and changes those things alone.

It runs in a thread of its own, with its own event loop (``papermill_executor`` starts it): signals
and whatever the caller's progress raises never land in the middle of asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager

from .papermill_client import Client
from .papermill_execution import Execution, write_notebook

__all__ = ["Engine", "Manager"]

_SAVE_EVERY = 5.0  # seconds between saves while cells run


class Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's engine with our manager and client; takes one ``execution``."""

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, *args: Any, execution: Execution, **kwargs: Any
    ) -> Any:
        """Execute ``nb`` in place and return it; how it ended is in ``execution``."""
        execution.notebook = nb
        # papermill notes the path that it was given, and it was given the notebook itself.
        nb.metadata.papermill["input_path"] = str(execution.source)
        nb.metadata.papermill["output_path"] = str(execution.output)
        manager = Manager(nb, execution)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, execution=execution)
        finally:
            manager.notebook_complete()
        return nb

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, execution: Execution, **kwargs: Any
    ) -> Any:
        """Run the cells in a fresh kernel."""
        client = Client(nb_man, execution, kernel_name)
        # ZeroMQ waits on file descriptors, which only this kind of loop can on every system.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(client.run())
        return nb_man.nb


class Manager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's record keeping with atomic, throttled saves and no invented states."""

    def __init__(self, nb: Any, execution: Execution) -> None:
        super().__init__(nb, output_path=None, progress_bar=False)
        self._execution = execution
        self._next_save = 0.0

    def save(self, **kwargs: Any) -> None:
        """Save if the last time is long enough ago, measured by what a save costs.

        A save that fails here is no reason to stop the notebook: the last one decides.
        """
        now = time.monotonic()
        self.last_save_time = self.now()
        if now < self._next_save:
            return
        with contextlib.suppress(OSError):
            write_notebook(self.nb, self._execution.output, self._execution.clean)
        ended = time.monotonic()
        self._next_save = ended + max(_SAVE_EVERY, 20 * (ended - now))

    def notebook_complete(self, **kwargs: Any) -> None:
        """Note the end.  Cells that never ran stay ``pending``."""
        self.end_time = self.now()
        papermill = self.nb.metadata.papermill
        papermill["end_time"] = self.end_time.isoformat()
        if self.start_time is not None:
            papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        if self._execution.error is not None or self._execution.stopping:
            papermill["exception"] = True
