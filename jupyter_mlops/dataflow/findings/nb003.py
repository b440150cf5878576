"""Is out of date: something it used has changed since it ran.

**What.** A cell above made another value of a name after this cell ran, or this cell's own code was
edited after it ran.  What its output shows, and what it left in memory, belong to the old one.  A
cell that uses the result of such a cell is out of date with it.

**Why.** The output does not fit the code around it, and cells below go on with the old value.

**Example.** `[7]` ran again with another rate, `[6]` did not:

```python
# [7]
rate = 0.01
# [6]
model = train(data, rate)
```

**Fix.** Run the cell again; "Run All Below" from the changed cell does it for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from .execution import Execution
from .finding import ERROR, WARNING, Finding, Place
from .history import History
from .reporting import place, report
from .versions import key_of

ID, SEVERITY = "NB003", ERROR


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each cell that is out of date, from top to bottom."""
    if not history.ordered:
        return
    stale: dict[int, frozenset[str]] = {}
    for cell in history.cells:
        run = history.latest.get(cell.position)
        if run is None or not run.readable:
            continue
        if cell.position in history.edited:
            yield Finding(
                ID, SEVERITY, cell.position, cell.id, 1, 1,
                f"{cell.label} was edited since it ran",
                "Its output, and what it left in memory, are of the code that it had then.",
                f"Run {cell.label} again.",
            )  # fmt: skip
            continue
        found = _outdated(history, run, stale)
        if found is None:
            continue
        name, maker, text = found
        causes = frozenset(n for n in run.reads if _why(history, run, n, stale) is not None)
        stale[cell.position] = frozenset(
            made
            for made in run.writes
            if any(causes & s.loads for s in run.code.making(made)) or not run.code.making(made)
        )
        severity = SEVERITY if history.seen else WARNING
        yield report(
            history, run, ID, severity, name, f"{cell.label} is out of date: {text}",
            f"It ran with an older {name}; its output, and what it left in memory, are of that."
            if history.seen
            else f"Its output, and what it left in memory, may be of an older {name}.",
            f"Run {cell.label} again.",
            maker,
        )  # fmt: skip


def _outdated(
    history: History, run: Execution, stale: dict[int, frozenset[str]]
) -> tuple[str, Place, str] | None:
    for name in run.reads:
        why = _why(history, run, name, stale)
        if why is not None:
            return name, *why
    return None


def _why(
    history: History, run: Execution, name: str, stale: dict[int, frozenset[str]]
) -> tuple[Place, str] | None:
    if name.startswith("$"):
        return None
    above = history.expected(run, name)
    if above is None or above.cell is None:
        return None
    if name in stale.get(above.cell.position, ()):
        return place(
            above, f"made {name}"
        ), f"{name} comes from {above.cell.label}, which is out of date, too"
    if above.index <= run.index or name in above.code.imports:
        return None
    version, columns = run.reads[name], run.footprint(name)
    allowed = history.above(run)
    if version is not None:
        made = above.writes[name]
        used = key_of(version, columns, allowed)
        if key_of(made, columns, allowed) == used:
            return None
    elif history.seen:
        return None  # it had no such value then: it did not really read it
    if not history.seen:
        # What it made before is not known: it may have been the same.
        text = f"{above.cell.label} ran after it and may have changed {name}"
        return place(above, f"makes {name}"), text
    return place(above, f"changed {name}"), f"{above.cell.label} has changed {name} since"


__all__ = ["ID", "SEVERITY", "find"]
