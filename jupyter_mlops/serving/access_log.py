"""The access log of a deployment: one JSON object a line, never a body or a token.

Fields: ``time`` (seconds since the epoch), ``id``, ``method``, ``path``, ``status``, ``ms`` (from
the request's headers to its answer), ``rows`` (``null`` where nothing was scored), ``version``.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

__all__ = ["AccessLog"]

_to_json = json.JSONEncoder(separators=(",", ":")).encode


class AccessLog:
    """Appends lines, and moves the file to ``.1`` ... ``.<keep>`` when it has grown to ``limit``.

    JSON escapes line breaks and control characters, so that no request can forge a line.  Used from
    one thread; a full disk loses lines, never requests.
    """

    def __init__(self, path: Path, *, limit: int = 5 * 1024 * 1024, keep: int = 3) -> None:
        self.path = path
        self._limit = limit
        self._keep = keep
        self._open()

    def write(self, **fields: Any) -> None:
        """Append one line."""
        line = _to_json(fields).encode() + b"\n"
        with contextlib.suppress(OSError):
            if self._size + len(line) > self._limit:
                self._rotate()
            self._size += os.write(self._file, line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self.path, flags, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        os.close(self._file)
        try:
            for number in range(self._keep - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
            os.replace(self.path, f"{self.path}.1")
        finally:
            self._open()
