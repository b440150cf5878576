"""The OpenAPI document of the REST API; ``python -m jupyter_mlops.server.openapi`` prints it."""

from __future__ import annotations

import json
from http.client import responses
from typing import Any

from .operations import OPERATIONS, PREFIX, Operation
from .schemas import COMPONENTS, QUERIES, ref

__all__ = ["document"]

_ERRORS = {
    400: "A path, query or body that is not valid, or that cannot be done as asked.",
    404: "No such run, model version, snapshot, deployment or job.",
    409: "It exists already, or a gate refused (fields.gates).",
    503: "The agent or the tracking server did not answer.",
}
_ALWAYS = {
    "403": "No credentials, a foreign Host, no XSRF token, or not authorized.",
    "default": "Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 "
    "where a notebook failed, 500 and 501 for the server's own trouble.",
}


def document(base_url: str = "/", version: str = "0") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document for a server at ``base_url``."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"/{operation.path}", {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jupyter_mlops",
            "version": version,
            "description": "Runs, models, snapshots, pipelines, schedules and deployments of the "
            "projects below a Jupyter server's root folder. Times are seconds since the epoch.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{base_url.rstrip('/')}/{PREFIX}"}],
        "security": [{"token": []}, {"cookie": [], "xsrf": []}],
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "username-<host>"},
                "xsrf": {"type": "apiKey", "in": "header", "name": "X-XSRFToken"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {
        str(operation.status): _answer(responses[operation.status], operation.answer)
    }
    for status in operation.errors:
        answers[str(status)] = _answer(_ERRORS[status], "Error")
    for text, description in _ALWAYS.items():
        answers.setdefault(text, _answer(description, "Error"))
    result: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "x-jupyter-authorization": {"action": operation.action, "resource": operation.resource},
        "parameters": _parameters(operation),
        "responses": answers,
    }
    if operation.body is not None:
        result["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": ref(operation.body)}},
        }
    return result


def _operation_id(operation: Operation) -> str:
    words = operation.path.removesuffix(".json").replace("{", "by_").replace("}", "")
    return "_".join((operation.method, *words.split("/")))


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    result = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in operation.path_parameters.items()
    ]
    query = QUERIES[operation.query]
    result.extend(
        {"name": name, "in": "query", "required": name in query["required"], "schema": schema}
        for name, schema in query["properties"].items()
    )
    return result


def _answer(description: str, component: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": ref(component)}},
    }


if __name__ == "__main__":
    print(json.dumps(document(), indent=2))
