"""``NotebookExecutor`` with papermill's rules for parameters and its metadata.

papermill itself is not imported for notebooks in Python: that, and nbformat beneath it, costs more
than a small run.

The notebook runs in a thread of its own: signals and whatever the caller's progress raises never
land in the middle of a message.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from ..errors import ProjectError, UsageError
from ..model.ports import CellProgress, ExecutionResult
from .engine_client import NotebookRun
from .engine_execution import Execution
from .engine_notebook import read_notebook
from .engine_parameters import inject, known_language, mark_error, remove_error_marks
from .engine_record import prepare
from .engine_saves import Clean, Saver, cleaned_text, write_text

__all__ = ["PapermillExecutor", "executor"]


def executor() -> PapermillExecutor:
    """Return the executor (the factory behind the port ``executor``)."""
    return PapermillExecutor()


class PapermillExecutor:
    """Executes parameterized notebooks with papermill, each in a fresh kernel."""

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        """Raise what ``execute`` would raise for its input; start and write nothing."""
        _resolve(notebook, kernel, parameters)

    def execute(
        self,
        notebook: Path,
        output: Path,
        parameters: Mapping[str, Any],
        *,
        kernel: str | None,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float | None = None,
        cell_timeout: float | None = None,
        progress: Callable[[CellProgress], None] | None = None,
        clean: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        stoppable: Callable[[Callable[[bool], None]], None] | None = None,
        show: Callable[[str], None] | None = None,
    ) -> ExecutionResult:
        """Run it; see ``model.ports.NotebookExecutor.execute``."""
        node, name, language = _resolve(notebook, kernel, bool(parameters))
        if not cwd.is_dir():
            raise UsageError(f"the working folder {cwd} does not exist")
        # The first write shows at once whether there is a place for the output.
        _write(node, output, clean)
        events: queue.SimpleQueue[CellProgress | str | None] = queue.SimpleQueue()
        execution = Execution(
            cwd=cwd, env=env, timeout=timeout, cell_timeout=cell_timeout, emit=events.put
        )
        if show is not None:
            execution.show = partial(_queue_text, events)
        places = {cell["id"]: index for index, cell in enumerate(node["cells"])}
        remove_error_marks(node)
        prepare(node, str(notebook), str(output))
        if parameters:
            inject(node, parameters, name, language)
        saver = Saver(node, partial(write_text, output, durable=False), clean)
        work = _Work(node, execution, name, saver, output, clean, events)
        if stoppable is not None:
            stoppable(partial(_end, execution))
        work.start()
        try:
            _pump(work, events, progress, show)
        except BaseException:
            # An interrupt, or what the caller's progress raised: end it all, then say so.
            execution.stop()
            _join(work, execution)
            raise
        finally:
            _join(work, execution)
            execution.close()
        if work.problem is not None:
            raise work.problem
        error = execution.error
        if error is not None:
            error["index"] = places.get(error["cell_id"])
        seconds = time.monotonic() - execution.started
        status = "cancelled" if error is None and execution.stopping else execution.status
        return ExecutionResult(status, output, seconds, error)


class _Work(threading.Thread):
    """The run in a thread: the caller's stays free for signals and for progress."""

    def __init__(
        self,
        notebook: dict[str, Any],
        execution: Execution,
        kernel: str,
        saver: Saver,
        output: Path,
        clean: Clean | None,
        events: queue.SimpleQueue[CellProgress | str | None],
    ) -> None:
        super().__init__(name=f"run {output.name}", daemon=True)
        self.problem: BaseException | None = None
        self._notebook = notebook
        self._execution = execution
        self._run = NotebookRun(notebook, execution, kernel, saver)
        self._output = output
        self._clean = clean
        self._events = events

    def run(self) -> None:
        try:
            try:
                self._run.run()
            finally:
                if self._execution.failed_index is not None:
                    mark_error(self._notebook, self._execution.failed_index)
                _write(self._notebook, self._output, self._clean, durable=True)
        except BaseException as problem:
            self.problem = problem
        finally:
            self._events.put(None)


def _pump(
    work: _Work,
    events: queue.SimpleQueue[CellProgress | str | None],
    progress: Callable[[CellProgress], None] | None,
    show: Callable[[str], None] | None,
) -> None:
    while True:
        try:
            # The timeout lets signals through on systems where a wait holds them back.
            event = events.get(timeout=1.0)
        except queue.Empty:
            if not work.is_alive():
                return
            continue
        if event is None:
            return
        if isinstance(event, str):
            if show is not None:
                show(event)
        elif progress is not None:
            progress(event)


def _end(execution: Execution, at_once: bool) -> None:
    execution.stop()
    if at_once:
        execution.kill()


def _queue_text(
    events: queue.SimpleQueue[CellProgress | str | None], output: dict[str, Any]
) -> None:
    """What an output says as text; an error is told by how the cell ended."""
    if output["output_type"] == "stream":
        events.put(str(output["text"]))
    elif "text/plain" in output.get("data", {}):
        events.put(str(output["data"]["text/plain"]) + "\n")


def _join(work: _Work, execution: Execution) -> None:
    while work.is_alive():
        try:
            work.join(1.0)
        except KeyboardInterrupt:  # a second one: no more patience
            execution.kill()


def _resolve(
    notebook: Path, kernel: str | None, parameters: bool
) -> tuple[dict[str, Any], str, str]:
    """The notebook, the kernel's name and the language."""
    node = read_notebook(notebook)
    name = kernel or node["metadata"].get("kernelspec", {}).get("name") or "python3"
    spec = _kernelspec(name, notebook if kernel is None else None)
    language = node["metadata"].get("language_info", {}).get("name") or spec.language
    if parameters:
        _check_language(name, language, notebook)
    return node, name, language


def _write(node: dict[str, Any], path: Path, clean: Clean | None, durable: bool = False) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, cleaned_text(node, clean), durable=durable)
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be written: {error.strerror or error}", path=str(path)
        ) from error


def _kernelspec(name: str, notebook: Path | None) -> Any:
    manager = KernelSpecManager()
    try:
        spec = manager.get_kernel_spec(name)
    except NoSuchKernel:
        available = sorted(manager.find_kernel_specs())
        where = f", which {notebook} asks for," if notebook is not None else ""
        raise UsageError(
            f"the kernel {name!r}{where} is not installed here",
            hint=f"Installed are: {', '.join(available) or 'none'}. Install it from its "
            f"environment (python -m ipykernel install --user --name {name}), or name another "
            f"kernel in the {'notebook' if notebook is not None else 'pipeline.yaml'}.",
            kernel=name,
            available=available,
        ) from None
    command = os.path.expanduser(spec.argv[0]) if spec.argv else ""
    ours = ("python", f"python{sys.version_info[0]}", "python{}.{}".format(*sys.version_info[:2]))
    if command not in ours and shutil.which(command) is None:
        raise UsageError(
            f"the kernel {name!r} is installed, but its command {command!r} does not exist",
            hint=f"Its environment is gone: remove it (jupyter kernelspec remove {name}) or "
            "install it again.",
            kernel=name,
        )
    return spec


def _check_language(kernel: str, language: str, notebook: Path) -> None:
    if not known_language(kernel, language):
        raise UsageError(
            f"papermill cannot set parameters in {notebook}: its language is {language!r}"
        )
