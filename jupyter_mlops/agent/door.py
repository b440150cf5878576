"""Where the agent listens, and the pointer that tells clients.

A Unix socket in Jupyter's runtime folder, which only this user may enter; loopback TCP with a token
where there are no Unix sockets or the path is too long for one (107 bytes on Linux, 103 on macOS).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from .._version import version
from ..capture.agent_client import PROTOCOL, Pointer, read_pointer
from ..journal import this_process
from ..project import STATE_NAME, Project

__all__ = ["Door", "open_door", "remove_pointer", "write_pointer"]

_LONGEST_PATH = 100


@dataclass(frozen=True, slots=True)
class Door:
    """Listening sockets and how to reach them; ``token`` is set exactly for TCP."""

    sockets: tuple[socket.socket, ...]
    path: Path | None = None
    port: int | None = None
    token: str | None = None

    def close(self) -> None:
        """Stop listening and remove the socket's file."""
        for one in self.sockets:
            one.close()
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()


def open_door(project: Project) -> Door:
    """Listen for clients.  The caller holds the agent's lock: a socket that is there is stale."""
    from tornado.netutil import bind_sockets, bind_unix_socket

    path = _socket_path(project)
    if path is not None:
        return Door((bind_unix_socket(str(path), mode=0o600),), path=path)
    sockets = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
    return Door(
        tuple(sockets), port=sockets[0].getsockname()[1], token=secrets.token_urlsafe(32)
    )  # fmt: skip


def write_pointer(project: Project, door: Door, *, foreground: bool) -> None:
    """Tell clients where the door is, in a private file that is whole or not there."""
    me = this_process()
    pointer = Pointer(
        protocol=PROTOCOL,
        version=version(),
        interpreter=sys.executable,
        pid=me.pid,
        pid_started=me.started,
        boot_id=me.boot_id,
        host=me.host,
        state=str(project.state),
        foreground=foreground,
        socket=None if door.path is None else str(door.path),
        port=door.port,
        token=door.token,
    )
    target = project.agent / "pointer.json"
    for left in project.agent.glob(f".{target.name}.*"):  # by one that was killed just here
        left.unlink()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(pointer), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)


def remove_pointer(project: Project) -> None:
    """Remove the pointer if it is this process's own."""
    pointer = read_pointer(project)
    if pointer is not None and pointer.pid == os.getpid():
        with contextlib.suppress(OSError):
            (project.agent / "pointer.json").unlink()


def _socket_path(project: Project) -> Path | None:
    if not hasattr(socket, "AF_UNIX"):
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir()) / "mlops"
    name = project.key
    if project.state != project.root / STATE_NAME:
        # The same root may have two states (JUPYTER_MLOPS_HOME), and then it has two agents.
        name += "-" + hashlib.blake2b(os.fsencode(project.state), digest_size=4).hexdigest()
    path = folder / f"{name}.sock"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return None  # Someone else's: a socket in there would be at their mercy.
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            return None
    except OSError:
        return None
    return path
