"""Which literal assignments of the kept cells become parameters, and the cells without them.

A parameter is a name that is assigned one literal, at the top level of a kept cell, that some kept
cell reads and that nothing else binds, changes or deletes.  Its statement moves into the
``parameters`` cell as it stands, comment included; everything else in its cell stays untouched.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..dataflow import CellFlow, Session, analyse, to_python
from ..dataflow.source import parse
from ..pipelines import is_parameter_name

__all__ = ["Extracted", "extract_parameters"]

_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class Extracted:
    """``lines`` of the parameters cell, the names in it, and the cells that remain.

    ``origins`` are the positions of the cells that the lines came from.
    """

    names: tuple[str, ...]
    lines: tuple[str, ...]
    cells: tuple[str, ...]
    origins: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Literal:
    name: str
    cell: int
    first: int  # line numbers, from 0, the last one exclusive
    last: int
    text: str
    mutable: bool


def extract_parameters(
    sources: Sequence[str], flows: Sequence[CellFlow], leave: Container[str] = ()
) -> Extracted:
    """Take the parameters out of the kept cells, but for the names in ``leave``.

    ``flows`` says of each source what it does in its session.  Never raises for any source: a cell
    that is not plain Python keeps its literals.
    """
    found = [literal for i, source in enumerate(sources) for literal in _literals(i, source)]
    rest = [_without(source, [x for x in found if x.cell == i]) for i, source in enumerate(sources)]
    touched, changed = _touched([x.text for x in found], rest, flows)
    used = frozenset().union(*(flow.reads for flow in flows), *map(_loads, sources))
    chosen: dict[str, _Literal] = {}
    refused: set[str] = set()
    for literal in found:
        name = literal.name
        fixed = name in touched or (literal.mutable and name in changed)
        if fixed or name in leave or name not in used or not is_parameter_name(name):
            refused.add(name)
        elif name in chosen and _read_between(sources, name, chosen[name], literal):
            refused.add(name)  # The first value is used before the second replaces it.
        else:
            # The last assignment is the value the result was computed with.
            chosen[name] = literal
    accepted = {name: literal for name, literal in chosen.items() if name not in refused}
    moved = [literal for literal in found if literal.name in accepted]
    cells = tuple(
        _without(source, [x for x in moved if x.cell == i]) for i, source in enumerate(sources)
    )
    order = sorted(accepted.values(), key=lambda x: (x.cell, x.first))
    return Extracted(
        names=tuple(x.name for x in order),
        lines=tuple(x.text for x in order),
        cells=cells,
        origins=tuple(x.cell for x in order),
    )


def _literals(cell: int, source: str) -> Iterable[_Literal]:
    plain = to_python(source).text
    lines, given = plain.split("\n"), source.split("\n")
    tree = parse(plain)
    if tree is None or len(lines) != len(given):
        return
    busy: dict[int, int] = {}
    for node in tree.body:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            busy[number] = busy.get(number, 0) + 1
    for node in tree.body:
        name, value = _assignment(node)
        span = range(node.lineno - 1, node.end_lineno or node.lineno)
        alone = all(busy[number] == 1 for number in span) and node.col_offset == 0
        if name is None or value is None or not alone or not _is_plain_literal(value):
            continue
        if [lines[n] for n in span] == [given[n] for n in span]:
            text = "\n".join(given[n] for n in span)
            mutable = isinstance(value, (ast.List, ast.Dict))
            yield _Literal(name, cell, span.start, span.stop, text, mutable)


def _assignment(node: ast.stmt) -> tuple[str | None, ast.expr | None]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return (target.id, node.value) if isinstance(target, ast.Name) else (None, None)
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return None, None


def _is_plain_literal(value: ast.expr) -> bool:
    """Whether JSON can say it: scalars, and flat lists and dictionaries of them."""
    try:
        literal: Any = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    if isinstance(literal, list):
        return all(_is_scalar(item) for item in literal)
    if isinstance(literal, dict):
        return all(isinstance(k, str) and _is_scalar(v) for k, v in literal.items())
    return _is_scalar(literal)


def _is_scalar(value: Any) -> bool:
    return type(value) in _PLAIN and not (isinstance(value, float) and not math.isfinite(value))


def _without(source: str, literals: Sequence[_Literal]) -> str:
    if not literals:
        return source
    lines = source.split("\n")
    gone = {number for x in literals for number in range(x.first, x.last)}
    kept: list[str] = []
    for number, line in enumerate(lines):
        if number in gone:
            continue
        # The blank line between what was taken out and what follows goes with it.
        if not line.strip() and number - 1 in gone and (not kept or not kept[-1].strip()):
            continue
        kept.append(line)
    return "\n".join(kept).strip("\n")


def _touched(
    literals: Sequence[str], rest: Sequence[str], flows: Sequence[CellFlow]
) -> tuple[frozenset[str], frozenset[str]]:
    """Names that something besides the literal assignments binds or deletes, or may change."""
    bound: set[str] = set()
    changed: set[str] = set()
    for flow in flows:
        bound |= flow.deletes
        changed |= flow.may_mutate
    session = Session()
    analyse("\n".join(literals), session)  # Going over a list changes it no more than printing it.
    for source in rest:
        flow = analyse(source, session)
        bound |= flow.must_stores | flow.may_stores | flow.deletes
        changed |= flow.may_mutate
    return frozenset(bound), frozenset(changed)


def _loads(source: str) -> frozenset[str]:
    tree = parse(to_python(source).text)
    if tree is None:
        return frozenset()
    return frozenset(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )


def _read_between(sources: Sequence[str], name: str, first: _Literal, second: _Literal) -> bool:
    for cell in range(first.cell, second.cell + 1):
        lines = sources[cell].split("\n")
        start = first.last if cell == first.cell else 0
        stop = second.first if cell == second.cell else len(lines)
        if name in _loads("\n".join(lines[start:stop])) or any(
            name in x for x in lines[start:stop]
        ):
            return True
    return False
