"""The OpenAPI document says what the running server does: no more and no less."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from jsonschema import Draft202012Validator

from jupyter_mlops.server.openapi import document
from jupyter_mlops.server.operations import OPERATIONS, PREFIX

from .conftest import BASE, Server


def test_every_running_route_is_documented_and_every_documented_one_runs(server: Server) -> None:
    documented = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path))
        for path, item in document()["paths"].items()
        for method in item
    }
    running = {
        (method, _generic(route["pattern"]))
        for route in server.routes
        for method in route["methods"]
        if method != "OPTIONS"
    }
    assert documented == running


def test_path_parameters_are_documented_as_they_are_matched(server: Server) -> None:
    matched = {
        _generic(route["pattern"]): re.findall(r"\(([^)]+)\)", route["pattern"])
        for route in server.routes
    }
    for operation in OPERATIONS:
        patterns = [s["pattern"].strip("^$") for s in operation.path_parameters.values()]
        assert patterns == matched["/" + re.sub(r"\{\w+\}", "*", operation.path)], operation.path


def test_the_server_serves_the_document(server: Server) -> None:
    served = server.get("openapi.json").data
    assert served["servers"] == [{"url": f"{BASE}/{PREFIX}"}]
    here = document()
    assert (served["paths"], served["components"]) == (here["paths"], here["components"])


def test_the_document_is_sound() -> None:
    doc = document("/base/", "1.2.3")
    assert doc["openapi"].startswith("3.1")
    assert doc["info"]["version"] == "1.2.3"
    for schema in doc["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    used = set(_refs(doc))
    assert used == {f"#/components/schemas/{name}" for name in doc["components"]["schemas"]}
    ids = [op["operationId"] for item in doc["paths"].values() for op in item.values()]
    assert len(set(ids)) == len(ids)
    for path, item in doc["paths"].items():
        for operation in item.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_the_document_can_be_printed_without_a_server() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_mlops.server.openapi"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == document()


def _generic(pattern: str) -> str:
    path = pattern.removesuffix("$").removeprefix(f"{BASE}/{PREFIX}").replace("\\.", ".")
    return re.sub(r"\([^)]+\)", "*", path)


def _refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        here = [value["$ref"]] if "$ref" in value else []
        return here + [ref for item in value.values() for ref in _refs(item)]
    if isinstance(value, list):
        return [ref for item in value for ref in _refs(item)]
    return []
