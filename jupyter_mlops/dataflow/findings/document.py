"""The notebook's cells, as the rules see them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..source import parse, strip_tracking, to_python

__all__ = ["NotebookCell", "cells_of", "same_code"]


@dataclass(frozen=True, slots=True)
class NotebookCell:
    """A code cell of the document.

    ``position`` counts all cells of the document from 0; ``count`` is its execution count;
    ``failed`` says that an error is among its outputs.
    """

    position: int
    source: str
    id: str | None = None
    count: int | None = None
    tags: tuple[str, ...] = ()
    failed: bool = False

    @property
    def label(self) -> str:
        """How messages call it: by its execution count, which people see beside it."""
        return f"cell [{self.count}]" if self.count is not None else f"cell {self.position + 1}"


def cells_of(notebook: Mapping[str, Any]) -> tuple[NotebookCell, ...]:
    """Return the code cells of a notebook file's content (nbformat 4, as JSON).

    Raises ``ValueError`` that says what is wrong with it.
    """
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        old = "worksheets" in notebook
        raise ValueError("it is in a format before nbformat 4" if old else "it has no cells")
    found = []
    for position, cell in enumerate(cells):
        if not isinstance(cell, dict):
            raise ValueError(f"cell {position + 1} is no object")
        if cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        if isinstance(source, list):
            source = "".join(str(line) for line in source)
        if not isinstance(source, str):
            raise ValueError(f"cell {position + 1} has no text")
        count, name = cell.get("execution_count"), cell.get("id")
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, dict) else ()
        found.append(
            NotebookCell(
                position=position,
                source=source,
                id=name if isinstance(name, str) else None,
                count=count if isinstance(count, int) and not isinstance(count, bool) else None,
                tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
                failed=_failed(cell.get("outputs")),
            )
        )
    return tuple(found)


def _failed(outputs: Any) -> bool:
    outputs = outputs if isinstance(outputs, Sequence) else ()
    return any(isinstance(o, dict) and o.get("output_type") == "error" for o in outputs)


def same_code(a: str, b: str) -> bool:
    """Whether two sources differ at most in comments, blank lines, layout and ``%%track``."""
    return a == b or _normal(a) == _normal(b)


def _normal(source: str) -> str:
    tree = parse(to_python(source).text)
    if tree is not None and tree.body:
        return ast.dump(tree)
    return re.sub(r"\s+", " ", strip_tracking(source)).strip()
