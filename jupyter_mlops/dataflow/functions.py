"""Functions and classes of the notebook: a call is followed into their bodies."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Iterable

from .arguments import Arguments
from .heap import EMPTY, Frame, FunctionNode, Kind, Thing, Value, elements
from .known_functions import TAME
from .machine import BUILTINS, GENERATOR_STATES, Machine, State
from .paths import ANY
from .scopes import bound_names, late_loads, parameters

__all__ = ["Functions", "is_lazy"]

_DEPTH = 12
_STATIC, _CLASS = "staticmethod", "classmethod"


class Functions(Machine):
    """Definitions, and calls of what is defined in the notebook or known to nobody."""

    def make_function(self, node: FunctionNode) -> Thing:
        """Return the function; its defaults are evaluated here and now."""
        scope = self.frame
        while scope is not None and scope.class_body:
            scope = scope.parent
        late, outer = late_loads(node), scope
        while outer is not None:
            late, outer = late - outer.own, outer.parent
        thing = Thing(Kind.FUNCTION, node=node, frame=scope, late=late, opaque=False)
        a = node.args
        ordered = [*a.posonlyargs, *a.args]
        pairs = list(zip(ordered[len(ordered) - len(a.defaults) :], a.defaults, strict=True))
        pairs += [(p, d) for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True) if d is not None]
        for parameter, default in pairs:
            value = self.evaluate(default)
            thing.members[parameter.arg] = value
            self.hold([thing], value)
            thing.holds |= {t for t in value if t.kind is not Kind.SCALAR}
        mentioned = _mentioned(node) if scope is not None else set()
        while scope is not None:  # What it closes over.
            scope.made.append(thing)
            for name in mentioned & scope.names.keys():
                thing.holds |= {t for t in scope.names[name] if t.kind is not Kind.SCALAR}
            scope = scope.parent
        return thing

    @abstractmethod
    def consume(self, value: Iterable[Thing], *, deep: bool = False) -> Value:
        """Go on with iterators, generators, coroutines and handles."""

    @abstractmethod
    def call_method(self, receiver: Value, name: str, arguments: Arguments) -> Value:
        """Call ``receiver.name``."""

    def run_function(
        self,
        thing: Thing,
        arguments: Arguments,
        receiver: Value | None = None,
        *,
        now: bool = False,
    ) -> Value:
        """Follow a call into a function of the notebook; return what it may return.

        The body of a generator or coroutine runs when somebody goes on with it, or ``now``.
        """
        node = self.function_node(thing)
        if node is not None and not now and is_lazy(node):
            made = Thing(Kind.ITERATOR, late=thing.late, opaque=False)
            made.resume = lambda machine: machine.run_function(thing, arguments, receiver, now=True)
            self.hold([made], arguments.all | (receiver or EMPTY))
            made.holds |= {t for t in thing.holds if not t.fixed}
            return frozenset({made})
        if node is None or thing in self.running or len(self.running) >= _DEPTH:
            return self.unknown_call(frozenset({thing}), arguments, follow=False)
        self.step()
        if thing.cached and thing.late - BUILTINS:  # The first answer stays.
            self.mutate_hidden([thing])
        body: list[ast.stmt] = (
            [ast.Return(node.body)] if isinstance(node, ast.Lambda) else node.body
        )
        bound, declared, _ = bound_names(body)
        frame = Frame(
            frozenset(bound | set(parameters(node))), thing.frame, {}, frozenset(declared)
        )
        frame.names.update(_bind(node, thing, arguments, receiver))
        outer, self.frame = self.frame, frame
        self.running.append(thing)
        self.calls.append([])
        returned, self.returned = self.returned, []
        try:
            start = self.save()
            alive = self.run_block(body)
            ends: list[State] = self.calls[-1] + ([self.save()] if alive else [])
            self.join(ends or [start])
            value = EMPTY.union(*self.returned)
        finally:
            self.returned = returned
            self.calls.pop()
            self.running.pop()
            self.frame = outer
        return value

    def make_instance(self, cls: Thing, arguments: Arguments) -> Value:
        """Follow the making of an instance of a class of the notebook."""
        ancestor = _known_ancestor(cls)
        for member in EMPTY.union(*(self.member(m, "__call__") for m in cls.meta)):
            if member.kind is Kind.FUNCTION:
                self.run_function(member, arguments, frozenset({cls}))
        # Where every attribute is set by code in the notebook, nothing is hidden inside.
        made = Thing(Kind.INSTANCE, bases=(cls,), dotted=ancestor or "", opaque=ancestor != "")
        self.hold([made], arguments.all)
        value = frozenset({made})
        found = False
        for name in ("__new__", "__init__", "__post_init__"):
            for member in self.member(cls, name):
                if member.kind is Kind.FUNCTION:
                    found = True
                    receiver = frozenset({cls}) if name == "__new__" else value
                    given = self.run_function(member, arguments, receiver)
                    if name == "__new__":
                        value |= frozenset(t for t in given if t.kind is not Kind.SCALAR)
        if not found and ancestor is None:
            self.unknown_call(EMPTY, arguments)
        return value

    def member(self, cls: Thing, name: str) -> Value:
        """What a class of the notebook has under a name, its ancestors' included."""
        if name in cls.members:
            return cls.members[name]
        for base in cls.bases:
            found = self.member(base, name)
            if found:
                return found
        return EMPTY

    def instance_member(self, thing: Thing, name: str) -> Value:
        """What an instance's class has under a name."""
        return EMPTY.union(*(self.member(base, name) for base in thing.bases))

    def run_member(self, thing: Thing, member: Thing, arguments: Arguments) -> Value:
        """Call a method found on an instance or class."""
        if member.kind is not Kind.FUNCTION:
            return self.unknown_call(frozenset({member, thing}), arguments)
        decorators = _decorators(member.node)
        if _STATIC in decorators:
            return self.run_function(member, arguments)
        if _CLASS in decorators:
            cls = frozenset(thing.bases) if thing.kind is Kind.INSTANCE else frozenset({thing})
            return self.run_function(member, arguments, cls)
        if thing.kind is Kind.CLASS:  # A.method(instance)
            return self.run_function(member, arguments)
        return self.run_function(member, arguments, frozenset({thing}))

    def special(self, value: Value, *names: str, arguments: Arguments | None = None) -> Value:
        """Follow what an operation calls on instances (``__getitem__``, a property ...)."""
        result: Value = EMPTY
        for thing in value:
            if thing.kind is not Kind.INSTANCE:
                continue
            for name in names:
                for member in self.instance_member(thing, name):
                    if member.kind is Kind.FUNCTION and member not in self.running:
                        result |= self.run_member(thing, member, arguments or Arguments())
        return result

    def property_of(self, thing: Thing, name: str) -> Value | None:
        """Follow a property of an instance; ``None`` where the attribute is none."""
        found = None
        for member in self.instance_member(thing, name):
            if member.kind is Kind.FUNCTION and _decorators(member.node) & {
                "property",
                "cached_property",
            }:
                found = (found or EMPTY) | self.run_function(
                    member, Arguments(), frozenset({thing})
                )
        return found

    def call_back(self, given: Value, receiver: Value = EMPTY) -> Value:
        """Let functions of the notebook that are handed to somebody be called with anything."""
        # One more look inside a container: lists and dictionaries of functions are common.
        self.step(len(given) // 4)
        functions = {t for t in given | elements(given) if t.kind in (Kind.FUNCTION, Kind.METHOD)}
        if not functions:
            return EMPTY
        rest = receiver | frozenset(t for t in given if t not in functions)
        rest = rest | elements(rest)
        result: Value = EMPTY
        for function in functions:
            if function in self.running or not self.first_call(function, rest):
                continue
            passed = Arguments(rest=rest, starred=True)
            if function.kind is Kind.METHOD:
                held = frozenset(t for t in function.holds if t.kind is not Kind.FUNCTION)
                result |= self.call_method(held, function.text or "", passed)
            else:
                result |= self.run_function(function, passed)
        self.consume(result)
        return result

    def unknown_call(
        self,
        callee: Value,
        arguments: Arguments,
        *,
        module: Thing | None = None,
        follow: bool = True,
    ) -> Value:
        """A call of what nobody knows: all it can reach may change, and know of each other."""
        touched = callee | arguments.all
        if follow:
            functions = frozenset(
                t for t in self.reach(touched) if t.kind in (Kind.FUNCTION, Kind.METHOD)
            )
            self.call_back(functions | arguments.all, callee)
        self.consume(touched, deep=True)
        self.mutate(touched, deep=True)
        loose = [t for t in touched if not t.fixed]
        for thing in loose:
            thing.opaque = True
            self.hold([thing], touched)
        if module is not None:
            self.mutate([module])
        for generator in GENERATOR_STATES:
            if generator in self.session.seeded:
                self.draw(generator, "")
        self.facts.files_read.add(ANY)
        for value in arguments:
            self.file_written(
                t.text for t in value if t.text is not None and _looks_like_path(t.text)
            )
        made = Thing(Kind.UNKNOWN)
        self.hold([made], touched)
        return frozenset({made})


def _bind(
    node: FunctionNode, thing: Thing, arguments: Arguments, receiver: Value | None
) -> dict[str, Value]:
    a = node.args
    names = [p.arg for p in (*a.posonlyargs, *a.args)]
    given = list(arguments.positional)
    if receiver is not None:
        given.insert(0, receiver)
    bound: dict[str, Value] = {}
    for name, value in zip(names, given, strict=False):
        bound[name] = value
    extra = EMPTY.union(*given[len(names) :]) if len(given) > len(names) else EMPTY
    known = {*names, *(p.arg for p in a.kwonlyargs)}
    spread = EMPTY
    for keyword, value in arguments.keywords.items():
        if keyword in known:
            bound[keyword] = value
        else:
            spread |= value
    for name in known:
        if name not in bound or arguments.starred:
            default = thing.members.get(name, EMPTY) if name not in bound else bound[name]
            bound[name] = default | arguments.rest
    if a.vararg is not None:
        bound[a.vararg.arg] = _pack(extra | arguments.rest)
    if a.kwarg is not None:
        bound[a.kwarg.arg] = _pack(spread | arguments.rest)
    return bound


def _pack(value: Value) -> Value:
    return frozenset({Thing(Kind.CONTAINER, holds=set(value), opaque=False)})


def _mentioned(node: FunctionNode) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def is_lazy(node: FunctionNode) -> bool:
    """Whether calling it runs nothing yet: a generator or a coroutine."""
    if isinstance(node, ast.AsyncFunctionDef):
        return True
    stack: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    while stack:
        inner = stack.pop()
        if isinstance(inner, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(inner))
    return False


def _decorators(node: ast.AST | None) -> set[str]:
    found = set()
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(decorator, ast.Name):
            found.add(decorator.id)
        elif isinstance(decorator, ast.Attribute):
            found.add(decorator.attr)
    return found


def _known_ancestor(cls: Thing) -> str | None:
    """Import path of the nearest ancestor of a known package; ``""`` where there is only object."""
    nearest = ""
    for base in cls.bases:
        if base.kind is Kind.CLASS:
            found = _known_ancestor(base)
        elif base.kind is Kind.IMPORTED and ("." not in base.dotted or base.package in TAME):
            found = base.dotted if "." in base.dotted else ""
        else:
            found = None
        if found is None:
            return None
        nearest = nearest or found
    return nearest


def _looks_like_path(text: str) -> bool:
    return len(text) < 260 and "\n" not in text and ("/" in text or "." in text.strip("."))
