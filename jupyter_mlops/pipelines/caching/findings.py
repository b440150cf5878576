"""What a static look at code finds: reasons against keeping its results, and what it depends on."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

__all__ = ["Findings", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of code and its name in sentences: ``cell 3`` or ``lib.py``."""

    name: str
    tree: ast.Module
    cell: int | None = None  # its index among the cells that are not empty


@dataclass(slots=True)
class Findings:
    """What was found in all sources together.

    ``reasons`` say why results must not be kept, ``variables`` are names of environment variables,
    ``texts`` literals that may be paths, ``imports`` absolute module names.  ``seeds`` are, for
    each library with a global random state, the places that seed it: ``(cell, statement)``.
    ``loads`` tells that snapshots are read, all by version.  ``native`` are calls of readers that
    open files unseen, by a path that is computed; ``elsewhere`` tells that a path is computed from
    the home folder or the like.
    """

    reasons: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    seeds: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    loads: bool = False
    native: list[str] = field(default_factory=list)
    elsewhere: bool = False

    def refuse(self, reason: str) -> None:
        """Add a reason, once."""
        if reason not in self.reasons:
            self.reasons.append(reason)
