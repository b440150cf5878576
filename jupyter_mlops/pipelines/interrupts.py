"""SIGTERM as an exception, so that a run that is told to end cleans up as for Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["Terminated", "exit_code_of", "sigterm_raises"]


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: what Ctrl-C would do, with another exit code."""


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Raise ``Terminated`` on SIGTERM inside the block.

    Only in the main thread, and only where nobody handles SIGTERM already: a host that does (the
    scheduling worker) raises what it wants.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_code_of(interrupt: KeyboardInterrupt) -> int:
    """128 and the signal's number, as shells count it: 143 for SIGTERM, 130 for Ctrl-C."""
    return 143 if isinstance(interrupt, Terminated) else 130
