"""Ran more than once though it must run once only.

**What.** The cell changes something on top of what it was (it appends, adds, scales, merges,
draws random numbers), and it ran again without the cell that makes that thing having run between.

**Why.** What is in memory now is the change made twice.  From top to bottom it is made once, so
every number after it is different.

**Example.** Run twice, the prices are a million times too high:

```python
df["price"] = df["price"] * 1000
```

**Fix.** Run the cell that makes the value, then this one once; or write it so that it can be
repeated: `df["price_k"] = df["price"] * 1000`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .changes import self_update
from .execution import Execution
from .finding import ERROR, Finding
from .history import History
from .reporting import place, report

ID, SEVERITY = "NB004", ERROR

# That an estimator may draw is not enough to say that it did.
_DRAWS = re.compile(r"\brandom\.|\.(?:rand|sample|shuffle|permutation|choice)\w*\(|\w+_split\(")


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each cell that ran again on top of itself."""
    if not history.seen:
        return
    for cell, run in history.settled():
        before = history.runs[cell.position]
        if len(before) < 2:
            continue
        earlier = {other.index: other for other in before if other is not run}
        for name, line, column in _repeated(run):
            first = _on_top_of(run, name, earlier)
            if first is None or _same_content(first, run, name):
                continue
            if not _still_there(history, run, name):
                continue
            shown = "the random state" if name.startswith("$") else name
            yield report(
                history, run, ID, SEVERITY, name,
                f"{cell.label} ran again on top of what it had done to {shown}",
                f"{shown[:1].upper()}{shown[1:]} is changed once more each time it runs; from top "
                "to bottom it is changed once.",
                f"Run the cell that {'seeds' if name.startswith('$') else 'makes'} {shown}, then "
                f"{cell.label} once.",
                place(first, "its earlier run"),
                at=(line, column),
            )  # fmt: skip


def _repeated(run: Execution) -> Iterator[tuple[str, int, int]]:
    """Names that the cell changes again each time it runs, with where."""
    prints = (run.event.evidence or {}).get("fingerprints")
    known = prints if isinstance(prints, Mapping) else {}
    done = set()
    for change in run.changes:
        if change.again or (change.again is None and change.name in known):
            done.add(change.name)
            yield change.name, change.line, change.column
    for statement in run.code.body:
        for name in sorted(statement.stores & run.reads.keys() - done):
            again = self_update(statement.node, name)
            if again or (again is None and name in statement.loads and name in known):
                done.add(name)
                yield name, statement.node.lineno, statement.node.col_offset + 1
    for name in sorted(run.flow.may_mutate - run.flow.must_stores):
        drawn = name.startswith("$rng") and name in run.reads and not run.flow.unseeded
        if drawn and _DRAWS.search(run.event.source):
            yield name, 1, 1


def _on_top_of(run: Execution, name: str, earlier: dict[int, Execution]) -> Execution | None:
    """The earlier run of the same cell whose result this one started from."""
    version = run.bases.get(name) or run.reads.get(name)
    if version is None:
        return None
    for ancestor in version.ancestors():
        for writer in reversed(ancestor.writers()):
            if writer in earlier:
                return earlier[writer]
    return None


def _same_content(first: Execution, run: Execution, name: str) -> bool:
    prints = [(r.event.evidence or {}).get("fingerprints") for r in (first, run)]
    found = [p.get(name) if isinstance(p, Mapping) else None for p in prints]
    return found[0] is not None and found[0] == found[1]


def _still_there(history: History, run: Execution, name: str) -> bool:
    """Whether what the last run made is what the name is now made of."""
    version = history.current.get(name)
    return version is not None and any(
        run.index in ancestor.writers() for ancestor in version.ancestors()
    )


__all__ = ["ID", "SEVERITY", "find"]
