"""What an executed cell says about itself: failing lines, the last of its output."""

from __future__ import annotations

import re
from typing import Any

from ..model.cell_words import without_colour

__all__ = ["failure", "output_tail"]

# How IPython names a line of a cell: since 8.7, in 8.0 to 8.6, and the arrow of all versions.
_IN_CELL = re.compile(r"^\s*(?:Cell )?In(?:put In)? ?\[(\d+)\], (?:line |in .*?line: )(\d+)", re.M)
_ARROW = re.compile(r"^-+> ?(\d+)", re.M)
_TAIL_LINES = 20
_TAIL_CHARACTERS = 4000
_TAIL_BYTES = 200_000  # of an output, that are looked at for its last lines


def output_tail(cell: Any) -> str:
    """The last lines that a cell printed or showed as text, without its error."""
    parts: list[str] = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            parts.append(str(output["text"]))
        elif "data" in output and "text/plain" in output["data"]:
            parts.append(str(output["data"]["text/plain"]) + "\n")
    text = without_colour("".join(parts)[-_TAIL_BYTES:]).rstrip()
    return "\n".join(text.splitlines()[-_TAIL_LINES:])[-_TAIL_CHARACTERS:]


def failure(
    cell: Any, number: int | None, ename: str, evalue: str, traceback: list[str]
) -> dict[str, Any]:
    """Return the ``error`` of an ``ExecutionResult``; ``index`` is added by the executor."""
    text = without_colour("\n".join(traceback))
    source = "" if cell is None else str(cell["source"])
    lineno = _line_number(text, None if cell is None else cell.get("execution_count"))
    lines = source.splitlines()
    known = lineno is not None and lineno <= len(lines)
    return {
        "ename": ename,
        "evalue": without_colour(evalue),
        "cell": number,
        "cell_id": None if cell is None else cell.get("id"),
        "index": None,
        "lineno": lineno if known else None,
        "line": lines[lineno - 1].strip() if known and lineno else None,
        "source": source,
        "traceback": text,
        "output": "" if cell is None else output_tail(cell),
    }


def _line_number(traceback: str, execution_count: int | None) -> int | None:
    """The line of the cell that a traceback ends in, counted from 1."""
    found = [int(m[2]) for m in _IN_CELL.finditer(traceback) if int(m[1]) == execution_count]
    if found:
        return found[-1]
    arrow = _ARROW.search(traceback)
    return int(arrow[1]) if arrow else None
