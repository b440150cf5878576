"""Which names a cell may change while it reads them, as far as its source says so itself.

A call that is given a frame may change it, too, but most do not: only what is written as a change
counts here, so that what a cell merely fits on keeps its digest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .cellcode import CellCode, parse_python

__all__ = ["changing_names"]

_CHANGING = frozenset(
    {
        "add", "append", "appendleft", "clear", "extend", "fill", "insert", "itemset", "partition",
        "pop", "popitem", "put", "remove", "reverse", "setdefault", "setfield", "setflags",
        "shuffle", "sort", "update",
    }
)  # fmt: skip


def changing_names(python: str, code: CellCode | None) -> set[str]:
    """Names that a cell binds, or whose object it changes: by an item, an attribute, a method."""
    found = set(code.kinds) if code is not None else set()
    tree = parse_python(python)
    if tree is not None:
        found.update(_changed(tree))
    return found


def _changed(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case (
                ast.Subscript(ctx=ast.Store() | ast.Del(), value=value)
                | ast.Attribute(ctx=ast.Store() | ast.Del(), value=value)
            ):
                yield from _root(value)
            case ast.AugAssign(target=ast.Name(id=name)):
                yield name
            case ast.Call(func=ast.Attribute(attr=attribute, value=value), keywords=keywords):
                in_place = any(
                    k.arg == "inplace"
                    and not (isinstance(k.value, ast.Constant) and not k.value.value)
                    for k in keywords
                )
                if attribute in _CHANGING or in_place:
                    yield from _root(value)
                if attribute == "shuffle":  # numpy's and random's change their argument
                    for argument in node.args:
                        yield from _root(argument)
                for keyword in keywords:
                    if keyword.arg == "out":
                        yield from _root(keyword.value)


def _root(node: ast.expr) -> Iterator[str]:
    """The name at the start of ``df.loc[0].x``."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id
