"""In words: why a cell is kept or dropped, and whether the notebook still has it so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..dataflow import Slice
from ..dataflow.paths import ANY
from .tracked import Tracked

__all__ = ["Reasons"]


class Reasons:
    """What can be said of each execution of a session."""

    def __init__(
        self, tracked: Tracked, cut: Slice, kept: Sequence[int], edits: Mapping[int, bool]
    ) -> None:
        self._tracked = tracked
        self._cut = cut
        self._kept = set(kept)
        self._edits = edits
        self._now = {c.get("id"): c.source for c in tracked.document.cells if c.cell_type == "code"}
        self._texts = set(self._now.values())

    def name(self, index: int) -> str:
        """The cell's id, with a number from its second execution on."""
        events = self._tracked.events
        cell_id = events[index].cell_id
        if cell_id is None:
            return f"[{events[index].seq}]"
        number = 1 + sum(event.cell_id == cell_id for event in events[:index])
        return cell_id if number == 1 else f"{cell_id}-{number}"

    def state(self, index: int) -> str:
        """``as_is``, ``edited``, ``deleted``, ``failed`` or ``private``."""
        event = self._tracked.events[index]
        if event.private:
            return "private"
        if event.status != "ok":
            return "failed"
        if event.cell_id in self._now:
            return "as_is" if self._now[event.cell_id] == event.source else "edited"
        return "as_is" if event.source in self._texts else "deleted"

    def why(self, index: int) -> str:
        """Why it is kept or dropped."""
        events = self._tracked.events
        event = events[index]
        if event.seq in self._edits:
            return "kept by you" if self._edits[event.seq] else "dropped by you"
        if index in self._kept:
            return self._kept_for(index)
        if event.status != "ok":
            error = (event.error or {}).get("ename", event.status)
            return f"it raised {error}"
        later = [
            events[i].seq
            for i in sorted(self._kept)
            if i > index and event.cell_id is not None and events[i].cell_id == event.cell_id
        ]
        if later:
            return f"it was run again as [{later[0]}]"
        return "nothing that is kept uses what it makes"

    def _kept_for(self, index: int) -> str:
        reason = self._cut.reasons.get(index)
        if reason is None:
            return "the cells that the result seemed to need were not enough"
        if reason.how == "target":
            return "it is the tracked cell" if self._tracked.run else "it is the result"
        what = reason.name.replace(ANY, "*")
        if reason.how == "sets":
            return f"it sets {what.lstrip('$')} for what follows"
        words = {"writes": f"writes {what}"}.get(reason.how, f"{reason.how} {what.lstrip('$')}")
        if reason.reader is None:
            return f"it {words}, which was asked for"
        return f"it {words}, which [{self._tracked.events[reason.reader].seq}] uses"
