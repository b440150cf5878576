"""Runs the cells of a notebook in a kernel: one loop that waits for messages, ends and deadlines.

Nothing here polls: a message, the kernel's end (a process descriptor), a wish to stop and the next
deadline are the only things waited for.
"""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from typing import Any

from ..model.cell_words import title_of
from ..model.ports import CellProgress
from .engine_execution import Execution
from .engine_kernels import CellKernel, KernelStartError
from .engine_messages import add_error, output_of, timestamp, traceback_of
from .engine_output import Outputs
from .engine_processes import Meter
from .engine_record import Record
from .engine_saves import Saver
from .engine_skips import runs
from .engine_starting import open_kernel
from .engine_widgets import Widgets
from .papermill_report import failure, output_tail

__all__ = ["NotebookRun"]

_BEGIN = 0.1  # seconds from a cell's announcement to where an interrupt reaches its code
_GRACE = 5.0  # seconds that an interrupted cell has to end by itself
_IDLE_WAIT = 60.0  # seconds after the reply for the last output; a long one is no failure
_DEATH_WAIT = 0.5  # seconds for what a dead kernel has sent, which is in the connection
_SAMPLE = 1.0  # seconds between looks at the memory
_BATCH = 500  # messages between two looks at the clock


@dataclass
class _Interrupt:
    """An interrupt that is under way: ``state`` is what the cell's will be.

    ``interrupted`` is for the option ``interrupt_on_timeout``: the cell's reply decides.
    """

    state: str
    asked: float
    sent: list[float]
    pause: float = 0.0  # seconds after one was sent, at least


@dataclass
class _Running:
    """The cell that runs."""

    cell: dict[str, Any]
    index: int
    request: str
    started: float
    deadline: float | None
    lived: bool  # the kernel, when the cell was sent
    reply: dict[str, Any] | None = None
    replied: float = 0.0
    idle: bool = False
    begun: bool = False  # the kernel has taken it up
    begun_at: float = 0.0
    dead: bool = False
    asked: bool = False  # for input
    interrupt: _Interrupt | None = None


