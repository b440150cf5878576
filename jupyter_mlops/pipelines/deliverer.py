"""A process that gets ready to deliver while the cells still run.

Importing MLflow takes longer than most notebooks.  Where the process that runs a notebook delivers
as well, in CI above all, a worker like the agent's does that import on another processor, and is
asked to deliver when the run has ended.  It ends with this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ..project import Project

__all__ = ["Deliverer"]


class Deliverer:
    """A worker for one delivery, see ``jupyter_mlops.agent.worker`` for what is said to it.

    Used as a context manager, which ends it.  Nothing here raises: without an answer the caller
    delivers itself, which tells what is wrong.
    """

    def __init__(self, project: Project) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        command = [sys.executable, "-P", "-m", "jupyter_mlops.agent.worker", str(project.root)]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        self._asked = 0
        self._ask("prepare", {})

    def __enter__(self) -> Deliverer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        self._process = None
        process.kill()  # it has answered, or is of no use any more: delivering survives that
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def deliver(self, run_id: str, wait_lease: float) -> Mapping[str, Any] | None:
        """Deliver what waits, and return the worker's report; ``None`` if there is none.

        ``wait_lease`` is how many seconds another process that delivers is waited for.
        """
        number = self._ask("deliver", {"wait_lease": wait_lease, "run": run_id})
        process = self._process
        if number is None or process is None or process.stdout is None:
            return None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if isinstance(answer, dict) and answer.get("id") == number:
                    report = answer.get("result")
                    return report if isinstance(report, dict) else None
        return None

    def _ask(self, op: str, args: dict[str, Any]) -> int | None:
        """Send a request; its number, or ``None`` if the worker is not there."""
        if self._process is None or self._process.stdin is None:
            return None
        self._asked += 1
        request = json.dumps({"id": self._asked, "op": op, "args": args}) + os.linesep
        try:
            self._process.stdin.write(request.encode())
            self._process.stdin.flush()
        except OSError:
            return None
        return self._asked
