"""What becomes known of a run's inputs after its record: written a few at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..model.events import InputRecord, RunAmended

__all__ = ["Amendments"]

_TOGETHER = 0.5  # Seconds for which what is known waits for more: each writing is one fsync.


class Amendments:
    """Gathers the inputs of one session's runs; ``amend`` writes them."""

    def __init__(self, session: str, amend: Callable[[RunAmended], None]) -> None:
        self._session = session
        self._amend = amend
        self._known: dict[str, tuple[float, dict[tuple[str, str | None], InputRecord]]] = {}
        self._lock = threading.Lock()

    def add(self, run_id: str, record: InputRecord) -> None:
        """An input of a run is as it will stay."""
        with self._lock:
            since, records = self._known.setdefault(run_id, (time.monotonic(), {}))
            records[record.name, record.source] = record
        if time.monotonic() - since >= _TOGETHER:
            self.flush(run_id)

    def flush(self, run_id: str) -> None:
        """Write what waits of a run."""
        with self._lock:
            _, records = self._known.pop(run_id, (0.0, {}))
        if records:
            inputs = tuple(records.values())
            self._amend(RunAmended(run_id, self._session, time.time(), inputs=inputs))

    def close(self) -> None:
        """Write all that waits."""
        for run_id in list(self._known):
            self.flush(run_id)