class NotebookRun:
    """One execution of a notebook (in place; its cells have ids and tags).

    How it ended is in ``execution``; ``saver`` writes it on the way.
    """

    def __init__(
        self, notebook: dict[str, Any], execution: Execution, kernel_name: str, saver: Saver
    ) -> None:
        self._notebook = notebook
        self._execution = execution
        self._saver = saver
        self._record = Record(notebook, saver, skip_tag=execution.skip_tag)
        self._outputs = Outputs(execution.cell_limit, execution.notebook_limit)
        self._widgets = Widgets(lambda content, parent: self._kernel.send_comm(content, parent))
        self._kernel_name = kernel_name
        self._kernel: CellKernel
        self._meter: Meter | None = None
        self._sampled = 0.0
        self._exit_asked = False
        self._responsive = True  # ends gently unless it stopped answering
        cells = enumerate(notebook["cells"])
        numbered = [i for i, cell in cells if runs(cell, execution.skip_tag)]
        self._numbers = {index: number for number, index in enumerate(numbered, start=1)}

    def run(self) -> None:
        """Execute the notebook."""
        execution = self._execution
        self._record.begin()
        self._kernel = open_kernel(self._notebook, execution, self._kernel_name)
        try:
            if not execution.stopping and self._start():
                kernel = self._kernel
                self._record.kernel = kernel.report
                execution.begin()
                self._run_cells()
                self._notebook["metadata"]["language_info"] = kernel.info["language_info"]
                widgets = self._widgets.metadata()
                if widgets is not None:
                    self._notebook["metadata"]["widgets"] = widgets
        finally:
            broken = execution.error is not None or execution.stopping
            try:
                self._kernel.end(gently=self._responsive, whole=broken)
            finally:
                execution.kernel_pid = None
                self._record.finish(execution.status, execution.error, stopped=execution.stopping)
                self._saver.close()

    def _start(self) -> bool:
        execution = self._execution
        try:
            self._start_kernel()
        except (KernelStartError, RuntimeError, OSError) as error:
            self._responsive = False
            if not execution.stopping:
                execution.fail("died", self._death(None, error), None)
            return False
        execution.kernel_pid = self._kernel.pid
        if self._kernel.pid is not None:
            self._meter = Meter(self._kernel.pid)
        return True

    def _start_kernel(self) -> None:
        execution, kernel = self._execution, self._kernel
        try:
            kernel.start(execution.start_timeout, lambda: execution.stopping)
        except KernelStartError as error:
            if kernel.report.get("start") != "fork" or execution.stopping:
                raise
            # Nothing was executed yet: the other kind may start.
            kernel.end(gently=False, whole=True)
            why = f"the forked process did not start: {error}"
            self._kernel = open_kernel(self._notebook, execution, self._kernel_name, why)
            self._kernel.start(execution.start_timeout, lambda: execution.stopping)

    def _run_cells(self) -> None:
        for index, cell in enumerate(self._notebook["cells"]):
            if self._execution.stopping or self._exit_asked:
                return
            self._record.start(cell)
            if not runs(cell, self._execution.skip_tag):
                self._record.end(cell, "skipped")
                continue
            self._report(index, "started")
            began = time.monotonic()
            state, more = self._run_cell(cell, index)
            usage = self._meter.end() if self._meter is not None else None
            self._record.end(cell, state, usage, **more)
            seconds = time.monotonic() - began
            self._report(index, "completed" if state == "completed" else "failed", seconds)
            if state != "completed":
                return
            self._saver.save_if_due()

    def _run_cell(self, cell: dict[str, Any], index: int) -> tuple[str, dict[str, Any]]:
        """Run one cell: its state, and what else is to be noted."""
        tags = cell["metadata"].get("tags", [])
        self._outputs.begin(cell["outputs"])
        cell["metadata"]["execution"] = {}
        if self._meter is not None:
            self._meter.begin()
        now = self._sampled = time.monotonic()
        allowed = self._execution.allows(tags)
        lives = "death" not in self._kernel.wait(0)
        request = self._kernel.execute(cell["source"], cell["id"], stop_on_error=not allowed)
        running = _Running(cell, index, request, now, self._cell_deadline(now), lives)
        self._follow(running)
        cut = self._outputs.finish()
        reply = running.reply
        content = reply["content"] if reply is not None else {}
        payload = content.get("payload") or []
        if any(entry.get("source") == "ask_exit" for entry in payload):
            self._exit_asked = True  # exit() and quit(): the kernel goes away by itself
        state, more = self._judge(running, content, allowed)
        interrupt = running.interrupt
        if interrupt is not None and interrupt.state == "interrupted" and interrupt.sent:
            more["interrupted"] = self._execution.cell_timeout
        return state, {**more, "output_cut": cut}

    def _cell_deadline(self, now: float) -> float | None:
        execution = self._execution
        limits = [execution.deadline] if execution.deadline is not None else []
        if execution.cell_timeout is not None:
            limits.append(now + execution.cell_timeout)
        return min(limits, default=None)

    def _follow(self, running: _Running) -> None:
        """Wait until the cell has ended, in whatever way."""
        while not (running.idle and running.reply is not None):
            now = time.monotonic()
            if self._give_up(running, now):
                return
            ready = self._kernel.wait(self._patience(running, now))
            if "message" in ready:
                self._read(running)
            if "death" in ready:
                self._drain(running)
                return
            now = time.monotonic()
            if now >= self._sampled + _SAMPLE and self._meter is not None:
                self._sampled = now
                self._meter.sample()
            due = self._saver.due
            if due is not None and now >= due:
                self._outputs.settle()
                self._saver.changed(running.cell)
                self._saver.save_if_due()

    def _patience(self, running: _Running, now: float) -> float | None:
        """Seconds until something is to be done without an event."""
        moments = [self._sampled + _SAMPLE]
        if running.interrupt is not None:
            moments.append(self._next_step(running.interrupt, running))
            if running.interrupt.state == "interrupted" and self._execution.deadline is not None:
                moments.append(self._execution.deadline)
        elif running.deadline is not None:
            moments.append(running.deadline)
        if running.reply is not None:
            moments.append(running.replied + _IDLE_WAIT)
        if self._saver.due is not None:
            moments.append(self._saver.due)
        return max(0.001, min(moments) - now)

    def _give_up(self, running: _Running, now: float) -> bool:
        """Do what is due by the clock; whether to wait no longer."""
        interrupt = running.interrupt = self._due_interrupt(running, now)
        if interrupt is not None and now >= self._next_step(interrupt, running):
            if len(interrupt.sent) == 2:
                self._responsive = False
                return True
            interrupt.sent.append(now)  # the second is for what swallowed the first
            self._kernel.interrupt()
        return running.reply is not None and now >= running.replied + _IDLE_WAIT

    def _due_interrupt(self, running: _Running, now: float) -> _Interrupt | None:
        execution, interrupt = self._execution, running.interrupt
        if interrupt is not None and interrupt.state != "interrupted":
            return interrupt
        if execution.stopping:
            return _Interrupt("cancelled", now, [])
        if execution.deadline is not None and now >= execution.deadline:
            return _Interrupt("timed out", now, [])
        if interrupt is None and running.deadline is not None and now >= running.deadline:
            if not execution.interrupt_on_timeout:
                return _Interrupt("timed out", now, [])
            # nbclient interrupts again after the same time; here the second is the last.
            return _Interrupt("interrupted", now, [], execution.cell_timeout or 0.0)
        return interrupt

    @staticmethod
    def _next_step(interrupt: _Interrupt, running: _Running) -> float:
        if interrupt.sent:
            return interrupt.sent[-1] + max(_GRACE / 2, interrupt.pause)
        # A kernel that has not begun the cell would ignore a signal: wait until it has.
        # It says so a moment before the first line runs.
        begun = max(interrupt.asked, running.begun_at + _BEGIN)
        return begun if running.begun else interrupt.asked + _GRACE

    def _read(self, running: _Running) -> None:
        for _ in range(_BATCH):
            got = self._kernel.read()
            if got is None:
                return
            message, size = got
            kind = message["msg_type"]
            if kind == "input_request":
                # Kernels that honour ``allow_stdin`` raise by themselves; the others would wait.
                if running.interrupt is None:
                    running.asked = True
                    running.interrupt = _Interrupt("failed", time.monotonic(), [])
            elif message["parent_header"].get("msg_id") != running.request:
                continue
            elif kind == "execute_reply":
                self._reply(running, message)
            else:
                self._output(running, message, size)

    def _reply(self, running: _Running, message: dict[str, Any]) -> None:
        running.reply, running.replied = message, time.monotonic()
        times = running.cell["metadata"]["execution"]
        times["shell.execute_reply"] = timestamp(message)
        count = message["content"].get("execution_count")
        if count is not None:
            running.cell["execution_count"] = count

    def _output(self, running: _Running, message: dict[str, Any], size: int) -> None:
        kind, content = message["msg_type"], message["content"]
        parent = message["parent_header"]
        times = running.cell["metadata"]["execution"]
        if kind == "status":
            running.idle = content["execution_state"] == "idle"
            if content["execution_state"] in ("busy", "idle"):
                times[f"iopub.status.{content['execution_state']}"] = timestamp(message)
        elif kind == "execute_input":
            running.begun, running.begun_at = True, time.monotonic()
            running.cell["execution_count"] = content["execution_count"]
            times["iopub.execute_input"] = timestamp(message)
        elif kind.startswith("comm_"):
            self._widgets.message(kind, message)
        elif kind == "clear_output":
            wait = bool(content.get("wait"))
            if self._widgets.catches(parent["msg_id"]):
                self._widgets.clear(wait, parent)
            else:
                self._outputs.clear(wait)
        elif kind == "stream" and not self._widgets.catches(parent["msg_id"]):
            self._outputs.stream(content["name"], content["text"])
            self._told({"output_type": "stream", "name": content["name"], "text": content["text"]})
        else:
            self._rich_output(running, kind, content, parent, size)
        self._saver.changed(running.cell)

    def _rich_output(
        self,
        running: _Running,
        kind: str,
        content: dict[str, Any],
        parent: dict[str, Any],
        size: int,
    ) -> None:
        display_id = (content.get("transient") or {}).get("display_id")
        if kind == "update_display_data":
            data, metadata = content.get("data", {}), content.get("metadata", {})
            if display_id and self._outputs.update(display_id, data, metadata, size):
                for cell in self._notebook["cells"][: running.index]:
                    self._saver.changed(cell)
            return
        output = output_of(kind, content)
        if output is None:
            return
        if kind == "execute_result":
            running.cell["execution_count"] = content.get("execution_count")
        if display_id is not None and kind == "display_data":
            self._outputs.update(display_id, output["data"], output["metadata"], size)
        if self._widgets.catches(parent["msg_id"]):
            self._widgets.caught(output, parent)
        else:
            self._outputs.add(output, size, display_id)
            self._told(output)

    def _told(self, output: dict[str, Any]) -> None:
        if self._execution.show is not None:
            self._execution.show(output)

    def _drain(self, running: _Running) -> None:
        """The kernel has ended: read what it has still sent."""
        running.dead = True
        self._responsive = False
        deadline = time.monotonic() + _DEATH_WAIT
        while (left := deadline - time.monotonic()) > 0:
            ready = self._kernel.wait(min(left, 0.05))
            if "message" not in ready:
                # Its end is always there; a moment for what the system is still handing over.
                time.sleep(0.02)
                if "message" not in self._kernel.wait(0):
                    return
            self._read(running)

    def _judge(
        self, running: _Running, content: dict[str, Any], allowed: bool
    ) -> tuple[str, dict[str, Any]]:
        cell, index, execution = running.cell, running.index, self._execution
        failed = content.get("status") == "error"
        ename, evalue = str(content.get("ename", "")), str(content.get("evalue", ""))
        interrupt = running.interrupt
        if interrupt is not None and not interrupt.sent and content.get("status") == "ok":
            interrupt = None  # it ended by itself before it was interrupted
        if interrupt is not None and interrupt.state == "cancelled":
            return self._cancelled(index)
        unheard = interrupt is not None and running.reply is None and not running.dead
        if interrupt is not None and (
            interrupt.state == "timed out" or (interrupt.state == "interrupted" and unheard)
        ):
            self._time_out(cell, index)
            return "timed out", {}
        if running.asked:
            ename, evalue = "StdinNotImplementedError", "a headless run has nobody who could answer"
            add_error(cell, ename, evalue)
            failed = True
        elif running.dead and running.reply is None:
            if execution.stopping:
                return self._cancelled(index)
            error = self._death(index, None, lived=running.lived)
            add_error(cell, error["ename"], error["evalue"])
            execution.fail("died", error, index)
            return "died", {"signal": execution.signal}
        elif content.get("status") == "aborted":
            ename, evalue, failed = "Aborted", "the kernel did not execute the cell", True
            add_error(cell, ename, evalue)
        if running.dead and running.reply is not None and self._kernel.exit_code() == 0:
            self._exit_asked = True  # one that was killed dies in the next cell
        if not failed:
            return "completed", {}
        if ename == "SystemExit" and evalue in ("", "0", "None"):
            self._exit_asked = True  # sys.exit(0): the notebook says that it is done
            return "completed", {}
        if allowed or execution.allows((), ename):
            return "completed", {"allowed_error": ename}
        execution.fail("failed", self._failure(index, ename, evalue, traceback_of(cell)), index)
        return "failed", {}

    def _cancelled(self, index: int) -> tuple[str, dict[str, Any]]:
        self._execution.failed_index = index
        return "cancelled", {}

    def _time_out(self, cell: dict[str, Any], index: int) -> None:
        execution = self._execution
        whole = execution.deadline is not None and time.monotonic() >= execution.deadline
        if whole and execution.timeout is not None:
            evalue = f"the notebook did not finish within {execution.timeout:g} s"
        else:
            evalue = f"the cell did not finish within {execution.cell_timeout or 0:g} s"
        error = self._failure(index, "TimeoutError", evalue, traceback_of(cell))
        add_error(cell, "TimeoutError", evalue)
        execution.fail("timeout", error, index)

    def _report(self, index: int, state: str, seconds: float = 0.0) -> None:
        cell = self._notebook["cells"][index]
        text = output_tail(cell) if state == "failed" else ""
        number = self._numbers[index] - 1
        title = title_of(cell["source"])
        self._execution.emit(CellProgress(number, len(self._numbers), state, title, seconds, text))

    def _failure(self, index: int, ename: str, evalue: str, traceback: list[str]) -> dict[str, Any]:
        cell = self._notebook["cells"][index]
        return failure(cell, self._numbers.get(index), ename, evalue, traceback)

    def _death(
        self, index: int | None, error: BaseException | None, *, lived: bool = True
    ) -> dict[str, Any]:
        code = self._kernel.exit_code()
        where = "while the cell was running" if lived else "before the cell had begun"
        where = "while it was starting" if index is None else where
        if code is not None and code < 0:
            name = str(-code)
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
            self._execution.signal = name
            evalue = f"the kernel was ended by {name} {where}"
            if name == "SIGKILL":
                evalue += "; that is what the system does to a process when memory runs out"
        elif index is None:
            evalue = f"the kernel did not start: {error}"
            if code is not None:
                evalue += f" (exit code {code})"
        else:
            evalue = f"the kernel died {where}"
            if code is not None:
                evalue = f"the kernel ended with exit code {code} {where}"
        noise = self._kernel.noise()
        if index is None:
            result = failure(None, None, "DeadKernelError", evalue, [])
            result["output"] = noise
        else:
            result = self._failure(index, "DeadKernelError", evalue, [])
            result["output"] = "\n".join(text for text in (result["output"], noise) if text)
        return result
