"""Which names belong to which scope: what ``symtable`` knows, asked of an ``ast`` node."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .heap import FunctionNode

__all__ = ["bound_names", "late_loads", "parameters", "target_names"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def parameters(node: FunctionNode) -> list[str]:
    """Names of a function's parameters, in order, ``*args`` and ``**kwargs`` last."""
    a = node.args
    names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return names + [p.arg for p in (a.vararg, a.kwarg) if p is not None]


def target_names(node: ast.AST) -> set[str]:
    """Plain names that an assignment target binds."""
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }


def bound_names(body: Iterable[ast.AST]) -> tuple[set[str], set[str], set[str]]:
    """Return ``(bound, declared global, declared nonlocal)`` in a scope, not in nested ones."""
    bound: set[str] = set()
    globals_: set[str] = set()
    nonlocals: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            bound.add(node.rest)
        elif isinstance(node, ast.Global):
            globals_.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            nonlocals.update(node.names)
        elif isinstance(node, _COMPREHENSIONS):
            # Only a walrus inside a comprehension binds outside it.
            for inner in ast.walk(node):
                if isinstance(inner, ast.NamedExpr):
                    bound.add(inner.target.id)
    return bound - globals_ - nonlocals, globals_, nonlocals


def late_loads(node: ast.AST) -> frozenset[str]:
    """Global names that using a function or class later may read.

    What runs at its definition (defaults, decorators, a class's own statements) is not among them.
    """
    found: set[str] = set()
    if isinstance(node, _FUNCTIONS):
        _collect_body(node, frozenset(), found)
    elif isinstance(node, ast.GeneratorExp):
        _collect(node, frozenset(), found)
        at_once: set[str] = set()
        _collect(node.generators[0].iter, frozenset(), at_once)
        found -= at_once - _inside(node)
    elif isinstance(node, ast.ClassDef):
        for inner in _own_nodes(node.body):
            if isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
                found |= late_loads(inner)
    return frozenset(found)


def _inside(node: ast.GeneratorExp) -> set[str]:
    """Names loaded in a generator expression apart from its first source."""
    parts: list[ast.AST] = [node.elt, *node.generators[1:], *node.generators[0].ifs]
    return {
        n.id
        for part in parts
        for n in ast.walk(part)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            stack.extend(node.decorator_list)
            stack.extend(node.args.defaults)
            stack.extend(d for d in node.args.kw_defaults if d is not None)
        elif isinstance(node, ast.ClassDef):
            stack.extend((*node.decorator_list, *node.bases, *(k.value for k in node.keywords)))
        elif isinstance(node, ast.Lambda):
            stack.extend(node.args.defaults)
        elif not isinstance(node, _COMPREHENSIONS):
            stack.extend(ast.iter_child_nodes(node))


def _collect(node: ast.AST, local: frozenset[str], found: set[str]) -> None:
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in local:
            found.add(node.id)
    elif isinstance(node, _FUNCTIONS):
        children = _outside(node)
        _collect_body(node, local, found)
    elif isinstance(node, ast.ClassDef):
        # A class body's own names are not seen by its methods; reading them here as well is safe.
        children = [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]
        children += node.body
    elif isinstance(node, _COMPREHENSIONS):
        local = local.union(*(target_names(g.target) for g in node.generators))
    for child in children:
        _collect(child, local, found)


def _collect_body(node: FunctionNode, local: frozenset[str], found: set[str]) -> None:
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    bound, globals_, _ = bound_names(body)
    types = {t.name for t in getattr(node, "type_params", ())}
    inner = (local | bound | set(parameters(node)) | types) - globals_
    for part in _own_nodes(body):  # ``x += 1`` reads what it stores.
        if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            found.update({part.target.id} & globals_)
    for child in body:
        _collect(child, frozenset(inner), found)


def _outside(node: FunctionNode) -> list[ast.AST]:
    """Parts of a function that run where it is defined."""
    a = node.args
    parts: list[ast.AST] = [*a.defaults, *(d for d in a.kw_defaults if d is not None)]
    if not isinstance(node, ast.Lambda):
        parts += node.decorator_list
    return parts
