"""The shapes of snapshots: names, versions, columns, differences.

Names of snapshots hold ``/`` and anything else: they travel in queries and bodies, never in paths.
Sizes are bytes.  Cells and figures come as text: JSON has no exact form for most of what a frame
holds.
"""

from __future__ import annotations

from .shapes import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    PATH,
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

__all__ = ["SNAPSHOT_BODIES", "SNAPSHOT_COMPONENTS", "SNAPSHOT_QUERIES"]

_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
_SPEC: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 420,
    "description": "NAME, NAME@3, NAME@tag, NAME@latest or NAME@2026-11-21T10:00.",
}
_VERSION: Schema = {"type": "integer", "minimum": 1}
_OFFSET: Schema = {"type": "integer", "minimum": 0}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
_AUTOMATIC: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": 1,
    "description": "1: also the versions that were made by themselves, of inputs of runs.",
}
_PAGE = {"offset": _OFFSET, "limit": _LIMIT}

SNAPSHOT_QUERIES: dict[str, Schema] = {
    "snapshots": object_of(
        {
            "path": PATH,
            "search": {"type": "string", "maxLength": 200},
            "automatic": _AUTOMATIC,
            "each": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "description": "How many of a name's versions are listed with it.",
            },
        }
        | _PAGE,
        optional=("path", "search", "automatic", "each", "offset", "limit"),
    ),
    "snapshot_versions": object_of(
        {"path": PATH, "name": _NAME, "automatic": _AUTOMATIC} | _PAGE,
        optional=("path", "automatic", "offset", "limit"),
    ),
    "snapshot": object_of(
        {"path": PATH, "spec": _SPEC} | _PAGE, optional=("path", "offset", "limit")
    ),
    "snapshot_runs": object_of({"path": PATH, "spec": _SPEC}, optional=("path",)),
    "snapshot_pair": object_of(
        {
            "path": PATH,
            "a": _SPEC,
            "b": _SPEC,
            "key": {
                "type": "string",
                "minLength": 1,
                "maxLength": 2000,
                "description": "Columns that rows are matched by: a,b.",
            },
            "offset": _OFFSET,
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
        },
        optional=("path", "key", "offset", "limit"),
    ),
    "snapshot_tag": object_of({"path": PATH, "name": _NAME, "tag": _NAME}),
}

SNAPSHOT_BODIES: dict[str, Schema] = {
    "SnapshotPlace": object_of({"path": PATH, "name": _NAME, "version": _VERSION}),
    "SnapshotTag": object_of({"path": PATH, "name": _NAME, "version": _VERSION, "tag": _NAME}),
}

_VALUE: Schema = {"type": ["string", "number", "boolean", "null"]}
_PART = {
    "name": STRING | {"description": "Of what lies inside; empty for the whole."},
    "kind": STRING,
    "summary": STRING,
    "facts": STRINGS,
    "counts": map_of(INTEGER),
    "schema": list_of(object_of({"what": STRING, "a": STRING, "b": STRING})),
    "schema_total": INTEGER,
    "statistics": list_of(
        object_of({"column": STRING, "figure": STRING, "a": STRING, "b": STRING})
    ),
    "statistics_total": INTEGER,
    "total": INTEGER | {"description": "Rows (of an array: cells) that differ."},
    "rows": list_of(ref("SnapshotRow")),
    "lines": STRING | {"description": "A unified diff."},
    "cut": BOOLEAN | {"description": "Whether there are more lines."},
}

