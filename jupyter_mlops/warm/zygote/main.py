"""The zygote from its first line to a kernel's last."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable
from typing import Any

from . import child, leash, preload, waiting, wire
from .door import Door
from .environment import Reads
from .files import Files
from .server import Forked, Server

__all__ = ["main"]

_OWNER = 0  # its end of the socket pair that ties the zygote to its owner: standard input
# Threads of these start when their library is loaded; a forked kernel gets its pools back.  OpenMP
# starts its own on first use only, and keeps its limit: no variable of it is touched.  The last is
# pyarrow's allocator of second choice, whose thread only gives memory back sooner.
_SINGLE = {
    "OPENBLAS_NUM_THREADS": "1",
    "GOTO_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def main(arguments: list[str]) -> None:
    """Preload, serve, and in each child return as the kernel ends.

    ``arguments``: one JSON object: ``socket`` (its path), ``key``, ``modules``, ``idle`` (s),
    ``memory`` (bytes), and ``excluded`` ({module: why}) when it has restarted itself.
    """
    # The owner may be killed while we import: then so are we.
    leash.on(_OWNER)
    request = json.loads(arguments[0])
    owner = socket.socket(fileno=os.dup(_OWNER))
    try:
        server, blas = _prepare(request, owner)
    except BaseException as error:
        _tell(owner, {"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)
    try:
        _tell(owner, {"ready": True})
        reason = server.serve()
    except Forked as forked:
        kernel, descriptors = forked.request, forked.descriptors
        owner.close()
    else:
        server.close()
        _tell(owner, {"ended": reason})
        os._exit(0)
    if kernel.get("ahead"):
        waiting.run_ahead(kernel, blas, descriptors[0])
    child.become_kernel(kernel, descriptors)
    if kernel.get("cells"):
        child.run_cells(kernel, blas, descriptors[-1])
    child.run_kernel(kernel, blas)


def _prepare(request: dict[str, Any], owner: socket.socket) -> tuple[Server, Any]:
    environment = dict(os.environ)
    excluded: dict[str, str] = request.setdefault("excluded", {})
    reads = Reads()
    reads.install()
    for name, value in _SINGLE.items():
        os.environ[name] = value
    _load(preload.KERNEL, request, environment, required=True)
    own = set(sys.modules)
    late = preload.late()
    _load([*late.modules, *preload.HISTORY], request, environment)
    no_cells = _load_cells()
    # What the kernel's own imports set (debugpy does), a fresh kernel's environment has, too.
    reads.remove()  # this look at all of it is our own
    effects = {
        name: value
        for name, value in os.environ.items()
        if name not in _SINGLE and environment.get(name) != value
    }
    reads.install()
    modules = list(request["modules"])
    if modules and importlib.util.find_spec("threadpoolctl") is None:
        # Without it, a kernel could not get back the threads that numpy was held from starting.
        excluded.update(dict.fromkeys(modules, "threadpoolctl is not installed"))
    failed = _load(modules, request, environment)
    reads.remove()
    blas = None
    if "numpy" in sys.modules or "scipy" in sys.modules:
        import threadpoolctl

        blas = threadpoolctl.ThreadpoolController().select(internal_api="openblas")
    launcher = importlib.util.find_spec("ipykernel_launcher")
    if launcher is None or launcher.origin is None:
        raise ImportError("ipykernel_launcher")
    preload.compile_patterns(late.patterns)
    files = Files(own)
    reason = preload.spoiled()
    if reason is not None:
        raise RuntimeError(f"something {reason}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    door = Door(request["socket"])
    identity = {
        "pid": os.getpid(),
        "key": request["key"],
        "python": sys.version,
        "launcher": launcher.origin,
        "modules": [name for name in modules if name in sys.modules],
        "excluded": {**failed, **excluded},
        "no_cells": no_cells,
    }
    server = Server(
        door,
        owner,
        identity=identity,
        environment=environment,
        effects=effects,
        reads=reads,
        files=files,
        idle=float(request["idle"]),
        memory=int(request["memory"]),
    )
    leash.off(_OWNER)
    gc.collect()
    gc.freeze()
    return server, blas


def _load_cells() -> str | None:
    """Import what executes cells; why there is none with this Python or ipykernel."""
    if not hasattr(os, "eventfd"):
        return "it needs Python 3.10"
    try:
        from . import cells  # noqa: F401
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _load(
    names: Iterable[str],
    request: dict[str, Any],
    environment: dict[str, str],
    *,
    required: bool = False,
) -> dict[str, str]:
    """Import; begin again without a module that spoils the process."""
    excluded = request.setdefault("excluded", {})
    failed, culprit = preload.load(names, excluded)
    if required and (failed or culprit is not None):
        raise ImportError(f"{failed or culprit}")
    if culprit is not None:
        excluded[culprit] = preload.spoiled() or "spoils the process"
        command = [*sys.orig_argv[:-1], json.dumps(request)]
        os.execve(sys.executable, command, environment)  # noqa: S606  (no shell is wanted)
    return failed


def _tell(owner: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # it left, which the loop will see
        wire.send(owner, message)
