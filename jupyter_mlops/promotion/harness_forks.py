"""Sessions of cells in forks of one warm shell: the fast way, for tests and large tables.

A server process imports what sessions commonly use and forks for each; run as
``python -m jupyter_mlops.promotion.harness_forks`` it reads one JSON request a line and answers
each with one line.  POSIX only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import RunError
from .harness_runs import (
    CAPTURE,
    Described,
    Executed,
    TimedOut,
    as_message,
    captured_events,
    kernel_environment,
    value_source,
)

__all__ = ["ForkRunner"]

# Imported once, before any fork; those that are not installed are left out.
_WARM = (
    "IPython.core.interactiveshell", "numpy", "pandas", "sklearn.ensemble", "sklearn.linear_model",
    "sklearn.model_selection", "sklearn.pipeline", "sklearn.preprocessing", "matplotlib.pyplot",
)  # fmt: skip


class ForkRunner:
    """Executes each session in a fork.  ``timeout`` is in seconds for a session's slowest cell."""

    def __init__(self, timeout: float = 60.0) -> None:
        self.timeout = timeout
        self._home = tempfile.TemporaryDirectory(prefix="mf", ignore_cleanup_errors=True)
        env = kernel_environment(dict(os.environ), Path(self._home.name))
        # A cell's own `!` lines must not wait for a terminal.
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env | {"MPLBACKEND": "agg"},
            text=True,
        )

    def run(
        self, cells: Sequence[str], target: str, *, capture: bool = False, stop: bool = True
    ) -> Executed:
        """See ``harness_runs.Runner``.  Raises ``RunError`` when the server ended."""
        with tempfile.TemporaryDirectory(prefix="mr", ignore_cleanup_errors=True) as place:
            answer = self._ask(
                {
                    "cells": [*CAPTURE, *cells] if capture else list(cells),
                    "ours": len(CAPTURE) if capture else 0,
                    "target": target,
                    "folder": place,
                    "stop": stop,
                    "timeout": self.timeout,
                }
            )
            if "timed_out" in answer:
                raise TimedOut(answer["timed_out"], self.timeout)
            failed = {int(number): text for number, text in answer["failed"].items()}
            value = Described(**answer["value"])
            events = captured_events(Path(place), cells) if capture else ()
        return Executed(value, failed, events)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: PT018,S101
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise RunError(
                "the process that forks sessions has ended",
                hint="Run without --forked: every session then has a kernel of its own.",
            )
        return dict(json.loads(line))

    def close(self) -> None:
        """End the server."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait(timeout=30)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._home.cleanup()


def _shell() -> Any:
    """The one shell of this process; in a fork, the parent's: nothing has run in it yet."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    # A history database for every session would cost more than the cells.
    return InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))


def _serve() -> None:
    for name in _WARM:
        with contextlib.suppress(ImportError):
            __import__(name)
    source = value_source()
    with tempfile.TemporaryDirectory() as folder:
        request = {"cells": [*CAPTURE], "ours": 0, "target": "None"}
        request |= {"folder": folder, "stop": True, "timeout": 60.0, "modules": True}
        for name in _in_child(request, source).get("modules", ()):
            __import__(name)  # What capturing loads on use.
    _shell()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_in_child(json.loads(line), source)) + "\n")
        sys.stdout.flush()


def _in_child(request: dict[str, Any], source: str) -> dict[str, Any]:
    """Fork, run, and read the answer; the child tells of each cell, so a slow one is known."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.setpgid(0, 0)
        try:
            _session(request, source, write)
        finally:
            os._exit(0)
    os.close(write)
    lines = b""
    number = 0
    end = time.monotonic() + request["timeout"]
    timed_out = False
    while True:
        ready, _, _ = select.select([read], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            timed_out = True
            break
        data = os.read(read, 1 << 16)
        if not data:
            break
        lines += data
        number = lines.count(b"\n")
        end = time.monotonic() + request["timeout"]
    os.close(read)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # With what its cells started.
    os.waitpid(child, 0)
    if timed_out:
        return {"timed_out": max(0, number - request["ours"])}
    last = lines.rstrip(b"\n").rpartition(b"\n")[2]
    if not last.startswith(b"{"):
        error = f"cell {max(0, number - request['ours'])} ended the process"
        return {"value": {"error": error}, "failed": {}}
    return dict(json.loads(last))


def _session(request: dict[str, Any], source: str, write: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(request["folder"])
    sys.path.insert(0, "")
    shell = _shell()
    failed: dict[int, str] = {}
    answer: dict[str, Any] | None = None
    for position, cell in enumerate(request["cells"]):
        number = position - request["ours"]
        result = shell.run_cell(cell, store_history=True)
        os.write(write, b"\n")
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            failed[number] = as_message(error)
            if request["stop"] or number < 0:
                answer = {"error": f"cell {number}: {failed[number]}"}
                break
    if answer is None:
        space: dict[str, Any] = {"__name__": "described"}
        exec(source, space)  # noqa: S102
        answer = json.loads(space["described"](shell.user_ns, request["target"]))
    reply = {"value": answer, "failed": failed}
    if request.get("modules"):
        reply["modules"] = [name for name in sys.modules if name.startswith("jupyter_mlops.")]
    text = json.dumps(reply) + "\n"
    data = text.encode()
    while data:
        data = data[os.write(write, data) :]


if __name__ == "__main__":
    _serve()
