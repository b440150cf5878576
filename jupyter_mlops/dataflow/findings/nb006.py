"""Changes an object in place that another cell made.

**What.** The cell changes something that it did not make: through another name of the same object,
inside a function, with `inplace=True`, by appending to it, or by overwriting what a cell above has
read of it.

**Why.** What the object is then depends on which cells ran, in which order and how often, and the
cells that show it do not say so.  Adding a column that nobody had read, or fitting a model, is not
reported.

**Example.** `subset` is `df` itself, so this drops rows of `df`:

```python
subset = df
# another cell
subset.dropna(inplace=True)
```

**Fix.** Make a new object under a new name (`clean = df.dropna()`), or make the change in the cell
that makes the object.
"""

from __future__ import annotations

from collections.abc import Iterator

from .changes import Change
from .execution import Execution
from .finding import WARNING, Finding
from .history import History
from .reporting import place, report

ID, SEVERITY = "NB006", WARNING


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each object that a cell changes and another made."""
    for cell, run in history.settled():
        told: set[tuple[int, int]] = set()
        # Of several names for one object, the one that is not in the text says most.
        for change in sorted(run.changes, key=_hiddenness):
            base = run.bases.get(change.name)
            if base is None or base.writer < 0:
                continue
            maker = history.executions[base.writer]
            if maker.cell is not None and maker.cell.position == cell.position:
                continue
            how = _how(history, run, change)
            if how is None or (change.line, change.column) in told:
                continue
            told.add((change.line, change.column))
            yield report(
                history, run, ID, SEVERITY, change.name,
                f"{cell.label} changes {change.name}, which {history.label(maker)} made{how}",
                f"What {change.name} is depends on whether and how often this cell has run.",
                f"Make a new object here, or change {change.name} in {history.label(maker)}.",
                place(maker, f"made {change.name}"),
                at=(change.line, change.column),
            )  # fmt: skip


def _hiddenness(change: Change) -> int:
    if change.via is None:
        return 2
    return 0 if change.via.endswith("()") else 1


def _how(history: History, run: Execution, change: Change) -> str | None:
    """How it is changed, in words; ``None`` where that harms nobody."""
    if change.kind == "fit":
        return None
    if change.kind == "seen":
        others = [c for c in run.changes if c.kind not in ("fit", "seen")]
        if change.name in run.code.loads or not others or _how(history, run, others[0]) is None:
            return None  # a new column harms what holds the frame as little as the frame
        return f", through {others[0].name}"
    if change.via is not None:
        return f", through {change.via}"
    if change.kind == "in place":
        return ", in place"
    if change.again:
        return ", on top of what it was"
    reader = _reader_above(history, run, change)
    return f", after {reader} has read it" if reader is not None else None


def _reader_above(history: History, run: Execution, change: Change) -> str | None:
    """A cell above that made something of what is overwritten here."""
    assert run.cell is not None  # noqa: S101
    if change.columns is None:
        return None
    for cell, other in history.settled():
        if cell.position >= run.cell.position or change.name not in other.reads:
            continue
        version = other.reads[change.name]
        if version is None or version.writer != run.bases[change.name].writer:
            continue
        for name in other.writes:
            making = other.code.making(name)
            columns = other.code.columns(change.name, making)
            if name != change.name and columns and columns & change.columns:
                return cell.label
    return None


__all__ = ["ID", "SEVERITY", "find"]
