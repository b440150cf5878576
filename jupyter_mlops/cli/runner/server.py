"""The runner's loop: one thread, no polling, a pidfd in the selector for each run."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import sys
from typing import Any

from ...warm.zygote import preload, standing
from ...warm.zygote.door import Door
from ...warm.zygote.environment import Reads, first_difference
from ...warm.zygote.files import Files
from ...warm.zygote.wire import WireError, receive, send

__all__ = ["PROTOCOL", "Forked", "Server"]

PROTOCOL = 1
_REQUEST_SECONDS = 5.0


class Forked(Exception):
    """Raised in the child: it is to leave the loop's stack and do the work."""

    def __init__(self, request: dict[str, Any], descriptors: list[int]) -> None:
        super().__init__()
        self.request = request
        self.descriptors = descriptors


class Server:
    """Serves one socket until its owner leaves or what it has imported is no longer on the disk."""

    def __init__(
        self,
        door: Door,
        owner: socket.socket,
        *,
        environment: dict[str, str],
        effects: dict[str, str],
        reads: Reads,
        files: Files,
    ) -> None:
        self._door = door
        self._owner = owner
        self._environment = environment
        self._effects = effects
        self._reads = reads
        self._files = files
        self._path = list(sys.path)
        self._standing = standing.here()
        self._runs: dict[int, tuple[int, socket.socket]] = {}  # pidfd: pid, client
        self._forks = 0
        self._ending: str | None = None
        self._listener = door.socket
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, "listener")
        self._selector.register(owner, selectors.EVENT_READ, "owner")

    def serve(self) -> str:
        """Serve; return why it ended.  Raises ``Forked`` in each child."""
        while self._ending is None or self._runs:
            for key, _events in self._selector.select():
                if key.data == "listener" and self._ending is None:
                    self._accept()
                elif key.data == "owner":
                    self._selector.unregister(self._owner)
                    self._end("its owner left")
                elif key.data == "run":
                    self._reap(int(key.fd))
        return self._ending

    def _end(self, why: str) -> None:
        if self._ending is None:
            self._ending = why
            self._selector.unregister(self._listener)
            self._door.close()

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        descriptors: list[int] = []
        try:
            client.settimeout(_REQUEST_SECONDS)
            if _peer(client) != os.getuid():
                client.close()
                return
            request, descriptors = receive(client)
            refusal = self._refusal(request, descriptors)
            if refusal is None:
                self._fork(client, request, descriptors)
                return
            kind, why = refusal
            if kind == "stale":
                self._end(why)
            send(client, {"protocol": PROTOCOL, "refused": kind, "why": why})
            client.close()
        except (OSError, WireError, KeyError, TypeError, ValueError):
            client.close()  # it sees the end, and does its work itself
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _refusal(self, request: dict[str, Any], descriptors: list[int]) -> tuple[str, str] | None:
        if request.get("protocol") != PROTOCOL or request.get("op") != "run":
            return "protocol", "the runner is of another version"
        if len(descriptors) != 4:
            return "request", "its descriptors did not come with the request"
        reason = preload.spoiled()
        if reason is not None:
            return "stale", f"it may not fork any more: something {reason}"
        changed = self._files.changed()
        if changed is not None:
            return "stale", f"{changed} changed since it was imported"
        name = first_difference(
            self._environment, request["env"], self._reads.names, self._reads.whole
        )
        if name is not None:
            return "environment", f"{name} acts when modules are imported, and differs"
        obstacle = standing.obstacle(self._standing, request["standing"])
        if obstacle is not None:
            return "standing", f"the runner cannot hand it down: {obstacle}"
        own, *rest = request["path"]
        if self._path not in ([own, *rest], rest):
            return "path", "modules would be looked for in other folders"
        if rest == self._path:
            shadow = self._files.shadowed(own or request["cwd"])
            if shadow is not None:
                return "shadow", f"{shadow} in {own or 'the working folder'} has a module's name"
        return None

    def _fork(self, client: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        request["env"] = {**self._effects, **request["env"]}
        request["runner"] = self._standing
        pid = os.fork()
        if pid == 0:
            mine = list(descriptors)
            descriptors.clear()  # they are not closed on the way out
            self._abandon(client)
            raise Forked(request, mine)
        self._forks += 1
        pidfd = os.pidfd_open(pid)
        self._runs[pidfd] = (pid, client)
        self._selector.register(pidfd, selectors.EVENT_READ, "run")
        with contextlib.suppress(OSError):
            send(client, {"protocol": PROTOCOL, "pid": pid}, [pidfd])
        self._tell_owner()

    def _abandon(self, client: socket.socket) -> None:
        """In a child: close what is the runner's."""
        self._selector.close()
        self._listener.close()
        client.close()
        for pidfd, (_pid, other) in self._runs.items():
            os.close(pidfd)
            other.close()

    def _reap(self, pidfd: int) -> None:
        pid, client = self._runs.pop(pidfd)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _pid, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):
            send(client, {"exit": os.waitstatus_to_exitcode(status)})
        client.close()
        self._tell_owner()

    def _tell_owner(self) -> None:
        with contextlib.suppress(OSError):
            self._owner.settimeout(1.0)
            send(self._owner, {"running": len(self._runs), "runs": self._forks})


def _peer(client: socket.socket) -> int:
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])
