"""Statements: what they bind, delete and change, and in which branches."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from .arguments import Arguments
from .definitions import Definitions, dotted_of
from .heap import EMPTY, Frame, Kind, Thing, Value, elements, kinds, scalar, text_of
from .known_functions import TAME, state_of
from .known_methods import words
from .machine import State
from .magics import Magics
from .paths import ANY
from .scopes import bound_names, late_loads
from .source import parse, to_python

__all__ = ["Executor"]

_SWALLOWING = words("contextlib.suppress contextlib.ExitStack contextlib.AsyncExitStack")
# Unpacking these goes on with them.
_GONE_OVER = frozenset({Kind.ITERATOR, Kind.HANDLE, Kind.UNKNOWN, Kind.INSTANCE})
# An operator with ``=`` on an attribute or element never changes these for somebody else.
_KEPT_APART = frozenset({Kind.SCALAR, Kind.FRAME, Kind.ARRAY, Kind.METHOD})
_CALM_MANAGERS = frozenset({Kind.HANDLE, Kind.FRAME, Kind.PLOT, Kind.ESTIMATOR})


class Executor(Magics, Definitions):
    """Work through statements."""

    def run_block(self, body: Sequence[ast.stmt]) -> bool:
        """Work through statements; return whether the end may be reached."""
        return all(self._statement(node) for node in body)

    def _statement(self, node: ast.stmt) -> bool:
        self.step()
        match node:
            case ast.Expr():
                self.evaluate(node.value, unused=True)
            case ast.Assign():
                self._assign(node)
            case ast.AnnAssign():
                if self.frame is None:
                    self.evaluate(node.annotation)
                if node.value is not None:
                    self.assign(node.target, self.evaluate(node.value))
            case ast.AugAssign():
                self._augmented(node)
            case ast.Delete():
                for target in node.targets:
                    self._delete(target)
            case ast.Import() | ast.ImportFrom():
                self.define_import(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.define_function(node)
            case ast.ClassDef():
                self.define_class(node)
            case ast.Return():
                self.returned.append(self.evaluate(node.value))
                return self._leave(self.calls)
            case ast.Raise():
                self.evaluate(node.exc)
                self.evaluate(node.cause)
                return False
            case ast.Break() | ast.Continue():
                return self._leave(self.loops)
            case ast.If():
                self.test(node.test)
                return self.alternatives(
                    [lambda: self.run_block(node.body), lambda: self.run_block(node.orelse)]
                )
            case ast.For() | ast.AsyncFor():
                self._for(node)
            case ast.While():
                self._while(node)
            case ast.With() | ast.AsyncWith():
                return self._with(node)
            case ast.Try() | ast.TryStar():
                return self._try(node)
            case ast.Match():
                return self._match(node)
            case ast.Assert():
                self.test(node.test)
                self.evaluate(node.msg)
            case ast.Global() | ast.Nonlocal() | ast.Pass():
                pass
            case _:
                self._other(node)
        return True

    def _leave(self, exits: list[list[State]]) -> bool:
        if exits:
            exits[-1].append(self.save())
        return False

    def _other(self, node: ast.stmt) -> None:
        """A statement of a later Python: ``type X = ...`` binds a name, others only compute."""
        name = getattr(node, "name", None)
        if isinstance(name, ast.Name):
            self.store(name.id, frozenset({Thing(Kind.DATA, late=late_loads(node))}))
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child)

    def run_isolated(self, body: Sequence[ast.stmt]) -> None:
        """Work through code whose names do not outlive it (``%%timeit``)."""
        bound, declared, _ = bound_names(body)
        self.frame = Frame(frozenset(bound), module_names=frozenset(declared))
        self.run_block(body)
        self.frame = None

    # Binding.

    def _assign(self, node: ast.Assign) -> None:
        if (
            len(node.targets) == 1
            and isinstance(node.targets[0], (ast.Tuple, ast.List))
            and isinstance(node.value, (ast.Tuple, ast.List))
            and len(node.targets[0].elts) == len(node.value.elts)
            and not any(
                isinstance(e, ast.Starred) for e in (*node.targets[0].elts, *node.value.elts)
            )
        ):
            values = [self.evaluate(part) for part in node.value.elts]
            for target, value in zip(node.targets[0].elts, values, strict=True):
                self.assign(target, value)
            return
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target, value)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a name, an attribute, an element, or each part of a tuple."""
        match target:
            case ast.Name():
                self.store(target.id, value)
            case ast.Tuple() | ast.List():
                given = self.iterate(value) if kinds(value) & _GONE_OVER else EMPTY
                for part in target.elts:
                    self.assign(part, self._part(value) | given)
            case ast.Starred():
                held = Thing(Kind.CONTAINER, holds=set(value), opaque=False)
                self.assign(target.value, frozenset({held}))
            case ast.Attribute():
                self._store_attribute(target, value)
            case ast.Subscript():
                self._store_element(target, value)

    @staticmethod
    def _part(value: Value) -> Value:
        """One part of an unpacked value; the parts of a library's fresh result are their own."""
        result: set[Thing] = set()
        for thing in value:
            if thing.bundle:
                result.add(Thing(thing.kind))
            else:
                result |= elements({thing})
                if thing.kind is not Kind.CONTAINER:
                    result.add(thing)
        return frozenset(result)

    def _store_attribute(self, target: ast.Attribute, value: Value) -> None:
        base = self.evaluate(target.value)
        dotted = dotted_of(base)
        if not base:
            self.suspect(target.value)
        columns = kinds(base) == {Kind.FRAME} and not any(t.view for t in base)
        self.set_attribute(
            base, value, f"{dotted}.{target.attr}" if dotted else "", columns=columns
        )
        self.name_attribute(base, target.attr, value)

    def name_attribute(self, target: Value, name: str, value: Value) -> None:
        """Remember which attribute is stored, and let what hears of it run."""
        for thing in target:
            if thing.kind is Kind.INSTANCE:
                self.property_of(thing, name)
                one = frozenset({thing})
                self.special(one, "__setattr__", "__delattr__", arguments=_named(name, value))
                for member in self.instance_member(thing, name):
                    passed = Arguments([one, value])
                    self.special(frozenset({member}), "__set__", "__delete__", arguments=passed)
            elif thing.kind is Kind.CLASS:
                thing.members = thing.members | {name: thing.members.get(name, EMPTY) | value}
                for meta in thing.meta:
                    for member in self.member(meta, "__setattr__"):
                        if member.kind is Kind.FUNCTION:
                            self.run_function(member, _named(name, value), frozenset({thing}))

    def _store_element(self, target: ast.Subscript, value: Value) -> None:
        if self._namespace_store(target, value):
            return
        base = self.evaluate(target.value)
        index = self.evaluate_index(target.slice)
        if not base:
            self.suspect(target.value)
        self.special(base, "__setitem__", "__delitem__", arguments=Arguments([index, value]))
        self.implicit(index, ("__hash__", "__eq__"))
        if dotted_of(base) == "sys.modules" and (name := text_of(index)) is not None:
            self.session.module(name, Kind.MODULE).holds |= value  # Importing it gives this.
        whole = not any(t.view for t in base) and not isinstance(target.slice, ast.Slice)
        columns = (
            kinds(base) == {Kind.FRAME}
            and whole
            and (kinds(index) <= {Kind.SCALAR} or isinstance(target.slice, ast.List))
        )
        self.set_attribute(base, value, dotted_of(base), columns=columns)
        if kinds(base) == {Kind.FRAME} and not columns:
            # Writing into a table in place also writes what it was made from.
            self.mutate(base, deep=True)

    def _namespace_store(self, target: ast.Subscript, value: Value) -> bool:
        """``globals()["name"] = value`` binds a name."""
        call = target.value
        if not (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and (call.func.id == "globals" or (call.func.id == "locals" and self.frame is None))
            and isinstance(target.slice, ast.Constant)
            and isinstance(target.slice.value, str)
        ):
            return False
        inner, self.frame = self.frame, None
        self.store(target.slice.value, value)
        self.frame = inner
        return True

    def set_attribute(
        self, target: Value, value: Value, dotted: str, *, columns: bool = False
    ) -> None:
        """Store into objects; through a module this changes process-wide state."""
        self.mutate(target, columns=columns)
        self.hold(target, value)
        if not dotted:
            return
        known, pseudo = state_of(dotted)
        package = dotted.partition(".")[0]
        if known:
            if pseudo is not None:
                self.affect(pseudo)
        elif package in ("sys", "os", "builtins"):
            self.affect("$process")
        elif package in TAME:
            plotting = package in ("matplotlib", "seaborn", "plotly", "altair")
            self.affect("$style" if plotting else f"$options:{package}")

    def _augmented(self, node: ast.AugAssign) -> None:
        value = self.evaluate(node.value)
        if isinstance(node.target, ast.Name):
            before = self.lookup(node.target.id)
            self.mutate(before)
            self.hold((t for t in before if t.kind is not Kind.SCALAR), elements(value))
            result = self._binary(before, value, node.op)
            changed = frozenset(t for t in before if t.kind is not Kind.SCALAR)
            self.store(node.target.id, changed | result if changed else result)
            return
        held = self.evaluate(node.target)
        changed = frozenset(t for t in held if t.kind not in _KEPT_APART)
        self.mutate(changed)
        self.hold(changed, elements(value))
        self.assign(node.target, changed | self._binary(held, value, node.op))

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name():
                self.delete(target.id)
            case ast.Tuple() | ast.List():
                for part in target.elts:
                    self._delete(part)
            case ast.Attribute():
                self._store_attribute(target, EMPTY)
            case ast.Subscript():
                self._store_element(target, EMPTY)

    # Branches.

    def _loop(
        self, head: Callable[[], None], body: Sequence[ast.stmt], orelse: list[ast.stmt]
    ) -> None:
        """Any number of rounds: names bound inside are bound afterwards only perhaps."""
        start = self.save()
        ends = [start]
        for _ in range(2):  # The second round sees what the first left behind.
            self.loops.append([])
            head()
            if self.run_block(body):
                ends.append(self.save())
            ends.extend(self.loops.pop())
            self.join(ends)
        self.run_block(orelse)
        ends.append(self.save())
        self.join(ends)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        source = self.evaluate(node.iter)

        def head() -> None:
            self.assign(node.target, self.iterate(source))

        self._loop(head, node.body, node.orelse)

    def _while(self, node: ast.While) -> None:
        def head() -> None:
            self.test(node.test)

        head()
        self._loop(head, node.body, node.orelse)

    def _with(self, node: ast.With | ast.AsyncWith) -> bool:
        swallows = scoped = False
        managers = EMPTY
        warned = "$warnings" in self.facts.mutated
        for item in node.items:
            value = self.evaluate(item.context_expr)
            dotted = _called(item.context_expr, self)
            # A manager nobody knows may swallow what its body raises, halfway through.
            swallows |= dotted in _SWALLOWING or not (
                dotted == "open"
                or (dotted and dotted.partition(".")[0] in TAME)
                or (value and kinds(value) <= _CALM_MANAGERS)
            )
            scoped |= dotted == "warnings.catch_warnings"
            entered = self.special(value, "__enter__", "__aenter__") | self.consume(value)
            managers |= value
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered or value)
        before = self.save()
        alive = self.run_block(node.body)
        self.consume(managers)
        self.special(managers, "__exit__", "__aexit__")
        if kinds(managers) & {Kind.UNKNOWN, Kind.DATA}:
            self.call_back(elements(managers))
        if swallows:
            self.join([before, self.save()] if alive else [before])
            alive = True
        if scoped and not warned:
            self.facts.mutated.discard("$warnings")
            self.facts.effects.discard("$warnings")
        return alive

    def _try(self, node: ast.Try | ast.TryStar) -> bool:
        # A handler may begin after any statement of the body.
        points = [self.save()]
        alive = True
        for statement in node.body:
            alive = alive and self._statement(statement)
            points.append(self.save())
        if alive:
            alive = self.run_block(node.orelse)
        after = self.save()
        ends = [after] if alive else []
        for handler in node.handlers:
            self.join(points)
            self.evaluate(handler.type)
            if handler.name:
                self.store(handler.name, frozenset({Thing(Kind.DATA)}))
            if self.run_block(handler.body):
                if handler.name:
                    self.forget(handler.name)
                ends.append(self.save())
        self.join(ends or [after])
        return self.run_block(node.finalbody) and bool(ends)

    def _match(self, node: ast.Match) -> bool:
        subject = self.evaluate(node.subject)
        inside = subject | elements(subject)
        branches: list[Callable[[], bool]] = []

        def one(case: ast.match_case) -> bool:
            self._pattern(case.pattern, inside)
            self.test(case.guard)
            return self.run_block(case.body)

        branches = [lambda c=case: one(c) for case in node.cases]  # type: ignore[misc]
        last = node.cases[-1]
        complete = last.guard is None and isinstance(last.pattern, ast.MatchAs)
        if not (complete and last.pattern.pattern is None):  # type: ignore[attr-defined]
            branches.append(lambda: True)
        return self.alternatives(branches)

    def _pattern(self, pattern: ast.pattern, subject: Value) -> None:
        for part in ast.walk(pattern):
            if isinstance(part, (ast.MatchAs, ast.MatchStar)) and part.name:
                self.store(part.name, subject)
            elif isinstance(part, ast.MatchMapping) and part.rest:
                self.store(part.rest, subject)
            elif isinstance(part, ast.MatchValue):
                self.evaluate(part.value)
            elif isinstance(part, ast.MatchClass):
                self.evaluate(part.cls)

    # Code in strings.

    def run_dynamic(self, name: str, arguments: Arguments) -> Value:
        """``exec`` and ``eval`` of a literal are followed; anything else may do anything."""
        if name == "get_ipython":
            return frozenset({Thing(Kind.UNKNOWN, dotted="IPython.shell")})
        text = text_of(arguments.positional[0]) if arguments.positional else None
        if name in ("exec", "eval") and text is not None and ANY not in text:
            tree = parse(text.strip() if name == "eval" else text)
            if tree is not None and len(arguments.positional) == 1 and not arguments.keywords:
                self.run_block(tree.body)
                return frozenset({Thing(Kind.UNKNOWN)}) if name == "eval" else EMPTY
        if name == "__import__" and text is not None and ANY not in text:
            self.imported(text)
            return frozenset({self.session.module(text.partition(".")[0], Kind.MODULE)})
        if name == "compile" or name == "__import__":
            return frozenset({Thing(Kind.UNKNOWN)})
        if len(arguments.positional) > 1:  # In a namespace of its own.
            return self.unknown_call(EMPTY, arguments)
        return self.anything()

    def run_text(self, text: str) -> None:
        """Work through a line of Python (``%time`` and its kin)."""
        tree = parse(to_python(text).text)
        if tree is None:
            self.anything()
        else:
            self.run_block(tree.body)


def _named(name: str, value: Value) -> Arguments:
    return Arguments([scalar(name), value])


def _called(node: ast.expr, executor: Executor) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return dotted_of(executor.evaluate(node.func))
