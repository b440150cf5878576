"""Markdown that goes with kept cells, and ids that stay the same from promotion to promotion."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from typing import Any

__all__ = ["Markdown", "free_id", "headings"]

_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_HEADING = re.compile(r"#{1,3}\s+(.+?)\s*#*\s*$")


class Markdown:
    """Carries the Markdown cells that stand right above a kept cell, each once."""

    def __init__(self, document: Any, used: set[str]) -> None:
        self._used = used
        self._blocks = _blocks(document)
        self._title = list(document.cells[:1]) if _has_title(document) else []

    def title(self) -> list[Any]:
        """The notebook's first cell, where that is Markdown."""
        return [self._copy(cell) for cell in self._title]

    def before(self, cell_id: str | None) -> list[Any]:
        """Copies of the Markdown above a cell."""
        block = self._blocks.pop(cell_id, []) if cell_id else []
        return [self._copy(cell) for cell in block]

    def _copy(self, cell: Any) -> Any:
        from nbformat import v4

        copy = v4.new_markdown_cell(cell.source)  # type: ignore[no-untyped-call]
        copy["id"] = free_id(cell.get("id") or "", cell.source, self._used)
        return copy


def headings(document: Any, kept: Container[str | None]) -> dict[str, str]:
    """Map ids of kept cells to the heading (of the first three levels) that they are first under.

    ``kept`` are the ids of the kept cells.  The title of the notebook is none.
    """
    found: dict[str, str] = {}
    pending: str | None = None
    for cell in list(document.cells)[1 if _has_title(document) else 0 :]:
        if cell.cell_type == "markdown":
            for line in cell.source.split("\n"):
                match = _HEADING.fullmatch(line)
                pending = pending if match is None else match[1]
        elif cell.cell_type == "code" and cell.get("id") in kept and pending is not None:
            found[cell["id"]], pending = pending, None
    return found


def free_id(wanted: str, text: str, used: set[str]) -> str:
    """A cell id that is stable from promotion to promotion, so that git shows what changed."""
    candidate, number = wanted, 0
    while not _CELL_ID.fullmatch(candidate) or candidate in used:
        candidate = hashlib.sha256(f"{text}{number}".encode()).hexdigest()[:8]
        number += 1
    used.add(candidate)
    return candidate


def _has_title(document: Any) -> bool:
    return bool(document.cells) and document.cells[0].cell_type == "markdown"


def _blocks(document: Any) -> dict[str, list[Any]]:
    blocks: dict[str, list[Any]] = {}
    block: list[Any] = []
    for cell in list(document.cells)[1 if _has_title(document) else 0 :]:
        if cell.cell_type == "markdown":
            block.append(cell)
            continue
        if cell.cell_type == "code" and cell.get("id"):
            blocks[cell["id"]] = block
        block = []
    return blocks
