"""The zygote's loop: waits for clients, forks, and tells how the kernels ended.

One thread, no polling: each kernel has a pidfd in the selector.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import time
from typing import Any

from . import preload, standing
from .ahead import PAUSE, Ahead, is_suited
from .door import Door
from .environment import Reads, first_difference
from .files import Files
from .wire import PROTOCOL, WireError, receive, send

__all__ = ["Forked", "Server"]

_REQUEST_SECONDS = 5.0
_LOOK_SECONDS = 15.0


class Forked(Exception):
    """Raised in the child: it is to leave the loop's stack and become the kernel."""

    def __init__(self, request: dict[str, Any], descriptors: list[int]) -> None:
        super().__init__()
        self.request = request
        self.descriptors = descriptors


class Server:
    """Serves one socket until idle, told to end, spoiled, or left by its owner."""

    def __init__(
        self,
        door: Door,
        owner: socket.socket,
        *,
        identity: dict[str, Any],
        environment: dict[str, str],
        effects: dict[str, str],
        reads: Reads,
        files: Files,
        idle: float,
        memory: int,
    ) -> None:
        self._door = door
        self._listener = door.socket
        self._identity = identity
        self._environment = environment
        self._effects = effects
        self._reads = reads
        self._files = files
        self._idle = idle
        self._memory = memory
        self._standing = standing.here()
        self._forks = 0
        self._last = time.monotonic()
        self._kernels: dict[int, tuple[int, socket.socket | None]] = {}  # pidfd: pid, client
        self._clients: dict[socket.socket, int] = {}  # client: pidfd
        self._ending: str | None = None
        self._ahead: Ahead | None = None
        self._ahead_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(door.socket, selectors.EVENT_READ, "listener")
        self._selector.register(owner, selectors.EVENT_READ, "owner")

    def serve(self) -> str:
        """Serve; return why it ended.  Raises ``Forked`` in each child."""
        while self._ending is None or self._kernels:
            if self._ending is not None:
                # It only stays to tell how the last kernels end.
                self.close()
            for key, _events in self._selector.select(self._patience()):
                if key.data == "ahead":
                    self._heard(key.fileobj)
                elif key.data == "listener":
                    self._accept()
                elif key.data == "owner":
                    return "its owner left"
                elif key.data == "kernel":
                    self._reap(int(key.fd))
                else:
                    self._left(key.fileobj)
            self._look()
            self._begin_ahead()
        return self._ending

    def _patience(self) -> float:
        if self._ahead_at is None:
            return _LOOK_SECONDS
        return min(_LOOK_SECONDS, max(0.0, self._ahead_at - time.monotonic()))

    def _look(self) -> None:
        if self._ending is None and not self._kernels:
            if time.monotonic() - self._last > self._idle:
                self._ending = f"idle for {self._idle:g} s"
            elif resident() > self._memory:
                self._ending = f"it takes more than {self._memory} bytes"

    def close(self) -> None:
        """Stop listening, and hold nothing ready any more."""
        self._ahead_at = None
        if self._ahead is not None:
            self._drop_ahead()
        if self._listener.fileno() >= 0:
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
            self._answer(client, request, descriptors)
        except (OSError, WireError, KeyError, TypeError, ValueError):
            client.close()  # it sees the end, and starts its kernel cold
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _answer(
        self, client: socket.socket, request: dict[str, Any], descriptors: list[int]
    ) -> None:
        known = request.get("protocol") == PROTOCOL and request.get("op") in (
            "hello",
            "stop",
            "fork",
        )
        if not known:
            send(client, {"protocol": PROTOCOL, "refused": "protocol", "why": "other version"})
            client.close()
        elif request["op"] == "hello":
            status = {
                "forks": self._forks,
                "kernels": len(self._kernels),
                "memory": resident(),
                "ahead": self._ahead is not None and self._ahead.ready,
            }
            send(client, {"protocol": PROTOCOL, **self._identity, **status})
            client.close()
        elif request["op"] == "stop":
            self._ending = "it was told to"
            send(client, {"protocol": PROTOCOL})
            client.close()
        else:
            self._last = time.monotonic()
            refusal = self._refusal(request, descriptors)
            if refusal is not None:
                kind, why = refusal
                if kind == "stale":
                    self._ending = why
                    self.close()
                send(client, {"protocol": PROTOCOL, "refused": kind, "why": why})
                client.close()
            else:
                self._fork(client, request, descriptors)

    def _refusal(self, request: dict[str, Any], descriptors: list[int]) -> tuple[str, str] | None:
        cells = bool(request.get("cells"))
        if len(descriptors) - cells not in (3, 4):
            return "request", "no standard streams came with the request"
        if cells and self._identity["no_cells"] is not None:
            return (
                "cells",
                f"its ipykernel cannot be run without ZeroMQ: {self._identity['no_cells']}",
            )
        if request["key"] != self._identity["key"]:
            return "key", "it was started for another interpreter or other modules"
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
            return "standing", f"the zygote cannot hand it down: {obstacle}"
        shadow = self._files.shadowed(request["cwd"])
        if shadow is not None:
            return "shadow", f"{shadow} in the working folder has the name of an imported module"
        return None

    def _fork(self, client: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        request["env"] = {**self._effects, **request["env"]}
        request["zygote"] = self._standing
        request["launcher"] = self._identity["launcher"]
        pid = self._given(request, descriptors)
        ahead = pid is not None
        if pid is None:
            pid = os.fork()
            if pid == 0:
                mine = list(descriptors)
                descriptors.clear()  # they are not closed on the way out
                self._abandon(client)
                raise Forked(request, mine)
        self._forks += 1
        pidfd = self._watch(pid, client)
        self._clients[client] = pidfd
        self._selector.register(client, selectors.EVENT_READ, "client")
        with contextlib.suppress(OSError):
            send(client, {"protocol": PROTOCOL, "pid": pid, "ahead": ahead}, [pidfd])

    def _watch(self, pid: int, client: socket.socket | None) -> int:
        """See to it that a child is waited for, and return its pidfd."""
        pidfd = os.pidfd_open(pid)
        self._kernels[pidfd] = (pid, client)
        self._selector.register(pidfd, selectors.EVENT_READ, "kernel")
        return pidfd

    def _given(self, request: dict[str, Any], descriptors: list[int]) -> int | None:
        """The process that was begun ahead, if it is what this request asks for."""
        if not is_suited(request, len(descriptors)):
            return None
        ahead = self._ahead
        if ahead is None or not ahead.keeps(request):
            self._drop_ahead()
            self._ahead = Ahead(request)
            return None
        if not ahead.fits(request):
            return None
        if not ahead.give(request, descriptors):
            self._drop_ahead()
            return None
        pid = ahead.pid
        self._forget(ahead)
        self._ahead = Ahead(request)
        return pid

    def _begin_ahead(self) -> None:
        """Fork what the next run may want, in the quiet after one.  Raises ``Forked`` in it."""
        if self._ahead_at is None or time.monotonic() < self._ahead_at:
            return
        self._ahead_at = None
        ahead = self._ahead
        busy = self._kernels or self._ending is not None or preload.spoiled() is not None
        if ahead is None or busy or not ahead.wants():
            return
        child, control = ahead.begin()
        if child:
            self._abandon(None)
            raise Forked({**ahead.template, "ahead": True}, [control.detach()])
        self._selector.register(control, selectors.EVENT_READ, "ahead")

    def _heard(self, control: Any) -> None:
        ahead = self._ahead
        if ahead is None or ahead.control is not control:
            return  # it was given away in the same turn
        if not ahead.heard():
            self._end_ahead(ahead)

    def _drop_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            self._end_ahead(ahead)

    def _end_ahead(self, ahead: Ahead) -> None:
        if ahead.control is not None:
            pid = ahead.pid
            self._forget(ahead)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._watch(pid, None)

    def _forget(self, ahead: Ahead) -> None:
        if ahead.control is not None:
            self._selector.unregister(ahead.control)
        ahead.forget()

    def _abandon(self, client: socket.socket | None) -> None:
        """In a child: close what is the zygote's."""
        self._selector.close()
        self._listener.close()
        if client is not None:
            client.close()
        if self._ahead is not None and self._ahead.control is not None:
            self._ahead.control.close()
        for other in self._clients:
            other.close()
        for pidfd in self._kernels:
            os.close(pidfd)

    def _reap(self, pidfd: int) -> None:
        if pidfd not in self._kernels:
            return  # its client had left in the same turn
        pid, client = self._kernels.pop(pidfd)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _pid, status = os.waitpid(pid, 0)
        self._last = time.monotonic()
        if not self._kernels:
            self._ahead_at = self._last + PAUSE
        if client is not None:
            del self._clients[client]
            self._selector.unregister(client)
            with contextlib.suppress(OSError):
                send(client, {"exit": os.waitstatus_to_exitcode(status)})
            client.close()

    def _left(self, client: Any) -> None:
        """A client closed: its kernel's own leash ends the kernel; here it only is forgotten."""
        pidfd = self._clients.pop(client, None)
        if pidfd is None:
            return
        self._selector.unregister(client)
        client.close()
        self._kernels[pidfd] = (self._kernels[pidfd][0], None)


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peer(client: socket.socket) -> int:
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[1])
