"""Standard streams of processes whose output is a log below ``.mlops/``."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from typing import Any, TextIO

from .redaction import Redactor, default_redactor

__all__ = ["RedactingStream", "redact_streams"]

_LONGEST = 64 * 1024  # characters that wait for the end of their line


class RedactingStream(io.TextIOBase):
    """Passes text on to another stream, line by line, with its secrets replaced."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor
        self._lock = threading.RLock()
        self._waiting = ""

    def write(self, text: str) -> int:
        """Take text; it is passed on when it ends a line, or is flushed."""
        with self._lock:
            self._waiting += text
            if text.endswith("\n") or len(self._waiting) > _LONGEST:
                self._pass_on()
        return len(text)

    def flush(self) -> None:
        """Pass on what waits, and flush the stream behind."""
        with self._lock:
            self._pass_on()
        self._stream.flush()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """That of the stream behind."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """What the stream behind says."""
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream behind."""
        return self._stream.encoding

    def _pass_on(self) -> None:
        text, self._waiting = self._waiting, ""
        if text:
            self._stream.write(self._redactor.redact_text(text))


def redact_streams(redactor: Redactor | None = None) -> None:
    """Have everything that this process prints redacted; what it writes otherwise is not.

    Twice is once.
    """
    redactor = default_redactor() if redactor is None else redactor
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None or isinstance(stream, RedactingStream):
            continue
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
        setattr(sys, name, RedactingStream(stream, redactor))
