"""Draws random numbers without a seed.

**What.** The cell splits, samples, shuffles or fits with a random generator that no cell has
seeded.

**Why.** Each run gives other numbers, so no result after it can be computed again, and two runs
cannot be compared.

**Example.**

```python
X_train, X_test, y_train, y_test = train_test_split(X, y)
```

**Fix.** Give it a seed: `train_test_split(X, y, random_state=0)`, `np.random.default_rng(0)`,
`random.seed(0)`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .execution import Execution
from .finding import WARNING, Finding
from .history import History
from .reporting import report
from .statements import Statement

ID, SEVERITY = "NB007", WARNING

# Their results depend on a random state only where one of these is given (scikit-learn 1.5-1.7).
_QUIET = {
    "SVC": ("probability",),
    "NuSVC": ("probability",),
    "PCA": ("svd_solver",),
    "QuantileTransformer": ("subsample",),
    "GaussianProcessRegressor": ("n_restarts_optimizer",),
    "GaussianProcessClassifier": ("n_restarts_optimizer",),
    "NMF": ("init",),
}


def find(history: History) -> Iterator[Finding]:
    """Yield a finding for each unseeded draw."""
    for _, run in history.settled():
        for what in run.flow.unseeded:
            if _is_quiet(history, what) or _is_refuted(run, what):
                continue
            calls = list(_calls(run, what))
            if calls and all(_only_shown(statement, call) for statement, call in calls):
                continue  # a look at some rows
            at = (calls[0][1].lineno, calls[0][1].col_offset + 1) if calls else (1, 1)
            yield report(
                history, run, ID, SEVERITY, what,
                f"{what} draws random numbers that nothing has seeded",
                "Each run gives other numbers, so the result cannot be computed again.",
                _fix(what),
                at=at,
            )  # fmt: skip


def _is_quiet(history: History, what: str) -> bool:
    """Whether it is a fit of a class that draws only when it is told to, and it was not."""
    name = what.partition(".")[0]
    if name not in _QUIET:
        return False
    return not any(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", None)) == name
        and any(keyword.arg in (None, *_QUIET[name]) for keyword in node.keywords)
        for run in history.executions
        for statement in run.code.body
        for node in ast.walk(statement.node)
    )


def _is_refuted(run: Execution, what: str) -> bool:
    """Whether the session saw that NumPy's global state, which this draws from, did not move."""
    states = (run.event.evidence or {}).get("rng")
    if "random_state" not in what or not isinstance(states, (list, tuple)):
        return False
    return "$rng:numpy" not in states


def _fix(what: str) -> str:
    if "random_state" in what:
        return "Pass random_state=0 (any number)."
    if "default_rng" in what or "without a seed" in what:
        return "Pass a seed, such as 0."
    return "Seed the generator in a cell above, or use np.random.default_rng(0)."


def _calls(run: Execution, what: str) -> Iterator[tuple[Statement, ast.Call]]:
    found = re.search(r"(\w+)\(\)", what)
    name = found.group(1) if found else ""
    for statement in run.code.body:
        for node in ast.walk(statement.node):
            if isinstance(node, ast.Call):
                function = node.func
                if getattr(function, "attr", getattr(function, "id", None)) == name:
                    yield statement, node


def _only_shown(statement: Statement, call: ast.Call) -> bool:
    if not isinstance(statement.node, ast.Expr) or statement.stores:
        return False
    return isinstance(call.func, ast.Attribute) and call.func.attr == "sample"


__all__ = ["ID", "SEVERITY", "find"]
