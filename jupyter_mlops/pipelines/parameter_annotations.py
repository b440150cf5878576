"""Reading annotations and defaults of a ``parameters`` cell; nothing of it is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

from .parameter_formats import plain_value
from .parameter_kinds import ANY, NULL, STRING, Kind, either

__all__ = ["UNKNOWN", "annotated_kind", "default_of", "kind_of_parameter"]

UNKNOWN: Any = object()
_NAMES = {
    "int": Kind("integer"), "float": Kind("float"), "str": STRING, "bool": Kind("boolean"),
    "None": NULL, "NoneType": NULL, "Any": ANY, "object": ANY,
    "list": Kind("list"), "List": Kind("list"), "Sequence": Kind("list"),
    "MutableSequence": Kind("list"), "Iterable": Kind("list"), "Collection": Kind("list"),
    "tuple": Kind("tuple"), "Tuple": Kind("tuple"),
    "set": Kind("set"), "Set": Kind("set"), "MutableSet": Kind("set"),
    "frozenset": Kind("frozenset"), "FrozenSet": Kind("frozenset"), "AbstractSet": Kind("set"),
    "dict": Kind("dict"), "Dict": Kind("dict"), "Mapping": Kind("dict"),
    "MutableMapping": Kind("dict"),
    "date": Kind("date"), "time": Kind("time"), "timedelta": Kind("duration"),
    "Path": Kind("path"), "PurePath": Kind("path"), "PosixPath": Kind("path"),
    "PathLike": Kind("path"), "Secret": Kind("secret"),
}  # fmt: skip
# ``datetime`` is a module, too: it is a type where nothing follows the dot.
_NAMES["datetime"] = Kind("date-time")
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum",
           "multiple_of": "multipleOf", "min_length": "minLength", "max_length": "maxLength",
           "pattern": "pattern"}  # fmt: skip
_MARKS = {"Ge": "ge", "Gt": "gt", "Le": "le", "Lt": "lt", "MultipleOf": "multiple_of",
          "MinLen": "min_length", "MaxLen": "max_length"}  # fmt: skip


def annotated_kind(annotation: ast.expr) -> Kind | None:
    """What an annotation says, ``None`` where we do not know what it means."""
    if isinstance(annotation, ast.Constant):
        if annotation.value is None:
            return NULL
        if isinstance(annotation.value, str):
            try:
                return annotated_kind(ast.parse(annotation.value.strip(), mode="eval").body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return None
    if isinstance(annotation, (ast.Name, ast.Attribute)):
        return _NAMES.get(_last(annotation))
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _either([annotation.left, annotation.right])
    if isinstance(annotation, ast.Subscript):
        return _subscripted(annotation)
    return None


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _either(options: list[ast.expr]) -> Kind | None:
    kinds = [annotated_kind(option) for option in options]
    known = [kind for kind in kinds if kind is not None]
    return either(known) if len(known) == len(kinds) else None


def _subscripted(annotation: ast.Subscript) -> Kind | None:
    name = _last(annotation.value)
    inner = annotation.slice
    arguments = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if name == "Optional":
        return _either([inner, ast.Constant(None)])
    if name == "Union":
        return _either(arguments)
    if name == "Literal":
        values = [_literal(argument) for argument in arguments]
        if any(value is UNKNOWN or isinstance(value, (list, dict)) for value in values):
            return None
        return Kind("literal", values=tuple(values))
    if name == "Annotated":
        return _limited(arguments)
    if name in ("Final", "ClassVar", "Required", "NotRequired"):
        return annotated_kind(arguments[0])
    outer = _NAMES.get(name)
    if outer is None:
        return None
    if outer.name == "path":  # os.PathLike[str]
        return outer
    if outer.name == "tuple":
        return _tuple(arguments)
    kinds = [annotated_kind(argument) for argument in arguments]
    if outer.name == "dict":
        # Keys are texts in JSON.
        fits = len(kinds) == 2 and kinds[0] in (STRING, ANY) and kinds[1] is not None
        return Kind("dict", () if kinds[1] == ANY else (kinds[1],)) if fits and kinds[1] else None
    if outer.name in ("list", "set", "frozenset") and len(kinds) == 1:
        if kinds[0] is None:
            return None if outer.name != "list" else outer
        return Kind(outer.name, () if kinds[0] == ANY else (kinds[0],))
    return None


def _tuple(arguments: list[ast.expr]) -> Kind | None:
    last = arguments[-1]
    every = isinstance(last, ast.Constant) and last.value is Ellipsis
    kinds = [annotated_kind(one) for one in (arguments[:-1] if every else arguments)]
    known = tuple(kind for kind in kinds if kind is not None)
    if len(known) < len(kinds) or not known:
        return None
    return Kind("tuple" if every else "record", known)


def _limited(arguments: list[ast.expr]) -> Kind | None:
    """``Annotated[int, Ge(1)]``, ``Annotated[int, Field(ge=1)]``: limits known by their names."""
    kind = annotated_kind(arguments[0])
    if kind is None or kind.name == "union":
        return kind
    limits: dict[str, Any] = {}
    for mark in arguments[1:]:
        if not isinstance(mark, ast.Call):
            continue
        given = {word.arg: word.value for word in mark.keywords if word.arg}
        short = _MARKS.get(_last(mark.func))
        if short and len(mark.args) == 1:
            given[short] = mark.args[0]
        for word, expression in given.items():
            value = _literal(expression)
            if word in _LIMITS and value is not UNKNOWN and value is not None:
                limits[_LIMITS[word]] = value
    if kind.name in ("list", "tuple", "set", "frozenset"):
        for one in ("min", "max"):
            if f"{one}Length" in limits:
                limits[f"{one}Items"] = limits.pop(f"{one}Length")
    return Kind(kind.name, kind.inner, kind.values, tuple(limits.items()))


def default_of(expression: ast.expr | None) -> tuple[Any, Kind | None]:
    """Return ``(default as JSON, what it says of the kind)``; ``UNKNOWN`` where it is computed."""
    if expression is None:
        return UNKNOWN, None
    made = _constructed(expression)
    if made is not UNKNOWN:
        told = _kind_of_value(made)
        return plain_value(made), replace(told, text=_in_texts(made)) if told else None
    reference = _secret_reference(expression)
    if reference is not None:
        return reference, Kind("secret")
    return UNKNOWN, None


def kind_of_parameter(annotation: ast.expr | None, told: Kind | None) -> Kind:
    """What a parameter is, by its annotation and by ``default_of`` its default."""
    kind = None if annotation is None else annotated_kind(annotation)
    if kind is None:
        return told or ANY
    return kind.as_text() if told is not None and told.text and kind.has_format else kind


def _in_texts(value: Any) -> bool:
    """Whether there are texts in a default, and no dates, durations or paths."""
    leaves = list(_leaves(value))
    known = (str, int, float, type(None))
    return any(isinstance(one, str) for one in leaves) and all(
        isinstance(one, known) for one in leaves
    )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value


def _literal(expression: ast.expr | None) -> Any:
    """The value of a literal as JSON."""
    value = UNKNOWN if expression is None else _constructed(expression)
    return plain_value(value) if _is_json(plain_value(value)) else UNKNOWN


def _constructed(node: ast.expr) -> Any:
    """The value of literals, and of dates, durations and paths made of literals."""
    try:
        value = _evaluate(node)
    except (ValueError, TypeError, KeyError, OverflowError, SyntaxError, RecursionError,
            MemoryError):  # fmt: skip
        return UNKNOWN
    return value if _is_json(plain_value(value)) else UNKNOWN


def _evaluate(node: ast.expr) -> Any:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        items = [_evaluate(item) for item in node.elts]
        return {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)](items)
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_evaluate, node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _evaluate(node.operand)
        if type(value) not in (int, float, timedelta):
            raise ValueError("no number")
        return -value
    if isinstance(node, ast.Attribute) and _last(node) in ("utc", "UTC"):
        return UTC
    if isinstance(node, ast.Call):
        return _called(node)
    return ast.literal_eval(node)


def _called(node: ast.Call) -> Any:
    arguments = [_evaluate(argument) for argument in node.args]
    words = {str(word.arg): _evaluate(word.value) for word in node.keywords}
    name = _last(node.func)
    if name == "fromisoformat" and isinstance(node.func, ast.Attribute):
        kinds: Mapping[str, Any] = {"date": date, "datetime": datetime, "time": time}
        return kinds[_last(node.func.value)].fromisoformat(*arguments, **words)
    known: Mapping[str, Any] = {
        "date": date, "datetime": datetime, "time": time, "timedelta": timedelta,
        "timezone": timezone, "Path": PurePosixPath, "PurePath": PurePosixPath,
        "set": set, "frozenset": frozenset, "tuple": tuple, "list": list, "dict": dict,
    }  # fmt: skip
    if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
        raise ValueError("not ours to know")
    if name == "time" and not (arguments or words):
        raise ValueError("the clock's")
    return known[name](*arguments, **words)


def _secret_reference(node: ast.expr) -> str | None:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    if _last(node.func.value) != "Secret" or len(node.args) != 1:
        return None
    value = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    if not isinstance(value, str):
        return None
    return {"from_env": f"env:{value}", "from_reference": value}.get(node.func.attr)


def _kind_of_value(value: Any) -> Kind | None:
    """What an unannotated default says: its own type, and nothing of the types inside."""
    if isinstance(value, bool):
        return Kind("boolean")
    if isinstance(value, (int, float)):
        # ``alpha = 1`` often means a number; ``n: int = 1`` says that it must be a whole one.
        return Kind("number")
    for kind, name in (
        (str, "string"), (list, "list"), (tuple, "tuple"), (frozenset, "frozenset"), (set, "set"),
        (dict, "dict"), (datetime, "date-time"), (date, "date"), (time, "time"),
        (timedelta, "duration"), (PurePosixPath, "path"),
    ):  # fmt: skip
        if isinstance(value, kind):
            return Kind(name, _entries(value))
    return None


def _entries(value: Any) -> tuple[Kind, ...]:
    """The kind of what is in a collection of dates, durations or paths, where it is one."""
    if not isinstance(value, (list, tuple, set, frozenset, dict)):
        return ()
    inside = {_kind_of_value(i) for i in (value.values() if isinstance(value, dict) else value)}
    only = next(iter(inside)) if len(inside) == 1 else None
    return (only,) if only is not None and only.has_format else ()


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (bool, int, float, str))
