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
    read while it grows shows which cell is running.  Where steps run at once (``parallel``) each
    line names its step, and a cell has two lines if another's came between.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._open: tuple[str, int] | None = None  # step and number of the cell whose line is
        self.parallel = False

    def line(self, text: str = "") -> None:
        """Print one line."""
        self.end()
        self._write(text + "\n")

    def cell(self, progress: CellProgress) -> None:
        """Show a cell that started or ended."""
        head = self._head(progress)
        if progress.state == "started":
            self.end()
            self._write(self._fit(f"{head} {progress.title} ..."))
            self._open = (progress.step, progress.index)
            return
        if self._open != (progress.step, progress.index):
            self.end()  # it is the line of another step's cell
        took = duration(progress.seconds)
        ended = took if progress.state == "completed" else f"{progress.state} after {took}"
        if self._live and (self._open or not self.parallel):
            # Back to the start of the line, and clear it.
            self._write("\r\x1b[2K" + self._fit(f"{head} {progress.title}", ended))
        elif self._open:
            self._write(f" {ended}")
        else:
            self._write(self._fit(f"{head} {progress.title} ...") + f" {ended}")
        self._write("\n")
        self._open = None

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
            self._open = None

    def _head(self, progress: CellProgress) -> str:
        width = len(str(progress.total))
        step = f"{progress.step} " if self.parallel and progress.step else ""
        return f"  {step}[{progress.index + 1:>{width}}/{progress.total}]"

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


def log_stream(as_json: bool) -> TextIO:
    """Where progress goes: stderr when stdout belongs to JSON."""
    return sys.stderr if as_json else sys.stdout
