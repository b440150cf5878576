"""Checking what a client sent against its schema, with messages that name the field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from ..errors import UsageError
from .schemas import BODIES, QUERIES

__all__ = ["BODY_LIMIT", "parse_body", "parse_query"]

BODY_LIMIT = 256 * 1024  # bytes; the longest legal body is a few kilobytes
_ARTICLES = {"integer": "an integer", "object": "an object", "array": "an array"}
# Jupyter's own query arguments: credentials, activity, and the time that JupyterLab appends to get
# past caches.
_JUPYTER_ARGUMENTS = re.compile(r"token|_xsrf|no_track_activity|_|\d+")


def parse_body(data: bytes, schema: str) -> dict[str, Any]:
    """Return the JSON object in a request body, valid by ``BODIES[schema]``.

    Raises ``UsageError``.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"the request body is not JSON: {error}", field=None) from None
    except RecursionError:
        raise UsageError("the request body is nested too deeply", field=None) from None
    if not isinstance(value, dict):
        raise UsageError("the request body must be a JSON object", field=None)
    _check(value, BODIES[schema], f"body:{schema}")
    return value


def parse_query(arguments: Mapping[str, Sequence[bytes]], schema: str) -> dict[str, Any]:
    """Return the query arguments, converted and valid by ``QUERIES[schema]``.

    Raises ``UsageError``, also for an argument that is given twice.
    """
    properties = QUERIES[schema]["properties"]
    values: dict[str, Any] = {}
    for name, found in arguments.items():
        if name not in properties and _JUPYTER_ARGUMENTS.fullmatch(name):
            continue
        if len(found) > 1:
            raise UsageError(f"field {_show(name)} is given {len(found)} times", field=name)
        try:
            text = found[0].decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"field {_show(name)} is not UTF-8", field=name) from None
        values[name] = text
        if properties.get(name, {}).get("type") == "integer" and re.fullmatch(
            r"-?[0-9]{1,15}", text
        ):
            values[name] = int(text)
    _check(values, QUERIES[schema], f"query:{schema}")
    return values


def _check(value: dict[str, Any], schema: dict[str, Any], key: str) -> None:
    problems = sorted(_validator(key).iter_errors(value), key=lambda e: (len(e.path), e.validator))
    if problems:
        _refuse(problems[0], value, schema)
    for name, item in value.items():
        if isinstance(item, float):  # JSON Schema counts 3.0 among the integers.
            value[name] = int(item)
        elif isinstance(item, str) and any("\ud800" <= c <= "\udfff" for c in item):
            raise UsageError(f"field {name!r} holds half a character: {_show(item)}", field=name)


@cache
def _validator(key: str) -> Any:
    table, _, name = key.partition(":")
    return _Validator((BODIES if table == "body" else QUERIES)[name])


def _whole_pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    # In Python, unlike in JSON Schema's dialect, "$" also matches before a last line break.
    if isinstance(instance, str) and re.fullmatch(pattern, instance) is None:
        yield ValidationError("does not match")


_extend: Any = validators.extend
_Validator = _extend(Draft202012Validator, {"pattern": _whole_pattern})


def _refuse(problem: ValidationError, value: dict[str, Any], schema: dict[str, Any]) -> NoReturn:
    properties = schema["properties"]
    known = ", ".join(properties) or "none"
    if problem.validator == "additionalProperties" and not problem.path:
        name = next(n for n in value if n not in properties)
        raise UsageError(
            f"unknown field {_show(name)}", hint=f"The fields are: {known}.", field=name
        )
    if problem.validator == "required" and not problem.path:
        name = next(n for n in schema["required"] if n not in value)
        raise UsageError(f"field {name!r} is missing", hint=f"The fields are: {known}.", field=name)
    name = str(problem.path[0])
    given = _show(problem.instance)
    rule: Any = problem.validator_value
    what = {
        "type": f"must be {_ARTICLES.get(str(rule), f'a {rule}')}, not {given}",
        "minimum": f"must be at least {rule}, not {given}",
        "maximum": f"must be at most {rule}, not {given}",
        "minLength": "must not be empty",
        "maxLength": f"must be at most {rule} characters long",
        "pattern": f"does not look like one: {given}",
        "enum": f"must be one of {', '.join(map(str, rule)) if isinstance(rule, list) else rule}, "
        f"not {given}",
        "minItems": "must not be empty",
        "maxItems": f"must have at most {rule} items",
        "required": f"lacks one of {', '.join(rule) if isinstance(rule, list) else rule}",
        "additionalProperties": f"has a name that is not known: {given}",
    }[str(problem.validator)]
    inner = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in [*problem.path][1:])
    raise UsageError(f"field {name + inner!r} {what}", field=name)


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else text[:77] + "..."


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
