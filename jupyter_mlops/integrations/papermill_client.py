"""Starts a kernel, runs a notebook's cells in it, ends the kernel and what it has started."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import tempfile
import time
from typing import Any

import nbformat
import psutil
import zmq
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async
from papermill.clientwrap import PapermillNotebookClient

from ..model.ports import CellProgress
from .papermill_execution import Execution, kill_group
from .papermill_report import failure, output_tail, title_of, without_colour

__all__ = ["Client", "Kernels"]

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # our errors are results; nothing goes to stderr unasked

_v4: Any = nbformat.v4  # its functions are not typed
_GRACE = 5.0  # seconds that an interrupted cell has to end by itself
_START_TIMEOUT = 60  # seconds for a kernel to answer
_START_ATTEMPTS = 3  # a port may be taken between its choice and its use
_NOISE_TAIL = 4000  # bytes of the kernel's own stderr that explain a death


class Kernels(AsyncKernelManager):
    """Kernel manager whose clients never drop output, however fast a cell prints."""

    def client(self, **kwargs: Any) -> Any:
        """A client whose sockets queue without limit: the default drops after 1,000 messages."""
        client = super().client(**kwargs)
        client.context.setsockopt(zmq.RCVHWM, 0)
        return client


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Starts a kernel, runs the cells, ends the kernel and what it started."""

    def __init__(self, manager: Any, execution: Execution, kernel_name: str) -> None:
        super().__init__(
            manager,
            kernel_name=kernel_name,
            kernel_manager_class=Kernels,
            log=_log,
            timeout_func=lambda cell: self._seconds_left(),
            # A slow reader is no failure: wait for a long output, and go on where its end is lost.
            iopub_timeout=60,
            raise_on_iopub_timeout=False,
            coalesce_streams=True,
            startup_timeout=_START_TIMEOUT,
            on_cell_execute=self._execute,
            on_cell_executed=self._executed,
        )
        self._execution = execution
        self._phase = "starting"
        self._responsive = True  # ends gently unless it stopped answering
        self._exit_asked = False
        self._current: Any = None
        self._task: asyncio.Task[Any] | None = None
        self._interrupting: asyncio.Task[None] | None = None
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115  (closed in run)
        numbered = [i for i, cell in enumerate(self.nb.cells) if self._runs(cell)]
        self._numbers = {index: number for number, index in enumerate(numbered, start=1)}
        if any("ipykernel" in word for word in execution.argv):
            self.extra_arguments = ["--HistoryManager.hist_file=:memory:"]

    async def run(self) -> None:
        """Execute the notebook; how it ended is in the execution."""
        execution = self._execution
        self._task = asyncio.current_task()
        execution.attach(self)
        try:
            if execution.stopping:
                return
            await self._start()
            self._phase = "running"
            execution.begin()
            await self._run_cells()
            if execution.error is None and not execution.stopping and not self._exit_asked:
                await self._note_language()
        except asyncio.CancelledError:
            if not execution.stopping:
                raise
        except (DeadKernelError, RuntimeError, OSError) as error:
            execution.fail("died", self._death(None, error))
        finally:
            self._phase = "ending"
            if self._interrupting is not None:
                self._interrupting.cancel()
            await self._end()
            self._noise.close()

    def stop(self) -> None:
        """Interrupt what is running; called in the event loop by ``Execution.stop``."""
        if self._phase == "starting" and self._task is not None:
            self._responsive = False
            self._task.cancel()
        elif self._phase == "running" and self._interrupting is None:
            self._interrupting = asyncio.ensure_future(self._interrupt())

    async def _interrupt(self) -> None:
        # A kernel that has not begun the cell would ignore a signal: wait until it has.
        for _ in range(int(_GRACE / 0.05)):
            if self._current is None or "iopub.execute_input" in self._current.metadata.get(
                "execution", {}
            ):
                break
            await asyncio.sleep(0.05)
        for _ in range(2):  # the second for what swallowed the first
            await ensure_async(self.km.interrupt_kernel())
            await asyncio.sleep(_GRACE / 2)
        self._responsive = False
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()

    async def _start(self) -> None:
        env = {**os.environ, **self._execution.env}
        # The session that we may have been started from is not the new kernel's.
        env.pop("JPY_SESSION_NAME", None)
        for attempt in range(1, _START_ATTEMPTS + 1):
            self.km = self.create_kernel_manager()
            if "transport_encryption" in self.km.trait_names() and zmq.has("curve"):
                # Where the kernel can, its traffic is no other local user's to read.
                self.km.transport_encryption = "auto"
            try:
                await self.async_start_new_kernel(
                    env=env,
                    cwd=str(self._execution.cwd),
                    stdout=self._noise.fileno(),
                    stderr=subprocess.STDOUT,
                )
                self._execution.kernel_pid = getattr(self.km.provisioner, "pid", None)
                await self.async_start_new_kernel_client()
                return
            except RuntimeError as error:
                if attempt == _START_ATTEMPTS or "died" not in str(error):
                    raise

    async def _run_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            if self._execution.stopping or self._exit_asked:
                return
            self.nb_man.cell_start(cell, index)
            started = time.monotonic()
            self._report(index, "started")
            failed = await self._run_cell(cell, index)
            # The base class may have put another object into the list.
            done = self.nb.cells[index]
            if failed:
                self.nb_man.cell_exception(done, cell_index=index)
            self.nb_man.cell_complete(done, cell_index=index)
            self._report(index, "failed" if failed else "completed", time.monotonic() - started)
            if failed:
                return

    async def _run_cell(self, cell: Any, index: int) -> bool:
        """Run one cell; whether it failed.  The reason is in the execution then."""
        execution = self._execution
        try:
            await self.async_execute_cell(cell, index)
        except CellExecutionError as error:
            if execution.stopping:
                return True
            if execution.status == "timeout":
                self._time_out(cell, index)
                return True
            if error.ename == "SystemExit" and error.evalue in ("", "0", "None"):
                self._exit_asked = True  # sys.exit(0): the notebook says that it is done
                return False
            traceback = _error_traceback(cell)
            execution.fail(
                "failed", self._failure(cell, index, error.ename, error.evalue, traceback)
            )
        except CellTimeoutError:
            self._responsive = False
            self._time_out(cell, index)
        except DeadKernelError as error:
            if execution.stopping:
                return True
            if execution.status == "timeout":
                self._time_out(cell, index)
                return True
            self._responsive = False
            reason = self._death(index, error)
            _add_error(cell, reason["ename"], reason["evalue"])
            execution.fail("died", reason)
        else:
            if execution.status == "timeout":  # interrupted, and it caught that
                self._time_out(cell, index)
                return True
            return False
        return True

    async def _async_handle_timeout(self, timeout: float, cell: Any = None) -> None:
        # Called by nbclient when the reply is late.  An interrupted cell says where it was.
        self._execution.status = "timeout"
        await ensure_async(self.km.interrupt_kernel())
        if not await self.kc.shell_channel.socket.poll(_GRACE * 1000):
            raise CellTimeoutError("the cell does not react to an interrupt")

    def _time_out(self, cell: Any, index: int) -> None:
        traceback = _error_traceback(cell)
        evalue = f"the notebook did not finish within {self._execution.timeout:g} s"
        error = self._failure(cell, index, "TimeoutError", evalue, traceback)
        _add_error(cell, "TimeoutError", evalue)
        self._execution.fail("timeout", error)

    async def _note_language(self) -> None:
        message = await self.async_wait_for_reply(await ensure_async(self.kc.kernel_info()))
        if message is not None:
            self.nb.metadata["language_info"] = message["content"]["language_info"]
        self.set_widgets_metadata()

    async def _end(self) -> None:
        """End the kernel, then whatever it has started.

        After a finished run only its process group: what took a session of its own was meant to
        outlive it.  After any other, all its descendants.
        """
        pid = self._execution.kernel_pid
        descendants = _descendants(pid) if pid is not None else []
        whole = self._execution.error is not None or self._execution.stopping
        self.shutdown_kernel = "graceful" if self._responsive else "immediate"
        try:
            if self.km is not None:
                with contextlib.suppress(RuntimeError):  # it died while being ended
                    await self._async_cleanup_kernel()
        finally:
            if pid is not None:
                kill_group(pid)
            for process in descendants if whole else ():
                with contextlib.suppress(psutil.Error):
                    process.kill()  # psutil compares the start time: never another's pid
            self._execution.kernel_pid = None

    def _execute(self, cell: Any, cell_index: int) -> None:
        self._current = cell
        # As JupyterLab does: who listens in the kernel knows which cell runs.
        self.kc.session.metadata["cellId"] = cell.get("id")

    def _executed(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        payload = (execute_reply or {}).get("content", {}).get("payload", [])
        if any(entry.get("source") == "ask_exit" for entry in payload):
            self._exit_asked = True  # exit() and quit(): the kernel goes away by itself

    def _seconds_left(self) -> float | None:
        remaining = self._execution.remaining()
        return None if remaining is None else max(remaining, 0.001)

    def _runs(self, cell: Any) -> bool:
        return bool(
            cell.cell_type == "code"
            and cell.source.strip()
            and self.skip_cells_with_tag not in cell.metadata.get("tags", [])
        )

    def _report(self, index: int, state: str, seconds: float = 0.0) -> None:
        number = self._numbers.get(index)
        if number is None:
            return
        cell = self.nb.cells[index]
        text = output_tail(cell) if state == "failed" else ""
        self._execution.emit(
            CellProgress(
                number - 1, len(self._numbers), state, title_of(cell.source), seconds, text
            )
        )

    def _failure(
        self, cell: Any, index: int, ename: str, evalue: str, traceback: list[str]
    ) -> dict[str, Any]:
        return failure(cell, self._numbers.get(index), ename, evalue, traceback)

    def _death(self, index: int | None, error: BaseException) -> dict[str, Any]:
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        code = None if process is None else process.poll()
        where = "while it was starting" if index is None else "while the cell was running"
        evalue = f"the kernel died {where}"
        if isinstance(code, int) and code < 0:
            with contextlib.suppress(ValueError):
                evalue = f"the kernel was ended by {signal.Signals(-code).name} {where}"
            if code == -9:
                evalue += "; that is what the system does to a process when memory runs out"
        elif isinstance(code, int):
            evalue = f"the kernel ended with exit code {code} {where}"
        elif index is None:
            started = self._phase != "starting"
            what = "the connection to the kernel broke" if started else "the kernel did not start"
            evalue = f"{what}: {error}"
        self._noise.seek(0, os.SEEK_END)
        self._noise.seek(max(0, self._noise.tell() - _NOISE_TAIL))
        lines = without_colour(self._noise.read().decode("utf-8", "replace")).splitlines()
        noise = "\n".join(line for line in lines if "[IPKernelApp] WARNING" not in line).strip()
        if index is None:
            result = failure(None, None, "DeadKernelError", evalue, [])
            result["output"] = noise
        else:
            cell = self.nb.cells[index]
            result = self._failure(cell, index, "DeadKernelError", evalue, [])
            result["output"] = "\n".join(t for t in (result["output"], noise) if t)
        return result


def _error_traceback(cell: Any) -> list[str]:
    for output in reversed(cell.outputs):
        if output.output_type == "error":
            return [str(line) for line in output.traceback]
    return []


def _add_error(cell: Any, ename: str, evalue: str) -> None:
    cell.outputs.append(
        _v4.new_output("error", ename=ename, evalue=evalue, traceback=[f"{ename}: {evalue}"])
    )


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
