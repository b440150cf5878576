"""Files that kept cells read by a path in the text: the path becomes a parameter.

``pd.read_csv("data/churn.csv")`` is written as ``pd.read_csv(churn_file)`` with the parameter
``churn_file = "data/churn.csv"``, so that another file can be given, and a snapshot can stand for
one that is not there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from ..dataflow import CellFlow, to_python
from ..dataflow.paths import ANY, is_local, linked
from ..dataflow.source import parse

__all__ = ["name_sources"]

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_Span = tuple[int, int, int]  # line from 0, first and last column (exclusive), in bytes


def name_sources(
    sources: Sequence[str],
    flows: Sequence[CellFlow],
    folder: Path,
    leave: Container[str] = (),
) -> list[str]:
    """Give the paths of files that cells read names, with their assignments, and return the cells.

    ``flows`` says of each cell what it reads and writes, ``folder`` is the notebook's.  Paths stay
    as they are where they only exist while the notebook runs, where they stand in a function, and
    where their name would be one of ``leave``.  Never raises for any source.
    """
    written = frozenset().union(*(flow.files_written for flow in flows)) if flows else frozenset()
    taken: set[str] = set()
    for flow, source in zip(flows, sources, strict=True):
        taken |= flow.reads | flow.must_stores | flow.may_stores | flow.may_mutate | flow.deletes
        taken.update(re.findall(r"[^\W\d]\w*", source))
    names: dict[str, str] = {}
    made: list[str] = []
    for source, flow in zip(sources, flows, strict=True):
        known = {p for p in flow.files_read if _is_given(p, folder, written)}
        found = list(_paths_in(source, known))
        first: list[str] = []
        spans: list[tuple[_Span, str]] = []
        for span, path in found:
            if path not in names:
                name = _name(path, taken)
                if name in leave:
                    continue
                names[path] = name
                taken.add(name)
                line = source.split("\n")[span[0]].encode()[span[1] : span[2]].decode()
                first.append(f"{name} = {line}")
            spans.append((span, names[path]))
        made.append("\n".join([*first, _replaced(source, spans)]))
    return made


def _is_given(path: str, folder: Path, written: frozenset[str]) -> bool:
    """Whether the file was there before: no kept cell makes it."""
    if not path or ANY in path or any(linked(path, other) for other in written):
        return False
    try:
        return (folder / path).is_file()
    except (OSError, ValueError):
        return False


def _paths_in(source: str, known: set[str]) -> Iterator[tuple[_Span, str]]:
    """Literal arguments of calls at the top level that are one of the paths, or an address."""
    plain = to_python(source).text
    tree = parse(plain)
    lines, given = plain.split("\n"), source.split("\n")
    if tree is None or len(lines) != len(given) or "__future__" in source:
        return
    for call in _calls(tree):
        function = call.func
        word = function.attr if isinstance(function, ast.Attribute) else ""
        for argument in (*call.args, *(k.value for k in call.keywords)):
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                continue
            path, row = argument.value, argument.lineno - 1
            address = word.startswith("read_") and _ADDRESS.match(path) and not is_local(path)
            if path not in known and not address:
                continue
            if argument.end_lineno != argument.lineno or lines[row] != given[row]:
                continue
            assert argument.end_col_offset is not None  # noqa: S101
            yield (row, argument.col_offset, argument.end_col_offset), path


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls outside of functions and classes, in the order of the text."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.JoinedStr)
        ):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _calls(node)


def _name(path: str, taken: set[str]) -> str:
    stem = re.sub(r"[?#].*", "", path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    words = re.sub(r"[^A-Za-z0-9]+", "_", stem.partition(".")[0]).strip("_").lower()
    base = f"{words or 'source'}_file"
    base = base if base.isidentifier() else f"file_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _replaced(source: str, spans: Sequence[tuple[_Span, str]]) -> str:
    lines = source.split("\n")
    for (row, start, end), name in sorted(spans, reverse=True):
        line = lines[row].encode()
        lines[row] = (line[:start] + name.encode() + line[end:]).decode()
    return "\n".join(lines)
