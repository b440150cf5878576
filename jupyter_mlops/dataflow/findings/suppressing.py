"""Comments in a cell that switch rules off for it: ``# mlops: ignore NB004 it is meant``."""

from __future__ import annotations

import re

from .document import NotebookCell
from .finding import Finding

__all__ = ["ignored", "without_ignored"]

_COMMENT = re.compile(
    r"\#\s*(?:mlops:\s*ignore\b|noqa:)[ \t]*((?:NB\d{3})(?:[ \t,]+NB\d{3})*)?", re.IGNORECASE
)


def ignored(source: str) -> frozenset[str]:
    """The rules that a cell's comments switch off; ``*`` for all of them.

    ``# mlops: ignore`` alone means every rule, with ids these; ``# noqa: NB004`` means the same, so
    that one comment serves other linters, too.  Whatever follows the ids is the person's reason.
    """
    found: set[str] = set()
    for line in source.splitlines():
        for match in _COMMENT.finditer(line):
            if match[1]:
                found |= {name.upper() for name in re.findall(r"NB\d{3}", match[1], re.IGNORECASE)}
            elif "mlops" in match[0].lower():
                found.add("*")
    return frozenset(found)


def without_ignored(
    findings: tuple[Finding, ...], cells: tuple[NotebookCell, ...]
) -> tuple[Finding, ...]:
    """The findings that no comment in their cell switches off."""
    rules = {cell.position: ignored(cell.source) for cell in cells}
    return tuple(
        finding
        for finding in findings
        if not {"*", finding.rule} & rules.get(finding.cell, frozenset())
    )
