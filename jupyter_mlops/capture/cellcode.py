"""What a cell's source says by itself: which names it binds and how, and what it fits on what.

Only the cell's own top scope counts: names inside functions, lambdas, classes and comprehensions
are theirs.  The run-time side (``namespace``) says which of these bindings really happened.
"""

from __future__ import annotations

import ast
import contextlib
import json
import symtable
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from .transform import PYTHON_MAGICS

__all__ = [
    "CellCode",
    "Fit",
    "label",
    "parse_python",
    "python_source",
    "read_cell",
    "read_names",
    "same_literal",
]

_FILE = "<cell read by jupyter_mlops>"
_FIT = frozenset({"fit", "fit_transform", "fit_predict", "partial_fit"})
_LOOKED_THROUGH = frozenset({"round", "float", "int", "abs", "around"})
_REDUCTIONS = frozenset({"mean", "median", "min", "max", "std", "sum", "var"})
_SCALARS = (int, float, str, bool, type(None))
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_ITEMS = 200  # Longer lists are data, not parameters,
_CHARACTERS = 6000  # and this is the longest value MLflow keeps.


@dataclass(frozen=True, slots=True)
class Fit:
    """One ``receiver.fit(data, ...)``; ``target`` is the name its result is assigned to.

    Each is ``None`` where it is not a plain name.
    """

    receiver: str | None
    target: str | None
    data: str | None


@dataclass(frozen=True, slots=True)
class CellCode:
    """The top scope of one cell.

    Attributes:
        kinds: how each name is stored, in the order of the first store: ``literal``, ``value``,
            ``loop``, ``import``, ``with``, ``except``, ``def`` or ``del``.
        certain: names that are bound whenever the cell ends without an error.
        literals: names whose one store is a literal at the top level that may be a parameter.
        fits: the calls of ``fit`` and its kin, in order.
        last: what to call the value of the last expression, if the cell ends with one.
        calls: what is called by a plain name on one: ``net(X)`` is ``{"net": "X"}``.
    """

    kinds: dict[str, set[str]] = field(default_factory=dict)
    certain: set[str] = field(default_factory=set)
    literals: dict[str, Any] = field(default_factory=dict)
    fits: tuple[Fit, ...] = ()
    last: str | None = None
    calls: dict[str, str] = field(default_factory=dict)


def python_source(transformed: str, transform: Callable[[str], str]) -> str:
    """Return the Python of a transformed cell: bodies of ``%%time`` and its like are unwrapped.

    ``transform`` turns such a body, IPython syntax and all, into Python.
    """
    for _ in range(8):  # Each turn unwraps one magic; nobody nests deeper.
        if "run_cell_magic(" not in transformed:
            break
        body = _magic_body(transformed)
        if body is None:
            break
        transformed = transform(body)
    return transformed


def read_cell(source: str) -> CellCode | None:
    """Read the Python source of a cell; ``None`` if it does not parse."""
    tree = parse_python(source)
    if tree is None:
        return None
    reader = _Reader()
    reader.block(tree.body, certain=True, top=True)
    once = {
        name: value
        for name, value in reader.literals.items()
        if reader.count[name] == 1 and _is_parameter(value)
    }
    end = tree.body[-1] if tree.body else None
    last = label(end.value) if isinstance(end, ast.Expr) else None
    fits = tuple(_fits(tree))
    return CellCode(reader.kinds, reader.certain, once, fits, last, _calls(tree))


def label(node: ast.expr) -> str:
    """A name for the value of an expression: ``r2_score(y, p)`` is ``r2_score``.

    What only rounds or reduces is looked through: ``round(scores.mean(), 3)`` is ``scores_mean``.
    An expression that names nothing is ``result``.
    """
    match node:
        case ast.Name(id=name):
            return name
        case ast.Await(value=inner) | ast.Expr(value=inner):
            return label(inner)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if (
            name in _LOOKED_THROUGH
        ):
            return label(first)
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in _REDUCTIONS:
            return f"{label(value)}_{name}"
        case ast.Call(func=function):
            return label(function)
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)) if name:
            return name
        case ast.Subscript(value=value):
            return label(value)
    return "result"


def read_names(source: str, namespace: Mapping[str, Any]) -> set[str]:
    """Names of ``namespace`` that the cell reads, also inside the notebook's own functions it uses.

    A function defined in an earlier cell reads its globals when it is called here, so the names in
    its code count as read.
    """
    try:
        with _unheard():
            table = symtable.symtable(source, _FILE, "exec")
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names = {name for name in _references(table) if name in namespace}
    todo = list(names)
    while todo:
        value = namespace[todo.pop()]
        if isinstance(value, type):
            codes = [m.__code__ for m in vars(value).values() if isinstance(m, types.FunctionType)]
        elif isinstance(value, types.FunctionType):
            codes = [value.__code__]
        else:
            continue
        if getattr(value, "__module__", None) != "__main__":
            continue
        more = {n for code in codes for n in _code_names(code) if n in namespace} - names
        names |= more
        todo.extend(more)
    return names


def same_literal(value: Any, literal: Any) -> bool:
    """Whether ``value`` still is what the literal said: same types, same content, all plain."""
    if type(value) is not type(literal):
        return False
    if isinstance(literal, (list, tuple)):
        return len(value) == len(literal) and all(map(same_literal, value, literal))
    if isinstance(literal, dict):
        return list(value) == list(literal) and all(
            same_literal(value[key], literal[key]) for key in literal
        )
    return bool(value == literal)


def parse_python(source: str) -> ast.Module | None:
    """Parse the person's source without a word about it; ``None`` if it is not Python."""
    try:
        with _unheard():
            return ast.parse(source, _FILE)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    r"""Silence what parsing says about the person's source (``"\d"``): IPython has said it already.

    Not by ``catch_warnings``: that forgets which warnings have been shown, so that the person would
    see theirs again.
    """
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if filename != _FILE:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


