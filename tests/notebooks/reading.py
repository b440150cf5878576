"""Pieces of work on real data: a notebook, the session that executed it, and its clean twin.

A file of ``work/`` holds cells after ``# %% NAME`` lines (``# %% [markdown] NAME`` for text).
``NAME @ 1`` is what the cell ``NAME`` held when it ran earlier, ``NAME @ deleted`` a cell that is
no longer in the notebook, ``NAME @ clean`` what the clean twin has in its place.  The head says

- ``session:`` the executions in order (``NAME`` or ``NAME@1``);
- ``expect:`` a rule and the cell in which it finds something;
- ``clean:`` the order of the clean twin's cells, where it is another one;
- ``keep:`` the cells that a person would keep for what was tracked, one that had to run twice
  twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

__all__ = ["WORK", "Book", "read_book"]

WORK = sorted((Path(__file__).parent / "work").glob("*.py"))
_CELL = re.compile(r"# %% (\[markdown\] )?([a-z0-9_]+)(?: @ ([a-z0-9]+))?")


@dataclass
class Book:
    """One piece of work.  ``cells`` maps names to sources, in the document's order."""

    name: str
    cells: dict[str, str] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    session: list[tuple[str, str]] = field(default_factory=list)
    expected: set[tuple[str, str]] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)

    @property
    def tracked(self) -> str:
        """The name of the tracked cell."""
        (name,) = (name for name, source in self.cells.items() if source.startswith("%%track"))
        return name

    def document(self, counts: dict[str, int]) -> Any:
        """The notebook as it stands at the end."""
        return self._notebook(self.cells, counts)

    def clean(self) -> list[tuple[str, str]]:
        """The clean twin's executions: its code cells from top to bottom."""
        names = [name for name in self.order or self.cells if name not in self.texts]
        return [(name, self.versions.get((name, "clean"), self.cells[name])) for name in names]

    def clean_document(self, counts: dict[str, int]) -> Any:
        """The clean twin."""
        sources = dict(self.clean())
        cells = {name: sources.get(name, self.cells[name]) for name in self.order or self.cells}
        return self._notebook(cells, counts)

    def _notebook(self, cells: dict[str, str], counts: dict[str, int]) -> Any:
        made = [
            new_markdown_cell(source, id=name)
            if name in self.texts
            else new_code_cell(source, id=name, execution_count=counts.get(name))
            for name, source in cells.items()
        ]
        notebook = new_notebook(cells=made)
        notebook.metadata["kernelspec"] = {
            "name": "python3", "display_name": "Python 3", "language": "python",
        }  # fmt: skip
        return notebook


def read_book(path: Path) -> Book:
    """Read a file of ``work/``."""
    book = Book(path.stem)
    steps: list[str] = []
    for block in re.split(r"^(?=# %% )", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        first, _, body = block.partition("\n")
        found = _CELL.fullmatch(first)
        if found is None:
            _head(book, block, steps)
            continue
        text, name, version = found.groups()
        source = body.strip("\n")
        if text:
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
            book.texts.add(name)
        if version is None:
            book.cells[name] = source
        else:
            book.versions[name, version] = source
    for step in steps:
        name, _, version = step.partition("@")
        deleted = book.versions.get((name, "deleted"), "")
        book.session.append((name, book.versions[name, version] if version else
                             book.cells.get(name, deleted)))  # fmt: skip
    return book


def _head(book: Book, text: str, steps: list[str]) -> None:
    for line in text.splitlines():
        key, _, rest = line.removeprefix("# ").partition(": ")
        if key == "session":
            steps.extend(rest.split())
        elif key == "expect":
            rule, name = rest.split()
            book.expected.add((rule, name))
        elif key == "clean":
            book.order = rest.split()
        elif key == "keep":
            book.keep.extend(rest.split())