SNAPSHOT_COMPONENTS: dict[str, Schema] = {
    "Snapshot": object_of(
        {
            "name": STRING,
            "version": INTEGER,
            "spec": STRING | {"description": "NAME@VERSION."},
            "created": NUMBER,
            "message": TEXT,
            "tags": STRINGS,
            "kind": STRING,
            "rows": WHOLE,
            "columns": WHOLE,
            "size": INTEGER | {"description": "As it lies in memory."},
            "added": INTEGER | {"description": "What was new on disk."},
            "digest": STRING,
            "automatic": BOOLEAN,
            "run": TEXT | {"description": "The run that it was made for."},
        }
    ),
    "Snapshots": object_of(
        {
            "names": list_of(
                object_of(
                    {
                        "name": STRING,
                        "count": INTEGER | {"description": "Versions that match."},
                        "versions": list_of(ref("Snapshot")),
                    }
                )
            ),
            "total": INTEGER | {"description": "Names that match."},
            "hidden": INTEGER | {"description": "Automatic versions that are left out."},
        }
    ),
    "SnapshotVersions": object_of({"versions": list_of(ref("Snapshot")), "total": INTEGER}),
    "SnapshotColumn": object_of(
        {
            "name": STRING,
            "type": STRING,
            "missing": WHOLE,
            "distinct": or_null(object_of({"count": INTEGER, "exact": BOOLEAN})),
            "min": _VALUE,
            "max": _VALUE,
            "mean": _VALUE,
            "std": _VALUE,
            "quantiles": map_of(_VALUE) | {"description": "By the part below: 0.5 is the median."},
            "top": list_of(object_of({"value": _VALUE, "count": INTEGER})),
            "top_of": WHOLE | {"description": "How many rows the top values were counted in."},
            "lengths": or_null(
                object_of({"unit": STRING, "min": INTEGER, "max": INTEGER, "mean": NUMBER})
            ),
        }
    ),
    "SnapshotDetails": object_of(
        {
            "version": ref("Snapshot"),
            "parent": TEXT | {"description": "The version before it."},
            "index": STRING,
            "columns": list_of(ref("SnapshotColumn")),
            "total": INTEGER | {"description": "Columns in all."},
            "chunks": INTEGER,
        }
    ),
    "SnapshotRuns": object_of(
        {
            "runs": list_of(
                object_of(
                    {
                        "run_id": STRING,
                        "name": STRING,
                        "status": STRING,
                        "started": TIME,
                        "input": STRING | {"description": "What it was called in the run."},
                    }
                )
            ),
            "searched": INTEGER | {"description": "How many of the newest runs were looked at."},
        }
    ),
    "SnapshotRow": object_of(
        {
            "change": {"enum": ["added", "removed", "changed"]},
            "label": STRING | {"description": "Its key, or its number."},
            "a": WHOLE,
            "b": WHOLE,
            "cells": list_of(object_of({"column": STRING, "a": TEXT, "b": TEXT})),
            "more": INTEGER | {"description": "Cells that are left out."},
        }
    ),
    "SnapshotDiffPart": object_of(_PART),
    "SnapshotDiff": object_of(
        {
            "a": ref("Snapshot"),
            "b": ref("Snapshot"),
            "equal": BOOLEAN,
            "offset": INTEGER,
            "whole": ref("SnapshotDiffPart"),
            "items": list_of(ref("SnapshotDiffPart"))
            | {"description": "Of a dictionary, a list or a folder: what differs inside."},
            "items_total": INTEGER,
        }
    ),
    "SnapshotUsage": object_of(
        {
            "total": INTEGER | {"description": "What the store takes on disk."},
            "dead": INTEGER | {"description": "What no version needs: gc frees it."},
            "unshared": INTEGER,
            "saved": INTEGER | {"description": "What sharing has saved of ``unshared``."},
            "names": list_of(
                object_of(
                    {
                        "name": STRING,
                        "versions": INTEGER,
                        "raw": INTEGER,
                        "stored": INTEGER,
                        "own": INTEGER | {"description": "What no other name uses."},
                        "saved": INTEGER | {"description": "What its versions share."},
                        "automatic": INTEGER | {"description": "Versions taken for runs."},
                    }
                )
            ),
            "unreadable": STRINGS,
        }
    ),
    "SnapshotChange": object_of(
        {
            "version": ref("Snapshot"),
            "before": WHOLE | {"description": "The version that the tag named before."},
            "undo": STRING | {"description": "The command that takes it back."},
        }
    ),
}
