"""What a kernel's process itself has written: it explains a death."""

from __future__ import annotations

import os
import tempfile

from ..model.cell_words import without_colour

__all__ = ["Noise"]

_TAIL = 4000  # bytes


class Noise:
    """A file without a name that a kernel's standard output and error go to."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed in close)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._file.fileno()

    def tail(self) -> str:
        """The last of it, without the kernel's own warnings."""
        self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, self._file.tell() - _TAIL))
        lines = without_colour(self._file.read().decode("utf-8", "replace")).splitlines()
        return "\n".join(line for line in lines if "[IPKernelApp] WARNING" not in line).strip()

    def close(self) -> None:
        """Forget it."""
        self._file.close()
