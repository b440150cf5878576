"""Parameters that a person gives: known ones only, of the declared type.

On a command line every value is text; the declared JSON Schema says what it means.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ParameterError
from ..model.pipeline import Parameter, Pipeline
from .names import is_parameter_name
from .schemas import validator_class
from .validation import closest, show

__all__ = ["check_parameters", "convert_text", "effective_parameters", "expected"]

_INTEGER = re.compile(r"[+-]?\d+(?:_\d+)*")
_WORDS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
_NOUNS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
    "array": 'a JSON list such as ["a", "b"]',
    "object": 'a JSON object such as {"a": 1}',
}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "pattern": "matching {}",
}


def check_parameters(
    declared: Pipeline | Iterable[Parameter], given: Mapping[str, Any], *, of: str | None = None
) -> dict[str, Any]:
    """Return the values that were given, converted to their declared types.

    Text is converted, anything else is taken as it is; only names in ``given`` are in the result
    (``effective_parameters`` adds the defaults).  ``of`` names the owner in messages.

    Raises ``ParameterError``: for an unknown name, with the known ones and the nearest; for a value
    of the wrong type, with the parameter, what is expected and what was given.
    """
    if isinstance(declared, Pipeline):
        of = of or f"pipeline {declared.name!r}"
        declared = declared.parameters
    known = {parameter.name: parameter for parameter in declared}
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known or not is_parameter_name(name):
            raise _unknown(name, list(known), of)
        checked[name] = _checked(known[name], value, of)
    return checked


def effective_parameters(
    declared: Pipeline | Iterable[Parameter], given: Mapping[str, Any], *, of: str | None = None
) -> dict[str, Any]:
    """Return every declared parameter's value: the given one, else its default.

    Raises ``ParameterError`` like ``check_parameters``.
    """
    parameters = declared.parameters if isinstance(declared, Pipeline) else tuple(declared)
    checked = check_parameters(declared, given, of=of)
    return {p.name: checked.get(p.name, p.default) for p in parameters}


def convert_text(text: str, schema: Mapping[str, Any], default: Any = None) -> Any:
    """Return what ``text`` means under ``schema``; ``ValueError`` when it means nothing there."""
    if "enum" in schema and "type" not in schema:
        return _convert_enum(text, schema["enum"])
    types = schema.get("type")
    if types is None:
        return _convert_untyped(text)
    for kind in _in_order([types] if isinstance(types, str) else list(types)):
        try:
            return _convert(text, kind, default)
        except (ValueError, OverflowError, RecursionError):
            continue
    raise ValueError(text)


def expected(schema: Mapping[str, Any]) -> str:
    """Say what a schema accepts: ``a number (from 0 to 1)``, ``one of "a", "b"``."""
    if "enum" in schema:
        return f"one of {', '.join(show(value) for value in schema['enum'])}"
    types = schema.get("type")
    kinds = [types] if isinstance(types, str) else list(types or ())
    text = " or ".join(_NOUNS[kind] for kind in kinds) if kinds else "a JSON value"
    limits = [phrase.format(schema[key]) for key, phrase in _LIMITS.items() if key in schema]
    return f"{text} ({', '.join(limits)})" if limits else text


def _checked(parameter: Parameter, value: Any, of: str | None) -> Any:
    Draft202012Validator = validator_class()

    problem: str | None = None
    converted = value
    if isinstance(value, str):
        try:
            converted = convert_text(value, parameter.schema, parameter.default)
        except ValueError:
            problem = ""
    if problem is None and not _is_json(converted):
        problem = ""
    if problem is None:
        error = next(Draft202012Validator(parameter.schema).iter_errors(converted), None)
        if error is not None:
            inside = error.absolute_path
            problem = f" ({error.message})" if inside or error.validator == "required" else ""
    if problem is not None:
        raise ParameterError(
            f"parameter {parameter.name!r}{f' of {of}' if of else ''}: expected "
            f"{expected(parameter.schema)}, got {show(value)}{problem}",
            parameter=parameter.name,
            expected=expected(parameter.schema),
            got=value if _is_json(value) else repr(value),
        )
    return converted


def _unknown(name: str, known: list[str], of: str | None) -> ParameterError:
    owner = f" of {of}" if of else ""
    if not is_parameter_name(name):
        message = f"{show(name)} cannot name a parameter{owner}: it is not an identifier"
    else:
        message = f"unknown parameter {name!r}{owner}{closest(name, known)}"
    listed = ", ".join(known)
    return ParameterError(
        message,
        hint=f"The parameters are: {listed}." if known else "There are no parameters to set.",
        parameter=name,
        known=known,
    )


def _in_order(types: list[str]) -> list[str]:
    # From the narrowest reading to the widest: text can be anything, so it comes last.
    order = ("null", "boolean", "integer", "number", "array", "object", "string")
    narrow = [kind for kind in order if kind in types]
    if "boolean" in narrow and ("integer" in narrow or "number" in narrow):
        # 1 and 0 are numbers wherever numbers are allowed.
        narrow.remove("boolean")
        narrow.insert(narrow.index("number" if "number" in narrow else "integer") + 1, "boolean")
    return narrow


def _convert(text: str, kind: str, default: Any) -> Any:
    stripped = text.strip()
    if kind == "string":
        return text
    if kind == "null":
        if stripped in ("null", "None"):
            return None
        raise ValueError(text)
    if kind == "boolean":
        if stripped.lower() in _WORDS:
            return _WORDS[stripped.lower()]
        raise ValueError(text)
    if kind == "integer":
        if _INTEGER.fullmatch(stripped):
            return int(stripped)
        number = float(stripped)  # 1e6 is a whole number too
        if math.isfinite(number) and number.is_integer():
            return int(number)
        raise ValueError(text)
    if kind == "number":
        # A default of 0.5 says that the notebook counts in floats: "1" stays one.
        if _INTEGER.fullmatch(stripped) and not isinstance(default, float):
            return int(stripped)
        number = float(stripped)
        if not math.isfinite(number):
            raise ValueError(text)
        return number
    value = json.loads(text)
    if not isinstance(value, list if kind == "array" else dict):
        raise ValueError(text)
    return value


def _convert_enum(text: str, values: list[Any]) -> Any:
    for value in values:
        if isinstance(value, str) and value == text:
            return value
    for value in values:
        if not isinstance(value, str) and json.dumps(value) == text.strip():
            return value
    raise ValueError(text)


def _convert_untyped(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if _is_json(value) else text


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, (str, int, bool))
