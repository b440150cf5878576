"""Sessions of cells in real kernels: each in a process of its own, spoken to as JupyterLab does."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_core.utils import ensure_event_loop

from ..errors import RunError
from .harness_runs import (
    CAPTURE,
    Described,
    Executed,
    TimedOut,
    captured_events,
    kernel_environment,
    value_source,
)

__all__ = ["KernelRunner"]

_START = 60.0  # seconds that a kernel may take to answer for the first time


class KernelRunner:
    """Executes each session in a fresh kernel of this interpreter.

    ``timeout`` is in seconds for a cell.
    """

    def __init__(self, timeout: float = 60.0) -> None:
        self.timeout = timeout

    def run(
        self, cells: Sequence[str], target: str, *, capture: bool = False, stop: bool = True
    ) -> Executed:
        """See ``harness_runs.Runner``.  Raises ``RunError`` when no kernel starts."""

        def session() -> Executed:
            try:
                return self._session(cells, target, capture, stop)
            finally:
                ensure_event_loop().close()  # The client made one for this thread.

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(session).result()

    def _session(self, cells: Sequence[str], target: str, capture: bool, stop: bool) -> Executed:
        with tempfile.TemporaryDirectory(prefix="mr", ignore_cleanup_errors=True) as place:
            home, folder = Path(place, "h"), Path(place, "work")
            home.mkdir()
            folder.mkdir()
            with _Kernel(home, folder) as kernel:
                if capture:
                    for cell in CAPTURE:
                        if (problem := kernel.execute(cell, self.timeout)) is not None:
                            raise RunError(f"the extension could not be loaded: {problem}")
                failed: dict[int, str] = {}
                for number, cell in enumerate(cells):
                    try:
                        found = kernel.execute(cell, self.timeout)
                    except TimeoutError:
                        raise TimedOut(number, self.timeout) from None
                    if found is not None:
                        failed[number] = found
                        if stop:
                            return Executed(Described(error=f"cell {number}: {found}"), failed)
                try:
                    value = Described.parse(kernel.describe(target, self.timeout))
                except TimeoutError:
                    raise TimedOut(len(cells), self.timeout) from None
            return Executed(value, failed, captured_events(folder, cells) if capture else ())

    def close(self) -> None:
        """Nothing is left: every session ends its kernel."""


class _Kernel:
    """One kernel process, from start to end."""

    def __init__(self, home: Path, folder: Path) -> None:
        # Sockets of the file system: no port that another kernel takes meanwhile.
        file, _ = write_connection_file(
            str(home / "c.json"), transport="ipc", ip=str(home / "s"), kernel_name="python3"
        )
        self.log = (home / "log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ipykernel_launcher", "-f", file],
            cwd=folder,
            env=kernel_environment(dict(os.environ), home),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.client: Any = BlockingKernelClient()
        self.client.load_connection_file(file)

    def __enter__(self) -> _Kernel:
        # No heartbeat: on a busy machine it calls a slow kernel dead; the process is looked at.
        self.client.start_channels(hb=False, stdin=False)
        reply = self._answer(self.client.kernel_info(), _START)
        if reply["status"] != "ok":
            self.log.seek(0)
            said = self.log.read()[-500:].decode(errors="replace")
            self.__exit__()
            raise RunError(
                f"no kernel of {sys.executable} starts: {reply['ename']}",
                hint="Install ipykernel there, or see what it said: " + (said or "nothing"),
            )
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self.client.stop_channels()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)  # With what its cells started.
        self.process.wait()
        self.log.close()

    def execute(self, cell: str, timeout: float) -> str | None:
        """Run a cell; return what it raised.  Raises ``TimeoutError``."""
        content = self._request(cell, timeout)
        if content["status"] == "ok":
            return None
        return f"{content.get('ename')}: {content.get('evalue')}"[:300]

    def describe(self, target: str, timeout: float) -> str:
        """Return what ``harness_value.described`` says of the target."""
        expression = (
            "(lambda s: (__import__('builtins').exec(" + repr(value_source()) + ", s), "
            f"s['described'](globals(), {target!r}))[1])({{'__name__': 'described'}})"
        )
        content = self._request("", timeout, silent=True, user_expressions={"value": expression})
        answer = content.get("user_expressions", {}).get("value", {})
        if answer.get("status") != "ok":
            problem = f"{answer.get('ename')}: {answer.get('evalue')}"
            return json.dumps({"error": f"the value cannot be described: {problem}"})
        return str(ast.literal_eval(answer["data"]["text/plain"]))

    def _request(self, code: str, timeout: float, **options: Any) -> dict[str, Any]:
        wanted = self.client.execute(
            code, store_history=not options.get("silent"), stop_on_error=False, **options
        )
        return self._answer(wanted, timeout)

    def _answer(self, wanted: str, timeout: float) -> dict[str, Any]:
        """Wait for the reply to a request.  Raises ``TimeoutError``."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                reply = self.client.get_shell_msg(timeout=min(left, 1.0))
            except queue.Empty:
                if self.process.poll() is not None:
                    return {"status": "error", "ename": "the kernel died", "evalue": ""}
                continue
            if reply["parent_header"].get("msg_id") == wanted:
                return dict(reply["content"])
