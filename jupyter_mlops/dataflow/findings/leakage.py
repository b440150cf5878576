"""Going through a session's tables for what a model learns that it should not.

Only what the text says plainly is followed: assignments, scikit-learn's own functions and methods,
the plain ways to take rows and columns of a frame.  Whatever else makes a value makes an unknown
one, of which nothing is said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .execution import Execution
from .finding import Finding
from .history import History
from .reporting import place, report
from .statements import Statement
from .tables import Data, Estimator, Learned, overlaps, rows_below
from .values import Value, Values, tail

__all__ = ["Leak", "find_leaks", "leaks_of_rows"]


@dataclass(frozen=True, slots=True)
class Leak:
    """Something leaked: the rule, the place, what it is about, and the other place."""

    rule: str
    run: int
    line: int
    column: int
    name: str
    text: str
    other: int | None = None


def find_leaks(history: History, rule: str) -> Iterator[tuple[Execution, Leak]]:
    """Yield the leaks of one rule whose cell is in the document as it ran."""
    settled = {run.index: run for _, run in history.settled()}
    walk = _Walk()
    for run in history.executions:
        if run.event.status == "ok" and run.code.parsed:
            for statement in run.code.body:
                walk.take(run, statement)
        else:
            for name in run.writes:
                walk.values.names.pop(name, None)
    told: set[tuple[int, int, str]] = set()
    for leak in walk.leaks:
        where = (leak.run, leak.line, leak.name)
        if leak.rule == rule and leak.run in settled and where not in told:
            told.add(where)
            yield settled[leak.run], leak


def leaks_of_rows(
    history: History, rule: str, severity: str, reason: str, fix: str, other: str
) -> Iterator[Finding]:
    """Yield a finding for each leak of a rule about rows; ``other`` says what the second cell does.

    ``reason`` and ``fix`` are for the person.
    """
    for run, leak in find_leaks(history, rule):
        second = history.executions[leak.other] if leak.other is not None else None
        yield report(
            history, run, rule, severity, leak.name, leak.text, reason, fix,
            *([place(second, other)] if second is not None else []),
            at=(leak.line, leak.column),
        )  # fmt: skip


class _Walk:
    def __init__(self) -> None:
        self.values = Values(self._seen)
        self.leaks: list[Leak] = []
        self._run: Execution | None = None

    def take(self, run: Execution, statement: Statement) -> None:
        self._run = run
        self.values.run = run.index
        self.values.imports |= run.code.imports
        node = statement.node
        try:
            self._statement(node)
        except RecursionError:  # nested deeper than anyone writes
            for name in statement.stores:
                self.values.names.pop(name, None)

    def _statement(self, node: ast.stmt) -> None:
        values = self.values
        if isinstance(node, ast.Assign):
            value = values.of(node.value)
            for target in node.targets:
                self._assign(target, value, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, values.of(node.value), node.value)
        elif isinstance(node, ast.AugAssign):
            values.of(node.value)
            if isinstance(node.target, ast.Name):
                values.names.pop(node.target.id, None)
        elif isinstance(node, ast.Expr):
            values.of(node.value)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                values.delete(target)
        elif isinstance(node, (ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.Try)):
            if isinstance(node, (ast.For, ast.AsyncFor)):
                values.of(node.iter)
                values.forget(node.target)
            for inner in node.body:
                self._statement(inner)
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            values.forget(node)

    def _assign(self, target: ast.expr, value: Value, node: ast.expr) -> None:
        values = self.values
        if isinstance(target, ast.Name):
            if value is None or isinstance(value, tuple):
                values.names.pop(target.id, None)
            else:
                values.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = value if isinstance(value, tuple) else ()
            same = len(parts) == len(target.elts)
            for position, element in enumerate(target.elts):
                self._assign(element, parts[position] if same else None, node)
        elif isinstance(target, (ast.Subscript, ast.Attribute)):
            values.store(target, value, node)

    def _seen(self, what: str, node: ast.Call, subject: Value, given: list[Value]) -> None:
        """Told by ``Values`` of every split, fit, transformation and evaluation."""
        data = [value for value in given if isinstance(value, Data)]
        if what == "split":
            for value in data:
                self._learned_before(node, value)
            self._target_in(node, data)
        elif what == "fit" and isinstance(subject, Estimator):
            self._target_in(node, data)
        elif what == "transform" and isinstance(subject, Estimator):
            self._learned_of_all(node, subject, data)
        elif what == "evaluate" and isinstance(subject, Estimator):
            self._tested_on_seen(node, subject, data)

    def _add(self, rule: str, at: ast.AST | Learned, name: str, text: str) -> None:
        run = self._run.index if self._run is not None else 0
        if isinstance(at, Learned):
            other = run if run != at.run else None
            self.leaks.append(Leak(rule, at.run, at.line, at.column, name, text, other))
        else:
            line, column = getattr(at, "lineno", 1), getattr(at, "col_offset", 0) + 1
            self.leaks.append(Leak(rule, run, line, column, name, text))

    def _learned_before(self, node: ast.Call, value: Data) -> None:
        split = tail(node.func)
        for learned in value.learned:
            inside = any(
                rows == own or rows_below(own, rows) for rows in learned.rows for own in value.rows
            )
            if not inside:
                continue
            if learned.kind == "rows":
                self._add(
                    "NB103", learned, learned.by,
                    f"{learned.by} makes rows of other rows before {split}() parts them",
                )  # fmt: skip
            else:
                self._add(
                    "NB101", learned, learned.by,
                    f"{learned.by} learns from all rows before {split}() parts them",
                )  # fmt: skip

    def _learned_of_all(self, node: ast.Call, estimator: Estimator, given: list[Data]) -> None:
        fitted = estimator.fitted
        if fitted is None or fitted.kind != "fit":
            return
        for data in given:
            parted = any(
                rows_below(own, rows) and values_role(own) is not None
                for own in data.rows
                for rows in estimator.rows
            )
            if parted:
                self._add(
                    "NB101", fitted, estimator.name,
                    f"{estimator.name} learns from all rows, those of the test set included",
                )  # fmt: skip

    def _target_in(self, node: ast.Call, given: list[Data]) -> None:
        if len(given) != 2:
            return
        features, target = given
        if target.base is None or features.base != target.base or not target.only:
            return
        if len(target.only) != 1:
            return
        (name,) = target.only
        found = self.values.reveals(features, name)
        if found is None:
            return
        text = (
            f"the target {name} is among the features"
            if found == name
            else f"the feature {found} is computed from the target {name}"
        )
        self._add("NB102", node, found, text)

    def _tested_on_seen(self, node: ast.Call, estimator: Estimator, given: list[Data]) -> None:
        for data in given[:1]:
            for own in data.rows:
                for rows in estimator.rows:
                    role = values_role(own)
                    seen = role == "test" and (rows == own or rows_below(own, rows))
                    if seen or overlaps(rows, own):
                        at: ast.AST | Learned = estimator.fitted or node
                        self._add(
                            "NB103", at, estimator.name,
                            f"{estimator.name} is fitted on rows that it is then tested on",
                        )  # fmt: skip
                        return


def values_role(rows: tuple[object, ...]) -> str | None:
    """``train`` or ``test`` where the rows are a part that a split gave that name."""
    last = rows[-1] if rows else None
    if isinstance(last, tuple) and len(last) == 3 and last[0] == "split":
        return str(last[2])
    return None
