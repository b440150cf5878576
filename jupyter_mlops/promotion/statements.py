"""What the top level of a cell defines that can stand in another step as well.

Imports, functions, classes and constants are not handed over as files: their statements are
repeated where they are needed, or shared in ``lib.py``.
"""

from __future__ import annotations

import ast
import symtable
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..dataflow import to_python
from ..dataflow.source import parse

__all__ = ["Definition", "definitions", "loads", "only_defines"]

IMPORT, FUNCTION, CLASS, CONSTANT = "import", "function", "class", "constant"


@dataclass(frozen=True, slots=True)
class Definition:
    """A statement at the top level of a cell that binds one name to the same thing each time.

    ``kind`` is ``import``, ``function``, ``class`` or ``constant``; ``text`` is the statement as it
    stands (of an import: for this name alone); ``needs`` are the global names that it uses, now or
    when it is called, ``writes`` those that calling it binds.  ``first`` and ``last`` are its lines
    in the cell, from 0, the last one exclusive.
    """

    name: str
    kind: str
    text: str
    cell: int
    needs: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    first: int = 0
    last: int = 0


def definitions(sources: Sequence[str]) -> dict[int, tuple[Definition, ...]]:
    """Return the definitions of each cell, by its position; cells that cannot be read have none."""
    return {i: tuple(_of(i, source)) for i, source in enumerate(sources)}


def only_defines(source: str) -> bool:
    """Whether a cell holds nothing but imports, functions, classes and texts."""
    tree = parse(to_python(source).text)
    if tree is None or not tree.body:
        return False
    wanted = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return all(isinstance(node, wanted) or _is_text(node) for node in tree.body)


def loads(source: str) -> frozenset[str]:
    """Every global name that the text uses, now or when a function in it is called."""
    return _globals(to_python(source).text)


def _of(cell: int, source: str) -> list[Definition]:
    python = to_python(source)
    tree = parse(python.text)
    if tree is None or python.isolated or python.magic is not None:
        return []
    lines, given = python.text.split("\n"), source.replace("\r\n", "\n").split("\n")
    found: list[Definition] = []
    touched = _touched(tree)
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found += _imports(cell, node)
            continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        span = slice(first - 1, node.end_lineno)
        if lines[span] != given[span] or node.col_offset != 0:
            continue
        text = "\n".join(given[span])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            kind = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            needs, writes = _globals(text) - {node.name}, _global_writes(node)
            lines_of = (span.start, node.end_lineno or node.lineno)
            found.append(Definition(node.name, kind, text, cell, needs, writes, *lines_of))
        elif name := _constant(node):
            found.append(Definition(name, CONSTANT, text, cell, first=span.start, last=span.stop))
    # What the cell binds a second time, or changes, is not what its statement says.
    return [d for d in found if touched[d.name] == 1]


def _touched(tree: ast.Module) -> Counter[str]:
    """How often each name is bound, deleted or has a part of it set, anywhere in a cell."""
    found: Counter[str] = Counter()
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] += 1
        elif isinstance(node, ast.alias):
            imported.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] += 1
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(
            node.ctx, ast.Load
        ):
            root: ast.expr = node
            while isinstance(root, (ast.Attribute, ast.Subscript)):
                root = root.value
            if isinstance(root, ast.Name):
                found[root.id] += 1
    found.update(imported)  # Importing twice is importing.
    return found


def _imports(cell: int, node: ast.Import | ast.ImportFrom) -> list[Definition]:
    found = []
    for alias in node.names:
        if alias.name == "*":
            continue
        bound = alias.asname or alias.name.partition(".")[0]
        words = alias.name + (f" as {alias.asname}" if alias.asname else "")
        text = (
            f"import {words}"
            if isinstance(node, ast.Import)
            else f"from {'.' * node.level}{node.module or ''} import {words}"
        )
        found.append(Definition(bound, IMPORT, text, cell, first=node.lineno - 1))
    return found


def _constant(node: ast.stmt) -> str | None:
    """The name that is assigned something that cannot change: numbers, texts, tuples of them."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
        value: ast.expr | None = node.value
    elif isinstance(node, ast.AnnAssign):
        target, value = node.target, node.value
    else:
        return None
    if not isinstance(target, ast.Name) or value is None:
        return None
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return target.id if _cannot_change(literal) else None


def _cannot_change(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_cannot_change(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes))


def _global_writes(node: ast.AST) -> frozenset[str]:
    return frozenset(
        name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _globals(text: str) -> frozenset[str]:
    try:
        table = symtable.symtable(text, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError):  # a top-level await, for one
        tree = parse(text)
        nodes = () if tree is None else ast.walk(tree)
        return frozenset(n.id for n in nodes if isinstance(n, ast.Name))
    found = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    pending = list(table.get_children())
    while pending:
        scope = pending.pop()
        pending += scope.get_children()
        found |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
    return frozenset(found)
