"""Uses a name that only the kernel remembers.

**What.** No cell of the notebook makes a name that this cell uses: it is left in memory from a cell
that was deleted or renamed, or from a session before.

**Why.** The cell works until the kernel restarts; then it stops with a `NameError`.

**Example.** The cell with `encoder = ...` was deleted; its object is still in memory:

```python
codes = encoder.transform(df[["city"]])
```

**Fix.** Write the cell that makes the name, above; then restart the kernel and run all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..machine import BUILTINS
from .finding import ERROR, Finding
from .history import History
from .reporting import place, report

ID, SEVERITY = "NB005", ERROR

# What IPython puts into every session.
_GIVEN = re.compile(r"_+|_i+|_i?\d+|_[dio]h|In|Out|exit|quit|open|__\w+__")


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each name that no cell makes."""
    if history.may_bind_anything or not history.ordered:
        return
    made = frozenset().union(*history.makers.values()) if history.makers else frozenset()
    forgotten = history.seen and history.executions[0].event.seq > 1
    for cell, run in history.settled():
        if cell.failed:
            continue  # it says so itself
        for name, version in run.reads.items():
            if name.startswith("$") or name in made or name in BUILTINS or _GIVEN.fullmatch(name):
                continue
            if run.code.tries(name):
                continue
            maker = None
            if version is not None and version.writer >= 0:
                maker = history.executions[version.writer]
            elif history.seen and not forgotten:
                continue  # it was never there, so it was not really used
            yield report(
                history, run, ID, SEVERITY, name,
                f"no cell of the notebook makes {name}",
                "It is only in the kernel's memory: after a restart this cell fails.",
                f"Write the code that makes {name} above {cell.label}, restart and run all.",
                *([place(maker, f"made {name}")] if maker is not None else []),
            )  # fmt: skip


__all__ = ["ID", "SEVERITY", "find"]
