"""The building blocks of the API's schemas."""

from __future__ import annotations

from typing import Any

__all__ = [
    "BOOLEAN",
    "FREE",
    "INTEGER",
    "METRICS",
    "NUMBER",
    "PATH",
    "STRING",
    "STRINGS",
    "TEXT",
    "TIME",
    "WHOLE",
    "Schema",
    "list_of",
    "map_of",
    "object_of",
    "or_null",
    "ref",
]

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
TEXT: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": ["number", "null"]}
INTEGER: Schema = {"type": "integer"}
WHOLE: Schema = {"type": ["integer", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
STRINGS: Schema = {"type": "array", "items": STRING}
FREE: Schema = {"type": "object"}
METRICS: Schema = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
PATH: Schema = {
    "type": "string",
    "maxLength": 4096,
    "description": "Contents path of the active notebook or folder: its project is meant.",
}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """What fits ``schema``, or ``null``."""
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Schema) -> Schema:
    """An array of what fits ``schema``."""
    return {"type": "array", "items": schema}


def map_of(schema: Schema) -> Schema:
    """An object with any names, whose values fit ``schema``."""
    return {"type": "object", "additionalProperties": schema}


def object_of(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object with these properties and no others, required unless named in ``optional``."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }
