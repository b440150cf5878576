"""The shapes of requests and answers, as JSON Schema (draft 2020-12).

They are what requests are checked against, and the components of the OpenAPI document: one source,
so that the two cannot differ.  Times are seconds since the epoch, durations seconds.  A metric that
is not a finite number is ``null``: JSON cannot express it.
"""

from __future__ import annotations

from .check_schemas import CHECK_BODIES, CHECK_COMPONENTS
from .promotion_schemas import PROMOTION_BODIES, PROMOTION_COMPONENTS
from .run_schemas import RUN_COMPONENTS
from .shapes import (
    BOOLEAN,
    FREE,
    INTEGER,
    METRICS,
    NUMBER,
    PATH,
    STRING,
    STRINGS,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    ref,
)
from .shapes import list_of as _list
from .shapes import object_of as _object
from .shapes import or_null as _or_null
from .snapshot_schemas import SNAPSHOT_BODIES, SNAPSHOT_COMPONENTS, SNAPSHOT_QUERIES

__all__ = ["BODIES", "COMPONENTS", "QUERIES", "ref"]

NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
RUN: Schema = {
    "type": "string",
    "pattern": "^[0-9A-Za-z]{1,64}$",
    "description": "A run id, a unique prefix of one, or MLflow's run id.",
}
ALIAS: Schema = {"type": "string", "minLength": 1, "maxLength": 100}
VERSION: Schema = {"type": "integer", "minimum": 1}
LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000}


# Query parameters by operation; all are optional unless named in ``required``.
QUERIES: dict[str, Schema] = {
    "none": {"type": "object", "additionalProperties": False, "properties": {}},
    "path": _object({"path": PATH}, optional=("path",)),
    "place": _object({"path": PATH}),
    "run": _object(
        {
            "path": PATH,
            "fetch": {
                "type": "integer",
                "minimum": 0,
                "maximum": 1,
                "description": "1: ask the tracking server for what is not on this machine.",
            },
        },
        optional=("path", "fetch"),
    ),
    "runs": _object({"path": PATH, "limit": LIMIT}, optional=("path", "limit")),
    "pair": _object({"path": PATH, "a": RUN, "b": RUN}, optional=("path",)),
    "why": _object({"path": PATH, "metric": NAME}, optional=("path", "metric")),
    "code": _object({"path": PATH, "name": NAME, "version": VERSION}, optional=("path",)),
    **SNAPSHOT_QUERIES,
}

BODIES: dict[str, Schema] = (
    CHECK_BODIES
    | PROMOTION_BODIES
    | SNAPSHOT_BODIES
    | {
        "Place": _object({"path": PATH}),
        "NewName": _object({"path": PATH, "name": NAME | {"maxLength": 250}}),
        "NewNote": _object({"path": PATH, "note": {"type": "string", "maxLength": 5000}}),
        "NewVersion": _object(
            {
                "path": PATH,
                "run_id": RUN,
                "name": NAME,
                "model": NAME | {"description": "Which of the run's models, where it has several."},
            },
            optional=("model",),
        ),
        "NewAlias": _object({"path": PATH, "name": NAME, "alias": ALIAS, "version": VERSION}),
        "RevertAlias": _object({"path": PATH, "name": NAME, "alias": ALIAS}),
    }
)

_MODEL_VERSION = _object(
    {
        "name": STRING,
        "version": INTEGER,
        "uri": STRING | {"description": "MLflow's address of the version."},
        "created": NUMBER,
        "aliases": STRINGS,
        "run_id": TEXT,
        "mlflow_run_id": TEXT,
        "run_name": TEXT,
        "notebook": TEXT,
        "pipeline": TEXT,
        "class_name": TEXT,
        "status": STRING,
        "source": TEXT,
        "metrics": METRICS,
        "key_metric": _or_null(_object({"name": STRING, "value": {"type": ["number", "null"]}})),
    }
)

_RUN = {
    "run_id": STRING,
    "mlflow_run_id": TEXT,
    "name": STRING,
    "status": STRING,
    "kind": STRING,
    "started": NUMBER,
    "ended": TIME,
    "duration": TIME,
    "delivered": BOOLEAN,
    "session": TEXT,
    "experiment": TEXT,
    "notebook": TEXT,
    "pipeline": TEXT,
    "parent": TEXT,
    "params": FREE,
    "metrics": METRICS,
    "models": _list(FREE),
    "registered": TEXT,
    "warnings": STRINGS,
    "note": TEXT | {"description": "What a person wrote to it."},
}

