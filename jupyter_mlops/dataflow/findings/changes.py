"""Changes of objects in place that a statement certainly makes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .repeating import MUTATORS, repeatable

__all__ = ["Change", "changes_of", "self_update", "walk_here"]

_FITS = frozenset({"fit", "fit_transform", "fit_predict", "fit_resample", "partial_fit"})
_ONCE_IN_PLACE = frozenset({"reset_index", "insert"})
_LOCATORS = ("loc", "iloc", "at", "iat")


@dataclass(frozen=True, slots=True)
class Change:
    """``name``'s object is changed in place.

    ``columns`` are the columns or keys that get another value, ``None`` for any.  ``again`` says
    whether doing it a second time changes it once more, ``None`` where the text does not tell.
    ``kind`` is ``store``, ``call``, ``in place`` (``inplace=True``), ``fit`` or ``seen`` (in the
    session's evidence only).  ``via`` names the alias or function that it goes through, ``target``
    the name in the cell's text where that is another one.
    """

    name: str
    columns: frozenset[str] | None
    again: bool | None
    kind: str
    line: int
    column: int
    via: str | None = None
    target: str | None = None


def walk_here(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement that run whenever it does."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and child is not node.test:
            continue
        if isinstance(node, ast.IfExp) and child is not node.test:
            continue
        if isinstance(child, (ast.ExceptHandler, ast.match_case)):
            continue
        yield from walk_here(child)


def changes_of(statement: ast.stmt) -> Iterator[Change]:
    """Yield the changes in place of names that a statement makes."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for node in walk_here(statement):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for single in target.elts if isinstance(target, ast.Tuple) else [target]:
                    yield from _stored(single, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _stored(node.target, node.value)
        elif isinstance(node, ast.AugAssign):
            idle = isinstance(node.op, (ast.BitOr, ast.BitAnd))
            yield from _stored(node.target, None, again=None if idle else True)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                yield from _stored(target, None, again=False)  # a second time it raises
        elif isinstance(node, ast.Call):
            yield from _called(node)


def self_update(statement: ast.stmt, name: str) -> bool | None:
    """Whether running a statement a second time changes what ``name`` is bound to once more."""
    for node in walk_here(statement):
        if isinstance(node, ast.AugAssign) and _is_name(node.target, name):
            return None if isinstance(node.op, (ast.BitOr, ast.BitAnd)) else True
        if isinstance(node, ast.Assign) and any(_is_name(t, name) for t in node.targets):
            same = repeatable(node.value, lambda part: _is_name(part, name))
            return None if same is None else not same
    return None


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _stored(
    target: ast.expr, value: ast.expr | None, *, again: bool | None = None
) -> Iterator[Change]:
    if not isinstance(target, (ast.Subscript, ast.Attribute)):
        return
    root = _root(target)
    if root is None:
        return
    columns = _columns(target)
    if value is not None:
        here = ast.dump(_load(target))
        same = repeatable(value, lambda part: isinstance(part, ast.expr) and _same(part, here))
        again = None if same is None else not same
    yield Change(root.id, columns, again, "store", target.lineno, target.col_offset + 1)


def _same(part: ast.expr, here: str) -> bool:
    return isinstance(part, (ast.Subscript, ast.Attribute)) and ast.dump(_load(part)) == here


def _load(node: ast.expr) -> ast.expr:
    """The target as an expression, ``df.a`` and ``df["a"]`` in one spelling."""
    if isinstance(node, ast.Subscript):
        return ast.Subscript(_load(node.value), node.slice, ast.Load())
    if isinstance(node, ast.Attribute):
        return ast.Subscript(_load(node.value), ast.Constant(node.attr), ast.Load())
    if isinstance(node, ast.Name):
        return ast.Name(node.id, ast.Load())
    return node


def _root(node: ast.expr) -> ast.Name | None:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def _columns(target: ast.Subscript | ast.Attribute) -> frozenset[str] | None:
    if isinstance(target, ast.Attribute):
        return None
    keys: ast.expr = target.slice
    if isinstance(target.value, ast.Attribute) and target.value.attr in _LOCATORS:
        if not (isinstance(keys, ast.Tuple) and len(keys.elts) == 2):
            return None
        keys = keys.elts[1]
    elif not isinstance(target.value, ast.Name):
        return None
    parts = keys.elts if isinstance(keys, (ast.List, ast.Tuple)) else [keys]
    found = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
    return frozenset(found) if found and len(found) == len(parts) else None


def _called(node: ast.Call) -> Iterator[Change]:
    function = node.func
    if not isinstance(function, ast.Attribute):
        return
    root, method = _root(function.value), function.attr
    if (
        method == "shuffle"
        and root is not None
        and node.args
        and isinstance(node.args[0], ast.Name)
    ):
        root = node.args[0]
        yield Change(root.id, None, True, "call", node.lineno, node.col_offset + 1)
        return
    if root is None:
        return
    where = (node.lineno, node.col_offset + 1)
    if any(
        k.arg == "inplace" and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in node.keywords
    ):
        direct = isinstance(function.value, ast.Name)
        kept = any(k.arg == "drop" for k in node.keywords)
        again = bool(method in _ONCE_IN_PLACE and not kept)
        columns = None if direct else _columns_of_call(function.value)
        yield Change(root.id, columns, again, "in place", *where)
    elif method in _FITS and isinstance(function.value, ast.Name):
        yield Change(root.id, None, method == "partial_fit", "fit", *where)
    elif method in MUTATORS and isinstance(function.value, (ast.Name, ast.Subscript)):
        same = MUTATORS[method]
        columns = None
        if method == "pop" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                columns, same = frozenset({first.value}), True  # gone: a second time raises
        yield Change(root.id, columns, None if same is None else not same, "call", *where)


def _columns_of_call(node: ast.expr) -> frozenset[str] | None:
    return _columns(node) if isinstance(node, (ast.Subscript, ast.Attribute)) else None
