"""Holding real answers against the OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from jupyter_mlops.server.openapi import document


@cache
def openapi() -> dict[str, Any]:
    return document()


def check_answer(method: str, path: str, status: int, data: Any) -> None:
    """Fail unless this is what the document says that ``method path`` answers."""
    operation = _operation(method, path)
    answers = operation["responses"] if operation else {}
    name = str(status)
    if name not in answers:
        assert status >= 400, f"{method} {path}: {status} is not documented"
        schema = {"$ref": "#/components/schemas/Error"}
    else:
        schema = answers[name]["content"]["application/json"]["schema"]
    _validator(schema["$ref"]).validate(data)


def _operation(method: str, path: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None
    # A path without parameters is the better match, as it is for the server.
    for template, item in sorted(openapi()["paths"].items(), key=lambda pair: "{" in pair[0]):
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, f"/{path}"):
            found = item.get(method.lower())
            break
    return found


@cache
def _validator(ref: str) -> Draft202012Validator:
    schemas = {"components": openapi()["components"], "$ref": ref}
    return Draft202012Validator(schemas)