COMPONENTS: dict[str, Schema] = BODIES | {
    "Error": _object({"message": STRING, "reason": STRING, "hint": TEXT, "fields": FREE}),
    "Problem": _object({"message": STRING, "hint": TEXT}),
    "Status": _object(
        {
            "version": STRING,
            "project": _or_null(
                _object(
                    {
                        "name": STRING,
                        "root": STRING | {"description": "The root folder, for people to read."},
                        "path": STRING | {"description": "A contents path that means it."},
                        "exists": BOOLEAN | {"description": "Whether it holds state already."},
                        "key": STRING | {"description": "Names the project in events."},
                    }
                )
            ),
            "problem": _or_null(ref("Problem"))
            | {"description": "Why there can be no project here, where ``project`` is null."},
            "tracking": _object(
                {
                    "uri": STRING,
                    "local": BOOLEAN,
                    "level": STRING,
                    "synced_at": TIME,
                    "error": _or_null(ref("Problem")),
                }
            ),
            "waiting": INTEGER | {"description": "Runs that have ended and are not delivered yet."},
            "agent": _object({"running": BOOLEAN, "pid": WHOLE, "enabled": BOOLEAN}),
        }
    ),
    "Projects": _object(
        {"projects": _list(_object({"name": STRING, "path": STRING, "key": STRING}))}
    ),
    "ModelVersion": _MODEL_VERSION,
    "Models": _object(
        {
            "models": _list(
                _object(
                    {
                        "name": STRING,
                        "description": STRING,
                        "updated": NUMBER,
                        "versions": _list(ref("ModelVersion")),
                    }
                )
            )
        }
    ),
    "Code": _object({"code": STRING, "language": {"const": "python"}}),
    "CreatedVersion": _object({"version": ref("ModelVersion")}),
    "AliasChange": _object(
        {
            "name": STRING,
            "alias": STRING,
            "version": WHOLE,
            "previous": WHOLE,
            "undo": TEXT | {"description": "The command that takes it back."},
        }
    ),
    "Run": _object(_RUN),
    "RunDetail": _object(
        _RUN
        | {
            "registered": _list(_object({"name": STRING, "version": INTEGER})),
            "details": ref("RunContent"),
        }
    ),
    **RUN_COMPONENTS,
    **SNAPSHOT_COMPONENTS,
    **CHECK_COMPONENTS,
    **PROMOTION_COMPONENTS,
    "Runs": _object({"runs": _list(ref("Run"))}),
    "Pipelines": _object(
        {
            "pipelines": _list(
                _object(
                    {
                        "name": STRING,
                        "path": TEXT,
                        "description": STRING,
                        "parameters": _list(
                            _object(
                                {
                                    "name": STRING,
                                    "default": {},
                                    "schema": FREE,
                                    "description": STRING,
                                }
                            )
                        ),
                        "model": TEXT | {"description": "The registered model it makes."},
                    }
                )
            ),
            "broken": _list(_object({"name": STRING, "path": TEXT, "error": ref("Problem")}))
            | {"description": "Pipelines whose files are not valid."},
        }
    ),
    "Schedules": _object(
        {
            "schedules": _list(
                _object(
                    {
                        "id": STRING,
                        "pipeline": STRING,
                        "cron": STRING,
                        "timezone": STRING,
                        "enabled": BOOLEAN,
                        "next_at": TIME,
                        "last": _or_null(
                            _object(
                                {
                                    "slot": NUMBER,
                                    "state": STRING,
                                    "run_id": TEXT,
                                    "exit_code": WHOLE,
                                }
                            )
                        ),
                    }
                )
            ),
            "agent_running": BOOLEAN | {"description": "Schedules fire only while it runs."},
        }
    ),
    "Deployment": _object(
        {
            "id": STRING,
            "model": STRING,
            "selector": STRING,
            "version": INTEGER,
            "url": TEXT,
            "status": STRING,
            "error": TEXT,
            "hint": TEXT,
            "warnings": STRINGS,
            "behind": WHOLE
            | {"description": "The version that the alias means by now, if it is another one."},
            "created": NUMBER,
            "started": TIME,
        }
    ),
    "Deployments": _object({"deployments": _list(ref("Deployment"))}),
    "StoppedDeployment": _object({"deployment": ref("Deployment")}),
    "Job": _object(
        {
            "job": _object(
                {
                    "id": STRING,
                    "kind": {"enum": ["promotion", "run"]},
                    "state": {"enum": ["running", "done", "failed"]},
                    "message": STRING,
                    "result": _or_null(FREE),
                    "error": _or_null(ref("Error")),
                }
            )
        }
    ),
    "Refreshed": _object({"ok": BOOLEAN, "error": _or_null(ref("Problem"))}),
    "Document": FREE,
}
