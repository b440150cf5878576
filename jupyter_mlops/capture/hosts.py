"""Who records a block or a function: the notebook's own tracker, else one of this process."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any
from weakref import ref

from .history import History
from .tracker import Tracker
from .warner import Warner

__all__ = ["host", "set_host"]

_shell_tracker: ref[Tracker] | None = None
_own: tuple[int, Tracker] | None = None


def set_host(tracker: Tracker | None) -> None:
    """Name the tracker of the shell that has the extension, or none any more."""
    global _shell_tracker
    _shell_tracker = ref(tracker) if tracker is not None else None


def host() -> Tracker:
    """The tracker to use.  A process that was forked off gets one of its own."""
    global _own
    if _shell_tracker is not None:
        tracker = _shell_tracker()
        if tracker is not None and tracker.pid == os.getpid():
            return tracker
    if _own is None or _own[0] != os.getpid():
        tracker = Tracker(_shell(), History(), Warner())
        atexit.register(tracker.close)
        _own = (os.getpid(), tracker)
    return _own[1]


def _shell() -> Any:
    """The IPython shell of a notebook that has not loaded the extension, if this is one."""
    core = sys.modules.get("IPython.core.interactiveshell")
    if core is None or not core.InteractiveShell.initialized():
        return None
    shell = core.InteractiveShell.instance()
    kernel = getattr(shell, "kernel", None)
    # A child of a kernel has the shell, too, and must not speak through it.
    pid = getattr(getattr(kernel, "session", None), "pid", None)
    return shell if pid == os.getpid() else None
