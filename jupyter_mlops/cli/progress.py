"""Progress of a headless run: a live line in a terminal, plain whole lines in a log."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TextIO

from ..model.ports import CellProgress
from .output import duration

__all__ = ["RunLog"]


class RunLog:
    """Prints cells and steps as they come, each line at once.

    In a terminal the running cell's line is redrawn when it ends.  Elsewhere nothing is ever
    redrawn: a cell's line begins when it starts and gets its duration when it ends, so that a log
    read while it grows shows which cell is running.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._open = False

    def line(self, text: str = "") -> None:
        """Print one line."""
        self.end()
        self._write(text + "\n")

    def cell(self, progress: CellProgress) -> None:
        """Show a cell that started or ended."""
        if progress.state == "started":
            self.end()
            self._write(self._fit(f"{_head(progress)} {progress.title} ..."))
            self._open = True
            return
        took = duration(progress.seconds)
        ended = took if progress.state == "completed" else f"{progress.state} after {took}"
        if self._live:
            # Back to the start of the line, and clear it.
            self._write("\r\x1b[2K" + self._fit(f"{_head(progress)} {progress.title}", ended))
        elif self._open:
            self._write(f" {ended}")
        else:
            self._write(f"{_head(progress)} {progress.title} ... {ended}")
        self._write("\n")
        self._open = False

    def output(self, text: str) -> None:
        """Show a line that the running cell printed; its own line goes on below.

        The bar keeps it from being taken for a command of the CI system.
        """
        self.end()
        self._write(self._fit(f"    | {text}") + "\n")

    def output_of(self, step: str, text: str) -> None:
        """The same, as ``run_pipeline`` tells it."""
        self.output(text)

    def end(self) -> None:
        """Finish a line that was begun."""
        if self._open:
            self._write("\n")
            self._open = False

    def _fit(self, text: str, ended: str = "") -> str:
        """Cut to the terminal's width: a line that wraps cannot be redrawn."""
        suffix = f"  {ended}" if ended else ""
        if not self._live:
            return text + suffix
        width = max(20, shutil.get_terminal_size().columns - 1 - len(suffix))
        return (text if len(text) <= width else text[: width - 3] + "...") + suffix

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except OSError:
            # Nobody reads any more (``| head``), or the log's disk is full: no reason to stop.
            with contextlib.suppress(OSError):
                silence = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silence, self._stream.fileno())
                os.close(silence)


def _head(progress: CellProgress) -> str:
    width = len(str(progress.total))
    return f"  [{progress.index + 1:>{width}}/{progress.total}]"


def log_stream(as_json: bool) -> TextIO:
    """Where progress goes: stderr when stdout belongs to JSON."""
    return sys.stderr if as_json else sys.stdout
