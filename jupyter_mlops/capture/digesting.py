"""One thread of low priority for what takes longer than a cell may be kept waiting."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import Undigested
from ..model.events import BEING_KEPT, InputRecord
from .files import not_watched

__all__ = ["Later", "Task"]

_WAITING = 64  # Tasks that hold memory; more are given up.
_HELD = 2_000_000_000  # Bytes of the values they hold; one may always wait, however large.
_BREATH = 0.0003  # Seconds between two leaves, in which the person's code goes on.
_NICE = 10


@dataclass(frozen=True, slots=True)
class Task:
    """Something to digest or keep: the record so far, and what completes it.

    ``work`` calls its argument often; it raises ``Undigested`` or ``OSError`` with the reason why
    the record stays as it is.  What it returns is told before ``then``, if there is one, goes on
    with it.  ``dropped`` is called when the last of them is never done.  A ``quiet`` one is told
    only when it is done; its ``work`` may return ``None``: there is nothing to tell.
    """

    base: InputRecord
    work: Callable[[Callable[[], None]], InputRecord | None]
    dropped: Callable[[], None] | None = None
    then: Callable[[InputRecord, Callable[[], None]], InputRecord] | None = None
    quiet: bool = False


class Later:
    """Does tasks one after the other and tells ``done(run_id, record)`` of each.

    ``ended(run_id)`` is told when no task of a run is left.
    """

    def __init__(
        self,
        done: Callable[[str, InputRecord], None],
        ended: Callable[[str], None] | None = None,
    ) -> None:
        self._done = done
        self._ended = ended
        self._kept: OrderedDict[str, list[Task]] = OrderedDict()
        self._queue: deque[tuple[str, Task]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def keep(self, run_id: str, tasks: list[Task]) -> None:
        """Hold the tasks of a run until ``start``; those of runs that never came are dropped."""
        if tasks:
            self._kept[run_id] = tasks
        while len(self._kept) > 8:
            _, forgotten = self._kept.popitem(last=False)
            for task in forgotten:
                _drop(task)

    def start(self, run_id: str) -> None:
        """Begin with the tasks of a run."""
        tasks = self._kept.pop(run_id, [])
        refused: list[Task] = []
        with self._changed:
            if self._closing:
                for task in tasks:
                    _drop(task)
                return
            held = sum(task.base.size for _, task in self._queue)
            for task in tasks:
                full = self._queue and held + task.base.size > _HELD
                if len(self._queue) < _WAITING and not full:
                    self._queue.append((run_id, task))
                    held += task.base.size
                else:
                    refused.append(task)
            if self._queue and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlops-inputs", daemon=True)
                self._thread.start()
            waiting = any(other == run_id for other, _ in self._queue)
        for task in refused:
            _drop(task)
            what = "for their digest" if task.base.digest is None else "to be kept"
            if not task.quiet:
                self._tell(run_id, _given_up(task, f"too many inputs are waiting {what}"))
        if refused and not waiting:
            self._tell_ended(run_id)

    def wait(self, timeout: float) -> bool:
        """Whether everything is done within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def close(self, timeout: float) -> None:
        """Wait for at most ``timeout`` seconds, then give up what is left."""
        thread = self._thread
        self.wait(timeout)
        with self._changed:
            self._closing = True
            left = list(self._queue)
            self._queue.clear()
        for tasks in self._kept.values():
            for task in tasks:
                _drop(task)
        self._kept.clear()
        for run_id, task in left:
            _drop(task)
            if not task.quiet:
                self._tell(run_id, _given_up(task, _ended_before(task)))
        if self.wait(1.0) and thread is not None:
            thread.join(1.0)
        for run_id in dict.fromkeys(run_id for run_id, _ in left):
            self._tell_ended(run_id)

    def _run(self) -> None:
        _be_nice()
        with not_watched():
            while True:
                with self._changed:
                    if not self._queue:
                        self._thread = None
                        self._changed.notify_all()
                        return
                    run_id, task = self._queue.popleft()
                self._do(run_id, task)
                del task  # What it pinned is free again while the next one is awaited.
                with self._changed:
                    last = all(other != run_id for other, _ in self._queue)
                if last:
                    self._tell_ended(run_id)

    def _do(self, run_id: str, task: Task) -> None:
        record = self._made(task)
        then = task.then
        if record is None or (task.quiet and record.digest is None):
            _drop(task)
        elif then is None:
            self._tell(run_id, record)
        elif record.digest is None:
            _drop(task)
            self._tell(run_id, record)
        else:
            self._tell(run_id, replace(record, reason=BEING_KEPT))
            made = self._made(Task(record, lambda pause: then(record, pause)))
            self._tell(run_id, made or record)

    def _made(self, task: Task) -> InputRecord | None:
        try:
            return task.work(self._pause)
        except OSError as error:
            return _given_up(task, f"it cannot be read: {error.strerror or error}")
        except Undigested as error:
            return _given_up(task, error.message)
        except Exception as error:
            return _given_up(task, f"it cannot be digested: {type(error).__name__}: {error}")

    def _pause(self) -> None:
        if self._closing:
            raise Undigested("the session ended before it was digested")
        time.sleep(_BREATH)

    def _tell(self, run_id: str, record: InputRecord) -> None:
        with contextlib.suppress(Exception):  # A journal that is gone, as at the end of a process.
            self._done(run_id, record)

    def _tell_ended(self, run_id: str) -> None:
        if self._ended is not None:
            with contextlib.suppress(Exception):
                self._ended(run_id)


def _given_up(task: Task, reason: str) -> InputRecord:
    return replace(task.base, reason=reason)


def _ended_before(task: Task) -> str:
    done = "digested" if task.base.digest is None else "kept"
    return f"the session ended before it was {done}"


def _drop(task: Task) -> None:
    if task.dropped is not None:
        with contextlib.suppress(Exception):
            task.dropped()


def _be_nice() -> None:
    """Lower this thread's priority, where threads have one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
