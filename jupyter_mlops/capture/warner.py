"""Our failures, told to the person in one line each.

Not by ``warnings.warn``, which would be an exception under the person's own filters.
"""

from __future__ import annotations

import contextlib
import sys

from ..errors import MlopsError

__all__ = ["Warner", "describe"]


class Warner:
    """Prints to standard error, below the cell's own output."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        """Print one warning."""
        with contextlib.suppress(Exception):  # The person may have closed or replaced stderr.
            print(f"jupyter_mlops: {' '.join(text.split())}", file=sys.stderr)

    def once(self, subject: str, text: str) -> None:
        """Print it, unless something was said on ``subject`` before."""
        if subject not in self._said:
            self._said.add(subject)
            self(text)


def describe(error: BaseException) -> str:
    """What went wrong, and what to do about it where the error knows."""
    if isinstance(error, MlopsError):
        return f"{error.message}. {error.hint}" if error.hint else error.message
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return f"{type(error).__name__}: {error}"
