"""What the statements of one cell say for certain.

``flow.analyse`` says what a cell may do; a rule speaks up only about what it does.  Statements of
branches, functions and lambdas are therefore not counted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..source import parse, to_python
from .changes import Change, changes_of, walk_here

__all__ = ["Function", "Statement", "Statements", "read_statements"]

Columns = frozenset[str] | None  # ``None``: all of them


@dataclass(frozen=True, slots=True)
class Statement:
    """A top-level statement: the names in it and what it certainly changes.

    ``columns`` maps a name to the columns or keys that are read of it, ``None`` for the whole.
    """

    node: ast.stmt
    text: str
    loads: frozenset[str]
    stores: frozenset[str]
    changes: tuple[Change, ...]
    columns: dict[str, Columns]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the notebook: what it changes in place, globals and parameters."""

    parameters: tuple[str, ...]
    changes: tuple[Change, ...]

    def given(self, name: str, call: ast.Call) -> str | None:
        """The caller's name for what the function calls ``name``; ``None`` where it has none."""
        if name not in self.parameters:
            return name
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value.id if isinstance(keyword.value, ast.Name) else None
        position = self.parameters.index(name)
        if position < len(call.args) and not any(isinstance(a, ast.Starred) for a in call.args):
            argument = call.args[position]
            return argument.id if isinstance(argument, ast.Name) else None
        return None


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of a cell, and what functions defined in it change of their globals."""

    body: tuple[Statement, ...] = ()
    imports: dict[str, str] = field(default_factory=dict)
    aliases: tuple[tuple[str, str], ...] = ()
    functions: dict[str, Function] = field(default_factory=dict)
    parsed: bool = True

    @property
    def loads(self) -> frozenset[str]:
        """Every name that is loaded anywhere in the cell."""
        return frozenset().union(*(s.loads for s in self.body)) if self.body else frozenset()

    def making(self, name: str) -> tuple[Statement, ...]:
        """The statements that have part in what ``name`` is after the cell."""
        wanted, kept = {name}, []
        for statement in reversed(self.body):
            if wanted & (statement.stores | {c.name for c in statement.changes}):
                kept.append(statement)
                wanted |= statement.loads
        return tuple(reversed(kept))

    def columns(self, name: str, among: tuple[Statement, ...] | None = None) -> Columns:
        """The columns of ``name`` that are read, ``None`` for all of it."""
        found: set[str] = set()
        for statement in self.body if among is None else among:
            if name in statement.columns:
                columns = statement.columns[name]
                if columns is None:
                    return None
                found |= columns
            elif name in statement.loads:
                return None
        return frozenset(found)

    def find(self, name: str) -> tuple[int, int]:
        """Line and column (from 1) of the first use of ``name``; the first line if it has none."""
        for statement in self.body:
            for node in ast.walk(statement.node):
                if isinstance(node, ast.Name) and node.id == name:
                    return node.lineno, node.col_offset + 1
        return (self.body[0].node.lineno, 1) if self.body else (1, 1)

    def tries(self, name: str) -> bool:
        """Whether the cell asks for ``name`` only where it may be missing."""
        certain = False
        for statement in self.body:
            if name not in statement.loads:
                continue
            if not isinstance(statement.node, (ast.Try, ast.If, ast.TryStar)):
                certain = True
        return not certain and name in self.loads


def read_statements(source: str) -> Statements:
    """Read a cell; one that cannot be parsed has no statements."""
    cell = to_python(source)
    tree = parse(cell.text)
    if tree is None or cell.magic is not None:
        return Statements(parsed=False)
    try:
        return _read(tree)
    except RecursionError:  # nested deeper than anyone writes
        return Statements(parsed=False)


def _read(tree: ast.Module) -> Statements:
    imports: dict[str, str] = {}
    aliases: list[tuple[str, str]] = []
    functions: dict[str, Function] = {}
    body = []
    for node in tree.body:
        _note(node, imports, aliases, functions)
        body.append(_statement(node))
    return Statements(tuple(body), imports, tuple(aliases), functions)


def _note(
    node: ast.stmt,
    imports: dict[str, str],
    aliases: list[tuple[str, str]],
    functions: dict[str, Function],
) -> None:
    if isinstance(node, ast.Import):
        for item in node.names:
            if item.asname is not None:
                imports[item.asname] = item.name
            else:
                name = item.name.partition(".")[0]
                imports[name] = name
    elif isinstance(node, ast.ImportFrom):
        for item in node.names:
            imports[item.asname or item.name] = f"{'.' * node.level}{node.module or ''}.{item.name}"
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
        for target in node.targets:
            if isinstance(target, ast.Name):
                aliases.append((target.id, node.value.id))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parameters, own = _own_names(node)
        found = tuple(c for s in node.body for c in changes_of(s) if c.name not in own)
        functions[node.name] = Function(parameters, found)


def _own_names(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
) -> tuple[tuple[str, ...], set[str]]:
    """The parameters, and the names that are the function's own (parameters bound anew, too)."""
    arguments = node.args
    parameters = tuple(
        a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    )
    own = {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
    declared: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            own.add(part.id)
        elif isinstance(part, ast.Global):
            declared |= set(part.names)
    return parameters, own - declared


def _statement(node: ast.stmt) -> Statement:
    loads: set[str] = set()
    stores: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            (loads if isinstance(part.ctx, ast.Load) else stores).add(part.id)
        elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            stores.add(part.name)
        elif isinstance(part, ast.alias):
            stores.add(part.asname or part.name.partition(".")[0])
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        loads.add(node.target.id)
    return Statement(
        node, ast.dump(node), frozenset(loads), frozenset(stores), tuple(changes_of(node)),
        dict(_columns(node)),
    )  # fmt: skip


def _columns(node: ast.stmt) -> Iterator[tuple[str, Columns]]:
    """The columns that are read of each name which is only ever subscripted with literals."""
    taken: dict[str, set[str]] = {}
    counted: set[int] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name):
            keys = _keys(part.slice)
            if keys is not None:
                counted.add(id(part.value))
                if isinstance(part.ctx, ast.Load) or _is_updated(node, part):
                    taken.setdefault(part.value.id, set()).update(keys)
                else:
                    taken.setdefault(part.value.id, set())
    whole = {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and id(part) not in counted
    }
    for name, columns in taken.items():
        yield name, None if name in whole else frozenset(columns)


def _is_updated(node: ast.stmt, part: ast.Subscript) -> bool:
    return any(
        isinstance(inner, ast.AugAssign) and inner.target is part for inner in walk_here(node)
    )


def _keys(node: ast.expr) -> list[str] | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.List) and node.elts:
        texts = [e.value for e in node.elts if isinstance(e, ast.Constant)]
        found = [text for text in texts if isinstance(text, str)]
        return found if len(found) == len(node.elts) else None
    return None
