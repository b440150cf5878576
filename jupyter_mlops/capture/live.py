"""The card of a run that still goes on: shown once it has taken a while, then kept up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..model.events import RunStarted
from .card_updates import display_id

__all__ = ["LiveCard"]

_QUIET = 1.0  # Seconds before anything is shown: most cells end sooner.
_EVERY = 1.0  # Seconds between two pictures.


class LiveCard:
    """One run's card while its cell runs; made before the cell's code does.

    Where outputs cannot be replaced (a terminal) it shows nothing.  It is thread-safe, and nothing
    in it ever raises: a card is worth no cell.
    """

    def __init__(
        self,
        shell: Any,
        started: RunStarted,
        *,
        experiment: str = "",
        root: Path | None = None,
        redact: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Taken before the cell: `%%capture` puts another in place, and what that has is theirs.
        self._publisher = shell.display_pub if getattr(shell, "kernel", None) is not None else None
        self._started = started
        self._experiment = experiment
        self._root = root if root is not None else Path.cwd()
        self._redact = redact
        self._clock = clock
        self._drawn: float | None = None
        self._finished = False
        self._lock = threading.Lock()
        self.display_id = display_id(started.run_id)

    @property
    def shown(self) -> bool:
        """Whether there is a display that ``finish`` has to replace."""
        return self._drawn is not None

    def update(
        self,
        series: Mapping[str, list[list[float]]],
        elapsed: float,
        params: Mapping[str, Any] | None = None,
    ) -> bool:
        """Show the latest values if it is time to; return whether anything was shown.

        ``series`` maps each metric to its ``[step, value, time]`` so far, ``elapsed`` is the cell's
        seconds so far.
        """
        if self._publisher is None or elapsed < _QUIET:
            return False
        now = self._clock()
        if self._drawn is not None and now - self._drawn < _EVERY:
            return False
        if not self._lock.acquire(blocking=False):
            return False  # Another thread is drawing.
        try:
            if self._finished:
                return False
            from .card import bundle, live_payload

            card = live_payload(
                self._started,
                experiment=self._experiment,
                root=self._root,
                elapsed=elapsed,
                series={name: list(points) for name, points in list(series.items())},
                params=params,
                redact=self._redact,
            )
            self._publish(bundle(card), update=self._drawn is not None)
            self._drawn = now
        except Exception:
            # A front end that has gone, values that cannot be drawn: the run has them anyway.
            return False
        finally:
            self._lock.release()
        return True

    def finish(self, data: Mapping[str, Any]) -> bool:
        """Put the final card's MIME bundle in place of the display, if there is one.

        Returns false where the card has to be shown as a display of its own.
        """
        with self._lock:
            self._finished = True
            if self._drawn is None:
                return False
            try:
                self._publish(data, update=True)
            except Exception:
                return False
            return True

    def _publish(self, data: Mapping[str, Any], *, update: bool) -> None:
        if self._publisher is None:
            return
        self._publisher.publish(
            data=dict(data),
            metadata={},
            transient={"display_id": self.display_id},
            update=update,
        )
