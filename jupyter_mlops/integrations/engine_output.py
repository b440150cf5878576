"""The outputs of a cell: joined, bounded, and with what was left out named in their place."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

__all__ = ["CELL_LIMIT", "NOTEBOOK_LIMIT", "Outputs"]

CELL_LIMIT = 10_000_000  # bytes of output that a cell keeps
NOTEBOOK_LIMIT = 100_000_000  # and all cells of a notebook together
_TAIL = 100_000  # of them, characters that are kept of the end of a cut text
_NOTES = 20  # outputs that are left out one by one with a note each; the others are counted
_OVERWRITTEN = re.compile(r"[^\n]*\r+(?=[^\r\n])")


class Outputs:
    """The outputs of the cell that runs, one cell after the other.

    Text of one stream is one output until something else comes, as JupyterLab shows it; what a bare
    carriage return has overwritten is gone.  A text that outgrows the limit keeps its beginning and
    its end, an error is always kept, and a note says what is missing and why.
    """

    def __init__(self, cell_limit: int = CELL_LIMIT, notebook_limit: int = NOTEBOOK_LIMIT) -> None:
        self._cell_limit = cell_limit
        self._notebook_limit = notebook_limit
        self._before = 0  # bytes in the cells before this one
        self._displays: dict[str, list[dict[str, Any]]] = {}
        self.begin([])

    def begin(self, outputs: list[dict[str, Any]]) -> None:
        """The next outputs go into this list."""
        self._list = outputs
        self._used = 0
        self._stream: dict[str, Any] | None = None
        self._parts: list[str] = []
        self._clear_next = False
        self._notes = 0
        self._tail: deque[tuple[str, str]] = deque()
        self._tail_size = 0
        self.cut_text = 0  # characters left out, those of the tail counted
        self.cut_outputs = 0

    def stream(self, name: str, text: str) -> None:
        """Text that was printed."""
        self._clear_if_due()
        room = self._room() - self._end_room()
        if self.cut_text or len(text) > room:
            if not self.cut_text and room > 0:
                self._append(name, text[:room])
                text = text[room:]
            self._cut(name, text)
            return
        self._append(name, text)

    def add(self, output: dict[str, Any], size: int, display_id: str | None = None) -> None:
        """A result, a display or an error; ``size`` in bytes of its JSON."""
        self._clear_if_due()
        if output["output_type"] != "error":
            if self.cut_text or size > self._room():
                self._leave_out(output, size)
                return
            if display_id is not None:
                self._displays.setdefault(display_id, []).append(output)
        self.settle()
        self._stream = None
        self._used += size
        self._list.append(output)

    def update(self, display_id: str, data: Any, metadata: Any, size: int) -> bool:
        """Replace what a display shows, wherever it is; whether there is such a display."""
        shown = self._displays.get(display_id, [])
        if size <= self._cell_limit:
            for output in shown:
                output["data"], output["metadata"] = data, metadata
        elif shown:
            self.cut_outputs += 1
        return bool(shown)

    def clear(self, wait: bool) -> None:
        """Forget what there is, at once or when the next comes."""
        if wait:
            self._clear_next = True
        else:
            self._clear()

    def settle(self) -> None:
        """Bring the list up to date with what was printed."""
        if self._stream is not None and self._parts:
            text = "".join([self._stream["text"], *self._parts])
            self._stream["text"] = _OVERWRITTEN.sub("", text) if "\r" in text else text
            self._parts = []

    def finish(self) -> dict[str, int] | None:
        """The cell has ended: what was left out, and ``None`` if nothing was."""
        self.settle()
        self._stream = None
        cut = self._close_cut() if self.cut_text or self.cut_outputs else None
        self._before += self._used
        return cut

    def _close_cut(self) -> dict[str, int] | None:
        """Say what is missing, and put the end of the text behind it."""
        over = self._tail_size - self._end_room()
        if self._tail and over > 0:  # the pieces that it came in do not end where the room does
            name, text = self._tail[0]
            self._tail[0] = (name, text[over:])
        kept = sum(len(text) for _, text in self._tail)
        lost = self.cut_text - kept
        if lost or self.cut_outputs:
            parts = [f"{lost:,} characters of printed text"] if lost else []
            parts += [f"{self.cut_outputs:,} other outputs"] if self.cut_outputs else []
            self._place_note(" and ".join(parts), follows=bool(kept))
        errors = [output for output in self._list if output["output_type"] == "error"]
        self._list[:] = [output for output in self._list if output["output_type"] != "error"]
        for name, text in self._tail:
            self._append(name, text)
        self.settle()
        self._stream = None
        self._list += errors
        if not lost and not self.cut_outputs:
            return None
        return {"characters": lost, "outputs": self.cut_outputs}

    def _place_note(self, what: str, *, follows: bool) -> None:
        end = " The end of the text follows." if follows else ""
        text = f"\n[left out here: {what}. {self._why()}{end}]\n"
        self._list.append({"output_type": "stream", "name": "stderr", "text": text})

    def _why(self) -> str:
        return (
            f"A cell keeps {self._cell_limit / 1e6:g} MB of output, a notebook "
            f"{self._notebook_limit / 1e6:g} MB."
        )

    def _limit(self) -> int:
        return max(0, min(self._cell_limit, self._notebook_limit - self._before))

    def _room(self) -> int:
        return max(0, self._limit() - self._used)

    def _append(self, name: str, text: str) -> None:
        if self._stream is None or self._stream["name"] != name:
            self.settle()
            self._stream = {"output_type": "stream", "name": name, "text": ""}
            self._list.append(self._stream)
        self._parts.append(text)
        self._used += len(text)

    def _cut(self, name: str, text: str) -> None:
        self.cut_text += len(text)
        keep = self._end_room()
        if not keep:
            return
        self._tail.append((name, text[-keep:]))
        self._tail_size += len(self._tail[-1][1])
        while self._tail_size - len(self._tail[0][1]) >= keep:
            self._tail_size -= len(self._tail.popleft()[1])

    def _end_room(self) -> int:
        """Characters that are reserved for the end of a text."""
        return min(_TAIL, self._limit() // 4)

    def _leave_out(self, output: dict[str, Any], size: int) -> None:
        self._notes += 1
        if self._notes > _NOTES or self.cut_text:
            self.cut_outputs += 1
            return
        self.settle()
        self._stream = None
        kinds = ", ".join(sorted(output["data"])) or "nothing"
        text = f"[left out here: an output of {size / 1e6:.1f} MB ({kinds}). {self._why()}]"
        note = {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}
        self._list.append(note)

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear_next = False
            self._clear()

    def _clear(self) -> None:
        gone = {id(output) for output in self._list}
        for key, shown in list(self._displays.items()):
            self._displays[key] = [output for output in shown if id(output) not in gone]
        self._list.clear()
        self.begin(self._list)
