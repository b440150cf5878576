"""Expressions: what they may be, and what working them out does."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .arguments import Arguments
from .calls import Calls
from .heap import EMPTY, Frame, Kind, Thing, Value, elements, kinds, scalar, text_of
from .known_functions import TAME
from .methods import CALM
from .paths import ANY, join
from .scopes import target_names

__all__ = ["Evaluator"]

_TABLES = frozenset({Kind.FRAME, Kind.ARRAY})
_COPIED_BY = (ast.List, ast.ListComp, ast.Compare)


class Evaluator(Calls):
    """Work through expressions."""

    def evaluate(self, node: ast.expr | None, *, unused: bool = False) -> Value:
        """Work through an expression; ``unused`` when its value is thrown away."""
        if node is None:
            return EMPTY
        self.step()
        match node:
            case ast.Constant():
                return scalar(node.value if isinstance(node.value, str) else None)
            case ast.Name():
                return self.lookup(node.id)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.Call():
                return self._call(node, unused=unused)
            case ast.List() | ast.Tuple() | ast.Set():
                return self._display(node.elts)
            case ast.Dict():
                return self._display([*(k for k in node.keys if k is not None), *node.values])
            case ast.Starred():
                return elements(self.evaluate(node.value))
            case ast.BinOp():
                return self._binary(self.evaluate(node.left), self.evaluate(node.right), node.op)
            case ast.UnaryOp():
                value = self.evaluate(node.operand)
                return self._computed(value) if kinds(value) & _TABLES else scalar()
            case ast.BoolOp():
                return self._either(node.values)
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                self.evaluate(node.test)
                return self._either_of(node.body, node.orelse)
            case ast.NamedExpr():
                value = self.evaluate(node.value)
                self._walrus(node.target.id, value)
                return value
            case ast.JoinedStr():
                return self._joined_text(node)
            case ast.Lambda():
                return frozenset({self.make_function(node)})
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._comprehension(node, [node.elt])
            case ast.DictComp():
                return self._comprehension(node, [node.key, node.value])
            case ast.Await():
                return self.evaluate(node.value, unused=unused)
            case ast.Yield() | ast.YieldFrom():
                value = self.evaluate(node.value)
                self.returned.append(value)
                return EMPTY
            case _:
                return EMPTY.union(
                    *(
                        self.evaluate(child)
                        for child in ast.iter_child_nodes(node)
                        if isinstance(child, ast.expr)
                    )
                )

    # Attributes and elements.

    def _attribute(self, node: ast.Attribute) -> Value:
        value = self.evaluate(node.value)
        return self.attribute_of(value, node.attr)

    def attribute_of(self, value: Value, name: str) -> Value:
        """What ``value.name`` may be; properties of the notebook's classes are followed."""
        result: Value = EMPTY
        self.step(len(value) // 2)
        for thing in value:
            if thing.kind in (Kind.MODULE, Kind.IMPORTED):
                result |= {self.session.module(f"{thing.dotted}.{name}")}
                if thing.package not in TAME:
                    result |= frozenset(t for t in thing.holds if not t.fixed)
            elif thing.kind is Kind.CLASS:
                result |= self.member(thing, name) or elements({thing})
            elif thing.kind is Kind.INSTANCE:
                result |= self._instance_attribute(thing, name)
            elif thing.kind is Kind.PATH:
                result |= {Thing(Kind.PATH, text=ANY)}
            elif thing.kind is Kind.SCALAR:
                result |= scalar()
            elif thing.kind in _TABLES:
                result |= _view(thing)
            else:
                result |= elements({thing})
        return result

    def _instance_attribute(self, thing: Thing, name: str) -> Value:
        if name == "__class__":
            return frozenset(thing.bases)
        found = self.property_of(thing, name)
        if found is not None:
            return found
        for hook in ("__getattribute__", "__getattr__"):
            self.special(frozenset({thing}), hook)
        return self.instance_member(thing, name) | elements({thing})

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.evaluate(node.value)
        index = self.evaluate_index(node.slice)
        self.special(value, "__getitem__")
        if any(t.dotted.startswith("os.environ") for t in value):
            self.depend("$environment")
            return scalar(ANY)
        tables = frozenset(t for t in value if t.kind in _TABLES)
        parts = elements(value - tables)
        if isinstance(node.slice, ast.Slice):  # Part of a list is a list.
            parts |= frozenset(
                Thing(Kind.CONTAINER, set(t.holds), t.opaque)
                for t in value
                if t.kind is Kind.CONTAINER
            )
        if tables and self._copies(node.slice, index):
            return parts | self._computed(tables)
        return parts.union(*(_view(table) for table in tables))

    def evaluate_index(self, node: ast.expr) -> Value:
        """Work through an index or slice."""
        if isinstance(node, ast.Slice):
            for part in (node.lower, node.upper, node.step):
                self.evaluate(part)
            return EMPTY
        if isinstance(node, ast.Tuple):
            return EMPTY.union(*(self.evaluate_index(part) for part in node.elts))
        return self.evaluate(node)

    @staticmethod
    def _copies(node: ast.expr, index: Value) -> bool:
        """Whether indexing a table so makes a copy: by a list, a mask, or another table."""
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        if any(isinstance(part, _COPIED_BY) for part in parts):
            return True
        if any(isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Invert) for part in parts):
            return True
        return bool(kinds(index) & (_TABLES | {Kind.CONTAINER}))

    def _display(self, parts: Sequence[ast.expr]) -> Value:
        held: Value = EMPTY
        for part in parts:
            held |= self.evaluate(part)
        made = Thing(Kind.CONTAINER, opaque=False)
        self.hold([made], held)
        return frozenset({made})

    # Operators.

    def _binary(self, left: Value, right: Value, operator: ast.operator) -> Value:
        both = left | right
        found = kinds(both)
        if Kind.PATH in found and isinstance(operator, ast.Div):
            parts = [text_of(left) or ANY, text_of(right) or ANY]
            return frozenset({Thing(Kind.PATH, text=join(*parts))})
        if found & _TABLES:
            return self._computed(both)
        if found <= {Kind.SCALAR}:
            if any(t.text is not None for t in both):
                if isinstance(operator, ast.Add):
                    return scalar((text_of(left) or ANY) + (text_of(right) or ANY))
                return scalar(ANY)
            return scalar()
        self.special(both, "__add__", "__sub__", "__mul__", "__truediv__", "__or__", "__and__")
        made = Thing(Kind.CONTAINER if found <= {Kind.CONTAINER} else Kind.DATA, opaque=False)
        self.hold([made], elements(both))
        made.opaque = Kind.CONTAINER not in found or len(found) > 1
        return frozenset({made})

    @staticmethod
    def _computed(value: Value) -> Value:
        kind = Kind.FRAME if Kind.FRAME in kinds(value) else Kind.ARRAY
        return frozenset({Thing(kind)})

    def _compare(self, node: ast.Compare) -> Value:
        values = [self.evaluate(part) for part in (node.left, *node.comparators)]
        both = EMPTY.union(*values)
        if any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
            self.mutate(t for t in both if t.kind is Kind.ITERATOR)
            self.special(both, "__contains__")
        return self._computed(both) if kinds(both) & _TABLES else scalar()

    def _either(self, parts: Sequence[ast.expr]) -> Value:
        value = self.evaluate(parts[0])
        for part in parts[1:]:
            before = self.save()
            value |= self.evaluate(part)
            self.join([before, self.save()])
        return value

    def _either_of(self, *parts: ast.expr) -> Value:
        values: list[Value] = []

        def one(part: ast.expr) -> bool:
            values.append(self.evaluate(part))
            return True

        self.alternatives([lambda p=part: one(p) for part in parts])  # type: ignore[misc]
        return EMPTY.union(*values)

    def _joined_text(self, node: ast.JoinedStr) -> Value:
        text = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                value = self.evaluate(part.value)
                self.evaluate(part.format_spec)
                known = text_of(value) if part.format_spec is None else None
                text += ANY if known is None else known
        return scalar(text)

    def _walrus(self, name: str, value: Value) -> None:
        inner = self.frame
        while self.frame is not None and self.frame.comprehension:
            self.frame = self.frame.parent
        try:
            self.store(name, value)
        finally:
            self.frame = inner

    # Comprehensions and calls.

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        results: Sequence[ast.expr],
    ) -> Value:
        first = self.evaluate(node.generators[0].iter)
        own = frozenset().union(*(target_names(g.target) for g in node.generators))
        self.frame = Frame(own, self.frame, comprehension=True)
        held: Value = EMPTY
        try:
            for number, generator in enumerate(node.generators):
                source = first if number == 0 else self.evaluate(generator.iter)
                self.assign(generator.target, self.iterate(source))
            before = self.save()
            for generator in node.generators:
                for condition in generator.ifs:
                    self.evaluate(condition)
            for result in results:
                held |= self.evaluate(result)
            self.join([before, self.save()])  # It may have had nothing to go over.
        finally:
            self.frame = self.frame.parent if self.frame is not None else None
        lazy = isinstance(node, ast.GeneratorExp)
        made = Thing(Kind.ITERATOR if lazy else Kind.CONTAINER, opaque=False)
        self.hold([made], held)
        if lazy:
            self.hold([made], first)
        return frozenset({made})

    def iterate(self, value: Value) -> Value:
        """What going over the value gives; iterators and strangers are used up by it."""
        self.mutate(t for t in value if t.kind in (Kind.ITERATOR, Kind.HANDLE, Kind.UNKNOWN))
        given = self.special(value, "__iter__", "__next__", "__getitem__")
        return elements(value) | given | elements(given)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a target; overridden where statements are known."""
        raise NotImplementedError

    def _call(self, node: ast.Call, *, unused: bool) -> Value:
        function = node.func
        if isinstance(function, ast.Attribute):
            receiver = self.evaluate(function.value)
            arguments = self._arguments(node)
            if not receiver and function.attr not in CALM:
                self.suspect(function.value)
            return self.call_method(
                receiver,
                function.attr,
                arguments,
                accessors=_accessors(function.value),
                unused=unused,
            )
        callee = self.evaluate(function)
        return self.call_value(callee, self._arguments(node), unused=unused)

    def suspect(self, node: ast.expr) -> None:
        """Something is changed that should not be changeable: judge it by its name."""
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
            node = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Name) and node.id not in self.defined:
            self.facts.mutated.add(node.id)

    def _arguments(self, node: ast.Call) -> Arguments:
        arguments = Arguments()
        for part in node.args:
            if isinstance(part, ast.Starred):
                value = self.evaluate(part.value)
                arguments.rest |= value | elements(value)
                arguments.starred = True
            else:
                arguments.positional.append(self.evaluate(part))
                arguments.nodes.append(part)
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is None:
                arguments.rest |= value | elements(value)
                arguments.starred = True
            else:
                arguments.keywords[keyword.arg] = value
                arguments.keyword_nodes[keyword.arg] = keyword.value
        return arguments


def _view(table: Thing) -> Value:
    """A column, row or slice, which may share the table's data."""
    return frozenset({Thing(table.kind, holds={table}, view=True)})


def _accessors(node: ast.expr) -> frozenset[str]:
    """Attributes directly before a method: ``{"plot"}`` in ``df.plot.bar``."""
    return frozenset({node.attr}) if isinstance(node, ast.Attribute) else frozenset()
