"""Planted secrets, through a real kernel, into nothing below ``.mlops/`` and not into MLflow."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.journal import REDACTED
from jupyter_mlops.project import Project

from ..journal.planted import KINDS
from .conftest import start_kernel

ENVIRONMENT = {
    "WAREHOUSE_PASSWORD": "S3cret+Ware/house&1",
    "FORECAST_API_KEY": "fc-9f8e7d6c5b4a",
    "MY_AUTH_TOKEN": 'quo"ted\\s3cret',
}
PLANTED = {kind: make(random.Random(kind)) for kind, make in KINDS.items()}


def forms(secret: str) -> set[bytes]:
    """What must not be found of a secret."""
    data = secret.encode()
    shifted = [base64.b64encode(b"x" * lead + data)[4:-4] for lead in range(3)]
    return {data, json.dumps(secret)[1:-1].encode(), data.hex().encode()} | {
        form for form in shifted if len(form) >= 12
    }


def leaks(folder: Path, secrets: dict[str, str]) -> list[str]:
    """Every place below ``folder`` where one of the secrets stands, names of files included."""
    found = []
    for path in folder.rglob("*"):
        data = os.fsencode(path.relative_to(folder))
        if path.is_file() and not path.is_symlink():
            data += path.read_bytes()
        for name, secret in secrets.items():
            found += [f"{name} in {path.relative_to(folder)}" for f in forms(secret) if f in data]
    return found


def sync(project: Project) -> None:
    command = [sys.executable, "-m", "jupyter_mlops", "sync"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def artifacts(project: Project, name: str) -> list[str]:
    return [path.read_text() for path in project.state.rglob(name) if path.is_file()]


def test_planted_secrets_are_nowhere(mlflow_project: Project) -> None:
    project = mlflow_project
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    settings = project.root / "settings.py"
    settings.write_text("x = 1\n")
    subprocess.run(["git", "add", "settings.py"], cwd=project.root, check=True)
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *author, "commit", "-qm", "x"], cwd=project.root, check=True)
    settings.write_text("x = 1\napi_key = 'd1ff-only-secret'\n")

    with start_kernel(project.root, **ENVIRONMENT) as kernel:
        kernel.run("%load_ext jupyter_mlops\nimport os, base64, json, settings")

        # The environment, printed in all its forms.
        kernel.run(
            "%%track\nfor name in " + repr(list(ENVIRONMENT)) + ":\n"
            "    value = os.environ[name]\n"
            "    print(value, repr(value), json.dumps(value), value.encode().hex())\n"
            "    print(base64.b64encode(f'user:{value}'.encode()).decode())\n"
            "score = 0.5\nprint('environment done')"
        )
        # Each kind in the code, as a parameter, printed, shown, and in a table.
        for number, (_, text) in enumerate(PLANTED.values()):
            outcome = kernel.run(
                f"%%track --tag note{number}={text.split()[0]!r}\n"
                f"planted = {text!r}  # {text.splitlines()[0]}\n"
                f"print(planted)\nscore = {number}.5\n"
                "from IPython.display import HTML, display\n"
                "display(HTML(f'<table><tr><td>{planted}</td></tr></table>'))\nplanted"
            )
            assert outcome.ename is None
            assert text.splitlines()[0] in outcome.stdout  # The person sees what was always shown.
        # In an error, its traceback and a long output.
        for _, text in PLANTED.values():
            kernel.run(f"%%track\nwrong = {text!r}\nraise RuntimeError('cannot log in: ' + wrong)")
        everything = "\n".join(text for _, text in PLANTED.values())
        kernel.run(f"many = {everything!r}")
        kernel.run("%%track\nfor n in range(3000): print('line', n)\nprint(many)\nscore = 1.0")
        # By name.
        kernel.run(
            "%%track --tag api_key=n4med-tag-value\nimport jupyter_mlops\n"
            'db_password = "n4med-password"\nsettings_used = {"secret": "n4med-in-dict"}\n'
            'hidden = jupyter_mlops.Secret("n4med-secret-object")\n'
            "print(db_password, hidden, hidden.reveal())\nscore = 2.0"
        )
        kernel.run("%%track\nprint('again', db_password)\nassert not db_password, db_password")
        # A private cell beside a tracked one.
        kernel.run("mine = 'pr1vate-cell-value'", {"cellId": "p", "tags": ["private"]})
        kernel.run("%%track\nscore = 3.0")
        runs = [run for run in kernel.runs if run.kind == "cell"]
    secrets = ENVIRONMENT | {kind: secret for kind, (secret, _) in PLANTED.items()} | {
        name: name for name in (
            "d1ff-only-secret", "n4med-tag-value", "n4med-password", "n4med-in-dict",
            "n4med-secret-object", "pr1vate-cell-value",
        )
    }  # fmt: skip
    assert leaks(project.state, secrets) == []
    assert len(runs) == 2 * len(PLANTED) + 5
    sync(project)
    assert leaks(project.state, secrets) == []
    # What was kept is there, with the marks in the secrets' places.
    outputs = artifacts(project, "output.txt")
    assert len([text for text in outputs if REDACTED.search(text)]) >= len(PLANTED)
    assert any("environment done" in text for text in outputs)
    assert any("line 2999" in text for text in outputs)
    tracebacks = artifacts(project, "traceback.txt")
    assert len([text for text in tracebacks if REDACTED.search(text)]) >= len(PLANTED)
    assert all("Error" in text for text in tracebacks)


@pytest.mark.parametrize("redact", [True, False])
def test_redaction_can_be_switched_off(mlflow_project: Project, redact: bool) -> None:
    """So that the test above would see a secret that is there."""
    options: dict[str, Any] = {"JUPYTER_MLOPS_REDACT": "on" if redact else "off"}
    with start_kernel(mlflow_project.root, **options) as kernel:
        kernel.run("%load_ext jupyter_mlops")
        kernel.run("%%track\nx = 'api_key: v1sible-value'\nprint(x)\nscore = 1.0")
    sync(mlflow_project)
    assert bool(leaks(mlflow_project.state, {"x": "v1sible-value"})) is not redact
