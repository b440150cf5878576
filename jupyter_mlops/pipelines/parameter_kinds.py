"""What a parameter is in Python, as its annotation or its default says: JSON Schema and code.

A ``Kind`` is a tree: ``list[date]`` is a list whose inner kind is a date.  Its schema says which
JSON is accepted everywhere outside the notebook; ``python_value`` turns such JSON into what the
notebook's own cell would have assigned.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

from ..model.python_value import PythonDict, PythonList, PythonText, python_code
from .parameter_formats import format_code, normal_text

__all__ = ["ANY", "NULL", "STRING", "Kind", "either", "python_value", "schema_of"]

_SCALARS = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "float": {"type": "number"},
    "string": {"type": "string"},
}
_EXACT = 2**53  # a float holds every whole number up to here


@dataclass(frozen=True, slots=True)
class Kind:
    """``name`` is ``any``, a key of ``_SCALARS``, ``literal`` (with ``values``), ``list``,
    ``tuple`` (all entries of one kind), ``record`` (a tuple with a kind an entry), ``set``,
    ``frozenset``, ``dict`` (its values), ``union``, or a format of ``parameter_formats``.

    ``limits`` are further keywords of JSON Schema.  ``text`` says that the notebook wants a text
    where the name is a format: its own cell assigns one.
    """

    name: str
    inner: tuple[Kind, ...] = ()
    values: tuple[Any, ...] = ()
    limits: tuple[tuple[str, Any], ...] = ()
    text: bool = False

    @property
    def has_format(self) -> bool:
        """Whether a text here stands for something else (secrets apart: they always do)."""
        ours = self.name in ("date", "date-time", "time", "duration", "path")
        return ours or any(kind.has_format for kind in self.inner)

    def as_text(self) -> Kind:
        """The same for a notebook that takes dates, durations and paths as texts."""
        inner = tuple(kind.as_text() for kind in self.inner)
        return replace(self, inner=inner, text=self.name != "secret")


ANY = Kind("any")
NULL = Kind("null")
STRING = Kind("string")


def either(options: list[Kind]) -> Kind:
    """The union of some kinds, unions in them included; each is there once."""
    flat: list[Kind] = []
    for option in options:
        flat += option.inner if option.name == "union" else [option]
    unique = list(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Kind("union", tuple(unique))


def schema_of(kind: Kind) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what is accepted for a kind."""
    return _plain_schema(kind) | dict(kind.limits)


def _plain_schema(kind: Kind) -> dict[str, Any]:
    if kind.name in _SCALARS:
        return dict(_SCALARS[kind.name])
    if kind.name == "any":
        return {}
    if kind.name == "literal":
        return {"enum": list(kind.values)}
    if kind.name == "union":
        return _union_schema(kind)
    if kind.name == "dict":
        inner = schema_of(kind.inner[0]) if kind.inner else {}
        return {"type": "object"} | ({"additionalProperties": inner} if inner else {})
    if kind.name == "record":
        count = len(kind.inner)
        return {
            "type": "array",
            "prefixItems": [schema_of(one) for one in kind.inner],
            "minItems": count,
            "maxItems": count,
        }
    if kind.name in ("list", "tuple", "set", "frozenset"):
        inner = schema_of(kind.inner[0]) if kind.inner else {}
        unique = {"uniqueItems": True} if kind.name in ("set", "frozenset") else {}
        return {"type": "array"} | ({"items": inner} if inner else {}) | unique
    return {"type": "string", "format": kind.name}


def _union_schema(kind: Kind) -> dict[str, Any]:
    schemas = [schema_of(one) for one in kind.inner]
    if {} in schemas:
        return {}
    if all(set(schema) == {"type"} for schema in schemas):
        types = list(dict.fromkeys(schema["type"] for schema in schemas))
        return {"type": types[0] if len(types) == 1 else types}
    if all(one.name in ("literal", "null") for one in kind.inner):
        values = [v for one in kind.inner for v in (one.values or (None,))]
        return {"enum": values}
    return {"anyOf": schemas}


def python_value(value: Any, kind: Kind) -> Any:
    """Return JSON ``value`` as what a notebook gets: where that is something else, it says so.

    See ``model.python_value``.  Raises ``ValueError`` for a value that the kind does not accept.
    """
    if kind.name == "union":
        return _of_union(value, kind)
    if kind.name == "literal":
        if not any(_same(value, one) for one in kind.values):
            raise ValueError(value)
        return value
    if kind.name in ("any", "number"):
        _require(kind.name == "any" or _is_number(value), value)
        return value
    if kind.name == "float":
        _require(_is_number(value), value)
        return float(value) if abs(value) <= _EXACT else value
    if kind.name == "integer":
        _require(_is_number(value) and (isinstance(value, int) or value.is_integer()), value)
        return int(value)
    if kind.name in ("null", "boolean", "string"):
        wanted = {"null": type(None), "boolean": bool, "string": str}[kind.name]
        _require(isinstance(value, wanted), value)
        return value
    if kind.name == "dict":
        return _of_dict(value, kind)
    if kind.name in ("list", "tuple", "record", "set", "frozenset"):
        return _of_list(value, kind)
    _require(isinstance(value, str), value)
    text = normal_text(value, kind.name)
    if kind.text or (kind.name == "path" and "://" in text):
        return text  # an address is no path: two slashes in it would become one
    return PythonText(text, format_code(text, kind.name))


def _of_union(value: Any, kind: Kind) -> Any:
    # Formats are narrower than texts, and whole numbers than numbers.
    order = ("literal", "null", "boolean", "integer", "float", "number")
    last = ("string", "any")
    options = sorted(
        kind.inner,
        key=lambda one: (
            order.index(one.name)
            if one.name in order
            else len(order) + (one.name in last) + (one.name == "any")
        ),
    )
    for option in options:
        try:
            return python_value(value, option)
        except (ValueError, TypeError, OverflowError):
            continue
    raise ValueError(value)


def _of_dict(value: Any, kind: Kind) -> Any:
    _require(isinstance(value, dict), value)
    if not kind.inner:
        return value
    items = {key: python_value(item, kind.inner[0]) for key, item in value.items()}
    if all(python_code(item) is None for item in items.values()):
        return items
    made = PythonDict(items)
    made.python_code = f"{{{', '.join(f'{k!r}: {_code(v)}' for k, v in items.items())}}}"
    return made


def _of_list(value: Any, kind: Kind) -> Any:
    _require(isinstance(value, list), value)
    if kind.name == "record":
        _require(len(value) == len(kind.inner), value)
        items = [python_value(item, one) for item, one in zip(value, kind.inner, strict=True)]
    else:
        items = [python_value(item, kind.inner[0]) for item in value] if kind.inner else value
    if kind.name == "list" and all(python_code(item) is None for item in items):
        return items
    listed = ", ".join(_code(item) for item in items)
    made = PythonList(items)
    if kind.name == "list":
        made.python_code = f"[{listed}]"
    elif kind.name in ("tuple", "record"):
        made.python_code = f"({listed},)" if len(items) == 1 else f"({listed})"
    elif kind.name == "set":
        made.python_code = f"{{{listed}}}" if items else "set()"
    else:
        made.python_code = f"frozenset({{{listed}}})" if items else "frozenset()"
    return made


def _code(value: Any) -> str:
    code = python_code(value)
    return repr(value) if code is None else code


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _same(value: Any, other: Any) -> bool:
    """Whether JSON values are equal; ``1`` is no ``true``."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)


def _require(fits: bool, value: Any) -> None:
    if not fits:
        raise ValueError(value)
