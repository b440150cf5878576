"""Two reports beside each other: metrics with their tolerances, data, and cells that changed."""

from __future__ import annotations

import difflib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..model.registry import lower_is_better
from .report import CellReport, DataReport, RunReport, Spread

__all__ = [
    "CodeChange",
    "DataChange",
    "MetricChange",
    "code_changes",
    "data_changes",
    "metric_changes",
    "tolerance",
]

# Student's t at 97.5 % for 1, 2, 3 ... degrees of freedom; beyond, it is near the normal's 1.96.
_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric then (``base``) and now (``head``); ``None`` where a side has none.

    ``verdict`` is ``same``, ``within tolerance``, ``better``, ``worse``, ``new`` or ``gone``;
    ``tolerance`` is what two runs of the same differ by with 95 %, 0.0 where they never did or it
    is not known (``learned`` tells these apart).
    """

    name: str
    base: float | None
    head: float | None
    verdict: str
    tolerance: float = 0.0
    learned: str = ""


@dataclass(frozen=True, slots=True)
class DataChange:
    """A source of data that is not what it was; ``facts`` are short sentences."""

    name: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A file whose code changed: how many cells (0 for other files), and a unified diff."""

    file: str
    cells: int
    diff: str


def tolerance(spread: Spread) -> float:
    """What two runs of the same differ by with 95 %: Student's t times the standard deviation
    times the square root of 2, for each of the two has its own chance."""
    values = [value for value in spread.values if math.isfinite(value)]
    if len(values) < 2:
        return 0.0
    t = _STUDENT[len(values) - 2] if len(values) - 2 < len(_STUDENT) else 2.0
    width = t * statistics.stdev(values) * math.sqrt(2)
    return width if math.isfinite(width) else 0.0


def metric_changes(base: RunReport | None, head: RunReport) -> list[MetricChange]:
    """Each metric of either side, in the order of the newer one."""
    then = {} if base is None else base.metrics
    found = []
    for name in dict.fromkeys([*head.metrics, *then]):
        old, new = then.get(name), head.metrics.get(name)
        spread = head.spreads.get(name) or (None if base is None else base.spreads.get(name))
        width = 0.0 if spread is None else tolerance(spread)
        learned = "" if spread is None else spread.source
        verdict = _verdict(name, old, new, width)
        found.append(MetricChange(name, old, new, verdict, width, learned))
    return found


def _verdict(name: str, old: float | None, new: float | None, width: float) -> str:
    if new is None:
        return "gone"
    if old is None:
        return "new"
    if old == new or (math.isnan(old) and math.isnan(new)):
        return "same"
    if math.isnan(new):
        return "worse"
    if math.isnan(old):
        return "better"
    if abs(new - old) <= width:
        return "within tolerance"
    return "better" if (new < old) == lower_is_better(name) else "worse"


def data_changes(base: RunReport, head: RunReport) -> list[DataChange]:
    """What is read now and was not, no longer, or is not what it was."""
    then = {entry.name: entry for entry in base.data}
    now = {entry.name: entry for entry in head.data}
    found = [
        DataChange(entry.source, ("not read before",))
        for name, entry in now.items()
        if name not in then
    ]
    found += [
        DataChange(entry.source, ("no longer read",))
        for name, entry in then.items()
        if name not in now
    ]
    for name in now:
        if name in then and (facts := _facts(then[name], now[name])):
            found.append(DataChange(now[name].source, tuple(facts)))
    return found


def _facts(a: DataReport, b: DataReport) -> list[str]:
    facts = []
    if a.source != b.source:
        facts.append(f"read from {b.source} instead of {a.source}")
    if a.digest == b.digest:
        return (
            facts if a.digest is not None or a == b else [*facts, "whether it changed is unknown"]
        )
    if a.snapshot != b.snapshot and a.snapshot and b.snapshot:
        facts.append(f"snapshot {a.snapshot} → {b.snapshot}")
    if a.rows is not None and b.rows is not None and a.rows != b.rows:
        facts.append(f"{a.rows:,} → {b.rows:,} rows ({b.rows - a.rows:+,})")
    if a.columns is not None and b.columns is not None:
        facts += [
            f"column {name} is new ({b.columns[name]})"
            for name in b.columns
            if name not in a.columns
        ]
        facts += [f"column {name} is gone" for name in a.columns if name not in b.columns]
        facts += [
            f"column {name} is {b.columns[name]}, was {kind}"
            for name, kind in a.columns.items()
            if name in b.columns and b.columns[name] != kind
        ]
    if not facts and a.size is not None and b.size is not None and a.size != b.size:
        facts.append(f"{a.size:,} → {b.size:,} bytes")
    return facts or ["values changed, rows and columns are the same"]


def code_changes(base: RunReport, head: RunReport) -> list[CodeChange]:
    """Notebooks (cell by cell) and other files of which the text changed."""
    then, now = _notebooks(base), _notebooks(head)
    found = []
    for file in dict.fromkeys([*now, *then]):
        old, new = then.get(file, ()), now.get(file, ())
        diff = _diff(_script(old), _script(new), file)
        if diff:
            found.append(CodeChange(file, _changed(old, new), diff))
    for file in dict.fromkeys([*head.texts, *base.texts]):
        diff = _diff(base.texts.get(file, ""), head.texts.get(file, ""), file)
        if diff:
            found.append(CodeChange(file, 0, diff))
    return found


def _notebooks(run: RunReport) -> dict[str, tuple[CellReport, ...]]:
    """The cells by notebook, without the parameters that were injected."""
    return {
        step.notebook: tuple(cell for cell in step.cells if cell.index is not None)
        for step in run.steps
        if step.cells
    }


def _changed(old: Sequence[CellReport], new: Sequence[CellReport]) -> int:
    """How many cells changed, by their text: a notebook that was written anew has other ids."""
    matcher = difflib.SequenceMatcher(
        None, [cell.source for cell in old], [cell.source for cell in new], autojunk=False
    )
    return sum(max(b - a, d - c) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal")


def _script(cells: Sequence[CellReport]) -> str:
    return "\n".join(f"# %%\n{cell.source}\n" for cell in cells)


def _diff(old: str, new: str, name: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{name}", f"b/{name}", n=2, lineterm=""
    )
    return "\n".join(lines)
