"""Printed text as lines, while it comes: what carriage returns overwrite is shown as it was last.

Whole lines only: a secret that is printed in pieces can be seen only once they are together.
"""

from __future__ import annotations

from collections.abc import Callable

from ..model.ports import CellProgress

__all__ = ["LineFeed"]

_LONGEST = 4000  # characters of a line that is shown
_WAITING = 100_000  # characters that are kept until their line ends


class LineFeed:
    """Cuts text that comes in pieces into lines and hands each on, without its end."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take a piece."""
        *lines, rest = (self._rest + text).replace("\r\n", "\n").split("\n")
        for line in lines:
            self._line(_last(line)[:_LONGEST])
        # What is overwritten already need not be kept: a progress bar may never end its line.
        shown = rest.rstrip("\r")
        self._rest = shown[shown.rfind("\r") + 1 :] + rest[len(shown) :][:1]
        if len(self._rest) > _WAITING:
            self.end()

    def between(
        self, on_cell: Callable[[CellProgress], None] | None
    ) -> Callable[[CellProgress], None]:
        """``on_cell``, before which a line that a cell has left open is handed on."""

        def told(progress: CellProgress) -> None:
            if progress.state != "started":
                self.end()
            if on_cell is not None:
                on_cell(progress)

        return told

    def end(self) -> None:
        """Hand on what is left: a last line without an end."""
        rest, self._rest = self._rest, ""
        if rest:
            self._line(_last(rest)[:_LONGEST])


def _last(line: str) -> str:
    """What a line shows at the end: the text after the last carriage return that has some."""
    parts = [part for part in line.split("\r") if part]
    return parts[-1] if parts else ""
