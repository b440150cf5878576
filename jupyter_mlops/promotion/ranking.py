"""How likely a person wants to set a literal from outside, and why."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..dataflow import to_python
from ..dataflow.source import parse
from ..model.events import CellEvent

__all__ = ["rank"]

_STYLE = re.compile(
    r"[A-Z][A-Z0-9_]*|lr|alpha|beta|gamma|C|k|n_.*|num_.*|max_.*|min_.*|.*_(rate|size|ratio|share|"
    r"frac|path|file|folder|dir|url|seed|state|threshold|epochs|iter|depth|window|lags?)|seed|"
    r"random_state|path|url|epochs|depth|threshold|window"
)


def rank(
    name: str, sources: Sequence[str], events: Sequence[CellEvent], tagged: frozenset[str]
) -> tuple[int, str]:
    """Return a number, higher for likelier parameters, and the reasons in words.

    ``sources`` are the kept cells, ``events`` all that was executed (also the runs of a cell with
    another value), ``tagged`` the names in a cell that is tagged ``parameters``.
    """
    score, reasons = 0, []
    if name in tagged:
        score, reasons = 10, ["it stands in the cell tagged 'parameters'"]
    keyword = next((k for s in sources for k in _keywords(s, name)), None)
    if keyword is not None:
        score += 3
        reasons.append(f"it is given to {keyword}")
    if _STYLE.fullmatch(name):
        score += 2
        reasons.append("it is named like one")
    values = {v for event in events for v in _values(event.source, name)}
    if len(values) > 1:
        score += 2
        reasons.append(f"it was tried with {len(values)} values")
    return score, "; ".join(reasons) or "a literal that kept cells read"


def _keywords(source: str, name: str) -> Sequence[str]:
    if name not in source:
        return ()
    tree = parse(to_python(source).text)
    found = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Name) and keyword.value.id == name:
                    found.append(f"{ast.unparse(node.func).rpartition('.')[2]}({keyword.arg}=)")
    return found


def _values(source: str, name: str) -> Sequence[str]:
    if name not in source:
        return ()
    tree = parse(to_python(source).text)
    found = []
    for node in tree.body if tree is not None else ():
        target: ast.expr | None = None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == name and value is not None:
            found.append(ast.dump(value))
    return found
