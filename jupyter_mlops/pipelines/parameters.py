"""Parameters that a person gives: known ones only, of the declared type.

On a command line every value is text; the declared JSON Schema says what it means.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..capture.redact import REDACTED, redact
from ..errors import ParameterError
from ..model.pipeline import Parameter, Pipeline
from .names import is_parameter_name
from .parameter_formats import FORMATS, format_noun, normal_text, plain_value
from .schemas import validator_class
from .validation import closest, show

__all__ = [
    "TypedText",
    "check_parameters",
    "convert_text",
    "effective_parameters",
    "expected",
    "normal_value",
    "schema_has_secret",
    "value_problem",
]

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


class TypedText(str):
    """A text from a file that has types: it is a text wherever the parameter may be one.

    ``"5"`` of a command line is a number where a number or a text is allowed; this is not.
    """

    __slots__ = ()


def check_parameters(
    declared: Pipeline | Iterable[Parameter], given: Mapping[str, Any], *, of: str | None = None
) -> dict[str, Any]:
    """Return the values that were given, converted to their declared types.

    Text is converted; dates, durations, paths, tuples and sets become the JSON that stands for
    them, anything else is taken as it is; only names in ``given`` are in the result
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
    if "anyOf" in schema:
        for option in sorted(schema["anyOf"], key=_width):
            try:
                value = convert_text(text, option, default)
            except (ValueError, OverflowError, RecursionError):
                continue
            if _problem(value, option) is None:
                return value
        raise ValueError(text)
    if "enum" in schema and "type" not in schema:
        return _convert_enum(text, schema["enum"])
    types = schema.get("type")
    if types is None:
        return _convert_untyped(text)
    for kind in _in_order([types] if isinstance(types, str) else list(types)):
        try:
            return normal_value(_convert(text, kind, default), schema)
        except (ValueError, OverflowError, RecursionError):
            continue
    raise ValueError(text)


def normal_value(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a JSON value as it is written down: dates and durations in one form.

    Raises ``ValueError`` for a text that is not of the schema's ``format``.
    """
    if "anyOf" in schema:
        for option in sorted(schema["anyOf"], key=_width):
            with contextlib.suppress(ValueError, OverflowError):
                found = normal_value(value, option)
                if _problem(found, option) is None:
                    return found
        return value  # the validator says why
    if isinstance(value, str) and schema.get("format") in FORMATS:
        return normal_text(value, schema["format"])
    if isinstance(value, float) and schema.get("type") == "integer" and value.is_integer():
        return int(value)
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        rest = schema.get("items") or {}
        return [
            normal_value(item, first[place] if place < len(first) else rest)
            for place, item in enumerate(value)
        ]
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        others = more if isinstance(more, Mapping) else {}
        return {key: normal_value(item, known.get(key, others)) for key, item in value.items()}
    return value


def expected(schema: Mapping[str, Any]) -> str:
    """Say what a schema accepts: ``a number (from 0 to 1)``, ``one of "a", "b"``."""
    if "anyOf" in schema:
        return " or ".join(expected(option) for option in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(show(value) for value in schema['enum'])}"
    types = schema.get("type")
    kinds = [types] if isinstance(types, str) else list(types or ())
    nouns = [
        format_noun(str(schema.get("format"))) if kind == "string" and "format" in schema else None
        for kind in kinds
    ]
    texts = [noun or _NOUNS[kind] for noun, kind in zip(nouns, kinds, strict=True)]
    text = " or ".join(texts) if texts else "a JSON value"
    inside = schema.get("items") or schema.get("additionalProperties")
    if kinds == ["array"] and "prefixItems" in schema:
        text = f"a JSON list of {', '.join(expected(one) for one in schema['prefixItems'])}"
    elif isinstance(inside, Mapping) and ("format" in inside or "enum" in inside):
        text = f"{text} (each {expected(inside)})"
    count = "prefixItems" in schema
    limits = [
        phrase.format(schema[key])
        for key, phrase in _LIMITS.items()
        if key in schema and not (count and key in ("minItems", "maxItems"))
    ]
    return f"{text} ({', '.join(limits)})" if limits else text


def value_problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a JSON value under a schema: ``""`` where the schema says it all."""
    try:
        normal_value(value, schema)
    except (ValueError, OverflowError):
        return ""
    return _problem(value, schema)


def _problem(value: Any, schema: Mapping[str, Any]) -> str | None:
    Draft202012Validator = validator_class()

    if not _is_json(value):
        return ""
    error = next(Draft202012Validator(schema).iter_errors(value), None)
    if error is None:
        return None
    inside = error.absolute_path or error.validator == "required"
    return f" ({error.message})" if inside else ""


def _checked(parameter: Parameter, given: Any, of: str | None) -> Any:
    value, schema = plain_value(given), parameter.schema
    problem: str | None = ""
    converted = value
    try:
        if isinstance(value, TypedText):
            converted = str(value)
            if value_problem(converted, schema) is not None:
                converted = convert_text(converted, schema, parameter.default)
        elif isinstance(value, str):
            converted = convert_text(value, schema, parameter.default)
        if _is_json(converted):
            converted = normal_value(converted, schema)
            problem = _problem(converted, schema)
    except (ValueError, OverflowError, RecursionError):
        pass
    if problem is not None:
        hidden = schema_has_secret(schema) or redact(parameter.name, value) == REDACTED
        raise ParameterError(
            f"parameter {parameter.name!r}{f' of {of}' if of else ''}: expected "
            f"{expected(schema)}, got {REDACTED if hidden else show(value) + problem}",
            parameter=parameter.name,
            expected=expected(schema),
            got=REDACTED if hidden else value if _is_json(value) else repr(value),
        )
    return converted


def schema_has_secret(schema: Mapping[str, Any]) -> bool:
    """Whether a value may be, or hold, a reference to a secret."""
    inner = [*schema.get("anyOf", ()), *schema.get("prefixItems", ())]
    inner += [schema.get("items"), schema.get("additionalProperties")]
    inner += schema.get("properties", {}).values()
    return schema.get("format") == "secret" or any(
        schema_has_secret(one) for one in inner if isinstance(one, Mapping)
    )


def _width(schema: Mapping[str, Any]) -> int:
    """Orders schemas from the narrowest reading of a text to the widest."""
    types = schema.get("type")
    kinds = [types] if isinstance(types, str) else list(types or ())
    if "enum" in schema:
        return 0
    if "format" in schema:
        return 9 if schema["format"] == "path" else 5
    order = ("null", "integer", "number", "boolean", "array", "object", "string")
    width = {"string": 10, "array": 6, "object": 7}
    return max((width.get(k, 1 + order.index(k)) for k in kinds), default=11)


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
