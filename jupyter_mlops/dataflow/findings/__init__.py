"""Findings: what is wrong with a notebook that nothing in it shows.

``check`` takes the notebook's cells and, where there is one, the session that executed it.  Each
rule is a module of its own whose docstring is its page in the documentation.  A rule that is not
certain says nothing; a cell that cannot be followed is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...model.events import CellEvent
from . import nb001, nb002, nb003, nb004, nb005, nb006, nb007, nb008, nb101, nb102, nb103
from .document import NotebookCell, cells_of
from .finding import ERROR, NOTE, WARNING, Finding, Place
from .history import build_history
from .suppressing import without_ignored

__all__ = [
    "ERROR",
    "NOTE",
    "RULES",
    "SEVERITIES",
    "WARNING",
    "Finding",
    "NotebookCell",
    "Place",
    "cells_of",
    "check",
    "describe",
    "title",
]

_MODULES = (nb001, nb002, nb003, nb004, nb005, nb006, nb007, nb008, nb101, nb102, nb103)
RULES: tuple[str, ...] = tuple(module.ID for module in _MODULES)
SEVERITIES: dict[str, str] = {module.ID: module.SEVERITY for module in _MODULES}


def check(
    cells: Sequence[NotebookCell] | None,
    events: Sequence[CellEvent] = (),
    *,
    saved: float | None = None,
    kept: Callable[[str], bool] = lambda _: False,
    rules: frozenset[str] | None = None,
) -> tuple[Finding, ...]:
    """Return what the rules find, in the order of the document.

    ``cells`` are the document's (``None``: what the session ran is taken for it), ``events`` the
    executed cells of one session in order; without them the execution counts stand in for it.
    ``saved`` is when the document was written, in seconds since the epoch, where it may be older
    than the session.  ``kept`` says of a path whether a snapshot keeps it.  ``rules`` are the ids
    to apply, by default all.  Raises nothing, whatever the cells hold.
    """
    history = build_history(cells, events, saved=saved, kept=kept)
    found: list[Finding] = []
    for module in _MODULES:
        if rules is None or module.ID in rules:
            found.extend(module.find(history))
    ordered = sorted(found, key=lambda f: (f.cell, f.line, f.column, f.rule, f.names))
    return without_ignored(tuple(dict.fromkeys(ordered)), history.cells)


def title(rule: str) -> str:
    """The first line of a rule's page; raises ``KeyError`` for an id that is no rule's."""
    return describe(rule).splitlines()[0]


def describe(rule: str) -> str:
    """A rule's page, in Markdown; raises ``KeyError`` for an id that is no rule's."""
    for module in _MODULES:
        if rule == module.ID:
            return (module.__doc__ or "").strip()
    raise KeyError(rule)
