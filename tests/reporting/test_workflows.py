"""The written workflows hold to the published schemas."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

from jupyter_mlops.pipelines.yaml_text import parse_yaml
from jupyter_mlops.reporting.workflows import (
    DATA_WAYS,
    GITLAB_FILE,
    Setup,
    github_workflow,
    gitlab_jobs,
    gitlab_root,
)

SETUPS = [
    Setup(way, "0.1.0", folder, "feature/x", "3.12", ("-r", "requirements.txt"), remote)
    for way in DATA_WAYS
    for folder in ("", "sub dir/o'brien")
    for remote in ("s3://bucket/prefix", "/mnt/data")
]


@cache
def validator(kind: str) -> Any:
    schema = get_builtin_schema(f"vendor.{kind}")
    return validator_for(schema)(schema)


def validate(kind: str, text: str) -> Any:
    data = parse_yaml(text)
    validator(kind).validate(data)
    return data


@pytest.mark.parametrize("setup", SETUPS, ids=lambda s: f"{s.data}-{s.folder}-{s.remote}")
def test_github(setup: Setup) -> None:
    data = validate("github-workflows", github_workflow(setup))
    job = data["jobs"]["pipelines"]
    assert data["on"]["push"]["branches"] == ["feature/x"]
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert ("snapshots pull" in " ".join(runs)) == setup.fetches
    assert job.get("defaults", {}).get("run", {}).get("working-directory", "") == setup.folder
    kept = [step for step in job["steps"] if step.get("uses", "").startswith("actions/cache")]
    assert bool(kept) == (setup.data == "cache")
    secret = "AWS_SECRET_ACCESS_KEY: ${{ secrets.AWS_SECRET_ACCESS_KEY }}"
    assert (secret in github_workflow(setup)) == (
        setup.fetches and str(setup.remote).startswith("s3:")
    )


@pytest.mark.parametrize("setup", SETUPS, ids=lambda s: f"{s.data}-{s.folder}-{s.remote}")
def test_gitlab(setup: Setup) -> None:
    data = validate("gitlab-ci", gitlab_jobs(setup))
    job = data["mlops"]
    assert all(isinstance(line, str) for line in job["script"] + job["after_script"])
    assert ("cache" in job) == (setup.data == "cache")
    assert ("JUPYTER_MLOPS_SNAPSHOT_REMOTE" in job["variables"]) == setup.fetches


def test_gitlabs_root_includes_the_jobs() -> None:
    assert validate("gitlab-ci", gitlab_root()) == {"include": [{"local": GITLAB_FILE}]}


def test_the_schema_refuses_what_is_no_workflow() -> None:
    text = github_workflow(SETUPS[0]).replace("    runs-on:", "    runs-where:")
    with pytest.raises(Exception, match=r"runs-where|is not valid"):
        validate("github-workflows", text)
