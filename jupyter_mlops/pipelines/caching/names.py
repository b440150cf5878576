"""What names in code stand for: modules and what is imported from them."""

from __future__ import annotations

import ast

__all__ = ["Aliases", "chain"]

_SEEDS = {"random.seed": "random", "numpy.random.seed": "numpy"}


class Aliases:
    """The imports of some code: local name -> dotted names that it may stand for."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}
        self.seeding: dict[str, set[str]] = {}  # functions of the code: libraries that they seed

    def read(self, tree: ast.AST) -> None:
        """Add the imports in ``tree``, wherever they stand, then the functions that seed."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        self._names.setdefault(alias.asname, set()).add(alias.name)
                    else:
                        first = alias.name.partition(".")[0]
                        self._names.setdefault(first, set()).add(first)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    self._names.setdefault(alias.asname or alias.name, set()).add(full)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and call.args:
                        for name in self.dotted(call.func) & _SEEDS.keys():
                            self.seeding.setdefault(node.name, set()).add(_SEEDS[name])

    def modules(self) -> set[str]:
        """Everything that is imported."""
        return {name for names in self._names.values() for name in names}

    def dotted(self, node: ast.AST) -> set[str]:
        """What a name or a chain of attributes may be; empty for what is not imported."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return set()
        return {".".join([name, *reversed(parts)]) for name in self._names.get(node.id, ())}


def chain(node: ast.AST) -> str:
    """A name or a chain of attributes as it is written; ``...`` for what it begins with else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "...")
    return ".".join(reversed(parts))
