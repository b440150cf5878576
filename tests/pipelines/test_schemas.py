"""The published schemas: valid themselves, complete, and what the documentation shows fits them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from jupyter_mlops.model.pipeline import Parameter, Pipeline, PipelineModel, Step
from jupyter_mlops.model.policy import Gate
from jupyter_mlops.pipelines import load_pipeline, load_policy
from jupyter_mlops.pipelines.validation import published_schema

DOCS = Path(__file__).resolve().parents[2] / "docs" / "pipeline-yaml.md"
PIPELINE = published_schema("pipeline.schema.json")
POLICY = published_schema("policy.schema.json")


@pytest.mark.parametrize("schema", [PIPELINE, POLICY], ids=["pipeline", "policy"])
def test_the_schema_is_valid(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("kind", "schema", "elsewhere"),
    [
        (Pipeline, PIPELINE, {"folder"}),
        (Step, PIPELINE["$defs"]["step"], {"backoff", "longest_pause"}),  # in retries
        (PipelineModel, PIPELINE["properties"]["model"], set()),
        (Gate, POLICY["$defs"]["gate"], set()),
    ],
)
def test_the_schema_has_every_field(kind: Any, schema: Any, elsewhere: set[str]) -> None:
    assert set(schema["properties"]) == {field.name for field in fields(kind)} - elsewhere


def test_parameters_are_schemas_with_a_default() -> None:
    keywords = set(PIPELINE["$defs"]["schema"]["properties"])
    assert {"default", "description"} < keywords
    assert {field.name for field in fields(Parameter)} == {
        "name",
        "default",
        "schema",
        "description",
    }
    # A reference could make validation read files or addresses.
    assert not any(keyword.startswith("$") for keyword in keywords)


def test_whatever_can_be_wrong_can_be_described() -> None:
    def walk(schema: Any, where: str) -> None:
        if not isinstance(schema, dict):
            return
        if "type" in schema or "enum" in schema or "const" in schema:
            assert "description" in schema, where
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict) and "$ref" not in inner:
                assert "description" in inner, f"{where}.{name}"
            walk(inner, f"{where}.{name}")

    for schema in (PIPELINE, POLICY):
        walk(schema, "")
        for name, inner in schema["$defs"].items():
            walk(inner, name)


def test_the_examples_in_the_documentation_are_valid(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8")
    pipeline, policy = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (tmp_path / "pipeline.yaml").write_text(pipeline)
    (tmp_path / "policy.yaml").write_text(policy)
    assert load_pipeline(tmp_path).name == "churn"
    assert len(load_policy(tmp_path).gates) == 2


def test_the_documentation_names_every_key() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for schema in (
        PIPELINE,
        PIPELINE["$defs"]["step"],
        PIPELINE["$defs"]["schema"],
        PIPELINE["$defs"]["step"]["properties"]["resources"],
        PIPELINE["properties"]["model"],
        POLICY,
        POLICY["$defs"]["gate"],
    ):
        for key in schema["properties"]:
            assert f"`{key}`" in text or f"\n{key}:" in text, key
