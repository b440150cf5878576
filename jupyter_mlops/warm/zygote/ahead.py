"""A process that is ready for the next run's cells before that run is asked for.

Forking takes milliseconds, but then the shell sets itself up and touches pages that it shared with
the zygote.  The next cells are mostly wanted in the folder and the environment of the last ones, so
while nothing else is to be done one process gets that far, and waits.  It is given away once, and
only to a request that it cannot be told from: what it read of the environment, its folder, its
limits and the configuration files that it looked for have to be the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Any

from .environment import first_difference
from .files import stamp
from .wire import WireError, receive, send

__all__ = ["PAUSE", "Ahead", "is_suited"]

PAUSE = 0.2  # seconds without a kernel before one is begun ahead: the run has more to do
_SAME = ("cwd", "script", "standing", "pdeathsig")
# A step's evidence begins with its process, and that file is code of the person's own.
_UNSUITED = ("JUPYTER_MLOPS_STEP_EVIDENCE", "PYTHONSTARTUP")
_STREAMS_AND_CELLS = 4
_ANSWER_SECONDS = 5.0


def is_suited(request: Mapping[str, Any], descriptors: int) -> bool:
    """Whether it is for cells and for nothing that has to be there from the beginning."""
    return (
        bool(request.get("cells"))
        and descriptors == _STREAMS_AND_CELLS
        and not any(request["env"].get(name) for name in _UNSUITED)
    )


class Ahead:
    """The zygote's side of it: at most one process, begun for the last request."""

    def __init__(self, template: dict[str, Any]) -> None:
        self.template = template
        self.pid = 0
        self.control: socket.socket | None = None
        self.refused = False  # there can be none for this template
        self._found: dict[str, Any] | None = None

    @property
    def ready(self) -> bool:
        """Whether it waits for a request."""
        return self._found is not None

    def wants(self) -> bool:
        """Whether one should be begun."""
        return self.control is None and not self.refused

    def begin(self) -> tuple[bool, socket.socket]:
        """Fork; whether this is the child, and this side's end of the connection."""
        mine, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            mine.close()
            return True, theirs
        theirs.close()
        mine.settimeout(_ANSWER_SECONDS)
        self.pid, self.control = pid, mine
        return False, mine

    def heard(self) -> bool:
        """Take what it says of itself; false when it is of no use, or gone."""
        if self.control is None:
            return False
        with contextlib.suppress(OSError, WireError):
            message, descriptors = receive(self.control)
            for descriptor in descriptors:
                os.close(descriptor)
            if self._found is None and message.get("ready"):
                self._found = message
                return True
        # One that was ready and is gone was killed: the next run deserves another.
        self.refused = self._found is None
        return False

    def keeps(self, request: Mapping[str, Any]) -> bool:
        """Whether it stays of use, or stays refused, now that ``request`` is the last one."""
        if self.control is None and not self.refused:
            return False  # nothing is lost
        if self.ready:
            return self.fits(request)
        return self._is_alike(request)

    def fits(self, request: Mapping[str, Any]) -> bool:
        """Whether it is what a fork for ``request``, a suited one, would become."""
        found, own = self._found, self.template
        if found is None:
            return False
        if not self._is_alike(request):
            return False
        names = set(found["names"])
        if first_difference(own["env"], request["env"], names, found["whole"]) is not None:
            return False
        return all(stamp(path) == _pair(before) for path, before in found["files"].items())

    def _is_alike(self, request: Mapping[str, Any]) -> bool:
        own = self.template
        return all(own[name] == request[name] for name in _SAME) and _words(own) == _words(request)

    def give(self, request: dict[str, Any], descriptors: list[int]) -> bool:
        """Make it the kernel for ``request``; false when it is gone."""
        with contextlib.suppress(OSError):
            if self.control is not None:
                send(self.control, request, descriptors)
                return True
        return False

    def forget(self) -> None:
        """Have nothing more to do with the process."""
        if self.control is not None:
            self.control.close()
        self.control, self.pid, self._found = None, 0, None


def _words(request: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The command and its arguments without the connection file, which is another each time."""
    arguments = list(request["args"])
    command = list(request["command"])
    return command[: len(command) - len(arguments)], arguments[:1] + arguments[2:]


def _pair(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))
