"""Lists of columns in expressions."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from .tables import ColumnNames

__all__ = ["column_names", "given_columns", "literal"]


def literal(node: ast.expr | None) -> object:
    """The value of a constant, with a sign; ``None`` for whatever else."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = literal(node.operand)
        return -value if isinstance(value, (int, float)) else None
    return None


def column_names(node: ast.AST | None, names: Mapping[str, object]) -> ColumnNames | None:
    """The columns that an expression lists; ``None`` where it is no list of columns."""
    if isinstance(node, ast.Constant):
        return ColumnNames(frozenset({node.value})) if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        known = names.get(node.id)
        return known if isinstance(known, ColumnNames) else None
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        found: set[str] = set()
        for element in node.elts:
            inner = element.value if isinstance(element, ast.Starred) else element
            part = column_names(inner, names)
            if part is None or part.all_but:
                return None
            found |= part.names
        return ColumnNames(frozenset(found)) if node.elts else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = column_names(node.left, names), column_names(node.right, names)
        if left is None or right is None or left.all_but or right.all_but:
            return None
        return ColumnNames(left.names | right.names)
    if isinstance(node, ast.ListComp):
        return _all_but(node, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        of = node.func.value
        listed = isinstance(of, ast.Attribute) and of.attr == "columns"
        if listed and node.func.attr in ("drop", "difference"):
            left_out = column_names(node.args[0], names)
            if left_out is not None and not left_out.all_but:
                return ColumnNames(left_out.names, all_but=True)
    return None


def _all_but(node: ast.ListComp, names: Mapping[str, object]) -> ColumnNames | None:
    """``[c for c in frame.columns if c != "target"]``."""
    generator = node.generators[0]
    of, target = generator.iter, generator.target
    if len(node.generators) != 1 or not isinstance(target, ast.Name):
        return None
    if not isinstance(node.elt, ast.Name) or node.elt.id != target.id:
        return None
    if not (isinstance(of, ast.Attribute) and of.attr == "columns") and not isinstance(
        of, ast.Name
    ):
        return None
    left_out: set[str] = set()
    for test in generator.ifs:
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return None
        if not isinstance(test.left, ast.Name) or test.left.id != target.id:
            return None
        if not isinstance(test.ops[0], (ast.NotEq, ast.NotIn)):
            return None
        part = column_names(test.comparators[0], names)
        if part is None or part.all_but:
            return None
        left_out |= part.names
    return ColumnNames(frozenset(left_out), all_but=True)


def given_columns(node: ast.Call, names: Mapping[str, object]) -> frozenset[str] | None:
    """The columns that ``frame.drop(...)`` drops; ``None`` where it drops rows, or unknown ones."""
    listed: ast.expr | None = None
    axis: object = None
    for keyword in node.keywords:
        if keyword.arg == "columns":
            listed, axis = keyword.value, 1
        elif keyword.arg == "labels":
            listed = keyword.value
        elif keyword.arg == "axis":
            axis = literal(keyword.value)
    if listed is None and node.args:
        listed = node.args[0]
        if len(node.args) > 1:
            axis = literal(node.args[1])
    if axis not in (1, "columns"):
        return None
    found = column_names(listed, names)
    return None if found is None or found.all_but else found.names
