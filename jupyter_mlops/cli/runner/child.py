"""What a forked process does to be the command that was asked for."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

from ...warm.zygote import leash, standing

__all__ = ["become"]

_GO_SECONDS = 30.0


def become(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Be ``jupyter mlops`` with the client's standard streams, arguments, folder and environment.

    ``descriptors``: standard input, output and error, and the leash.  Ends the process.
    """
    os.setsid()
    for number in range(3):
        os.dup2(descriptors[number], number)
        os.close(descriptors[number])
    client = socket.socket(fileno=descriptors[3])
    client.set_inheritable(False)
    if not _told_to_go(client):
        os._exit(1)  # the client has gone on without us
    leash.on(client.fileno())
    _set_signals(request["ignored"])
    _set_environment(request["env"])
    os.chdir(request["cwd"])
    standing.adopt(request["runner"], request["standing"])
    sys.argv = list(request["argv"])
    sys.orig_argv = list(request["command"])
    sys.path[:] = request["path"]
    _freshen()
    code = _work()
    code = _finish(code)
    # The runner tells how this ends, unless it was killed meanwhile.
    with contextlib.suppress(OSError):
        client.setblocking(False)
        client.send(struct.pack("!i", code))
    os._exit(code)


def _told_to_go(client: socket.socket) -> bool:
    client.settimeout(_GO_SECONDS)
    try:
        return client.recv(1) == b"!"
    except OSError:
        return False
    finally:
        client.settimeout(None)


def _set_signals(ignored: list[int]) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _set_environment(asked: dict[str, str]) -> None:
    for name in [n for n in os.environ if n not in asked]:
        del os.environ[name]
    for name, value in asked.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _freshen() -> None:
    streams: Any = sys
    streams.stdin = streams.__stdin__ = _stream(0, "r", sys.stdin)
    streams.stdout = streams.__stdout__ = _stream(1, "w", sys.stdout)
    streams.stderr = streams.__stderr__ = _stream(2, "w", sys.stderr)
    for path, finder in list(sys.path_importer_cache.items()):
        if finder is None:  # a folder that was not there may have come
            del sys.path_importer_cache[path]
    loaded: Any = sys.modules
    if "tempfile" in loaded:
        loaded["tempfile"].tempdir = None
    time.tzset()
    gc.enable()


def _stream(number: int, mode: str, old: Any) -> Any:
    """A standard stream as Python makes it: the runner's were none of a terminal."""
    raw: Any = io.FileIO(number, mode, closefd=False)
    raw.name = ("<stdin>", "<stdout>", "<stderr>")[number]
    buffer: Any = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer,
        encoding=old.encoding,
        errors=old.errors,
        newline=None if mode == "r" else "\n",
        line_buffering=number == 2 or os.isatty(number),
        write_through=bool(os.environ.get("PYTHONUNBUFFERED")) and mode == "w",
    )


def _work() -> int:
    from ..main import main

    try:
        main()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return (stop.code or 0) & 0xFF
        print(stop.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _finish(code: int) -> int:
    """What Python does at its end, up to the part that only frees memory."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            return 120 if stream is sys.stdout else code
    return code
