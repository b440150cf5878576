"""What stands in a step for ``from jupyter_mlops import track``, so that it runs without it.

The numbers that a cell logs go to the metrics of the step; what else it tells a run is for the run
that tracks it, and a step has none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..dataflow import to_python
from ..dataflow.source import parse

__all__ = ["STAND_IN", "WithoutUs", "without_us"]

_PACKAGE = "jupyter_mlops"

STAND_IN = '''\
# What the notebook tells its run: the step keeps the numbers, and needs nothing installed for it.
import functools


class _Run:
    def __init__(self):
        self.metrics = {}

    def log(self, values=None, /, *, step=None, **more):
        for name, value in {**(values or {}), **more}.items():
            self.metrics[name] = float(value)

    def param(self, *args, **kwargs):
        """Nothing to tell here."""

    tag = artifact = model = param

    def __enter__(self):
        _runs.append(self)
        return self

    def __exit__(self, *error):
        _runs.remove(self)

    def __call__(self, function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            with _Run():
                return function(*args, **kwargs)

        return call


class _Track:
    run = property(lambda self: _runs[-1])

    def __call__(self, name=None, **options):
        return _Run()(name) if callable(name) else _Run()

    def __getattr__(self, name):
        return getattr(_runs[-1], name)


_runs = [_Run()]'''


@dataclass(frozen=True, slots=True)
class WithoutUs:
    """Cells without the package: ``names`` are what they call ``track``.

    ``still`` names what else of the package they use, which the step then needs.
    """

    cells: tuple[str, ...]
    names: tuple[str, ...]
    still: tuple[str, ...]

    def code(self) -> str | None:
        """The cell that stands for it, ``None`` where nothing does."""
        if not self.names:
            return None
        return STAND_IN + "\n" + "\n".join(f"{name} = _Track()" for name in self.names)


def without_us(sources: Sequence[str]) -> WithoutUs:
    """Take the imports of ``track`` out of cells, and say what stands for it.

    ``jupyter_mlops.track`` becomes ``track``.  A cell that is not Python stays as it is.
    """
    cells, names, still = [], [], []
    aliases: set[str] = set()
    for source in sources:
        text, found, left, bound = _of_cell(source, aliases)
        aliases |= bound
        cells.append(text)
        names += found
        still += left
    return WithoutUs(tuple(cells), tuple(dict.fromkeys(names)), tuple(dict.fromkeys(still)))


def _of_cell(source: str, aliases: set[str]) -> tuple[str, list[str], list[str], set[str]]:
    tree = parse(to_python(source).text) if _PACKAGE in source or aliases else None
    if tree is None:
        return source, [], [], set()
    lines = source.split("\n")
    names: list[str] = []
    still: list[str] = []
    modules: set[str] = set()
    removed: list[ast.stmt] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == _PACKAGE and not node.level:
            others = [a for a in node.names if a.name != "track"]
            names += [a.asname or a.name for a in node.names if a.name == "track"]
            still += [a.name for a in others]
            if not others:
                removed.append(node)
            elif len(others) < len(node.names):
                kept = ", ".join(a.name + (f" as {a.asname}" if a.asname else "") for a in others)
                _replace(lines, node, f"from {_PACKAGE} import {kept}")
        elif isinstance(node, ast.Import):
            ours = [a for a in node.names if a.name == _PACKAGE]
            modules |= {a.asname or a.name for a in ours}
            if ours and len(ours) == len(node.names):
                removed.append(node)
    used = {
        (n.value.id, n.attr)
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    everywhere = modules | aliases
    attributes = [(m, a) for m, a in sorted(used) if m in everywhere and a != "track"]
    still += [a for _, a in attributes]
    if any((m, "track") in used for m in everywhere):
        names.append("track")
        lines = [
            re.sub(rf"\b({'|'.join(map(re.escape, sorted(everywhere)))})\.track\b", "track", line)
            for line in lines
        ]
    for node in removed:
        if not (attributes and isinstance(node, ast.Import)):
            _replace(lines, node, "pass" if node.col_offset else "")
    text = "\n".join(line for line in lines if line != _GONE)
    return text.strip("\n"), names, still, modules


_GONE = "\x00"


def _replace(lines: list[str], node: ast.stmt, text: str) -> None:
    """Put ``text`` in place of a statement that has its lines for itself; else leave it."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    indent = lines[first][: node.col_offset]
    rest = lines[last].encode()[node.end_col_offset or 0 :].decode()
    if indent.strip() or rest.strip(" ;").partition("#")[0].strip():
        return
    for number in range(first, last + 1):
        lines[number] = _GONE
    if text:
        lines[first] = indent + text
