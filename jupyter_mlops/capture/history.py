"""The cells of this kernel so far, in bounded memory: the session starts with them.

Promotion slices what was executed, so the cells before the first ``%%track`` matter, and so do
those before ``%load_ext``: IPython's own history has them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..model.events import CellEvent
from .cellcode import CellCode, read_cell, same_literal

__all__ = ["History"]

_CELLS = 10_000
_CHARACTERS = 8 * 1024 * 1024


class History:
    """Cell events in executed order, and what can be told from them.

    ``seq`` counts executions from 1; a gap at the start says that older ones were forgotten.
    ``earlier`` is how many cells IPython had run before there were hooks.
    """

    def __init__(self, earlier: int = 0) -> None:
        self.earlier = earlier
        self._events: deque[CellEvent] = deque()
        self._size = 0
        self._next = earlier + 1
        self._writers: dict[str, object] = {}
        self._literals: dict[str, Any] = {}
        self.private: set[str] = set()  # Names that a private cell was the last to bind.

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[CellEvent]:
        return iter(tuple(self._events))

    def next_seq(self) -> int:
        """The number of a cell that begins now."""
        number = self._next
        self._next += 1
        return number

    def note(self, event: CellEvent, code: CellCode | None, namespace: Mapping[str, Any]) -> None:
        """Remember a cell that has ended; the oldest are forgotten when there are too many."""
        self._events.append(event)
        self._size += len(event.source)
        while len(self._events) > _CELLS or (self._size > _CHARACTERS and len(self._events) > 1):
            self._size -= len(self._events.popleft().source)
        literals = code.literals if code is not None else {}
        for name in event.bound:
            self._writers[name] = _cell_key(event.cell_id, event.source)
            (self.private.add if event.private else self.private.discard)(name)
            if name in literals and same_literal(namespace.get(name), literals[name]):
                self._literals[name] = literals[name]
            else:
                self._literals.pop(name, None)

    def bound_by(self, cell_id: str | None, source: str) -> Callable[[str], bool]:
        """Whether a name was bound last by an execution of the same cell."""
        key = _cell_key(cell_id, source)
        return lambda name: self._writers.get(name) == key

    def literal(self, name: str, namespace: Mapping[str, Any]) -> tuple[bool, Any]:
        """``(True, value)`` if an earlier cell assigned a literal that ``name`` still is."""
        if name in self._literals and same_literal(namespace.get(name), self._literals[name]):
            return True, self._literals[name]
        return False, None

    def adopt_earlier(self, shell: Any) -> None:
        """Put the cells of IPython's own history before everything else, once.

        Their times are unknown (they are set to the first known one) and so are the names they
        bound beyond what their source says.
        """
        count, self.earlier = self.earlier, 0
        manager = getattr(shell, "history_manager", None)
        raw = list(getattr(manager, "input_hist_raw", ()))[1 : count + 1]
        parsed = list(getattr(manager, "input_hist_parsed", ()))[1 : count + 1]
        failed = getattr(manager, "exceptions", {})
        before = History()
        now = self._events[0].started if self._events else time.time()
        for number, (source, python) in enumerate(zip(raw, parsed, strict=False), 1):
            code = read_cell(python)
            kinds = code.kinds if code is not None else {}
            bound = tuple(n for n in kinds if n in shell.user_ns and n[:1] != "_")
            status = "error" if number in failed else "ok"
            event = CellEvent("", number, source, now, now, status, bound=bound)
            before.note(event, code, shell.user_ns)
        rebound = {name for event in self._events for name in event.bound}
        kept = {n: v for n, v in before._literals.items() if n not in rebound}
        self._literals = kept | self._literals
        self._writers = before._writers | self._writers
        self._events.extendleft(reversed(before._events))
        self._size += before._size

    def events(self, session: str) -> Iterator[CellEvent]:
        """Yield the remembered cells as records of a session."""
        for event in self:
            yield replace(event, session=session)


def _cell_key(cell_id: str | None, source: str) -> object:
    return cell_id if cell_id is not None else hash(source)
