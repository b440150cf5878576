"""Which rules are applied."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..dataflow.findings import RULES
from ..errors import UsageError

__all__ = ["chosen_rules"]


def chosen_rules(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> frozenset[str]:
    """The ids to apply: those in ``select`` (by default all) without those in ``ignore``.

    Each text holds ids or beginnings of ids with commas between: ``NB003``, ``NB1``, ``NB001,NB2``.
    Raises ``UsageError`` for one that no rule's id begins with, and when no rule is left.
    """
    wanted = _expand(select) or frozenset(RULES)
    left = wanted - _expand(ignore)
    if not left:
        raise UsageError("no rule is left to check", hint="Select more, or ignore fewer.")
    return left


def _expand(texts: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for text in texts:
        for word in re.split(r"[,\s]+", text.strip()):
            if not word:
                continue
            rules = {rule for rule in RULES if rule.startswith(word.upper())}
            if not rules:
                raise UsageError(
                    f"there is no rule {word}", hint=f"The rules are {', '.join(RULES)}."
                )
            found |= rules
    return frozenset(found)
