"""Processes that run combinations at once: one that dies costs its own combination only."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Any

from ..project import Project

__all__ = ["Workers"]

_GRACE = 15.0  # seconds for a run that is told to end


class Workers:
    """At most ``jobs`` processes, each with one request at a time; close it when done."""

    def __init__(self, project: Project, jobs: int) -> None:
        self._project = project
        self._jobs = jobs
        self._answers: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = (
            queue.SimpleQueue()
        )
        self._workers: list[_Worker] = []

    @property
    def free(self) -> bool:
        """Whether another request can be taken."""
        return sum(worker.job is not None for worker in self._workers) < self._jobs

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return any(worker.job is not None for worker in self._workers)

    def submit(self, job: int, request: dict[str, Any]) -> None:
        """Have a request done, under the number ``job``."""
        worker = next((one for one in self._workers if one.job is None), None)
        if worker is None:
            worker = _Worker(self._project, self._answers)
            self._workers.append(worker)
        worker.submit(job, request)

    def wait(self, timeout: float = 1.0) -> tuple[int, dict[str, Any]] | None:
        """The next answer: ``(job, {"outcome": ...} or {"error": ...})``, ``None`` if none came."""
        try:
            worker, answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            return None
        job = worker.job
        if answer is None:
            self._workers.remove(worker)
            message = worker.last_words()
            worker.close()
            if job is None:
                return None
            return job, {"error": {"message": message, "exit_code": 1}}
        worker.job = None
        return int(answer["job"]), answer

    def close(self) -> None:
        """End what still runs, partial results kept, and wait for it."""
        for worker in self._workers:
            worker.stop()
        deadline = time.monotonic() + _GRACE
        for worker in self._workers:
            worker.close(max(0.1, deadline - time.monotonic()))
        self._workers.clear()


class _Worker:
    def __init__(
        self,
        project: Project,
        answers: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]],
    ) -> None:
        self.job: int | None = None
        self._told = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jupyter_mlops.tuning.worker", str(project.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._thread = threading.Thread(target=self._listen, args=(answers,), daemon=True)
        self._thread.start()

    def submit(self, job: int, request: dict[str, Any]) -> None:
        self.job = job
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it died: its listener says so
                self._process.stdin.write(json.dumps(request | {"job": job}).encode() + b"\n")
                self._process.stdin.flush()

    def stop(self) -> None:
        """Ask the run that goes on to end, once: a second signal would not let it finish that.

        A process without a run ends by itself.
        """
        if self.job is not None and not self._told:
            self._told = True
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.SIGTERM)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self, grace: float = _GRACE) -> None:
        self.stop()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(5.0)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def last_words(self) -> str:
        """Why the process ended without an answer."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the process of this run {how}{': ' + lines[-1] if lines and code >= 0 else ''}"

    def _listen(self, answers: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                answers.put((self, json.loads(line)))
        answers.put((self, None))
