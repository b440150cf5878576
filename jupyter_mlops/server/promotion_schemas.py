"""The shapes of promotions: what is asked for, and the plan that is shown before."""

from __future__ import annotations

from .shapes import BOOLEAN, FREE, INTEGER, METRICS, NUMBER, PATH, STRING, STRINGS, TEXT, Schema
from .shapes import list_of as _list
from .shapes import object_of as _object

__all__ = ["PROMOTION_BODIES", "PROMOTION_COMPONENTS"]

_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
_SEQ: Schema = {"type": "integer", "minimum": 0}
_EDITS: Schema = _object(
    {
        "parameters": {
            "type": "object",
            "description": "By their name in the notebook.",
            "additionalProperties": _object(
                {
                    "name": _NAME,
                    "type": {"enum": ["string", "number", "integer", "boolean", "array", "object"]},
                    "included": BOOLEAN,
                },
                optional=("name", "type", "included"),
            ),
        },
        "cells": {
            "type": "object",
            "description": "Keep (true) or drop a cell, by the number of its execution.",
            "additionalProperties": BOOLEAN,
        },
        "steps": _list(_object({"name": _NAME, "first": _SEQ}))
        | {"maxItems": 200, "description": "All steps, each with its first cell."},
    },
    optional=("parameters", "cells", "steps"),
)
_ASKED: dict[str, Schema] = {
    "path": {
        "type": "string",
        "minLength": 1,
        "maxLength": 4096,
        "description": "Contents path of the notebook.",
    },
    "name": _NAME | {"description": "The pipeline's name; by default the notebook's."},
    "run": {
        "type": "string",
        "pattern": "^[0-9A-Za-z]{1,64}$",
        "description": "Which tracked run; by default the newest finished one.",
    },
    "targets": _list(_NAME) | {"maxItems": 100, "description": "Variables instead of the run."},
    "steps": {"enum": ["auto", "one", "headings"], "description": "Where steps begin."},
    "edits": _EDITS | {"description": "What the person changed in the plan."},
    "drop_displays": BOOLEAN | {"description": "Leave out statements that only display."},
}
_DECIDED: dict[str, Schema] = {
    "data": {"enum": ["source", "pinned"], "description": "Replay on sources or on snapshots."},
    "allow_pickle": BOOLEAN | {"description": "Hand over as pickles what has no other format."},
    "force": BOOLEAN | {"description": "Replace a pipeline that was edited by hand."},
}

PROMOTION_BODIES: dict[str, Schema] = {
    "NewPipelineRun": _object(
        {
            "path": PATH,
            "pipeline": _NAME,
            "parameters": {
                "type": "object",
                "maxProperties": 1000,
                "description": "Values by name; a text is read by the parameter's type.",
            },
        },
        optional=("parameters",),
    ),
    "NewPlan": _object(_ASKED, optional=tuple(name for name in _ASKED if name != "path")),
    "NewPromotion": _object(
        _ASKED | _DECIDED, optional=tuple(n for n in (*_ASKED, *_DECIDED) if n != "path")
    ),
}

_CELL = _object(
    {
        "seq": INTEGER | {"description": "The number of its execution in the session."},
        "name": STRING,
        "cell_id": TEXT,
        "source": STRING,
        "kept": BOOLEAN,
        "reason": STRING,
        "state": {"enum": ["as_is", "edited", "deleted", "failed", "private"]},
        "step": TEXT,
        "seconds": NUMBER,
        "changed_by_person": BOOLEAN,
    }
)
_PARAMETER = _object(
    {
        "name": STRING,
        "original": STRING,
        "default": {},
        "schema": FREE,
        "rank": INTEGER,
        "reason": STRING,
        "seq": INTEGER,
        "included": BOOLEAN,
    }
)
_STEP = _object(
    {
        "name": STRING,
        "cells": _list(INTEGER),
        "reason": STRING,
        "inputs": {"type": "object", "additionalProperties": STRING},
        "outputs": _list(
            _object({"variable": STRING, "kind": STRING, "format": TEXT, "file": TEXT})
        ),
        "needs": STRINGS,
    }
)
_FILE = _object(
    {
        "source": STRING,
        "how": STRING,
        "digest": TEXT,
        "parameter": TEXT,
        "snapshot": TEXT,
        "exact": BOOLEAN,
    }
)

PROMOTION_COMPONENTS: dict[str, Schema] = {
    "Plan": _object(
        {
            "version": INTEGER,
            "name": STRING,
            "notebook": STRING,
            "basis": {"enum": ["session", "document"]},
            "run_id": TEXT,
            "targets": STRINGS,
            "mode": {"enum": ["auto", "one", "headings"]},
            "cells": _list(_CELL),
            "parameters": _list(_PARAMETER),
            "steps": _list(_STEP),
            "files": _list(_FILE),
            "metrics": METRICS,
            "model": TEXT,
            "unseeded": STRINGS,
            "refused_cuts": STRINGS,
            "warnings": STRINGS,
        }
    ),
}
