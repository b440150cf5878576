"""In which order combinations run, so that steps they share run once.

A step gives the same for two combinations if all parameters that it and the steps before it take
are the same.  Whoever comes second should come after the first has finished: the step cache then
has it.  Where nothing is shared, nothing waits.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model.pipeline import Pipeline
from ..pipelines import declared_parameters, read_notebook

__all__ = ["Order", "step_parameters"]


def step_parameters(pipeline: Pipeline, names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Which of the parameters ``names`` each step depends on, through the steps it needs, too."""
    wanted = frozenset(names)
    own: dict[str, frozenset[str]] = {}
    needs = {step.name: step.needs for step in pipeline.steps}
    for step in pipeline.steps:
        path = Path(pipeline.folder) / step.notebook
        declared = declared_parameters(read_notebook(path), path)
        own[step.name] = wanted & declared.names if declared.readable else wanted

    def whole(step: str, seen: frozenset[str]) -> frozenset[str]:
        before = (whole(n, seen | {step}) for n in needs.get(step, ()) if n not in seen)
        return own[step].union(*before)

    return {step.name: whole(step.name, frozenset()) for step in pipeline.steps}


class Order:
    """Gives out combinations (by their place), leaders before those that follow them."""

    def __init__(
        self, combinations: Sequence[Mapping[str, Any]], steps: Mapping[str, frozenset[str]]
    ) -> None:
        """``steps`` are those of ``step_parameters``; empty for a notebook: nothing is shared."""
        keys = [
            {
                (step, json.dumps({n: one[n] for n in sorted(names) if n in one}, sort_keys=True))
                for step, names in steps.items()
            }
            for one in combinations
        ]
        counts = Counter(key for own in keys for key in own)
        self._keys = [{key for key in own if counts[key] > 1} for own in keys]
        self._waiting = list(range(len(combinations)))
        self._running: dict[int, set[tuple[str, str]]] = {}
        self._done: set[tuple[str, str]] = set()

    def next(self) -> int | None:
        """The place of a combination that may begin now; ``None``: wait for one that runs."""
        busy = set().union(*self._running.values()) - self._done
        for place in self._waiting:
            if not self._keys[place] & busy:
                self._waiting.remove(place)
                self._running[place] = self._keys[place]
                return place
        return None

    def ended(self, place: int) -> None:
        """A combination has run; whether it failed or not, others need not wait for it again."""
        self._done |= self._running.pop(place, set())

    def skip(self, place: int) -> None:
        """A combination is not to run: it has run before."""
        self._waiting.remove(place)
        self._done |= self._keys[place]

    @property
    def waiting(self) -> bool:
        """Whether any combination has not begun."""
        return bool(self._waiting)
