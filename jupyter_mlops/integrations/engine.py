"""The papermill engine ``jupyter_mlops``: ``papermill in.ipynb out.ipynb --engine jupyter_mlops``.

papermill's own engine says "completed" of every cell after a kernel has died or timed out, saves
and validates the whole notebook after each cell, loses output of fast printers and leaves the
kernel behind when it is told to end.  This one keeps papermill's parameters, metadata and options
and changes those things.  ``pyproject.toml`` names it in the entry points ``papermill.engine``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from ..model.ports import CellProgress
from .engine_output import CELL_LIMIT, NOTEBOOK_LIMIT
from .engine_skips import SKIP_TAG

__all__ = ["MlopsEngine"]

_REMOTE_EVERY = 30.0  # seconds between writes to an object store


class MlopsEngine:
    """papermill's engine interface; see the module."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: Any = True,
        log_output: bool = False,
        autosave_cell_every: float = 2,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        timeout: float | None = None,
        cell_output_limit: int = CELL_LIMIT,
        notebook_output_limit: int = NOTEBOOK_LIMIT,
        allow_errors: bool = False,
        allow_error_names: Collection[str] = (),
        force_raise_errors: bool = False,
        skip_cells_with_tag: str = SKIP_TAG,
        interrupt_on_timeout: bool = False,
        **ignored: Any,
    ) -> Any:
        """Execute ``nb`` in place and return it.

        ``execution_timeout`` is in seconds for each cell, as in papermill, ``timeout`` for all
        together; the limits are in bytes.  ``allow_errors``, ``allow_error_names``,
        ``force_raise_errors``, ``skip_cells_with_tag`` and ``interrupt_on_timeout`` are nbclient's:
        the last interrupts a cell at its own limit, and what then ends it is judged as ever, so
        that the notebook goes on where ``KeyboardInterrupt`` is caught or allowed.  A cell's
        failure, a time limit and the kernel's death in a cell are errors in that cell, of which
        papermill makes its exception; raises ``RuntimeError`` where the kernel does not start.
        SIGTERM and Ctrl-C interrupt the cell, keep the partial output, end the kernel and then do
        to this process what they do.
        """
        import nbformat

        from .engine_client import NotebookRun
        from .engine_execution import Execution
        from .engine_notebook import name_cells, notebook_text
        from .engine_saves import Saver

        name_cells(nb)
        bar = _Bar(progress_bar, len(nb.cells))
        show = _Shown(log_output, stdout_file, stderr_file)
        execution = Execution(
            cwd=Path.cwd(),
            timeout=timeout,
            cell_timeout=execution_timeout,
            start_timeout=start_timeout,
            cell_limit=cell_output_limit,
            notebook_limit=notebook_output_limit,
            emit=bar.note,
            show=show if show.wanted else None,
            allow_errors=allow_errors,
            allow_error_names=allow_error_names,
            force_raise_errors=force_raise_errors,
            skip_tag=skip_cells_with_tag,
            interrupt_on_timeout=interrupt_on_timeout,
        )
        write, every = _writer(output_path)
        saver = Saver(nb, write, every=max(every, autosave_cell_every))
        run = NotebookRun(nb, execution, kernel_name, saver)
        if write is not None:
            write(notebook_text(nb))  # shows at once whether there is a place for it
        try:
            with _signals(execution.stop) as caught:
                _in_thread(run.run)
        finally:
            bar.close()
            execution.close()
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = nbformat.from_dict(cell.outputs)  # type: ignore[no-untyped-call]
        if caught:
            if write is not None:
                write(notebook_text(nb))
            _die_of(caught[0])
        if execution.error is not None and execution.failed_index is None:
            if write is not None:
                write(notebook_text(nb))
            said = execution.error.get("output")
            raise RuntimeError(execution.error["evalue"] + (f"\n{said}" if said else ""))
        return nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> Any:
        """The kernel's name, as papermill finds it."""
        from papermill.utils import nb_kernel_name

        return nb_kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> Any:
        """The notebook's language, as papermill finds it."""
        from papermill.utils import nb_language

        return nb_language(nb, language)


def _in_thread(work: Callable[[], None]) -> None:
    """Do it in a thread: the caller's may have an event loop, and gets the signals."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, name="notebook run")
    thread.start()
    while thread.is_alive():
        thread.join(1.0)  # lets signals through on systems where a wait holds them back
    if problems:
        raise problems[0]


class _Bar:
    """papermill's progress bar."""

    def __init__(self, options: Any, total: int) -> None:
        self._bar: Any = None
        if options:
            from tqdm.auto import tqdm  # type: ignore[import-untyped]

            chosen = options if isinstance(options, dict) else {}
            self._bar = tqdm(**{"total": total, "unit": "cell", "desc": "Executing", **chosen})

    def note(self, event: CellProgress) -> None:
        """Go on by a cell."""
        if self._bar is not None and event.state != "started":
            self._bar.update(1)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


class _Shown:
    """papermill's ``log_output``, ``stdout_file`` and ``stderr_file``."""

    def __init__(self, log: bool, stdout: Any, stderr: Any) -> None:
        self._files = {"stdout": stdout, "stderr": stderr}
        self._logger: Any = None
        self.wanted = bool(log or stdout or stderr)
        if log:
            from papermill.log import logger

            self._logger = logger

    def __call__(self, output: dict[str, Any]) -> None:
        if output["output_type"] == "stream":
            file = self._files.get(output["name"])
            if file is not None:
                file.write(output["text"])
                file.flush()
            if self._logger is not None:
                log = self._logger.warning if output["name"] == "stderr" else self._logger.info
                log(output["text"])
        elif self._logger is not None and "text/plain" in output.get("data", {}):
            self._logger.info("%s", output["data"]["text/plain"])


def _writer(path: str | None) -> tuple[Callable[[str], None] | None, float]:
    """How to write the output, and seconds between saves: papermill knows the remote places."""
    if path is None:
        return None, 0.0
    if "://" not in str(path) and str(path) != "-":
        from .engine_saves import write_text

        local = Path(path).absolute()
        return partial(write_text, local, durable=False), 0.0
    from papermill.iorw import papermill_io

    return (lambda text: papermill_io.write(text, path)), _REMOTE_EVERY


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``stop`` on SIGTERM and SIGINT inside the block; the list holds those that came."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        stop()

    before = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        current = signal.getsignal(number)
        # A host that handles them already knows what it wants.
        if current in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = signal.signal(number, handle)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _die_of(number: int) -> None:
    """Do what the signal does to a process that does not handle it."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.stdout.flush()
    sys.stderr.flush()
    os.kill(os.getpid(), number)
