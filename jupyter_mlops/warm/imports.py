"""What a notebook imports, read from its code without running it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

__all__ = ["imported_modules"]

_EXTENSION = re.compile(r"^\s*%(?:re)?load_ext\s+([A-Za-z_][\w.]*)", re.M)


def imported_modules(*notebooks: Path) -> tuple[str, ...]:
    """The absolute modules that the code cells of ``notebooks`` import, sorted.

    Extensions that they load are among them.  Cells that are not Python (a ``%%`` magic, a syntax
    error) and files that cannot be read add nothing: preloading too little only costs time.
    """
    found: set[str] = set()
    for path in notebooks:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            cells = [cell for cell in data["cells"] if cell["cell_type"] == "code"]
            sources = ["".join(cell["source"]) for cell in cells]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for source in sources:
            found |= _of_source(source)
    return tuple(sorted(found))


def _of_source(source: str) -> set[str]:
    found = set(_EXTENSION.findall(source))
    lines = source.splitlines()
    if lines and lines[0].lstrip().startswith("%%"):
        # %%track, %%time and the like run Python; what others hold will not parse.
        lines = lines[1:]
    # A line magic or shell line stands where a statement may: pass keeps the indentation right.
    kept = [_plain(line) for line in lines]
    try:
        tree = ast.parse("\n".join(kept))
    except (SyntaxError, ValueError, RecursionError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found - {"__future__", "__main__"}


def _plain(line: str) -> str:
    bare = line.lstrip()
    if bare.startswith(("%", "!", "?")):
        return line[: len(line) - len(bare)] + "pass"
    return line
