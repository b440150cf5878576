"""The source of a ``with track(...)`` block, and what a tracked function returns."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from .cellcode import CellCode, label, parse_python, read_cell

__all__ = ["Block", "function_results", "with_block"]


@dataclass(frozen=True, slots=True)
class Block:
    """``source`` is what is shown, ``python`` the statements inside; ``code`` is theirs."""

    source: str = ""
    python: str = ""
    code: CellCode | None = None

    @classmethod
    def of_function(cls, function: Callable[..., Any]) -> Block:
        """The source of a function; empty where there is none."""
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError):
            return cls()
        return cls(source, source, None)


def with_block(frame: FrameType) -> Block:
    """The innermost ``with`` statement that a frame is entering; empty where it has no source."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    tree = parse_python("".join(lines))
    if tree is None:
        return Block()
    line = frame.f_lineno
    found: ast.With | ast.AsyncWith | None = None
    for node in ast.walk(tree):
        if isinstance(node, (ast.With, ast.AsyncWith)) and node.lineno <= line <= _head_end(node):
            found = node  # Deeper ones come later in the walk.
    if found is None:
        return Block()
    first, last = found.body[0].lineno, found.end_lineno or found.lineno
    whole = textwrap.dedent("".join(lines[found.lineno - 1 : last]))
    if first == found.lineno:  # `with track(): fit()` in one line
        python = "\n".join(ast.unparse(statement) for statement in found.body)
    else:
        python = textwrap.dedent("".join(lines[first - 1 : last]))
    return Block(whole, python, read_cell(python))


def function_results(function: Callable[..., Any], value: Any) -> dict[str, Any]:
    """What a function returned, by name.

    A dictionary that is returned names its values; a tuple's are named by the ``return`` statement
    where that tells, as in ``return model, rmse``.
    """
    if value is None:
        return {}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return dict(value)
    names = _returned_names(function)
    if type(value) is tuple:
        if len(names) != len(value) or len(set(names)) != len(names):
            names = [f"result_{number}" for number in range(1, len(value) + 1)]
        return dict(zip(names, value, strict=True))
    return {names[0] if len(names) == 1 else "result": value}


def _returned_names(function: Callable[..., Any]) -> list[str]:
    """Labels of the expressions of a function's last ``return``."""
    try:
        tree = parse_python(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        return []
    body = tree.body[0] if tree is not None and tree.body else None
    if not isinstance(body, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    returned = [node for node in _own_nodes(body) if isinstance(node, ast.Return) and node.value]
    if not returned:
        return []
    value = max(returned, key=lambda node: node.lineno).value
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return [label(part) for part in parts if part is not None]


def _own_nodes(function: ast.AST) -> list[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    found: list[ast.AST] = []
    todo = list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        found.append(node)
        todo.extend(ast.iter_child_nodes(node))
    return found


def _head_end(node: ast.With | ast.AsyncWith) -> int:
    """The last line of a ``with`` statement's head: its items may go over several."""
    return max(item.context_expr.end_lineno or node.lineno for item in node.items)