class _Reader:
    """Collects the stores of a top scope."""

    def __init__(self) -> None:
        self.kinds: dict[str, set[str]] = {}
        self.count: dict[str, int] = {}
        self.certain: set[str] = set()
        self.literals: dict[str, Any] = {}

    def store(self, name: str, kind: str, *, certain: bool) -> None:
        self.kinds.setdefault(name, set()).add(kind)
        self.count[name] = self.count.get(name, 0) + 1
        if kind == "del":
            self.certain.discard(name)
        elif certain:
            self.certain.add(name)

    def statement(self, node: ast.stmt, *, certain: bool, top: bool) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.store(node.name, "def", certain=certain)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    if name != "*":
                        self.store(name, "import", certain=certain)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    alone = top and len(targets) == 1
                    self.assign(target, value, certain=certain, alone=alone)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value, certain=certain, alone=top)
            case ast.AugAssign(target=ast.Name(id=name)):
                self.store(name, "value", certain=certain)
            case ast.For() | ast.AsyncFor():
                self.targets(node.target, "loop", certain=False)
                self.block(node.body + node.orelse, certain=False)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    if item.optional_vars is not None:
                        self.targets(item.optional_vars, "with", certain=certain)
                self.block(node.body, certain=certain)
            case ast.Delete(targets=targets):
                for target in targets:
                    self.targets(target, "del", certain=certain)
            case ast.Try() | ast.TryStar():
                for handler in node.handlers:
                    if handler.name:
                        self.store(handler.name, "except", certain=False)
                    self.block(handler.body, certain=False)
                self.block(node.body + node.orelse, certain=False)
                self.block(node.finalbody, certain=certain)
            case ast.If() | ast.While():
                self.block(node.body + node.orelse, certain=False)
            case ast.Match():
                for branch in node.cases:
                    for pattern in ast.walk(branch.pattern):
                        bound = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
                        if isinstance(bound, str):
                            self.store(bound, "value", certain=False)
                    self.block(branch.body, certain=False)
        for expression in _own_expressions(node):
            for inner in _walk_scope(expression):
                if isinstance(inner, ast.NamedExpr):
                    self.store(inner.target.id, "value", certain=False)

    def block(self, body: list[ast.stmt], *, certain: bool, top: bool = False) -> None:
        for statement in body:
            self.statement(statement, certain=certain, top=top)

    def assign(self, target: ast.expr, value: ast.expr, *, certain: bool, alone: bool) -> None:
        constant, literal = _literal(value)
        if isinstance(target, ast.Name):
            self.store(target.id, "literal" if constant else "value", certain=certain)
            if constant and alone:
                self.literals[target.id] = literal
        else:
            self.targets(target, "literal" if constant else "value", certain=certain)

    def targets(self, target: ast.expr, kind: str, *, certain: bool) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                self.store(node.id, kind, certain=certain)


def _own_expressions(node: ast.stmt) -> Iterator[ast.expr]:
    """The expressions that belong to a statement itself, not to the statements inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.withitem):
            yield child.context_expr


def _walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Walk everything that runs in the same scope as ``node`` (comprehensions included)."""
    todo = [node]
    while todo:
        current = todo.pop()
        if isinstance(current, _SCOPES):
            continue
        yield current
        # A list used as a stack: reversed, so that the walk follows the source.
        todo.extend(reversed(list(ast.iter_child_nodes(current))))


def _fits(tree: ast.Module) -> Iterator[Fit]:
    targets: dict[int, str] = {}  # id of the value's node -> name it is assigned to
    for node in _walk_scope(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                targets[id(value)] = name
            case ast.Call(func=ast.Attribute(attr=attribute, value=receiver)) if attribute in _FIT:
                data: ast.expr | None = node.args[0] if node.args else None
                for keyword in node.keywords:
                    if keyword.arg in ("X", "x"):
                        data = keyword.value
                yield Fit(_name(receiver), targets.get(id(node)), _name(data))


def _calls(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in _walk_scope(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=data), *_]):
                found.setdefault(name, data)
    return found


def _name(node: ast.expr | None) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _literal(node: ast.expr) -> tuple[bool, Any]:
    """``(True, value)`` for a literal; a literal that is too long has the value ``...``."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Dict, ast.Set)):
        items = node.keys if isinstance(node, ast.Dict) else node.elts
        if len(items) > _ITEMS:
            return all(isinstance(item, ast.Constant) for item in items), ...
    try:
        return True, ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False, None


def _is_parameter(value: Any) -> bool:
    """Whether a literal is what MLflow and a parameters cell take: plain, flat, not too long."""
    items: list[Any] = [value]
    if type(value) in (list, tuple):
        items = list(value)
    elif type(value) is dict:
        if not all(type(key) is str for key in value):
            return False
        items = list(value.values())
    if not all(type(item) in _SCALARS for item in items):
        return False
    try:
        return len(json.dumps(value)) <= _CHARACTERS
    except ValueError:  # an integer with more digits than Python prints
        return False


def _magic_body(source: str) -> str | None:
    tree = parse_python(source)
    match tree.body if tree is not None else []:
        case [
            ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(attr="run_cell_magic"),
                    args=[
                        ast.Constant(value=str() as name),
                        ast.Constant(),
                        ast.Constant(value=str() as body),
                    ],
                )
            )
        ] if name in PYTHON_MAGICS:
            return body
    return None


def _references(table: symtable.SymbolTable) -> Iterator[str]:
    """Names that the module's scope, or a scope inside it, reads as globals."""
    module = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (module or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _references(child)


def _code_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_names(constant)
