"""Reads a value whose maker was deleted or edited since.

**What.** A name in this cell has the value that an earlier version of the notebook gave it: the
cell that made it is gone, or its code is not what ran.

**Why.** The code that the result came from is nowhere in the notebook, so the result cannot be
computed again from it.

**Example.** `[3]` was edited after it ran and not run again; `[4]` used the old value:

```python
# [3]  ran as: threshold = 0.5
threshold = 0.8
# [4]
flagged = scores[scores > threshold]
```

**Fix.** Run the edited cell and then the cells that use it; write the code of a deleted cell again.
`%promote` brings deleted cells back from the session.
"""

from __future__ import annotations

from collections.abc import Iterator

from .execution import Execution
from .finding import ERROR, Finding
from .history import History
from .reporting import place, report
from .versions import Version

ID, SEVERITY = "NB002", ERROR


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each name whose maker is not in the notebook as it ran."""
    if not history.seen or not history.ordered:
        return
    texts = frozenset(s.text for code in history.code.values() for s in code.body)
    for cell, run in history.settled():
        for name, version in run.reads.items():
            if name.startswith("$") or version is None or name in history.modules:
                continue
            version = _before(history, run, version)
            for writer in reversed(version.writers(run.footprint(name))):
                how = _lost(history, history.executions[writer], name, texts) if writer >= 0 else ""
                if not how:
                    continue
                maker = history.executions[writer]
                where = history.label(maker)
                yield report(
                    history, run, ID, SEVERITY, name,
                    f"{name} comes from {where}, which was {how} since",
                    f"The code that made {name} is not in the notebook any more.",
                    f"Write the code that makes {name} again, run it, and then {cell.label}."
                    if how == "deleted"
                    else f"Run {where} again, then {cell.label}.",
                    place(maker, f"made {name}, {how} since"),
                )  # fmt: skip
                break


def _before(history: History, run: Execution, version: Version) -> Version:
    """What the cell started from, where it ran on top of itself."""
    for ancestor in version.ancestors():
        if ancestor.writer < 0 or history.executions[ancestor.writer].cell is not run.cell:
            return ancestor
    return version


def _lost(history: History, maker: Execution, name: str, texts: frozenset[str]) -> str:
    making = maker.code.making(name)
    if maker.event.private or not making:
        return ""
    if maker.gone:
        # What was split, merged, moved or pasted elsewhere is still there.
        return "" if all(s.text in texts for s in making) else "deleted"
    if maker.cell is None:
        return ""
    position = maker.cell.position
    now = history.code[position]
    if not now.parsed:
        return ""
    edited = position in history.edited and history.latest.get(position) is maker
    renamed = history.latest.get(position) is not maker and not now.making(name)
    if not (edited or renamed) or all(s.text in texts for s in making):
        return ""
    return "edited"


__all__ = ["ID", "SEVERITY", "find"]
