"""Reads what a step's kernel wrote down (``integrations/engine_evidence.py`` has the format)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["VARIABLE", "Evidence", "read_evidence"]

VARIABLE = "JUPYTER_MLOPS_STEP_EVIDENCE"
_LARGEST = 64 * 1024 * 1024  # bytes

# Inode, size, times of change and of the look, in nanoseconds; None for nothing there.
Identity = tuple[int, int, int, int, int] | None


@dataclass(slots=True)
class Evidence:
    """The records of one kernel, sorted by kind; ``whole`` unless its end is missing."""

    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    reads: dict[str, Identity] = field(default_factory=dict)
    code: dict[str, Identity] = field(default_factory=dict)
    loaded: dict[str, Identity] = field(default_factory=dict)
    probes: dict[str, str] = field(default_factory=dict)
    lists: dict[str, Identity] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)
    writes: dict[str, bool] = field(default_factory=dict)
    effects: list[tuple[str, str]] = field(default_factory=list)
    cells: list[set[str]] = field(default_factory=list)
    entropy: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether it has a beginning and an end, and nothing in between was lost."""
        return bool(self.start) and bool(self.end) and not self.end.get("broken")


def read_evidence(path: Path) -> Evidence | None:
    """The evidence in a file; ``None`` where there is none, or it is broken."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        found = Evidence()
        for line in path.read_bytes().splitlines():
            _add(found, json.loads(line))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return found


def _add(found: Evidence, record: list[Any]) -> None:
    kind, what, *more = record
    if kind == "start":
        found.start = dict(what)
    elif kind == "end":
        found.end = dict(what)
    elif kind in ("read", "code", "loaded", "list"):
        kept = {"read": found.reads, "code": found.code, "loaded": found.loaded}
        place = kept.get(kind, found.lists)
        identity = more[0]
        place.setdefault(
            str(what),
            None if identity is None else (*map(int, identity),)[:5],  # type: ignore[arg-type]
        )
    elif kind == "probe":
        found.probes.setdefault(str(what), str(more[0]))
    elif kind == "search":
        found.searched.add(str(what))
    elif kind == "write":
        found.writes.setdefault(str(what), bool(more[0]))
    elif kind == "effect":
        found.effects.append((str(what), str(more[0])))
    elif kind == "cell":
        found.cells.append(set(map(str, what)))
    elif kind == "entropy":
        found.entropy.add(str(what))
    else:
        raise ValueError(f"a record of kind {kind!r}")
