"""Text as a terminal shows it: progress bars collapsed, colours taken out, its length bounded."""

from __future__ import annotations

import re
from collections import deque

__all__ = ["BoundedText", "Screen", "strip_ansi"]

# ECMA-48: control sequences, and operating system commands (links, window titles).
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>])")
_MOVES = re.compile(r"(\n|\r|\x08|\x1b\[[0-9;]*[ABCDGJK])")
_WIDEST = 100_000  # columns that a control sequence may move the cursor to
_BEHIND = 200  # lines above the cursor that it may still return to


def strip_ansi(text: str) -> str:
    """``text`` without escape sequences."""
    return _ANSI.sub("", text) if "\x1b" in text else text


class Screen:
    """Collects text as a terminal of endless width shows it.

    Understands line feed, carriage return, backspace, and the control sequences that progress bars
    use: moving the cursor, and erasing in a line and below.  Other sequences are dropped.
    """

    def __init__(self) -> None:
        self._rows = [""]
        self._row = 0
        self._column = 0

    def feed(self, text: str) -> None:
        """Take more text."""
        text = text.replace("\r\n", "\n")
        plain = "\r" not in text and "\x1b" not in text and "\x08" not in text
        if plain and self._row == len(self._rows) - 1 and self._column == len(self._rows[-1]):
            lines = text.split("\n")
            self._rows[-1] += lines[0]
            self._rows += lines[1:]
            self._row, self._column = len(self._rows) - 1, len(self._rows[-1])
            return
        for part in _MOVES.split(text):
            if part == "\n":
                self._down(1)
                self._column = 0
            elif part == "\r":
                self._column = 0
            elif part == "\x08":
                self._column = max(0, self._column - 1)
            elif part.startswith("\x1b[") and _MOVES.fullmatch(part):
                self._control(part[-1], part[2:-1])
            elif part:
                self._write(strip_ansi(part))

    def settled(self, *, final: bool = False) -> str:
        """Take away and return what can no longer change; everything if it is ``final``."""
        if final:
            text = "\n".join(self._rows)
            self.__init__()  # type: ignore[misc]
            return text
        done = self._row - _BEHIND
        if done <= 0 and len(self._rows[self._row]) > 10 * _WIDEST:
            done = self._row  # A line without end must not stay in memory.
            text = "".join(f"{row}\n" for row in self._rows[:done]) + self._rows[done]
            self._rows, self._row, self._column = [""], 0, 0
            return text
        if done <= 0:
            return ""
        text = "\n".join(self._rows[:done]) + "\n"
        del self._rows[:done]
        self._row -= done
        return text

    def _write(self, text: str) -> None:
        line = self._rows[self._row]
        if len(line) < self._column:
            line = line.ljust(self._column)
        self._rows[self._row] = line[: self._column] + text + line[self._column + len(text) :]
        self._column += len(text)

    def _down(self, count: int) -> None:
        self._row += count
        while len(self._rows) <= self._row:
            self._rows.append("")

    def _control(self, letter: str, arguments: str) -> None:
        first = arguments.split(";")[0]
        number = min(int(first), _WIDEST) if first.isdigit() else 0
        count = max(1, number)
        if letter == "A":
            self._row = max(0, self._row - count)
        elif letter == "B":
            self._down(min(count, _BEHIND))
        elif letter == "C":
            self._column = min(_WIDEST, self._column + count)
        elif letter == "D":
            self._column = max(0, self._column - count)
        elif letter == "G":
            self._column = count - 1
        elif letter == "K":
            line = self._rows[self._row]
            if number == 0:
                self._rows[self._row] = line[: self._column]
            elif number == 1:
                self._rows[self._row] = " " * self._column + line[self._column :]
            else:
                self._rows[self._row] = ""
        elif number == 0:  # J: below the cursor
            del self._rows[self._row + 1 :]
            self._rows[self._row] = self._rows[self._row][: self._column]
        elif number == 2:
            self._rows, self._row, self._column = [""], 0, 0


class BoundedText:
    """Keeps the beginning and the end of a text; ``limit`` is in bytes of UTF-8."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head: list[bytes] = []
        self._head_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.size = 0

    def add(self, text: str) -> None:
        """Append; what no longer fits goes from the middle."""
        data = text.encode("utf-8", "backslashreplace")
        self.size += len(data)
        if self._head_size < self._half:
            part = data[: self._half - self._head_size]
            self._head.append(part)
            self._head_size += len(part)
            data = data[len(part) :]
        if data:
            data = data[-self._half :]
            self._tail.append(data)
            self._tail_size += len(data)
            while self._tail_size - len(self._tail[0]) >= self._half:
                self._tail_size -= len(self._tail.popleft())

    @property
    def cut(self) -> int:
        """How many bytes ``text`` leaves out."""
        return max(0, self.size - self._head_size - min(self._tail_size, self._half))

    def text(self) -> str:
        """The beginning and the end, between them a line that says how much was cut."""
        head, tail = b"".join(self._head), b"".join(self._tail)[-self._half :]
        if not self.cut:
            return (head + tail).decode("utf-8", "replace")
        return (
            f"{head.decode('utf-8', 'ignore')}\n"
            f"[... {self.cut} of {self.size} bytes were cut ...]\n"
            f"{tail.decode('utf-8', 'ignore')}"
        )
