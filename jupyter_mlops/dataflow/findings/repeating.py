"""Whether doing something twice is the same as doing it once."""

from __future__ import annotations

import ast
from collections.abc import Callable

__all__ = ["MUTATORS", "repeatable"]

# Methods that change their object, and whether a second call with the same arguments changes it
# again (``False``: it does; ``None``: it depends).
MUTATORS: dict[str, bool | None] = {
    "append": False, "appendleft": False, "extend": False, "extendleft": False, "insert": False,
    "pop": False, "popleft": False, "popitem": False, "reverse": False, "rotate": False,
    "remove": None, "subtract": False, "update": None, "setdefault": True, "clear": True,
    "sort": True, "add": True, "discard": True,
}  # fmt: skip
_ARITHMETIC = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult,
    ast.LShift, ast.RShift, ast.BitXor,
)  # fmt: skip
_AGAIN = frozenset(
    {
        "concat", "append", "concatenate", "hstack", "vstack", "column_stack", "tile", "repeat",
        "log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "cbrt", "square", "power",
        "cumsum", "cumprod", "diff", "roll", "flip", "reversed", "negative", "reciprocal",
        "deg2rad", "rad2deg", "radians", "degrees", "chain",
    }
)  # fmt: skip
_AGAIN_METHODS = frozenset(
    {
        "merge", "join", "shift", "diff", "cumsum", "cumprod", "pct_change", "transpose", "mul",
        "add", "sub", "div", "truediv", "pow", "multiply", "divide", "subtract", "append", "repeat",
        "reset_index", "add_prefix", "add_suffix",
    }
)  # fmt: skip
_ONCE_METHODS = frozenset(
    {
        "copy", "dropna", "fillna", "drop_duplicates", "sort_values", "sort_index", "astype",
        "rename", "clip", "round", "abs", "strip", "lower", "upper", "title", "ffill", "bfill",
        "query", "head", "tail", "nlargest", "nsmallest", "set_axis", "reindex", "unique",
        "to_numpy",
    }
)  # fmt: skip


def repeatable(value: ast.expr, is_self: Callable[[ast.AST], bool]) -> bool | None:
    """Whether ``x = value`` twice is the same as once; ``None`` where the text does not tell.

    ``is_self`` says which parts of ``value`` are ``x`` itself.
    """
    if not _mentions(value, is_self):
        return True
    if is_self(value):
        return True
    if isinstance(value, ast.BinOp):
        left, right = _mentions(value.left, is_self), _mentions(value.right, is_self)
        # Centred or scaled by its own figures twice, it stays as it is.
        return False if left != right and isinstance(value.op, _ARITHMETIC) else None
    if isinstance(value, (ast.List, ast.Tuple)):
        unpacked = [e.value for e in value.elts if isinstance(e, ast.Starred)]
        return False if len(value.elts) > 1 and any(map(is_self, unpacked)) else None
    if isinstance(value, ast.Subscript):
        return _subscript(value, is_self)
    if isinstance(value, ast.Attribute) and value.attr == "T" and is_self(value.value):
        return False
    if isinstance(value, ast.Call):
        return _call(value, is_self)
    return None


def _subscript(value: ast.Subscript, is_self: Callable[[ast.AST], bool]) -> bool | None:
    taken = value.slice
    if isinstance(taken, ast.Slice) and _mentions(value.value, is_self):
        lower, upper, step = (_number(part) for part in (taken.lower, taken.upper, taken.step))
        if (lower or 0) > 0 or (upper or 0) < 0 or (step not in (None, 1)):
            return False
        return None
    return True if isinstance(taken, ast.Compare) else None


def _call(value: ast.Call, is_self: Callable[[ast.AST], bool]) -> bool | None:
    function = value.func
    if isinstance(function, ast.Attribute) and _mentions(function.value, is_self):
        inner = repeatable(function.value, is_self)
        if inner is not True:
            return inner
        if function.attr == "reset_index" and any(k.arg == "drop" for k in value.keywords):
            return True
        if function.attr in _ONCE_METHODS:
            return True
        return False if function.attr in _AGAIN_METHODS else None
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    given = [*value.args]
    for argument in value.args:
        if isinstance(argument, (ast.List, ast.Tuple)):
            given.extend(argument.elts)
    return False if name in _AGAIN and any(map(is_self, given)) else None


def _mentions(node: ast.AST, is_self: Callable[[ast.AST], bool]) -> bool:
    return any(is_self(part) for part in ast.walk(node))


def _number(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return None
