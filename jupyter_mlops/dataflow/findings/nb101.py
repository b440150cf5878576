"""Something is learned from all rows before train and test are parted.

**What.** A scaler, encoder, imputer or feature selection is fitted (or a mean is filled in or
subtracted by hand) on rows of which some become the test set.

**Why.** The training data then know something of the test data, so the test score is too good, and
the model does worse on new data than it says.

**Example.**

```python
X_scaled = StandardScaler().fit_transform(X)
X_train, X_test, y_train, y_test = train_test_split(X_scaled, y, random_state=0)
```

**Fix.** Part the rows first, fit on the training rows only, and apply to both:
`make_pipeline(StandardScaler(), model).fit(X_train, y_train)` does all three.
"""

from __future__ import annotations

from collections.abc import Iterator

from .finding import ERROR, Finding
from .history import History
from .leakage import leaks_of_rows

ID, SEVERITY = "NB101", ERROR


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each thing that was learned too early."""
    return leaks_of_rows(
        history, ID, SEVERITY,
        "The training data then know something of the test data: the score is too good.",
        "Part the rows first and fit on the training rows only, as a Pipeline does.",
        "parts the rows",
    )  # fmt: skip


__all__ = ["ID", "SEVERITY", "find"]
