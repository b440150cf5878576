"""The one hook pair: an event for every executed cell, a run for every tracked one.

Nothing here may touch the person's cell.  Whatever goes wrong becomes one warning that names what
was lost and why; the hooks themselves never raise.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.events import CellEvent
from .cellcode import CellCode, python_source, read_cell
from .estimators import find_estimators, stamps
from .frontend import cell_id, is_tagged
from .history import History
from .namespace import Namespace, bound_names
from .options import TrackOptions, parse_options
from .private import is_private
from .runlog import close_log, open_log
from .tracker import Running, Tracker
from .transform import blank_track, find_track
from .warner import Warner, describe

if TYPE_CHECKING:
    from .evidence import EvidenceTaker, Taking
    from .probes import Watch

__all__ = ["Recorder"]

_SOURCE_LIMIT = 200_000  # Characters; a longer cell is recorded, but its source is not read.
# Names that may be a secret's: only then is what knows them exactly imported.
_SUSPECT = re.compile("pass|pwd|secret|cred|key|token|auth|conn|dsn|pin|salt", re.IGNORECASE)
_NO_FRAME = 1_000_000  # Deeper than any stack: `var_expand` then sees the person's names only.


@dataclass(slots=True)
class _Open:
    """A cell that is running; ``clock`` is monotonic, in seconds."""

    info: Any
    raw: str
    seq: int
    cell_id: str | None
    options: TrackOptions | None = None
    warnings: list[str] = field(default_factory=list)
    before: Namespace = field(default_factory=lambda: Namespace({}))
    stamps: Mapping[str, object] = field(default_factory=dict)
    running: Running | None = None
    lost: str | None = None
    private: bool = False
    watch: Watch | None = None
    taking: Taking | None = None
    python: str = ""
    code: CellCode | None = None
    task: Any = None
    inner_error: BaseException | None = None
    started: float = 0.0
    clock: float = 0.0


class Recorder:
    """Records the cells of one shell; ``start`` puts it in place, ``stop`` takes it away."""

    def __init__(self, shell: Any, env: Mapping[str, str] | None = None) -> None:
        self.shell = shell
        self.warn = Warner()
        earlier = max(0, len(_raw_history(shell)) - 1)
        self.history = History(earlier)
        self.tracker = Tracker(shell, self.history, self.warn, env)
        self._loading = earlier  # Number of the cell with `%load_ext`, while that runs.
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._open: dict[int, list[_Open]] = {}  # thread -> cells, the innermost last
        self._transform = False
        self.auto = False  # `%track on`: every cell that fits a model becomes a run.
        self.takes_evidence = True
        self._evidence: EvidenceTaker | None = None

    def start(self, *, transform: bool = True) -> None:
        """Put the hooks in place; without ``transform`` ``%%track`` is left to somebody else."""
        events = self.shell.events
        events.register("pre_run_cell", self.pre_run_cell)
        events.register("post_run_cell", self.post_run_cell)
        with contextlib.suppress(Exception):  # Where frames come from is then not known.
            self.tracker.probes.install()
        self._transform = transform
        if transform:
            self.shell.input_transformer_manager.line_transforms.insert(0, blank_track)

    def stop(self) -> None:
        """Take hooks and transformer away and close the session."""
        with contextlib.suppress(ValueError):
            self.shell.events.unregister("pre_run_cell", self.pre_run_cell)
        with contextlib.suppress(ValueError):
            self.shell.events.unregister("post_run_cell", self.post_run_cell)
        with contextlib.suppress(ValueError):
            self.shell.input_transformer_manager.line_transforms.remove(blank_track)
        if os.getpid() == self._pid:
            if self._evidence is not None:
                self._evidence.close()
            self.tracker.close()

    def pre_run_cell(self, info: Any) -> None:
        """IPython's hook before a cell."""
        if os.getpid() != self._pid or info.silent or not info.store_history:
            return
        try:
            with self._lock:
                cell = self._begin(info)
                self._open.setdefault(threading.get_ident(), []).append(cell)
            cell.started, cell.clock = time.time(), time.perf_counter()
        except Exception as error:
            self.warn(f"this cell is not recorded: {describe(error)}")
        except KeyboardInterrupt:  # IPython runs the cell nonetheless.
            self.warn("this cell is not recorded: interrupted before it began")

    def post_run_cell(self, result: Any) -> None:
        """IPython's hook after a cell, below its output."""
        clock = time.perf_counter()
        if os.getpid() != self._pid:
            return  # A forked child runs on in the middle of its parent's cell.
        try:
            with self._lock:
                cell = self._ended(result)
                if cell is not None:
                    self._end(cell, result, clock)
        except Exception as error:
            self.warn(f"this cell was not recorded: {describe(error)}")
        except KeyboardInterrupt:
            self.warn("this cell was not recorded: interrupted")

    def _begin(self, info: Any) -> _Open:
        cell = _Open(info, info.raw_cell, self.history.next_seq(), cell_id(info, self.shell))
        cell.options, warnings = self._options(info)
        cell.private = is_private(info, self.shell, self.tracker.finder)
        if cell.private and cell.options is not None:
            self.warn("a private cell is not tracked: take away its tag or the %%track")
            cell.options = None
        if cell.options is not None or (self.auto and not cell.private):
            cell.task = _current_task()
            cell.python, cell.code = self._read(cell)
            cell.stamps = stamps(list(self.shell.user_ns), self.shell.user_ns)
        if cell.options is not None:
            cell.warnings.extend(warnings)
            try:
                cell.running = self.tracker.begin(cell.options, cell.warnings)
            except Exception as error:
                cell.lost = describe(error)
        self._begin_evidence(cell)
        dry_run = cell.options is not None and cell.options.dry_run
        automatic = self.auto and cell.options is None and not cell.private
        if (cell.running is not None and not dry_run) or automatic:
            cell.watch = self.tracker.probes.begin(
                cell.running, self.tracker.session, cell.python, cell.code, self.shell.user_ns
            )
        if cell.running is not None:
            open_log(cell.running.log)
        # Last: what is above takes time and imports.
        if cell.taking is None or cell.running is not None or cell.watch is not None:
            cell.before = Namespace(self.shell.user_ns)
        return cell

    def _options(self, info: Any) -> tuple[TrackOptions | None, tuple[str, ...]]:
        line = None
        if self._transform:
            cleanup = self.shell.input_transformer_manager.cleanup_transforms
            line = find_track(info.raw_cell, cleanup)
        if line is None:
            tagged = is_tagged(info, self.shell, self.tracker.finder)
            return TrackOptions() if tagged else None, ()
        if "{" in line or "$" in line:  # Expanded as IPython expands the line of any magic.
            line = str(self.shell.var_expand(line, _NO_FRAME))
        return parse_options(line)

    def _ended(self, result: Any) -> _Open | None:
        """The open cell that this result ends, if it is one of ours."""
        stack = self._open.get(threading.get_ident(), [])
        info: Any = getattr(result, "info", None)
        for depth in range(len(stack) - 1, -1, -1):
            cell = stack[depth]
            # IPython makes a new info when running itself fails, and no result when cancelled.
            same = info is None or info is cell.info
            if same or (info.store_history and info.raw_cell == cell.raw):
                for lost in stack[depth + 1 :]:
                    self._end_evidence(lost, (), 0.0)
                del stack[depth:]
                return cell
        error = _error(result)
        if stack and error is not None and "%%capture" in stack[-1].raw:
            stack[-1].inner_error = error  # `%%capture` runs its body apart and goes on.
        elif not stack and self._loading and self._is_loading_cell(info):
            self.history.earlier, self._loading = self._loading - 1, 0
            number = self.history.earlier + 1
            cell = _Open(info, info.raw_cell, number, cell_id(info, self.shell))
            cell.before = Namespace(self.shell.user_ns)
            cell.started, cell.clock = time.time(), time.perf_counter()
            return cell
        return None

    def _is_loading_cell(self, info: Any) -> bool:
        """Whether this is the cell with ``%load_ext``, which began before there were hooks."""
        raw = _raw_history(self.shell)
        number = self._loading
        return self.history.earlier == number < len(raw) and raw[number] == info.raw_cell

    def _end(self, cell: _Open, result: Any, clock: float) -> None:
        error = _error(result) or cell.inner_error
        if cell.watch is not None:
            self.tracker.probes.stop(cell.watch)
        if cell.running is not None:
            close_log(cell.running.log)
        python, code = (cell.python, cell.code) if cell.python else self._read(cell)
        namespace = self.shell.user_ns
        session = self.tracker.session
        seconds = max(0.0, clock - cell.clock)
        bound = bound_names(
            cell.before,
            namespace,
            code,
            hidden=self.shell.user_ns_hidden,
            finished=error is None and result is not None,
            again=self.history.bound_by(cell.cell_id, cell.raw),
        )
        event = CellEvent(
            session=session.id if session is not None else "",
            seq=cell.seq,
            source="" if cell.private else cell.raw,
            started=cell.started,
            ended=cell.started + seconds,
            status=_status(result, error, cell.task),
            cell_id=cell.cell_id,
            options=cell.options.to_dict() if cell.options is not None else None,
            bound=bound,
            evidence=self._end_evidence(cell, bound, seconds),
            error=_error_record(error),
            private=cell.private,
        )
        self._note_secrets(event.bound, namespace)
        try:
            if cell.options is not None:
                self._end_tracked(cell, cell.options, event, python, code, result)
            elif not (self.auto and self._end_fitted(cell, event, python, code, result)):
                self.tracker.note(event)
        finally:
            self.history.note(event, code, namespace)
            with contextlib.suppress(Exception):  # A later run has one input less.
                self.tracker.probes.note_reads(event)
            if cell.options is None:
                self.tracker.note_source(python, namespace)

    def _begin_evidence(self, cell: _Open) -> None:
        """Look at what the cell may touch, before it does."""
        if cell.private or not self.takes_evidence or len(cell.raw) > _SOURCE_LIMIT:
            return
        try:
            if self._evidence is None:
                from .evidence import EvidenceTaker

                self._evidence = EvidenceTaker(self.shell, lambda: self.tracker.probes.file_watch)
            cell.before = Namespace(self.shell.user_ns)
            cell.taking = self._evidence.begin(cell.seq, cell.raw, cell.before)
        except Exception as error:
            self.takes_evidence = False
            self.warn.once("evidence", f"cells are followed by their text only: {describe(error)}")

    def _end_evidence(
        self, cell: _Open, bound: tuple[str, ...], seconds: float
    ) -> dict[str, Any] | None:
        """What the cell was seen to do; ``None`` where nobody looked."""
        taking, cell.taking = cell.taking, None
        if taking is None or self._evidence is None:
            return None
        try:
            return self._evidence.end(taking, bound, seconds)
        except Exception as error:
            self.takes_evidence = False
            self.warn.once("evidence", f"cells are followed by their text only: {describe(error)}")
            return None

    def _end_tracked(
        self,
        cell: _Open,
        options: TrackOptions,
        event: CellEvent,
        python: str,
        code: CellCode | None,
        result: Any,
    ) -> None:
        running = cell.running
        if running is None:
            self.warn(f"this run was not recorded: {cell.lost}")
            self.tracker.note(event)
            return
        from .run import TrackedCell

        try:
            ended = TrackedCell(
                started=running.started,
                event=event,
                options=options,
                python=python,
                code=code,
                namespace=self.shell.user_ns,
                stamps=cell.stamps,
                warnings=tuple(cell.warnings),
                tags=running.tags,
                value=getattr(result, "result", None),
                log=running.log,
                seen=self.tracker.see(cell.watch, running, event, python, self.shell.user_ns),
            )
            self.tracker.end(ended, live=running.live)
        finally:
            self.tracker.settle(cell.watch, running)

    def _end_fitted(
        self, cell: _Open, event: CellEvent, python: str, code: CellCode | None, result: Any
    ) -> bool:
        """Make a run of a plain cell that fitted a model (``%track on``); whether it was one."""
        if cell.private:
            return False
        from .afterwards import run_afterwards

        namespace = self.shell.user_ns
        others = [name for name in cell.stamps if name not in event.bound]
        now = stamps(others, namespace)
        # A second name for a model that was there before is no fit.
        old = {id(namespace[name]) for name in now if now[name] == cell.stamps[name]}
        fits = tuple(
            found
            for found in find_estimators(namespace, event.bound, code, cell.stamps)
            if id(found.model) not in old
        )
        if fits:
            run_afterwards(
                self.tracker, event, python, code, self.shell.user_ns,
                fits=fits, value=getattr(result, "result", None), watch=cell.watch, note=True,
            )  # fmt: skip
        return bool(fits)

    def _note_secrets(self, bound: tuple[str, ...], namespace: Mapping[str, Any]) -> None:
        """Learn the values of secretly named variables, so that they are written nowhere."""
        suspects = [name for name in bound if _SUSPECT.search(name)]
        if suspects:
            from ..journal import default_redactor, is_secret_name

            for name in filter(is_secret_name, suspects):
                default_redactor().add(name, namespace.get(name))

    def _read(self, cell: _Open) -> tuple[str, CellCode | None]:
        if len(cell.raw) > _SOURCE_LIMIT:
            return "", None
        transform = self.shell.input_transformer_manager.transform_cell
        try:
            transformed = getattr(cell.info, "transformed_cell", None) or transform(cell.raw)
            python = python_source(transformed, transform)
        except Exception:  # IPython's own syntax can be wrong, too.
            return "", None
        return python, read_cell(python)


def _raw_history(shell: Any) -> list[str]:
    return list(getattr(getattr(shell, "history_manager", None), "input_hist_raw", ()))


def _current_task() -> Any:
    """The asyncio task that the cell runs in, if any: an interrupt cancels it."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        return None


def _error(result: Any) -> BaseException | None:
    error = getattr(result, "error_before_exec", None)
    return error if error is not None else getattr(result, "error_in_exec", None)


def _status(result: Any, error: BaseException | None, task: Any) -> str:
    if result is None or isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if error is None:
        return "ok"
    # ipykernel turns an interrupt of an async cell into the cancellation of its task.
    if type(error).__name__ == "CancelledError" and task is not None and task.cancelling():
        return "interrupted"
    return "error"


def _error_record(error: BaseException | None) -> dict[str, str] | None:
    if error is None:
        return None
    try:
        text = str(error)
    except Exception:  # the person's own __str__
        text = ""
    return {"ename": type(error).__name__, "evalue": text[:2000]}
