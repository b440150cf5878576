"""The shapes of ``checks``: a notebook's cells in, findings out."""

from __future__ import annotations

from .shapes import INTEGER, STRING, STRINGS, TEXT, WHOLE, Schema, list_of, object_of, ref

__all__ = ["CHECK_BODIES", "CHECK_COMPONENTS"]

_COUNT: Schema = WHOLE | {"minimum": 0}
_POSITION: Schema = {"type": "integer", "minimum": 0, "description": "Among all cells, from 0."}

CHECK_BODIES: dict[str, Schema] = {
    "NewCheck": object_of(
        {
            "path": {
                "type": "string",
                "minLength": 1,
                "maxLength": 4096,
                "description": "Contents path of the notebook.",
            },
            "cells": list_of(
                object_of(
                    {
                        "position": _POSITION,
                        "id": STRING | {"maxLength": 64},
                        "source": STRING,
                        "count": _COUNT | {"description": "The execution count."},
                    }
                )
            )
            | {
                "minItems": 1,
                "maxItems": 5000,
                "description": "Its code cells as they are now; without them the file is read.",
            },
        },
        optional=("cells",),
    )
}

CHECK_COMPONENTS: dict[str, Schema] = {
    "Check": object_of(
        {
            "session": TEXT
            | {"description": "The session gone by; null where execution counts had to do."},
            "findings": list_of(ref("Finding")),
        }
    ),
    "Finding": object_of(
        {
            "rule": STRING,
            "severity": {"enum": ["error", "warning", "note"]},
            "cell": _POSITION,
            "cell_id": TEXT,
            "line": INTEGER | {"description": "In the cell, from 1."},
            "column": INTEGER | {"description": "In the line, from 1."},
            "message": STRING,
            "reason": STRING,
            "fix": STRING,
            "names": STRINGS,
            "related": list_of(
                object_of(
                    {
                        "cell": WHOLE,
                        "cell_id": TEXT,
                        "count": _COUNT,
                        "what": STRING,
                    }
                )
            ),
        }
    ),
}
