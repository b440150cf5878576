"""Calls that take a seed, found in the source of a cell and of the functions that it uses."""

from __future__ import annotations

import ast
import contextlib
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import ModuleType
from typing import Any

from .seed_values import MANY, UNKNOWN, Several, attribute, calculate, plain, put

__all__ = ["SeedReader", "Seeded", "mentions_seeds"]

# By the name the library itself has for the function.
_LIBRARIES = {
    "random.seed": "random",
    "numpy.random.seed": "numpy",
    "cupy.random.seed": "cupy",
    "torch.manual_seed": "torch",
    "torch.random.manual_seed": "torch",
    "torch.seed": "torch",
    "torch.cuda.manual_seed": "torch.cuda",
    "torch.cuda.manual_seed_all": "torch.cuda",
    "tensorflow.random.set_seed": "tensorflow",
    "tensorflow.keras.utils.set_random_seed": "keras",
    "keras.utils.set_random_seed": "keras",
    "pytorch_lightning.seed_everything": "lightning",
    "lightning.seed_everything": "lightning",
    "lightning.pytorch.seed_everything": "lightning",
    "transformers.set_seed": "transformers",
}
_OBJECTS = {
    "random.Random": "random.Random",
    "numpy.random.default_rng": "numpy.default_rng",
    "numpy.random.RandomState": "numpy.RandomState",
    "numpy.random.SeedSequence": "numpy.SeedSequence",
    "numpy.random.PCG64": "numpy.PCG64",
    "numpy.random.Philox": "numpy.Philox",
    "numpy.random.MT19937": "numpy.MT19937",
    "jax.random.PRNGKey": "jax",
    "jax.random.key": "jax",
}
_USUAL = {"np": "numpy", "tf": "tensorflow", "cp": "cupy", "pl": "pytorch_lightning"}
_KEYWORDS = frozenset({"random_state", "seed", "random_seed"})
_ARGUMENTS = ("seed", "a", "x", "random_state", "value")
_SEEDING = re.compile(r"(?:^|_)(?:seed|seeds)(?:_|$)")
_HINT = re.compile(r"seed|random|rng|\*\*", re.IGNORECASE)
_DEPTH, _CALLS = 5, 300
_dictionary = vars(ModuleType)["__dict__"].__get__  # Past whatever a lazy module does.
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(slots=True)
class Seeded:
    """Seeds by what was seeded; ``unknown`` are libraries whose last seed is not known."""

    libraries: dict[str, list[Any]] = field(default_factory=dict)
    objects: dict[str, list[Any]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def mentions_seeds(source: str) -> bool:
    """Whether a source may hold any such call: a quick look that errs to yes."""
    return _HINT.search(source) is not None


class SeedReader(ast.NodeVisitor):
    """Reads statements in order.

    ``own`` are the functions and classes that the statements define, ``functions`` earlier ones.
    """

    def __init__(self, namespace: Mapping[str, Any], functions: Mapping[str, ast.AST]) -> None:
        self.seeded = Seeded()
        self.own: dict[str, ast.AST] = {}
        self._earlier = functions
        self._namespace = namespace
        self._imports: dict[str, str] = {}
        self._scopes: list[dict[str, Any]] = [{}]
        self._objects: dict[str, list[Any]] = {}
        self._inside: set[ast.AST] = set()
        self._called: set[ast.AST] = set()
        self._budget = _CALLS

    def read(self, statement: ast.stmt) -> dict[str, list[Any]]:
        """Read one statement of the top level; return the seeds that it gives to objects."""
        self._objects = {}
        with contextlib.suppress(RecursionError):
            self.visit(statement)
        return self._objects

    def read_functions(self, names: Collection[str]) -> None:
        """Read the bodies of functions that are used, but not called where that can be seen."""
        for name in sorted(names):
            node = self._function(name)
            if node is not None and node not in self._called:
                with contextlib.suppress(RecursionError):
                    self._enter(node, None)

    # What binds names.

    def visit_Import(self, node: ast.Import) -> None:
        """``import numpy.random as r``."""
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._imports[name] = alias.name if alias.asname else name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """``from numpy import random as r``."""
        for alias in node.names:
            if node.module and not node.level:
                self._imports[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Its body counts where it is called."""
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        self.own[node.name] = node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Likewise."""
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """The methods count where the class is used."""
        self.own[node.name] = node
        for statement in node.body:
            if not isinstance(statement, _FUNCTIONS):
                self.visit(statement)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Its arguments are not known."""
        with_arguments = {a.arg: UNKNOWN for a in _all_arguments(node.args)}
        self._scopes.append(with_arguments)
        self.visit(node.body)
        self._scopes.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        """``seed = 3``: from here on a name has this value."""
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, self._value(node.value))
            self.generic_visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """``seed: int = 3``."""
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, self._value(node.value))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """``(seed := 3)``."""
        self.visit(node.value)
        self._bind(node.target, self._value(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """``seed += 1``."""
        self.visit(node.value)
        self._bind(node.target, UNKNOWN)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        """``for seed in range(5)``."""
        self.visit(node.iter)
        self._bind(node.target, self._values(node.iter), loop=True)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        """Likewise."""
        self.visit_For(node)

    def _comprehension(self, node: ast.AST) -> None:
        self._scopes.append({})
        for part in node.generators:  # type: ignore[attr-defined]
            self.visit(part.iter)
            self._bind(part.target, self._values(part.iter), loop=True)
            for condition in part.ifs:
                self.visit(condition)
        for name in ("key", "value", "elt"):
            if isinstance(part := getattr(node, name, None), ast.AST):
                self.visit(part)
        self._scopes.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _bind(self, target: ast.expr, value: Any, *, loop: bool = False) -> None:
        if isinstance(target, ast.Name):
            if value is UNKNOWN and len(self._scopes) == 1 and not loop:
                self._scopes[0].pop(target.id, None)  # The namespace knows what it became.
            else:
                self._scopes[-1][target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            each = [UNKNOWN] * len(target.elts)
            if type(value) is list and len(value) == len(each):
                each = value
            for item, one in zip(target.elts, each, strict=True):
                self._bind(item, one, loop=loop)

    # What takes a seed.

    def visit_Call(self, node: ast.Call) -> None:
        """Any call."""
        self.generic_visit(node)
        name = self._library_name(node.func)
        last = _last_name(node.func)
        if name in _LIBRARIES:
            self._library(_LIBRARIES[name], self._first_argument(node))
        elif name in _OBJECTS:
            self._object(_OBJECTS[name], self._first_argument(node))
        elif last == "manual_seed":
            self._object("torch.Generator", self._first_argument(node))
        else:
            self._other(node, last)

    def visit_Dict(self, node: ast.Dict) -> None:
        """``{"seed": 3}``, as options of a library."""
        self.generic_visit(node)
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in _KEYWORDS:
                self._object(str(key.value), self._value(value))

    def _other(self, node: ast.Call, last: str | None) -> None:
        function = self._function(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is not None:
            before = sum(map(len, self.seeded.libraries.values()))
            self._enter(function, node)
            if sum(map(len, self.seeded.libraries.values())) > before:
                return  # Its body says more exactly what its argument seeds.
        if last is not None and _SEEDING.search(last):
            value = self._first_argument(node)
            if value is not UNKNOWN and value is not None and type(value) is not str:
                self._library(last, value)
            return
        prefix = f"{last}." if last not in (None, "dict") else ""
        for keyword in node.keywords:
            if keyword.arg in _KEYWORDS:
                self._object(f"{prefix}{keyword.arg}", self._value(keyword.value))
            elif keyword.arg is None and isinstance(keyword.value, ast.Name):
                options = self._look_up(keyword.value.id)
                if type(options) is dict:
                    for key in sorted(_KEYWORDS & {k for k in options if type(k) is str}):
                        self._object(f"{prefix}{key}", plain(options[key]))

    def _library(self, label: str, value: Any) -> None:
        if value is UNKNOWN or value is None:
            self.seeded.libraries.pop(label, None)
            self.seeded.unknown.add(label)
        else:
            self.seeded.unknown.discard(label)
            put(self.seeded.libraries, label, value)

    def _object(self, label: str, value: Any) -> None:
        # Words are no seed of a model; what is called so may be a secret.
        if value is not UNKNOWN and value is not None and type(value) is not str:
            put(self.seeded.objects, label, value)
            put(self._objects, label, value)

    def _first_argument(self, node: ast.Call) -> Any:
        for argument in node.args[:1]:
            return self._value(argument)
        for keyword in node.keywords:
            if keyword.arg in _ARGUMENTS:
                return self._value(keyword.value)
        function = self._function(node.func.id) if isinstance(node.func, ast.Name) else None
        if isinstance(function, _FUNCTIONS):  # `seed_everything()`, by its default.
            for value in self._arguments(function, node).values():
                return value
        return None

    # Functions of the notebook.

    def _function(self, name: str) -> ast.AST | None:
        return self.own.get(name) or self._earlier.get(name)

    def _enter(self, node: ast.AST, call: ast.Call | None) -> None:
        """Read a function's body as one call of it runs."""
        self._called.add(node)
        if node in self._inside or len(self._inside) >= _DEPTH or self._budget <= 0:
            return
        self._budget -= 1
        self._inside.add(node)
        functions = [node]
        if isinstance(node, ast.ClassDef):
            functions, call = [n for n in node.body if isinstance(n, _FUNCTIONS)], None
        scopes = self._scopes
        try:
            for function in functions:
                if isinstance(function, _FUNCTIONS):
                    # Its own names, then the notebook's: not those of its caller.
                    self._scopes = scopes
                    local = self._arguments(function, call)
                    self._scopes = [scopes[0], local]
                    for statement in function.body:
                        self.visit(statement)
        finally:
            self._scopes = scopes
            self._inside.discard(node)

    def _arguments(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call | None
    ) -> dict[str, Any]:
        given = node.args
        positional = [*given.posonlyargs, *given.args]
        values: dict[str, Any] = {a.arg: UNKNOWN for a in _all_arguments(given)}
        first = len(positional) - len(given.defaults)
        for argument, default in zip(positional[first:], given.defaults, strict=True):
            values[argument.arg] = self._value(default)
        for argument, chosen in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            if chosen is not None:
                values[argument.arg] = self._value(chosen)
        if call is not None:
            for argument, expression in zip(positional, call.args, strict=False):
                if isinstance(expression, ast.Starred):
                    values |= {a.arg: UNKNOWN for a in positional}
                    break
                values[argument.arg] = self._value(expression)
            for keyword in call.keywords:
                if keyword.arg in values:
                    values[keyword.arg] = self._value(keyword.value)
        return values

    # Values and names.

    def _look_up(self, name: str) -> Any:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return self._namespace.get(name, UNKNOWN)

    def _value(self, node: ast.expr) -> Any:
        """The plain value of an expression, or ``UNKNOWN``."""
        match node:
            case ast.Constant(value=value):
                return plain(value)
            case ast.Name(id=name):
                return plain(self._look_up(name))
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                return plain(attribute(self._look_up(name), attr))
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)):
                holder = self._look_up(name)
                return plain(holder.get(key, UNKNOWN)) if type(holder) is dict else UNKNOWN
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._value(operand)
                return -value if type(value) in (int, float) else UNKNOWN
            case ast.BinOp(left=left, op=sign, right=right):
                return calculate(self._value(left), sign, self._value(right))
            case ast.Tuple(elts=items) | ast.List(elts=items):
                values = [self._value(item) for item in items]
                good = all(type(v) in (int, str) for v in values) and 0 < len(values) <= MANY
                return values if good else UNKNOWN
        return UNKNOWN

    def _values(self, node: ast.expr) -> Any:
        """What a loop over the expression gives, or ``UNKNOWN``."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            limits = [self._value(a) for a in node.args]
            if node.func.id == "range" and limits and all(type(v) is int for v in limits):
                try:
                    return Several(islice(range(*limits), MANY))
                except (ValueError, TypeError):
                    return UNKNOWN
            return UNKNOWN
        value: Any = self._value(node) if isinstance(node, (ast.Tuple, ast.List)) else UNKNOWN
        if isinstance(node, ast.Name):
            held = self._look_up(node.id)
            value = held if type(held) in (list, tuple) and len(held) <= MANY else UNKNOWN
        if value is UNKNOWN:
            return value
        values = Several(map(plain, value))
        return values if UNKNOWN not in values else UNKNOWN

    def _library_name(self, node: ast.expr) -> str | None:
        """The name that the library has for what is called."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or self._function(node.id) is not None:
            return None
        rest = "".join(f".{part}" for part in reversed(parts))
        value = self._look_up(node.id)
        if isinstance(value, ModuleType):
            return f"{_module_name(value)}{rest}"
        if node.id in self._imports:
            return f"{self._imports[node.id]}{rest}"
        if value is UNKNOWN:
            return f"{_USUAL.get(node.id, node.id)}{rest}"
        return None if rest else _known_function(value)


def _all_arguments(given: ast.arguments) -> Iterator[ast.arg]:
    yield from (*given.posonlyargs, *given.args, *given.kwonlyargs)
    yield from filter(None, (given.vararg, given.kwarg))


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _module_name(module: ModuleType) -> str:
    name = _dictionary(module).get("__name__")
    return name if type(name) is str else ""


def _known_function(value: Any) -> str | None:
    """``seed`` after ``from random import seed`` in an earlier cell."""
    for name in (*_LIBRARIES, *_OBJECTS):
        module, _, function = name.rpartition(".")
        loaded = sys.modules.get(module)
        if issubclass(type(loaded), ModuleType):
            held = _dictionary(loaded).get(function)
            # A bound method of a hidden generator is made anew each time, but is stored here.
            if held is value:
                return name
    return None
