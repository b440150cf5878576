"""Cards that are on the screen already, brought up to date with what became known later."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..model.events import RunAmended

__all__ = ["CardUpdates", "display_id"]

_CARDS = 8  # The newest, which may still be looked at.


def display_id(run_id: str) -> str:
    """By which a front end knows the card of a run again."""
    return f"jupyter-mlops-{run_id}"


class CardUpdates:
    """The last cards of one shell.  Thread-safe; nothing in it ever raises."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._cards: OrderedDict[str, tuple[dict[str, Any], bool]] = OrderedDict()
        self._lock = threading.Lock()

    def shown(self, card: Mapping[str, Any], *, redact: bool) -> None:
        """A card was put on the screen with its ``display_id``."""
        with self._lock:
            self._cards[str(card["run_id"])] = (dict(card), redact)
            while len(self._cards) > _CARDS:
                self._cards.popitem(last=False)

    def amend(self, amended: RunAmended) -> None:
        """Show what became known of a run's inputs, where its card is still remembered."""
        with contextlib.suppress(Exception):  # A front end that has gone.
            self._amend(amended)

    def _amend(self, amended: RunAmended) -> None:
        from .card import bundle, with_inputs

        with self._lock:
            known = self._cards.get(amended.run_id)
            if known is None:
                return
            card, redact = known
            new = with_inputs(card, amended.inputs, redact=redact)
            if new is None:
                return
            self._cards[amended.run_id] = (new, redact)
        self._shell.display_pub.publish(
            data=bundle(new),
            metadata={},
            transient={"display_id": display_id(amended.run_id)},
            update=True,
        )
