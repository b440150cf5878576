"""The random seeds of a run, read from the source; nothing is evaluated.

Two kinds.  A seed of a library (``random.seed(1)``) holds from then on, for later cells, too.  A
seed of an object (``random_state=1``, ``default_rng(1)``) belongs to what it was given to: it
counts for a later cell if that reads a name that depends on it.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Mapping
from typing import Any

from .cellcode import parse_python
from .seed_calls import Seeded, SeedReader, mentions_seeds

__all__ = ["Seeds", "find_seeds"]

_HASH_SEED = os.environ.get("PYTHONHASHSEED", "")  # As it was when the interpreter began.
_SOURCE_LIMIT = 100_000  # Characters.
_FUNCTIONS = 2000


def find_seeds(
    python: str,
    namespace: Mapping[str, Any],
    reads: Collection[str] = (),
    functions: Mapping[str, ast.AST] | None = None,
) -> dict[str, Any]:
    """Return what one cell seeds, and with what: ``{"numpy": 1, "KMeans.random_state": 2}``.

    ``namespace`` is the notebook's after the cell; plain values of names in it count.
    ``functions`` are the sources of functions and classes of earlier cells; what those named in
    ``reads`` seed counts, too.  Several seeds of one thing are a list.  A seed that is no plain
    value is left out.
    """
    tree = parse_python(python) if len(python) <= _SOURCE_LIMIT else None
    found = _hash_seed()
    if tree is None:
        return found
    reader = SeedReader(namespace, functions or {})
    for statement in tree.body:
        reader.read(statement)
    reader.read_functions(reads)
    return found | _flat(reader.seeded.libraries) | _flat(reader.seeded.objects)


class Seeds:
    """The seeds of a session: ``note`` every executed cell, in order; ``current`` for a run."""

    def __init__(self) -> None:
        self._functions: dict[str, ast.AST] = {}
        self._libraries: dict[str, list[Any]] = {}
        self._carried: dict[str, dict[str, list[Any]]] = {}  # name -> seeds it depends on
        self._last = Seeded()
        self._reads: set[str] = set()

    def note(self, python: str, namespace: Mapping[str, Any]) -> None:
        """Read a cell that was executed; ``namespace`` is the notebook's after it."""
        self._last, self._reads = Seeded(), set()
        told = mentions_seeds(python)
        if len(python) > _SOURCE_LIMIT or not (told or self._carried or self._functions):
            return
        tree = parse_python(python)
        if tree is None:
            return
        reader = SeedReader(namespace, self._functions)
        inputs: dict[str, list[Any]] = {}
        for statement in tree.body:
            own = reader.read(statement)
            reads, stores = _names(statement)
            self._reads |= reads
            for name in sorted(reads):
                _add(inputs, self._carried.get(name, {}))
            self._carry(reads, stores, own, statement)
        reader.read_functions(self._reads)
        for name in reader.seeded.unknown:
            self._libraries.pop(name, None)
        self._libraries |= reader.seeded.libraries
        if told:
            self._functions |= reader.own
            while len(self._functions) > _FUNCTIONS:
                del self._functions[next(iter(self._functions))]
        self._last = reader.seeded
        _add(self._last.objects, inputs)

    def current(self, reads: Collection[str] = ()) -> dict[str, Any]:
        """Return the seeds that the cell noted last ran with.

        Those of libraries, set there or before; those it gives to objects; and those of what it
        reads.  ``reads`` are further names that it depends on.
        """
        objects: dict[str, list[Any]] = {}
        _add(objects, self._last.objects)
        for name in sorted(reads):
            _add(objects, self._carried.get(name, {}))
        return _hash_seed() | _flat(self._libraries) | _flat(objects)

    def _carry(
        self, reads: set[str], stores: set[str], own: dict[str, list[Any]], statement: ast.stmt
    ) -> None:
        """What a statement binds, or calls a method of, depends on what it reads."""
        seeds: dict[str, list[Any]] = {}
        for name in sorted(reads):
            _add(seeds, self._carried.get(name, {}))
        _add(seeds, own)
        again = isinstance(statement, (ast.Assign, ast.AnnAssign))
        for name in stores:
            if again:
                self._carried.pop(name, None)
            if seeds:
                _add(self._carried.setdefault(name, {}), seeds)


def _names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """Names that a statement reads, and those that it binds or changes by a method."""
    reads: set[str] = set()
    stores: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            (reads if isinstance(node.ctx, ast.Load) else stores).add(node.id)
        elif isinstance(statement, ast.Expr) and isinstance(node, ast.Call):
            match node.func:
                case ast.Attribute(value=ast.Name(id=name)):
                    stores.add(name)
    return reads, stores


def _add(to: dict[str, list[Any]], more: Mapping[str, list[Any]]) -> None:
    for name, values in more.items():
        known = to.setdefault(name, [])
        known.extend(value for value in values if value not in known)


def _flat(found: Mapping[str, list[Any]]) -> dict[str, Any]:
    """One value as itself, several as a list."""
    return {
        name: values[0] if len(values) == 1 else list(values)
        for name, values in sorted(found.items())
        if values
    }


def _hash_seed() -> dict[str, Any]:
    return {"PYTHONHASHSEED": int(_HASH_SEED)} if _HASH_SEED.isdecimal() else {}
