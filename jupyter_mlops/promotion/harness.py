"""The replay harness: is a slice of a session enough, and is there anything in it too many?

Each session of a table is executed under capture, sliced for its target, and the slice is replayed
on its own.  A slice is *sound* when the replay gives the same value; *needed* are cells of which
none can be left out, found by greedy deletion where the table does not say.  Precision is the part
of the slice that is needed, recall the part of what is needed that is in the slice; the totals
count cells over all cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from ..dataflow import backward_slice
from ..errors import UsageError
from ..model.events import CellEvent
from .harness_runs import Described, Executed, Runner, TimedOut
from .harness_table import Case

__all__ = ["Slicer", "Verdict", "judge", "judge_all", "needed_cells", "our_slice", "totals"]

Slicer = Callable[[Sequence[CellEvent], int, Sequence[str]], Iterable[int]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one case; ``why`` where the slice is not sound, or cannot be judged."""

    name: str
    slice: tuple[int, ...]
    needed: tuple[int, ...]
    sound: bool
    why: str = ""

    @property
    def right(self) -> int:
        """How many cells of the slice are needed."""
        return len(set(self.slice) & set(self.needed))

    @property
    def precision(self) -> float:
        """The part of the slice that is needed; 1 where the slice is empty."""
        return self.right / len(self.slice) if self.slice else 1.0

    @property
    def recall(self) -> float:
        """The part of what is needed that is in the slice; 1 where nothing is needed."""
        return self.right / len(self.needed) if self.needed else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the JSON report."""
        found: dict[str, Any] = {
            "name": self.name,
            "slice": list(self.slice),
            "needed": list(self.needed),
            "sound": self.sound,
            "precision": self.precision,
            "recall": self.recall,
        }
        return found | ({"why": self.why} if self.why else {})


def our_slice(events: Sequence[CellEvent], target: int, names: Sequence[str]) -> tuple[int, ...]:
    """The slice of this package, run-time evidence included where the events have it."""
    return backward_slice(events, target, names).indices


def without_evidence(
    events: Sequence[CellEvent], target: int, names: Sequence[str]
) -> tuple[int, ...]:
    """The slice of this package from the text of the cells alone."""
    bare = [
        CellEvent(e.session, e.seq, e.source, e.started, e.ended, e.status, error=e.error)
        for e in events
    ]
    return backward_slice(bare, target, names).indices


def judge(case: Case, runner: Runner, slicer: Slicer = our_slice) -> Verdict:
    """Execute, slice and replay one case.

    Raises ``UsageError`` that names the entry and its key where the session does not give the
    target a value.
    """
    cells = case.cells[: case.target_index + 1]
    try:
        whole = runner.run(cells, case.target, capture=True, stop=False)
    except TimedOut as error:
        raise UsageError(f"case {case.name}: cells: {error}") from error
    if whole.value.error is not None:
        raise UsageError(
            f"case {case.name}: target: {case.target} has no value after the session: "
            f"{whole.value.error}",
            hint=_raised(whole),
        )
    found = tuple(sorted(set(slicer(whole.events, case.target_index, case.names))))
    replayed = _replay(case, found, runner)
    sound = whole.value.same(replayed)
    why = "" if sound else _difference(whole.value, replayed)
    good = [i for i in range(len(cells)) if i not in whole.failed]
    if not sound and not whole.value.same(_replay(case, good, runner)):
        why = "the session gives another value each time, or needs a cell that raises; " + why
    needed = case.needed
    if needed is None:
        needed = needed_cells(case, whole, runner, first=found if sound else None)
    return Verdict(case.name, found, needed, sound, why)


def needed_cells(
    case: Case, whole: Executed, runner: Runner, *, first: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Return cells of which none can be left out, by greedy deletion, the earliest first.

    ``first`` are cells known to be enough: what is not among them is left out at once.
    """
    count = case.target_index + 1
    kept = list(first) if first is not None else [i for i in range(count) if i not in whole.failed]
    for cell in tuple(kept):
        rest = [i for i in kept if i != cell]
        if whole.value.same(_replay(case, rest, runner)):
            kept = rest
    return tuple(kept)


def judge_all(
    cases: Sequence[Case],
    runners: Sequence[Runner],
    slicer: Slicer = our_slice,
    *,
    done: Callable[[Verdict], None] = lambda verdict: None,
) -> list[Verdict]:
    """Judge cases, as many at a time as there are runners; ``done`` is called in their order."""
    free: SimpleQueue[Runner] = SimpleQueue()
    for runner in runners:
        free.put(runner)

    def one(case: Case) -> Verdict:
        runner = free.get()
        try:
            return judge(case, runner, slicer)
        finally:
            free.put(runner)

    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(len(runners)) as pool:
        pending = [pool.submit(one, case) for case in cases]
        try:
            for future in pending:
                verdict = future.result()
                verdicts.append(verdict)
                done(verdict)
        except BaseException:
            for future in pending:
                future.cancel()
            raise
    return verdicts


def totals(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the figures over all cells of all cases."""
    right = sum(v.right for v in verdicts)
    kept = sum(len(v.slice) for v in verdicts)
    needed = sum(len(v.needed) for v in verdicts)
    return {
        "cases": len(verdicts),
        "sound": sum(v.sound for v in verdicts),
        "slice": kept,
        "needed": needed,
        "precision": right / kept if kept else 1.0,
        "recall": right / needed if needed else 1.0,
    }


def _replay(case: Case, kept: Sequence[int], runner: Runner) -> Described:
    try:
        return runner.run([case.cells[i] for i in kept], case.target).value
    except TimedOut as error:
        return Described(error=str(error))


def _difference(whole: Described, replayed: Described) -> str:
    if replayed.error is not None:
        return f"the replay of the slice: {replayed.error}"
    return f"the session gives {whole.shown}, the slice {replayed.shown}"


def _raised(whole: Executed) -> str:
    if not whole.failed:
        return "Name a variable that one of the cells binds."
    number, text = next(iter(whole.failed.items()))
    return f"Cell {number} raised {text}."
