"""Imports, functions and classes: what defining them runs, and what the names stand for."""

from __future__ import annotations

import ast

from .arguments import Arguments
from .evaluate import Evaluator
from .heap import EMPTY, Frame, Kind, Thing, Value, kinds
from .known_functions import TAME
from .known_methods import words
from .paths import ANY
from .scopes import bound_names, late_loads

__all__ = ["Definitions", "dotted_of"]

_KEEPING_DECORATORS = words(
    """
    functools.wraps functools.lru_cache functools.cache functools.cached_property
    functools.total_ordering functools.singledispatch contextlib.contextmanager
    contextlib.asynccontextmanager dataclasses.dataclass abc.abstractmethod typing.overload
    typing.no_type_check staticmethod classmethod property torch.no_grad torch.inference_mode
    numba.njit numba.jit numba.vectorize enum.unique joblib.delayed
    """
)


class Definitions(Evaluator):
    """Work through imports and definitions."""

    def define_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Bind what an import brings."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                dotted = alias.name if alias.asname else alias.name.partition(".")[0]
                self.imported(alias.name)
                thing = self.session.module(dotted, Kind.MODULE)
                self.store(alias.asname or dotted, frozenset({thing}))
            return
        module = "." * node.level + (node.module or "")
        self.imported(module)
        if module == "__future__":
            return
        for alias in node.names:
            if alias.name == "*":
                self.session.stars.append(module)
                self.facts.binds_anything = True
                continue
            thing = self.session.module(f"{module}.{alias.name}")
            self.store(alias.asname or alias.name, frozenset({thing}))

    def imported(self, module: str) -> None:
        """A module is imported: its file is read, and it may do anything when it is new."""
        package = module.lstrip(".").partition(".")[0]
        self.facts.packages.add(package)
        if module == "sklearn.experimental":
            self.affect("$options:sklearn")
        if package not in TAME:
            path = module.lstrip(".").replace(".", "/")
            self.file_read([f"{path}.py", f"{package}.py", f"{package}/", f"{ANY}/{path}.py"])
            self.facts.side_imports.add(package)

    def define_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Bind a function: defaults, annotations and decorators run here."""
        for parameter in ast.walk(node.args):
            if isinstance(parameter, ast.arg):
                self._annotation(parameter.annotation, node)
        self._annotation(node.returns, node)
        decorators = [(d, self.evaluate(d)) for d in node.decorator_list]
        value: Value = frozenset({self.make_function(node)})
        self.store(node.name, self._decorated(value, decorators))

    def _annotation(self, node: ast.expr | None, owner: ast.AST) -> None:
        if node is not None and not getattr(owner, "type_params", None):
            self.evaluate(node)

    def _decorated(self, value: Value, decorators: list[tuple[ast.expr, Value]]) -> Value:
        for node, decorator in reversed(decorators):
            function = node.func if isinstance(node, ast.Call) else node
            dotted = dotted_of(self.evaluate(function))
            keeps = dotted in _KEEPING_DECORATORS or (
                isinstance(function, ast.Attribute)
                and function.attr in ("setter", "getter", "deleter", "register")
            )
            if dotted in ("functools.lru_cache", "functools.cache"):
                for thing in value:
                    thing.cached = True
            if not keeps:
                value = self.call_value(decorator, Arguments(positional=[value])) | value
        return value

    def define_class(self, node: ast.ClassDef) -> None:
        """Bind a class: its body runs here, and whoever is told of new classes hears of it."""
        decorators = [(d, self.evaluate(d)) for d in node.decorator_list]
        bases = EMPTY.union(*(self.evaluate(b) for b in node.bases))
        passed = Arguments()
        for keyword in node.keywords:
            passed.keywords[keyword.arg or "**"] = self.evaluate(keyword.value)
        meta = passed.keywords.pop("metaclass", EMPTY).union(*(base.meta for base in bases))
        bound, declared, _ = bound_names(node.body)
        made = Thing(Kind.CLASS, node=node, late=late_loads(node), opaque=False, bases=tuple(bases))
        made.meta = frozenset(t for t in meta if t.kind is Kind.CLASS)
        outer = self.frame
        frame = Frame(frozenset(bound), outer, module_names=frozenset(declared), class_body=True)
        self.frame = frame
        try:
            self.run_block(node.body)
            made.members = dict(frame.names)
        finally:
            self.frame = outer
        for value in made.members.values():
            made.holds |= {t for t in value if t.kind is not Kind.SCALAR}
        made.holds |= made.meta
        self._made_class(frozenset({made}), bases, passed)
        if meta != made.meta:  # Made by somebody unknown.
            self.unknown_call(meta - made.meta, Arguments([frozenset({made})]))
        self.store(node.name, self._decorated(frozenset({made}), decorators))

    def _made_class(self, made: Value, bases: Value, passed: Arguments) -> None:
        """What hears of a new class: its class, its ancestors, and its attributes."""
        for cls in made:
            for meta in cls.meta:
                for name in ("__prepare__", "__new__", "__init__"):
                    for member in self.member(meta, name):
                        if member.kind is Kind.FUNCTION:
                            receiver = made if name == "__init__" else frozenset({meta})
                            self.run_function(member, passed, receiver)
            for base in bases:
                for member in self.member(base, "__init_subclass__"):
                    if member.kind is Kind.FUNCTION:
                        self.run_function(member, passed, made)
            for value in cls.members.values():
                self.special(value, "__set_name__", arguments=Arguments([made]))


def dotted_of(value: Value) -> str:
    """The import path of a value that is certainly one module or imported name."""
    if len(value) == 1 and kinds(value) <= {Kind.MODULE, Kind.IMPORTED}:
        return next(iter(value)).dotted
    return ""
