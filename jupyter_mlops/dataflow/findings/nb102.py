"""The target is among the features.

**What.** A model is fitted, or rows are split for one, with a feature that is the target itself or
was computed from it.

**Why.** The model reads the answer off that feature.  Its score says nothing, and when it is used
the feature is not there.

**Example.**

```python
df["log_price"] = np.log(df["price"])
X, y = df.drop(columns="price"), df["price"]
model.fit(X, y)
```

**Fix.** Leave the target, and whatever was computed from it, out of the features:
`X = df.drop(columns=["price", "log_price"])`.
"""

from __future__ import annotations

from collections.abc import Iterator

from .finding import ERROR, Finding
from .history import History
from .leakage import find_leaks
from .reporting import report

ID, SEVERITY = "NB102", ERROR


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each feature that gives the target away."""
    for run, leak in find_leaks(history, ID):
        yield report(
            history, run, ID, SEVERITY, leak.name, leak.text,
            "The model reads the answer off it; with new data it is not there.",
            f"Leave {leak.name} out of the features.",
            at=(leak.line, leak.column),
        )  # fmt: skip


__all__ = ["ID", "SEVERITY", "find"]
