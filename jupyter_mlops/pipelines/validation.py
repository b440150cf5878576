"""Checking data against our published JSON Schemas, with messages for the person who wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

from .schemas import validator_class

__all__ = ["closest", "describe_problem", "find_problem", "published_schema", "show"]


@cache
def published_schema(name: str) -> dict[str, Any]:
    """Return ``pipeline.schema.json`` or ``policy.schema.json``, which lie beside this module."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def find_problem(data: Any, schema_name: str) -> str | None:
    """Return what is wrong with ``data`` first, as ``key path: what is allowed``, or ``None``."""
    impossible = next(_not_json(data, ""), None)
    if impossible is not None:
        return impossible
    # The outermost first; at one depth in the schema's order, which puts the version first.
    errors = sorted(_validator(schema_name).iter_errors(data), key=lambda e: len(e.absolute_path))
    return describe_problem(errors[0]) if errors else None


def describe_problem(error: Any) -> str:
    """Say what a ``jsonschema.ValidationError`` means: where, what is there, what is allowed."""
    where = _path(error.absolute_path)
    prefix = f"{where}: " if where else ""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    allowed = schema.get("description")
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = list(schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        guess = closest(str(unknown), known)
        return f"{prefix}unknown key {unknown!r}{guess}; the keys are {', '.join(known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{prefix}the key {missing!r} is missing"
    if error.validator == "anyOf" and all("required" in option for option in error.validator_value):
        keys = [option["required"][0] for option in error.validator_value]
        return f"{prefix}one of the keys {', '.join(keys)} is missing"
    if "propertyNames" in error.absolute_schema_path:
        return f"{prefix}{show(error.instance)} must be {allowed}"
    if error.validator == "uniqueItems":
        return f"{prefix}an entry is there twice"
    if allowed:
        return f"{prefix}must be {allowed}, not {show(error.instance)}"
    return f"{prefix}{error.message}"


def closest(word: str, known: list[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` where a known word is near, else an empty string."""
    folded = {name.casefold(): name for name in reversed(known)}
    near = get_close_matches(word.casefold(), list(folded), n=1)
    return f" (did you mean {folded[near[0]]!r}?)" if near else ""


def show(value: Any, limit: int = 60) -> str:
    """A value as it stands in a message: JSON, cut to ``limit`` characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


@cache
def _validator(schema_name: str) -> Any:
    Draft202012Validator = validator_class()

    return Draft202012Validator(
        published_schema(schema_name), format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _path(parts: Any) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _not_json(data: Any, where: str) -> Iterator[str]:
    """Yield what JSON could not express: keys that are not text, and numbers without a value."""
    prefix = f"{where}: " if where else ""
    if isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(key, str):
                yield f"{prefix}the key {show(key)} must be text; put it in quotes"
            else:
                yield from _not_json(value, f"{where}.{key}" if where else key)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _not_json(value, f"{where}[{number}]")
    elif isinstance(data, float) and not math.isfinite(data):
        yield f"{prefix}must be a finite number, not {data}"
    elif not isinstance(data, (str, int, float, bool)) and data is not None:
        yield f"{prefix}must be text, a number, true, false or null, not {type(data).__name__}"
