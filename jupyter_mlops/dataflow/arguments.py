"""The arguments of one call, evaluated."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from .heap import EMPTY, Value

__all__ = ["MISSING", "Arguments"]

MISSING = object()


@dataclass
class Arguments:
    """Positional and keyword values; ``rest`` is what ``*`` and ``**`` may bring."""

    positional: list[Value] = field(default_factory=list)
    keywords: dict[str, Value] = field(default_factory=dict)
    rest: Value = EMPTY
    starred: bool = False
    nodes: list[ast.expr] = field(default_factory=list)
    keyword_nodes: dict[str, ast.expr] = field(default_factory=dict)

    @property
    def all(self) -> Value:
        """Everything that is passed."""
        return EMPTY.union(self.rest, *self.positional, *self.keywords.values())

    def __iter__(self) -> Iterator[Value]:
        yield from self.positional
        yield from self.keywords.values()
        if self.rest:
            yield self.rest

    def get(self, position: int, *names: str) -> Value | None:
        """The argument at a position or of one of these names."""
        for name in names:
            if name in self.keywords:
                return self.keywords[name]
        if 0 <= position < len(self.positional):
            return self.positional[position]
        return None

    def literal(self, name: str, position: int = -1) -> object:
        """The literal that a keyword (or position) is given, ``MISSING`` where it is not given.

        An argument that is not a literal is returned as its node.
        """
        node = self.keyword_nodes.get(name)
        if node is None and 0 <= position < len(self.nodes):
            node = self.nodes[position]
        if node is None:
            return MISSING
        return node.value if isinstance(node, ast.Constant) else node

    def given(self, *names: str) -> bool:
        """Whether one of these keywords is passed something other than ``None``."""
        return any(self.literal(name) not in (MISSING, None) for name in names)
