"""Secrets in headless runs: not in the executed notebook, at no time, and not in its copies."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.journal import REDACTED, Redactor
from jupyter_mlops.pipelines import run_pipeline
from jupyter_mlops.pipelines.secrets import cleaner, hide_secrets
from jupyter_mlops.project import Project

from .conftest import write_notebook

SECRET = "wh-9f8e7d6c5b4a"
GIVEN = "g1ven-as-parameter"
CELLS = (
    "api_key = 'none'\nrows = 5",
    "import base64, os\nvalue = os.environ['WAREHOUSE_PASSWORD']",
    "print('value is', value, api_key)\nprint(base64.b64encode(f'user:{value}'.encode()).decode())",
    f"other = 'hf_{'a1B2' * 9}'\nother",
)
OFFLINE = Config(tracking_uri="http://127.0.0.1:9", agent=False, delivery_timeout=0.5)


def leaks(folder: Path, *secrets: str) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets)
    ]


def test_a_real_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", SECRET)
    failing = (*CELLS, "raise ValueError(f'cannot log in with {value}')")
    notebook = write_notebook(project.root / "nb.ipynb", *failing, tags={0: "parameters"})
    seen: list[str] = []

    def watch(progress: Any) -> None:
        # While it runs, what is saved meanwhile is clean, too.
        time.sleep(0.05)
        seen.extend(leaks(project.state, SECRET, GIVEN, "a1B2a1B2"))

    outcome = run_pipeline(
        project, OFFLINE, str(notebook), {"api_key": GIVEN, "rows": 7}, progress=watch
    )
    assert outcome.status == "FAILED"
    assert SECRET in str(outcome.error)  # Who ran it sees what happened.
    assert seen == []
    assert leaks(project.state, SECRET, GIVEN, "a1B2a1B2") == []
    executed = nbformat.read(outcome.output, as_version=4)
    nbformat.validate(executed)
    texts = json.dumps(executed)
    assert len(REDACTED.findall(texts)) >= 4
    assert "value is ***[WAREHOUSE_PASSWORD:" in texts
    assert 'api_key = \\"***\\"' in texts
    assert "rows = 7" in texts


def test_redaction_that_is_switched_off_leaves_parameters_masked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", SECRET)
    notebook = write_notebook(project.root / "nb.ipynb", *CELLS, tags={0: "parameters"})
    run_pipeline(project, OFFLINE.with_(redact=False), str(notebook), {"api_key": GIVEN})
    assert leaks(project.state, GIVEN) == []
    assert leaks(project.state, SECRET)


def test_a_notebook_without_secrets_is_left_alone(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "nb.ipynb", "max_tokens = 512", "print('token')")
    os.utime(notebook, (1.0, 1.0))
    hide_secrets(notebook, {"max_tokens": 512}, Redactor({}))
    assert notebook.stat().st_mtime == 1.0


def test_cleaning_changes_a_copy() -> None:
    data = {"cells": [{"source": "x = 'hunter2-x'"}], "metadata": {}}
    cleaned = cleaner({"password": "hunter2-x"}, None)(data)
    assert cleaned["cells"][0]["source"] == "x = '***'"
    assert data["cells"][0]["source"] == "x = 'hunter2-x'"
