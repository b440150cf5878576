"""Files that cells before a tracked one read, for as long as they stay what they were.

A notebook reads its data in one cell and fits in another: what the second depends on is the file
that the first has read.  Which of them a run needs is a question to the slice, and is answered in
the thread for what takes longer; the kernel only remembers paths and states.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..model.events import CellEvent, InputRecord
from ..snapshots import digest_file
from .digesting import Task
from .keeping import Keeper, file_state

if TYPE_CHECKING:
    from ..dataflow import Follower

__all__ = ["Earlier", "EarlierReads", "Needed"]

_MOST = 200  # Files remembered of a session; the oldest are forgotten.


class EarlierReads:
    """What the cells of one kernel have read."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._follower: Follower | None = None
        self._lock = threading.Lock()

    def note(self, event: CellEvent) -> None:
        """A cell has ended: what it read is as it is now."""
        if event.private or event.evidence is None:
            return
        for path in event.evidence.get("files_read", ()):
            try:
                state = file_state(os.stat(path))
            except OSError:
                self._states.pop(path, None)
                continue
            self._states[path] = state
            self._states.move_to_end(path)
        while len(self._states) > _MOST:
            self._states.popitem(last=False)

    def unchanged(self, without: Iterable[str]) -> list[tuple[str, os.stat_result]]:
        """The files that are still as the cells read them, but for those named."""
        left_out = set(without)
        found = []
        for path, state in list(self._states.items()):
            try:
                status = os.stat(path)
            except OSError:
                continue
            if path not in left_out and os.path.isfile(path) and file_state(status) == state:
                found.append((path, status))
        return found

    def needed(self, events: Sequence[CellEvent]) -> Needed:
        """What the last of ``events`` depends on; nothing is worked out yet."""
        return Needed(self, events)

    def slice_files(self, events: Sequence[CellEvent]) -> frozenset[str]:
        """Paths read by the cells that the last of ``events`` needs, itself left out."""
        from ..dataflow import Follower, backward_slice  # heavy, and needed in another thread only

        with self._lock:
            self._follower = self._follower or Follower()
            cut = backward_slice(events, len(events) - 1, follower=self._follower)
        kept = [events[i] for i in cut.indices if i < len(events) - 1]
        return frozenset(
            path for event in kept for path in (event.evidence or {}).get("files_read", ())
        )


class Needed:
    """The files that one run depends on, worked out when first asked for."""

    def __init__(self, reads: EarlierReads, events: Sequence[CellEvent]) -> None:
        self._reads = reads
        self._events: Sequence[CellEvent] | None = events
        self._paths: frozenset[str] = frozenset()

    def __contains__(self, path: object) -> bool:
        if self._events is not None:
            events, self._events = self._events, None
            self._paths = self._reads.slice_files(events)
        return path in self._paths


@dataclass(frozen=True, slots=True)
class Earlier:
    """A file that some earlier cell read, as it was then and is now: an input if it is needed."""

    name: str
    path: str
    status: os.stat_result
    needed: Container[str]

    def task(self, keeper: Keeper | None, run_id: str) -> Task:
        """What digests it and, with a ``keeper``, has it kept; it tells nothing if not needed."""
        base = InputRecord(
            self.name, "file", source=self.name, how="earlier", size=self.status.st_size
        )
        if keeper is None:
            return Task(base, lambda pause: self._digested(base, pause), quiet=True)

        def kept(record: InputRecord, pause: Callable[[], None]) -> InputRecord:
            wanted = keeper.file(record, self.path, self.status, run_id)
            if isinstance(wanted, str):
                return replace(record, reason=wanted)
            return keeper.again(record, wanted.of) or keeper.keep(record, wanted, pause)

        return Task(base, lambda pause: self._digested(base, pause), then=kept, quiet=True)

    def _digested(self, base: InputRecord, pause: Callable[[], None]) -> InputRecord | None:
        if self.path not in self.needed:
            return None
        made = digest_file(self.path, pause=pause)
        if file_state(os.stat(self.path)) != file_state(self.status):
            return None  # It is another file now: what the cell read is gone.
        return replace(base, digest=made.id)
