"""The runner from its first line to the last of each run.

``python -P -m jupyter_mlops.cli.runner JSON`` with ``socket`` (a path); standard input is one end
of a socket pair whose other end is its owner's, the agent's.  It says ``{"ready": pid}``, then
``{"running": n, "runs": total}`` whenever a run begins or ends, and ``{"failed": why}`` or
``{"ended": why}``.  When the owner leaves, it takes no more requests and ends with its last run.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import Any

from ...warm.zygote import leash, preload, wire
from ...warm.zygote.door import Door
from ...warm.zygote.environment import Reads
from ...warm.zygote.files import Files

__all__ = ["main"]

_OWNER = 0


def main(arguments: list[str]) -> None:
    """Import, serve, and in each child do a run's work."""
    leash.on(_OWNER)  # the owner may be killed while we import: then so are we
    request = json.loads(arguments[0])
    owner = socket.socket(fileno=os.dup(_OWNER))
    from .server import Forked

    try:
        server = _prepare(request, owner)
    except BaseException as error:
        _tell(owner, {"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)
    try:
        _tell(owner, {"ready": os.getpid()})
        reason = server.serve()
    except Forked as forked:
        asked, descriptors = forked.request, forked.descriptors
        owner.close()
    else:
        _tell(owner, {"ended": reason})
        os._exit(0)
    from .child import become

    become(asked, descriptors)


def _prepare(request: dict[str, Any], owner: socket.socket) -> Any:
    environment = dict(os.environ)
    reads = Reads()
    reads.install()
    from .imports import import_all

    import_all()
    reads.remove()
    files = Files(set())
    reason = preload.spoiled()
    if reason is not None:
        raise RuntimeError(f"something {reason}")
    effects = {
        name: value for name, value in os.environ.items() if environment.get(name) != value
    }  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from .server import Server

    server = Server(
        Door(request["socket"]),
        owner,
        environment=environment,
        effects=effects,
        reads=reads,
        files=files,
    )
    leash.off(_OWNER)
    gc.collect()
    gc.freeze()
    return server


def _tell(owner: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # it left, which the loop will see
        wire.send(owner, message)


if __name__ == "__main__":
    main(sys.argv[1:])
