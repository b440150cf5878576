"""Where a replay that gave another result first went another way.

The session's evidence has fingerprints of what each cell touched and bound.  The kept cells run
once more in one kernel, and the same fingerprints are taken after each of them: the first that is
another one names the cell, and since everything before it was the same, that is where to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..dataflow import Slice
from ..dataflow.evidence import evidence_of
from .replay import Replayer
from .step import Composed
from .tracked import Tracked

__all__ = ["Parting", "find_parting"]


@dataclass(frozen=True, slots=True)
class Parting:
    """The first cell whose values are not those of the session.

    ``seq`` is its number there, ``names`` map each value that differs to the class that it has in
    the replay (``""``: it is not bound); ``files`` are those that the cell read in the session;
    ``random``: it moved a random state.
    """

    seq: int
    cell_id: str | None
    names: Mapping[str, str]
    files: tuple[str, ...] = ()
    random: bool = False

    def __str__(self) -> str:
        values = " and ".join(
            f"{name} (of type {kind})" if kind else f"{name} (not bound any more)"
            for name, kind in self.names.items()
        )
        return f"the first cell that gave something else is In [{self.seq}]: {values}"

    @property
    def why(self) -> str:
        """What that cell did that may have made the difference."""
        if self.random:
            return f"In [{self.seq}] draws random numbers: give a seed, run it again."
        if self.files:
            read = ", ".join(self.files)
            return f"In [{self.seq}] read {read}: see whether it is still the same."
        return (
            f"What In [{self.seq}] was given by earlier cells is the same; it depends on something "
            "besides, such as the time, the environment, a service, or a value set elsewhere."
        )


def find_parting(
    replayer: Replayer, tracked: Tracked, cut: Slice, kept: tuple[int, ...], step: Composed
) -> Parting | None:
    """Replay ``step``, the one notebook of all ``kept`` cells, and compare after each.

    ``None`` where nothing is known to differ: without evidence, without this package in the kernel,
    or where the replay fails.
    """
    known: dict[str, tuple[int, dict[str, str]]] = {}
    for position in kept:
        event = tracked.events[position]
        evidence = evidence_of(event)
        place = step.places.get(position)
        if evidence is None or place is None or position >= len(cut.flows):
            continue
        flow = cut.flows[position]
        changed = flow.must_stores | flow.may_stores | flow.may_mutate
        prints = {n: digits for n, digits in evidence.fingerprints.items() if n in changed}
        if prints:
            known[place] = (position, prints)
    if not known:
        return None
    found = replayer.trace(step, {place: sorted(prints) for place, (_, prints) in known.items()})
    for place, (position, prints) in known.items():
        there = found.get(place)
        if there is None:
            continue
        different = {
            name: str(there[name]["type"]) if name in there else ""
            for name, digits in prints.items()
            # What could not be looked at whole says nothing.
            if name not in there or there[name]["digits"] not in (None, digits)
        }
        if different:
            event = tracked.events[position]
            evidence = evidence_of(event)
            return Parting(
                event.seq,
                event.cell_id,
                different,
                tuple(sorted(evidence.files_read)) if evidence else (),
                bool(evidence and evidence.rng),
            )
    return None
