"""How a step computes again, at its end, the numbers that were recorded of the tracked cell.

A recorded metric came from a variable, an entry of a dictionary, a ``--metric`` expression, the
cell's last expression, or ``track.log``; ``metric_expressions`` finds which.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..capture.cellcode import label
from ..dataflow import to_python
from ..dataflow.source import parse

__all__ = ["LAST", "MetricCode", "metric_expressions"]

LAST = "mlops_last"
_BARE = frozenset({"metric", "metrics", "score", "scores", "result", "results", "report"})


@dataclass(frozen=True, slots=True)
class MetricCode:
    """``expressions`` by metric, the cell as it must be for them, and metrics without one."""

    expressions: dict[str, str]
    source: str
    missing: tuple[str, ...] = ()


def metric_expressions(
    metrics: Mapping[str, float],
    source: str,
    stored: Iterable[str],
    options: Mapping[str, Any] | None,
    logs: bool,
) -> MetricCode:
    """Find the expression of each metric after the tracked cell ``source``.

    ``stored`` are the names that it binds, ``options`` those of its ``%%track`` line; ``logs`` says
    whether the stand-in for ``track`` is there.  Where a metric is the value of the cell's last
    expression, the cell returned binds that.
    """
    names = sorted(stored)
    bases = {name: name for name in names}
    tree = parse(to_python(source).text)
    end = tree.body[-1] if tree is not None and tree.body else None
    last = None
    if isinstance(end, ast.Expr):
        last = label(end.value)
        bases.setdefault(last, LAST)
    for name, expression in (options or {}).get("metrics", ()):
        bases[name] = f"({expression})"
    found: dict[str, str] = {}
    missing = []
    logged = _logged(tree) if logs else frozenset()
    for metric in metrics:
        expression = None if metric in logged else _expression(metric, bases, names, last)
        if expression is None and logs:
            expression = f"_runs[0].metrics[{json.dumps(metric)}]"
        if expression is None:
            missing.append(metric)
        else:
            found[metric] = expression
    if isinstance(end, ast.Expr) and any(_uses_last(e) for e in found.values()):
        lines = source.split("\n")
        start = end.lineno - 1
        line = lines[start].encode()
        before, after = line[: end.col_offset].decode(), line[end.col_offset :].decode()
        lines[start] = f"{before}{LAST} = {after}"
        source = "\n".join(lines).rstrip().rstrip(";") + f"\n{LAST}"
    return MetricCode(found, source, tuple(missing))


def _logged(tree: ast.Module | None) -> frozenset[str]:
    """Names that the cell logs, as far as its text says them."""
    found: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "log":
            found |= {k.arg for k in node.keywords if k.arg is not None} - {"step"}
            for given in node.args[:1]:
                if isinstance(given, ast.Dict):
                    keys = (k.value for k in given.keys if isinstance(k, ast.Constant))
                    found |= {key for key in keys if isinstance(key, str)}
    return frozenset(found)


def _uses_last(expression: str) -> bool:
    return expression.startswith((LAST, f"float({LAST}"))


def _expression(
    metric: str, bases: Mapping[str, str], names: Iterable[str], last: str | None
) -> str | None:
    if metric in bases:
        return f"float({bases[metric]})"
    bare = [name for name in [*names, *([last] if last else [])] if name.lower() in _BARE]
    for base in sorted(bases, key=len, reverse=True):
        if metric.startswith(f"{base}."):
            return f"float({bases[base]}{_entry(metric[len(base) + 1 :])})"
    return f"float({bases[bare[0]]}{_entry(metric)})" if bare else None


def _entry(path: str) -> str:
    outer, dot, inner = path.partition(".")
    return f"[{json.dumps(outer)}][{json.dumps(inner)}]" if dot else f"[{json.dumps(path)}]"
