"""Taking out of a kept cell the statements that only show something.

Asked for by the person, and proven by the same replay as everything else.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..dataflow import Session, analyse, to_python
from ..dataflow.source import parse

__all__ = ["without_displays"]

_HARMLESS = frozenset({"$plot"})


def without_displays(sources: Sequence[str]) -> list[str]:
    """Return the cells without expressions at their top level that change nothing.

    A cell with magics in it, and one that cannot be parsed, stays as it is.
    """
    session = Session()
    return [_of_cell(source, session) for source in sources]


def _of_cell(source: str, session: Session) -> str:
    python = to_python(source)
    tree = parse(python.text)
    if tree is None or python.magic is not None or python.text != source:
        analyse(source, session)
        return source
    lines = source.split("\n")
    busy: dict[int, int] = {}
    for node in tree.body:
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            busy[number] = busy.get(number, 0) + 1
    gone: set[int] = set()
    for node in tree.body:
        span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        text = "\n".join(lines[span.start - 1 : span.stop - 1])
        flow = analyse(text, session)
        shows = (
            isinstance(node, ast.Expr)
            and not isinstance(node.value, ast.Await)
            and not (flow.must_stores | flow.may_stores | flow.may_mutate - _HARMLESS)
            and not (flow.files_written or flow.effects - _HARMLESS or flow.unseeded)
            and not (flow.reads_anything or flow.binds_anything)
            and all(busy[number] == 1 for number in span)
        )
        if shows and not (isinstance(node, ast.Expr) and _is_docstring(node)):
            gone |= set(span)
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    return "\n".join(kept).strip("\n")


def _is_docstring(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
