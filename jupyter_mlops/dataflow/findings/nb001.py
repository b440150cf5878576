"""Reads a value that a cell below has made.

**What.** The last time this cell ran, a name in it had the value that a cell further down gave it
(or a change in place that a cell further down made), because that cell ran first.

**Why.** From top to bottom the notebook computes something else, or stops with a `NameError`:
whoever opens it next does not get the result that is shown.

**Example.** The cell `[9]` ran after `[8]`, though it stands above it:

```python
# [9]
report = scores.mean()
# [8]
scores = evaluate(model)
```

**Fix.** Move the cell that makes the value above the one that reads it, and run both again.
"""

from __future__ import annotations

from collections.abc import Iterator

from .execution import Execution
from .finding import ERROR, Finding
from .history import History
from .reporting import place, report
from .versions import Version, key_of

ID, SEVERITY = "NB001", ERROR


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each name of each cell that was made below it."""
    if not history.ordered:
        return
    for cell, run in history.settled():
        for name, version in run.reads.items():
            if name.startswith("$"):
                continue
            if version is None:
                yield from _only_below(history, run, name)
                continue
            maker = _below(history, run, version)
            if maker is None or _same_above(history, run, version):
                continue
            how = "made" if maker.index == version.writer else "changed"
            yield report(
                history, run, ID, SEVERITY, name,
                f"{name} was {how} by {history.label(maker)}, which stands below {cell.label}",
                f"Run from top to bottom, {name} is not what this cell has used.",
                f"Move {history.label(maker)} above {cell.label}, then run both again.",
                place(maker, f"{how} {name}"),
            )  # fmt: skip


def _below(history: History, run: Execution, version: Version) -> Execution | None:
    assert run.cell is not None  # noqa: S101
    for writer in reversed(version.writers(run.footprint(version.name))):
        if writer < 0:
            continue
        maker = history.executions[writer]
        if maker.cell is not None and maker.cell.position > run.cell.position:
            return maker
    return None


def _same_above(history: History, run: Execution, version: Version) -> bool:
    """Whether a cell above makes the very same of the name."""
    above = history.expected(run, version.name)
    if above is None:
        return False
    columns = run.footprint(version.name)
    made = above.writes[version.name]
    return key_of(made, columns) == key_of(version, columns)


def _only_below(history: History, run: Execution, name: str) -> Iterator[Finding]:
    """Without a session: no cell above makes the name, but one below does."""
    assert run.cell is not None  # noqa: S101
    if history.seen or run.code.tries(name) or history.may_bind_anything:
        return
    makers = [p for p, names in history.makers.items() if name in names]
    if not makers or min(makers) <= run.cell.position:
        return
    maker = next(cell for cell in history.cells if cell.position == min(makers))
    yield report(
        history, run, ID, SEVERITY, name,
        f"{name} is made by {maker.label}, which stands below {run.cell.label}",
        f"Run from top to bottom, {name} does not exist when this cell needs it.",
        f"Move {maker.label} above {run.cell.label}.",
        place(maker, f"makes {name}"),
    )  # fmt: skip


__all__ = ["ID", "SEVERITY", "find"]
