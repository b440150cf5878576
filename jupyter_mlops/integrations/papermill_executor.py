"""``NotebookExecutor`` on papermill."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillException, PapermillExecutionError
from papermill.execute import remove_error_markers
from papermill.translators import papermill_translators

from ..errors import NotebookError, ProjectError, UsageError
from ..model.ports import CellProgress, ExecutionResult
from .papermill_engine import Engine
from .papermill_execution import Clean, Execution, write_notebook

__all__ = ["PapermillExecutor", "executor"]

_nbformat: Any = nbformat  # its functions are not typed

_ENGINE = "jupyter-mlops"
papermill_engines.register(_ENGINE, Engine)
# papermill warns of every notebook without parameters; a library's log needs a handler to be quiet.
logging.getLogger("papermill").addHandler(logging.NullHandler())


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
        progress: Callable[[CellProgress], None] | None = None,
        clean: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> ExecutionResult:
        """Run it; see ``model.ports.NotebookExecutor.execute``."""
        node, name, spec, language = _resolve(notebook, kernel, bool(parameters))
        if not cwd.is_dir():
            raise UsageError(f"the working folder {cwd} does not exist")
        events: queue.SimpleQueue[CellProgress | None] = queue.SimpleQueue()
        execution = Execution(
            source=notebook,
            output=output,
            cwd=cwd,
            env=env,
            argv=list(spec.argv),
            timeout=timeout,
            emit=events.put,
            clean=clean,
        )
        # The first write shows at once whether there is a place for the output.
        _write(node, output, clean)
        work = _Work(node, execution, dict(parameters), name, language, events)
        work.start()
        try:
            _pump(work, events, progress)
        except BaseException:
            # An interrupt, or what the caller's progress raised: end it all, then say so.
            execution.stop()
            _join(work, execution)
            raise
        _join(work, execution)
        if work.problem is not None:
            raise work.problem
        error = execution.error
        if error is not None:
            error["index"] = next(
                (i for i, cell in enumerate(node.cells) if cell.get("id") == error["cell_id"]), None
            )
        seconds = time.monotonic() - execution.started
        return ExecutionResult(execution.status, output, seconds, error)


class _Work(threading.Thread):
    """papermill in a thread: the caller's stays free for signals and for progress."""

    def __init__(
        self,
        node: Any,
        execution: Execution,
        parameters: dict[str, Any],
        kernel: str,
        language: str,
        events: queue.SimpleQueue[CellProgress | None],
    ) -> None:
        super().__init__(name=f"run {execution.source.name}", daemon=True)
        self.problem: BaseException | None = None
        self._node = node
        self._execution = execution
        self._parameters = parameters
        self._kernel = kernel
        self._language = language
        self._events = events

    def run(self) -> None:
        try:
            try:
                papermill.execute_notebook(
                    self._node,
                    None,
                    parameters=self._parameters,
                    engine_name=_ENGINE,
                    kernel_name=self._kernel,
                    language=self._language,
                    progress_bar=False,
                    execution=self._execution,
                )
            except PapermillExecutionError:
                pass  # the execution knows more of it
            finally:
                self._save()
        except BaseException as problem:
            self.problem = problem
        finally:
            self._events.put(None)

    def _save(self) -> None:
        execution = self._execution
        if execution.notebook is None:
            return
        if execution.error is None and not execution.stopping:
            # papermill marks errors that a cell's tag allows as the end of the notebook, too.
            remove_error_markers(execution.notebook)
        _write(execution.notebook, execution.output, execution.clean)


def _pump(
    work: _Work,
    events: queue.SimpleQueue[CellProgress | None],
    progress: Callable[[CellProgress], None] | None,
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
        if progress is not None:
            progress(event)


def _join(work: _Work, execution: Execution) -> None:
    while work.is_alive():
        try:
            work.join(1.0)
        except KeyboardInterrupt:  # a second one: no more patience
            execution.kill()


def _resolve(notebook: Path, kernel: str | None, parameters: bool) -> tuple[Any, str, Any, str]:
    """The notebook, the kernel's name and specification, and the language."""
    node = _read(notebook)
    name = kernel or node.metadata.get("kernelspec", {}).get("name") or "python3"
    spec = _kernelspec(name, notebook if kernel is None else None)
    language = node.metadata.get("language_info", {}).get("name") or spec.language
    if parameters:
        _check_language(name, language, notebook)
    return node, name, spec, language


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotebookError(f"{path} does not exist", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(f"{path} cannot be read: {error}", path=str(path)) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ids that the upgrade adds
            node = _nbformat.reads(text, as_version=4)
            node = _nbformat.v4.upgrade(node) or node
            _nbformat.validate(node)
    except Exception as error:  # whatever nbformat stumbles over in a file that is none
        reason = getattr(error, "message", None) or str(error) or type(error).__name__
        raise NotebookError(
            f"{path} is not a notebook: {str(reason).splitlines()[0]}", path=str(path)
        ) from error
    return node


def _write(node: Any, path: Path, clean: Clean | None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_notebook(node, path, clean)
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
    try:
        papermill_translators.find_translator(kernel, language)
    except PapermillException:
        raise UsageError(
            f"papermill cannot set parameters in {notebook}: its language is {language!r}"
        ) from None
