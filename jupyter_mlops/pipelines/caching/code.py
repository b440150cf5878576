"""A step's code as the cache takes it: normalised, so that comments and formatting do not count."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from blake3 import blake3

__all__ = ["Cell", "module_digest", "read_cells", "text_digest"]

# Magics of which the rest is Python, or that only show something.
_PYTHON_MAGICS = frozenset({"time", "timeit", "capture", "track"})
_LINE_MAGICS = frozenset(
    {"time", "timeit", "matplotlib", "config", "precision", "load_ext", "reload_ext", "autoreload",
     "xmode", "track"}
)  # fmt: skip
_MAGIC = re.compile(r"^(\s*)(?:[\w.,\[\]'\" ]+=\s*)?([%!?].*|.*\?)$")


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell that is not empty.

    ``number`` counts the notebook's code cells from 1, ``place`` is the cell's among all cells;
    ``tree`` is ``None`` for what is not Python, ``strange`` names magics that cannot be followed.
    """

    number: int
    place: int
    digest: str
    title: str
    tags: tuple[str, ...]
    tree: ast.Module | None
    strange: tuple[str, ...] = field(default=())
    source: str = ""


def read_cells(notebook: Any) -> list[Cell]:
    """The code cells of a notebook (nbformat 4) that hold more than comments, in order."""
    found = []
    number = 0
    for place, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code":
            continue
        number += 1
        source = cell["source"]
        source = source if isinstance(source, str) else "".join(source)
        tags = tuple(sorted(str(tag) for tag in cell["metadata"].get("tags", ())))
        made = _cell(source, number, place, tags)
        if made is not None:
            found.append(made)
    return found


def module_digest(data: bytes) -> str:
    """The digest of a Python file: of its syntax tree, or of its bytes where it has none."""
    try:
        return text_digest("module", ast.dump(ast.parse(data)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return f"blake3:{blake3(data).hexdigest()}"


def text_digest(*parts: str) -> str:
    """``blake3:`` and 64 hex digits of texts, with their borders."""
    digest = blake3()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return f"blake3:{digest.hexdigest()}"


def _cell(source: str, number: int, place: int, tags: tuple[str, ...]) -> Cell | None:
    magics: list[str] = []
    tree = _parse(source)
    if tree is None:
        tree = _parse("\n".join(_without_magics(source.splitlines(), magics)))
    if tree is not None and not tree.body and not magics:
        return None
    # A semicolon at the end keeps a value from being shown.
    quiet = source.rstrip().endswith(";")
    try:
        text = source if tree is None else ast.dump(tree)
    except (RecursionError, ValueError):  # a number of thousands of digits
        text = source
    digest = text_digest("cell", text, str(quiet), *magics, "tags", *tags)
    lines = [line.strip() for line in source.splitlines()]
    title = next((line for line in lines if line and not line.startswith("#")), "")
    strange = tuple(name for name in map(_name, magics) if name)
    return Cell(number, place, digest, title[:80], tags, tree, strange, source)


def _parse(source: str) -> ast.Module | None:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        tree = compile(source, "<cell>", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.Module) else None


def _without_magics(lines: list[str], magics: list[str]) -> Iterable[str]:
    if lines and lines[0].startswith("%%"):
        magics.append(lines[0])
        lines = lines[1:] if _words(lines[0])[0] in _PYTHON_MAGICS else []
    for line in lines:
        found = _MAGIC.match(line)
        if found is None:
            yield line
            continue
        magics.append(line)
        words = _words(found[2])
        timed = found[2].startswith("%") and words[0] == "time"
        yield found[1] + (" ".join(words[1:]) if timed and words[1:] else "pass")


def _words(magic: str) -> list[str]:
    return magic.lstrip("%").split() or [""]


def _name(line: str) -> str:
    """What a magic that cannot be followed is called; empty for one that can."""
    found = _MAGIC.match(line)
    text = (found[2] if found is not None else line).strip()
    name = _words(text)[0]
    if text.startswith("%%"):
        return "" if name in _PYTHON_MAGICS else f"%%{name}"
    if text.startswith("%"):
        return "" if name in _LINE_MAGICS else f"%{name}"
    return text.split()[0][:20] if text else text
