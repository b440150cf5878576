"""Rows of the test set are among those of training.

**What.** A model is fitted on rows that it is tested on afterwards, or rows were repeated or made
of other rows before they were parted into train and test.

**Why.** The model is asked what it has been told.  The score says nothing about new data.

**Example.**

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model.fit(X, y)
model.score(X_test, y_test)
```

**Fix.** Fit on the training rows (`model.fit(X_train, y_train)`).  Oversample after the split, and
only what is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator

from .finding import ERROR, Finding
from .history import History
from .leakage import leaks_of_rows

ID, SEVERITY = "NB103", ERROR


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each fit that has seen rows of its test."""
    return leaks_of_rows(
        history, ID, SEVERITY,
        "The model is asked what it has been told: the score says nothing about new data.",
        "Fit on the training rows only; repeat rows after the split, of those alone.",
        "tests it, or parts the rows",
    )  # fmt: skip


__all__ = ["ID", "SEVERITY", "find"]
