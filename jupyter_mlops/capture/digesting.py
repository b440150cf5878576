"""One thread of low priority for digests that take longer than a cell may be kept waiting."""

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
from ..model.events import InputRecord
from .files import not_watched

__all__ = ["Later", "Task"]

_WAITING = 16  # Tasks that hold memory; more are given up.
_BREATH = 0.0003  # Seconds between two leaves, in which the person's code goes on.
_NICE = 10


@dataclass(frozen=True, slots=True)
class Task:
    """Something to digest: the record so far, and what completes it (it calls its argument often).

    ``work`` raises ``Undigested`` or ``OSError`` with the reason why there is no digest after all.
    """

    base: InputRecord
    work: Callable[[Callable[[], None]], InputRecord]


class Later:
    """Digests tasks one after the other and tells ``done(run_id, record)`` of each."""

    def __init__(self, done: Callable[[str, InputRecord], None]) -> None:
        self._done = done
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
            self._kept.popitem(last=False)

    def start(self, run_id: str) -> None:
        """Begin with the tasks of a run."""
        tasks = self._kept.pop(run_id, [])
        refused: list[Task] = []
        with self._changed:
            if self._closing:
                return
            for task in tasks:
                if len(self._queue) < _WAITING:
                    self._queue.append((run_id, task))
                else:
                    refused.append(task)
            if self._queue and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlops-inputs", daemon=True)
                self._thread.start()
        for task in refused:
            self._tell(run_id, _given_up(task, "too many inputs are waiting for their digest"))

    def wait(self, timeout: float) -> bool:
        """Whether everything is done within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def close(self, timeout: float) -> None:
        """Wait for at most ``timeout`` seconds, then give up what is left."""
        self.wait(timeout)
        with self._changed:
            self._closing = True
            left = list(self._queue)
            self._queue.clear()
        self._kept.clear()
        for run_id, task in left:
            self._tell(run_id, _given_up(task, "the session ended before it was digested"))
        self.wait(1.0)

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
                self._tell(run_id, self._made(task))
                del task  # What it pinned is free again while the next one is awaited.

    def _made(self, task: Task) -> InputRecord:
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


def _given_up(task: Task, reason: str) -> InputRecord:
    return replace(task.base, digest=None, reason=reason)


def _be_nice() -> None:
    """Lower this thread's priority, where threads have one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
