"""The shapes of what is known of a run, of comparisons and of changes."""

from __future__ import annotations

from .shapes import (
    BOOLEAN,
    FREE,
    METRICS,
    NUMBER,
    STRING,
    STRINGS,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    list_of,
    map_of,
    object_of,
    or_null,
    ref,
)

__all__ = ["RUN_COMPONENTS"]

_TRUTH: Schema = {"type": ["boolean", "null"]}
_ONLY: Schema = {"enum": ["a", "b", None], "description": "Which run has it, if only one has."}
_POINTS: Schema = list_of(list_of(TIME)) | {"description": "[step, value], in order of steps."}

_LABEL = object_of(
    {
        "run_id": STRING,
        "name": STRING,
        "status": STRING,
        "started": NUMBER,
        "duration": TIME,
        "notebook": TEXT,
        "origin": STRING,
    }
)
_INPUT = object_of(
    {
        "name": STRING,
        "kind": STRING,
        "digest": TEXT,
        "rows": WHOLE,
        "columns": WHOLE,
        "size": {"type": "integer"},
        "schema": map_of(STRING),
        "source": TEXT,
        "how": STRING,
        "reason": TEXT,
        "snapshot": TEXT | {"description": "The version that keeps it: name@3."},
        "added": {"type": "integer", "description": "Bytes that this version was new on disk."},
    }
)
_FILE = object_of(
    {
        "name": STRING,
        "kind": STRING,
        "size": {"type": "integer"},
        "kept": BOOLEAN,
        "reason": TEXT,
        "text": TEXT | {"description": "Its text where the record holds it, cut to 20,000."},
    }
)
_METRIC = object_of(
    {
        "name": STRING,
        "a": TIME,
        "b": TIME,
        "delta": TIME,
        "relative": TIME,
        "lower_is_better": BOOLEAN,
        "better": {"enum": ["a", "b", None]},
    }
)
_INPUT_DIFFERENCE = object_of(
    {
        "name": STRING,
        "status": {"enum": ["changed", "a", "b", "renamed"]},
        "source": TEXT,
        "other": TEXT,
        "digest_a": TEXT,
        "digest_b": TEXT,
        "rows_a": WHOLE,
        "rows_b": WHOLE,
        "size_a": WHOLE,
        "size_b": WHOLE,
        "added": STRINGS,
        "removed": STRINGS,
        "retyped": map_of(STRINGS),
    }
)
_DIFFERENCES = list_of(ref("Difference"))

RUN_COMPONENTS: dict[str, Schema] = {
    "RunContent": object_of(
        {
            "origin": {"enum": ["journal", "artifact", "mlflow", "summary"]},
            "complete": BOOLEAN | {"description": "Whether this is all that was captured."},
            "problem": TEXT,
            "source": TEXT,
            "cell_id": TEXT,
            "error": or_null(FREE),
            "hyperparameters": FREE,
            "series": map_of(_POINTS),
            "inputs": list_of(_INPUT),
            "files": list_of(_FILE),
            "environment": or_null(
                object_of(
                    {
                        "digest": STRING,
                        "python": STRING,
                        "platform": STRING,
                        "packages": map_of(STRING),
                        "hardware": FREE,
                    }
                )
            ),
            "git": object_of({"commit": TEXT, "branch": TEXT, "dirty": _TRUTH}),
            "modules": map_of(STRING),
            "seeds": FREE,
            "resources": METRICS,
            "left_out": map_of(STRING),
            "tags": map_of(STRING),
        }
    ),
    "RunChange": object_of(
        {
            "run_id": STRING,
            "mlflow_run_id": TEXT,
            "name": STRING,
            "note": TEXT,
            "before": TEXT | {"description": "The name or note that was replaced."},
            "undo": STRING | {"description": "The command that takes it back."},
        }
    ),
    "Difference": object_of({"name": STRING, "a": {}, "b": {}, "only": _ONLY}),
    "Comparison": object_of(
        {
            "a": _LABEL,
            "b": _LABEL,
            "metrics": list_of(_METRIC),
            "params": _DIFFERENCES,
            "hyperparameters": _DIFFERENCES,
            "code": object_of(
                {
                    "source": STRING | {"description": "A unified diff; empty if equal."},
                    "git": _DIFFERENCES,
                    "modules": list_of(object_of({"name": STRING, "only": _ONLY, "diff": TEXT})),
                }
            ),
            "inputs": list_of(_INPUT_DIFFERENCE),
            "same_inputs": STRINGS,
            "packages": _DIFFERENCES,
            "environment": _DIFFERENCES,
            "seeds": _DIFFERENCES,
            "models": _DIFFERENCES,
            "resources": _DIFFERENCES,
            "curves": list_of(object_of({"name": STRING, "a": _POINTS, "b": _POINTS})),
            "unknown": STRINGS | {"description": "What could not be compared, and why."},
            "same": BOOLEAN | {"description": "Nothing a result depends on is known to differ."},
        }
    ),
    "Explanation": object_of(
        {
            "run": _LABEL,
            "metric": TEXT,
            "value": TIME,
            "best": or_null(_LABEL),
            "best_value": TIME,
            "group": {"enum": ["cell", "name", "pipeline", "experiment"]},
            "peers": {"type": "integer"},
            "verdict": STRING,
            "reasons": list_of(object_of({"kind": STRING, "sentence": STRING})),
            "unknown": STRINGS,
            "comparison": or_null(ref("Comparison")),
        }
    ),
}
