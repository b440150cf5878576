"""Imports what kernels import, and finds out what spoils a process for forking.

Imports only: nothing imported is ever called, since a parallel library that has run once (OpenMP)
hangs in a forked child.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["HISTORY", "KERNEL", "Late", "compile_patterns", "late", "load", "spoiled", "threads"]

KERNEL = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.iostream",
    "ipykernel.displayhook", "ipykernel.heartbeat", "ipykernel.jsonutil",
)  # fmt: skip
HISTORY = ("sqlite3",)  # imported where the history is on, which it is not in the throwaway child
# Known not to survive a fork, even if no thread of theirs runs yet: their pools or locks.
_NEVER = {"grpc", "tensorflow", "jax", "jaxlib", "polars", "ray", "pyspark", "cupy"}


def threads() -> int:
    """How many threads this process has, native ones too."""
    return len(os.listdir("/proc/self/task"))


def spoiled() -> str | None:
    """Why this process may not fork any more, ``None`` if it may."""
    if threads() != 1:
        return "starts a thread when it is imported"
    for name in _NEVER:
        if name in sys.modules:
            return f"imports {name}, which does not work in a forked process"
    zmq = sys.modules.get("zmq")
    if zmq is not None and getattr(zmq.Context, "_instance", None) is not None:
        return "opens a ZeroMQ context when it is imported"
    return None


def load(names: Iterable[str], without: Iterable[str]) -> tuple[dict[str, str], str | None]:
    """Import each module; return why some could not be, and the one that spoiled the process."""
    failed: dict[str, str] = {}
    skipped = set(without)
    for name in names:
        if name in skipped or name in failed:
            continue
        if name.partition(".")[0] in _NEVER:
            failed[name] = "does not work in a forked process"
            continue
        try:
            importlib.import_module(name)
        except BaseException as error:  # a module may raise SystemExit, too
            failed[name] = f"{type(error).__name__}: {error}"
        if spoiled() is not None:
            return failed, name
    return failed, None


class Late:
    """What a kernel does only once it runs and that can be done ahead.

    ``modules`` that it imports, in order, and regular expressions that it compiles (``patterns``:
    text and flags).
    """

    def __init__(self, modules: list[str], patterns: list[tuple[str, int]]) -> None:
        self.modules = modules
        self.patterns = patterns


def late() -> Late:
    """Find it out by running a kernel in a throwaway child; empty if the child failed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            found = _run_kernel_once()
            with os.fdopen(write, "w") as file:
                json.dump([found.modules, found.patterns], file)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.waitpid(pid, 0)
    try:
        names, patterns = json.loads(text)
        return Late([str(one) for one in names], [(str(p), int(flags)) for p, flags in patterns])
    except ValueError:
        return Late([], [])


def compile_patterns(patterns: Iterable[tuple[str, int]]) -> None:
    """Compile regular expressions that kernels will ask for: ``re`` keeps them."""
    for pattern, flags in patterns:
        with contextlib.suppress(Exception):
            re.compile(pattern, flags)


def _run_kernel_once() -> Late:
    import signal
    import tempfile

    signal.alarm(60)  # its default action ends a child that hangs
    before = set(sys.modules)
    known = set(getattr(re, "_cache", {}))
    from ipykernel.kernelapp import IPKernelApp

    with tempfile.TemporaryDirectory() as folder:
        # A private profile and no history file: the person's start-up code is not run here.
        os.environ["IPYTHONDIR"] = folder
        os.environ["JUPYTER_RUNTIME_DIR"] = folder
        app: Any = IPKernelApp.instance(parent_handle=1)
        app.initialize(
            ["--ip=127.0.0.1", "--HistoryManager.enabled=False", "--IPKernelApp.exec_files=[]"]
        )
        shell = app.shell
        sys.stdout = sys.stderr = io.StringIO()
        shell.run_cell("1", store_history=False)
        shell.run_cell("raise ValueError", store_history=False)
        shell.run_cell("%pwd", store_history=False)
    found = [name for name in sys.modules if name not in before]
    names = [name for name in found if name != "__main__" and sys.modules[name] is not None]
    kept = getattr(re, "_cache", {})  # keys: the pattern's type, the pattern, the flags
    patterns = [(key[1], int(key[2])) for key in kept if key[0] is str and key not in known]
    return Late(names, patterns)
