"""Where the lines of cells are in a notebook's file, for tools that point at lines of files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CellLines", "cell_lines"]

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^\s,\]}]+")


@dataclass(frozen=True, slots=True)
class CellLines:
    """Lines of the file (from 1) by cell (from 0): where it begins, and where its lines are."""

    starts: tuple[int, ...] = ()
    sources: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def line(self, cell: int, line: int) -> int:
        """The file's line of a cell's line (from 1); the nearest that there is."""
        known = self.sources.get(cell, ())
        if known:
            return known[min(max(line, 1), len(known)) - 1]
        return self.starts[cell] if cell < len(self.starts) else 1


def cell_lines(text: str) -> CellLines:
    """Find the cells in a notebook's text; an empty answer where it is not valid JSON."""
    try:
        scan = _Scan(text)
        scan.value(())
    except (ValueError, IndexError, RecursionError):
        return CellLines()
    return CellLines(
        tuple(scan.starts), {cell: tuple(lines) for cell, lines in scan.sources.items()}
    )


class _Scan:
    """Goes through JSON once, noting where ``cells[i]`` and ``cells[i].source[j]`` begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts: list[int] = []
        self.sources: dict[int, list[int]] = {}
        self._line, self._counted = 1, 0

    def value(self, path: tuple[str | int, ...]) -> None:
        self._skip()
        self._note(path)
        first = self.text[self.at]
        if first == "{":
            self._members(path, "}")
        elif first == "[":
            self._members(path, "]")
        elif first == '"':
            self._string()
        else:
            found = _SCALAR.match(self.text, self.at)
            if found is None:
                raise ValueError("no value")
            self.at = found.end()

    def _members(self, path: tuple[str | int, ...], end: str) -> None:
        self.at += 1
        position = 0
        while True:
            self._skip()
            if self.text[self.at] == end:
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
                continue
            key: str | int = position
            if end == "}":
                key = self._string()
                self._skip()
                if self.text[self.at] != ":":
                    raise ValueError("no colon")
                self.at += 1
            self.value((*path, key))
            position += 1

    def _string(self) -> str:
        value, self.at = json.decoder.scanstring(self.text, self.at + 1)  # type: ignore[attr-defined]
        return str(value)

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _note(self, path: tuple[str | int, ...]) -> None:
        if not path or path[0] != "cells" or len(path) not in (2, 3, 4):
            return
        if len(path) == 2:
            self.starts.append(self._here())
        elif path[2] == "source" and isinstance(path[1], int):
            lines = self.sources.setdefault(path[1], [])
            if len(path) == 4 or self.text[self.at] == '"':
                lines.append(self._here())

    def _here(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line
