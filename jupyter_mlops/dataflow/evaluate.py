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
from .protocols import AUGMENTED, BINARY, COMPARED, SHOWN, TRUTH, UNARY
from .scopes import late_loads, target_names

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
                return self.iterate(self.evaluate(node.value))
            case ast.BinOp():
                return self._binary(self.evaluate(node.left), self.evaluate(node.right), node.op)
            case ast.UnaryOp():
                value = self.evaluate(node.operand)
                self.implicit(value, UNARY[type(node.op)])
                return self._computed(value) if kinds(value) & _TABLES else scalar()
            case ast.BoolOp():
                return self._either(node.values)
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                self.test(node.test)
                return self._either_of(node.body, node.orelse)
            case ast.NamedExpr():
                value = self.evaluate(node.value)
                self._walrus(node.target.id, value)
                return value
            case ast.JoinedStr():
                return self._joined_text(node)
            case ast.Lambda():
                return frozenset({self.make_function(node)})
            case ast.GeneratorExp():
                return self._lazily(node)
            case ast.ListComp() | ast.SetComp():
                return self.comprehension(node, [node.elt])
            case ast.DictComp():
                return self.comprehension(node, [node.key, node.value])
            case ast.Await():
                return self._awaited(self.evaluate(node.value))
            case ast.Yield():
                self.returned.append(self.evaluate(node.value))
                return frozenset({Thing(Kind.UNKNOWN)})  # What was sent in.
            case ast.YieldFrom():
                value = self.iterate(self.evaluate(node.value))
                self.returned.append(value)
                return value
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
                if name == "rcParams":
                    self.depend("$style")
                if thing.package not in TAME:
                    result |= frozenset(t for t in thing.holds if not t.fixed)
            elif name == "__dict__":
                result |= {thing}
            elif thing.kind is Kind.CLASS:
                result |= self._class_attribute(thing, name)
            elif thing.kind is Kind.INSTANCE:
                result |= self._instance_attribute(thing, name)
            elif thing.kind is Kind.PATH:
                result |= {Thing(Kind.PATH, text=ANY)}
            elif thing.kind is Kind.SCALAR:
                result |= scalar()
            elif thing.kind in _TABLES:
                result |= _view(thing)
            elif thing.kind in (Kind.CONTAINER, Kind.ITERATOR):
                result |= {Thing(Kind.METHOD, {thing}, opaque=False, text=name)}
            else:
                result |= elements({thing})
        return result

    def _class_attribute(self, thing: Thing, name: str) -> Value:
        found = self.member(thing, name)
        found = found or EMPTY.union(*(self.member(meta, name) for meta in thing.meta))
        result = self._described(found, "__get__") | (found or elements({thing}))
        if any(f.kind is Kind.FUNCTION and is_bound_to_class(f.node) for f in found):
            result |= {Thing(Kind.METHOD, {thing}, opaque=False, text=name)}
        return result

    def _described(self, members: Value, name: str) -> Value:
        """What descriptors among a class's attributes do."""
        return self.special(members, name)

    def _instance_attribute(self, thing: Thing, name: str) -> Value:
        if name == "__class__":
            return frozenset(thing.bases)
        found = self.property_of(thing, name)
        if found is not None:
            return found
        given = self.special(frozenset({thing}), "__getattribute__", "__getattr__")
        members = self.instance_member(thing, name)
        given |= self._described(members, "__get__")
        functions = frozenset(t for t in members if t.kind is Kind.FUNCTION)
        if functions:
            given |= {Thing(Kind.METHOD, {thing}, opaque=False, text=name)}
        return (members - functions) | given | elements({thing})

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.evaluate(node.value)
        index = self.evaluate_index(node.slice)
        given = self.special(value, "__getitem__", "__missing__", arguments=Arguments([index]))
        self.implicit(index, ("__hash__", "__eq__"))
        created = frozenset(t for t in value if t.dotted == "collections.defaultdict")
        if created:  # Looking up what is not there makes it.
            self.mutate(created)
            made = self.call_back(elements(created))
            self.hold(created, made)
            given |= made
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
            return parts | given | self._computed(tables)
        return parts.union(given, *(_view(table) for table in tables))

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
        self.implicit(held, ("__hash__", "__eq__"))
        made = Thing(Kind.CONTAINER, opaque=False)
        self.hold([made], held)
        return frozenset({made})

    # Operators.

    def test(self, node: ast.expr | None) -> Value:
        """Work through an expression whose truth is asked for."""
        value = self.evaluate(node)
        self.implicit(value, TRUTH)
        return value

    def _awaited(self, value: Value) -> Value:
        """What waiting for a coroutine or task gives."""
        given = self.consume(value, deep=True)
        self.mutate(t for t in value if t.kind is Kind.UNKNOWN)
        own = self.special(value, "__await__")
        given |= self.consume(own) | own
        rest = frozenset(t for t in value if t.kind is not Kind.ITERATOR)
        return given | rest | elements(value)

    def _lazily(self, node: ast.GeneratorExp) -> Value:
        """A generator expression: only its first source is worked out here."""
        first = self.evaluate(node.generators[0].iter)
        frame = self.frame
        while frame is not None and frame.class_body:
            frame = frame.parent
        late, outer = late_loads(node), frame
        while outer is not None:
            late, outer = late - outer.own, outer.parent
        made = Thing(Kind.ITERATOR, late=late, opaque=False)
        self.hold([made], first)
        mentioned = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        around = frame
        while around is not None:  # What it closes over.
            for name in mentioned & around.names.keys():
                self.hold([made], around.names[name])
            around = around.parent

        def resume(machine: Evaluator) -> Value:
            here, machine.frame = machine.frame, frame
            try:
                return elements(machine.comprehension(node, [node.elt], first))
            finally:
                machine.frame = here

        made.resume = resume
        return frozenset({made})

    def _binary(self, left: Value, right: Value, operator: ast.operator) -> Value:
        names = BINARY[type(operator)]
        own = self.special(left, names[0], AUGMENTED[type(operator)], arguments=Arguments([right]))
        own |= self.special(right, names[1], arguments=Arguments([left]))
        if isinstance(operator, ast.Mod) and Kind.SCALAR in kinds(left):
            self.implicit(right, SHOWN)
        return own | self._combined(left, right, operator)

    def _combined(self, left: Value, right: Value, operator: ast.operator) -> Value:
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
            self.consume(t for t in both if t.kind is Kind.ITERATOR)
        for operator in node.ops:
            self.implicit(both, COMPARED.get(type(operator), ()))
        return self._computed(both) if kinds(both) & _TABLES else scalar()

    def _either(self, parts: Sequence[ast.expr]) -> Value:
        value = self.test(parts[0])
        for part in parts[1:]:
            before = self.save()
            value |= self.test(part)
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
                self.implicit(value, SHOWN)
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

    def comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        results: Sequence[ast.expr],
        first: Value | None = None,
    ) -> Value:
        """Go through a comprehension; ``first`` is its first source where that is known."""
        first = self.evaluate(node.generators[0].iter) if first is None else first
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
                    self.test(condition)
            for result in results:
                held |= self.evaluate(result)
            self.join([before, self.save()])  # It may have had nothing to go over.
        finally:
            self.frame = self.frame.parent if self.frame is not None else None
        made = Thing(Kind.CONTAINER, opaque=False)
        self.hold([made], held)
        return frozenset({made})

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
                arguments.rest |= self.iterate(value)
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


def is_bound_to_class(node: ast.AST | None) -> bool:
    """Whether a function of a class is a class method."""
    return any(
        isinstance(d, ast.Name) and d.id == "classmethod"
        for d in getattr(node, "decorator_list", ())
    )


def _accessors(node: ast.expr) -> frozenset[str]:
    """Attributes directly before a method: ``{"plot"}`` in ``df.plot.bar``."""
    return frozenset({node.attr}) if isinstance(node, ast.Attribute) else frozenset()
