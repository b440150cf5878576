"""Which steps of a run may begin: what they need has finished, and there is room for them.

Nothing here knows of threads, kernels or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .resources import Capacity, Demand

__all__ = ["StepQueue"]

_ROUNDING = 1e-9  # processors: 0.1 + 0.2 + 0.7 is one


class StepQueue:
    """The steps of a run, each waiting, running, done, failed or left out.

    ``needs`` maps each step, in the order of the pipeline, to what must be done before; ``jobs`` is
    how many may run at once.  A step that asks for more than there is runs alone.  Of several that
    may begin the earlier goes first; where it does not fit, a later one may.
    """

    def __init__(
        self,
        needs: Mapping[str, Sequence[str]],
        demands: Mapping[str, Demand] | None = None,
        capacity: Capacity | None = None,
        jobs: int = 1,
    ) -> None:
        self._needs = {name: set(wanted) for name, wanted in needs.items()}
        self._demands = {name: (demands or {}).get(name, Demand()) for name in needs}
        self._capacity = capacity or Capacity(cpus=float(jobs))
        self._jobs = max(1, jobs)
        self._done: set[str] = set()
        self._lost: set[str] = set()  # failed, skipped or given up
        self.waiting: list[str] = list(needs)
        self.running: list[str] = []

    def begin(self) -> list[str]:
        """Return the steps that are to begin now; they count as running."""
        begun = []
        for name in list(self.waiting):
            if self._needs[name] <= self._done and self._fits(name):
                self.waiting.remove(name)
                self.running.append(name)
                begun.append(name)
        return begun

    def ended(self, name: str, *, done: bool) -> list[str]:
        """Note the end of a running step; return those that can never begin because of it."""
        self.running.remove(name)
        (self._done if done else self._lost).add(name)
        skipped = []
        for other in () if done else tuple(self.waiting):
            # In the pipeline's order a step comes after what it needs, so one pass is enough.
            if self._needs[other] & self._lost:
                self.waiting.remove(other)
                self._lost.add(other)
                skipped.append(other)
        return skipped

    def give_up(self) -> list[str]:
        """Return the steps that have not begun; they will not."""
        given_up, self.waiting = self.waiting, []
        self._lost |= set(given_up)
        return given_up

    def lost_needs(self, name: str) -> list[str]:
        """What ``name`` needs that did not finish, in the order of the pipeline."""
        return [need for need in self._needs if need in self._needs[name] & self._lost]

    def _fits(self, name: str) -> bool:
        if not self.running:
            return True
        capacity, demand = self._capacity, self._demands[name]
        taken = [self._demands[other] for other in self.running]
        if len(taken) >= self._jobs or any(capacity.lacks(one) for one in (demand, *taken)):
            return False
        memory = demand.memory + sum(one.memory for one in taken)
        return (
            demand.cpus + sum(one.cpus for one in taken) <= capacity.cpus + _ROUNDING
            and demand.gpus + sum(one.gpus for one in taken) <= len(capacity.gpu_ids)
            and (capacity.memory is None or memory <= capacity.memory)
        )
