"""A run imports what it needs and not what costs more than the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from jupyter_mlops.errors import NotebookError
from jupyter_mlops.pipelines import declared_parameters, read_notebook
from jupyter_mlops.pipelines.light_notebook import light_notebook
from jupyter_mlops.project import Project

from ..agent.living import REPOSITORY
from .conftest import write_notebook, write_pipeline

HEAVY = {"mlflow", "pandas", "numpy", "sklearn", "papermill", "nbformat", "nbclient"}


def imported(project: Project, *words: str) -> set[str]:
    """Top-level modules that a run imports, in the command's own process."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "jupyter_mlops", "run", *words],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_a_notebook(project: Project) -> None:
    write_notebook(project.root / "one.ipynb", "n = 1", "n", tags={0: "parameters"})
    found = imported(project, "one.ipynb", "--deliver", "later")
    assert "jupyter_client" in found
    assert not found & (HEAVY | {"yaml", "jsonschema", "sqlite3", "lark"})


def test_a_pipeline(project: Project) -> None:
    folder = write_pipeline(
        project, "one", "version: 1\nname: one\nsteps:\n- name: a\n  notebook: a.ipynb\n"
    )
    write_notebook(folder / "a.ipynb", "n = 1")
    found = imported(project, "one", "--deliver", "later")
    assert "jsonschema" in found
    assert not found & (HEAVY | {"rfc3987_syntax", "lark"})


def test_the_grammar_of_addresses_waits_until_it_is_asked_for() -> None:
    pytest.importorskip("rfc3987_syntax")
    code = (
        "import sys\n"
        "from jupyter_mlops.pipelines.schemas import validator_class\n"
        "kind = validator_class()\n"
        "assert 'rfc3987_syntax' not in sys.modules and 'lark' not in sys.modules\n"
        "from jsonschema import Draft202012Validator\n"
        "assert kind is Draft202012Validator is validator_class()\n"
        "check = kind({'format': 'iri'}, format_checker=kind.FORMAT_CHECKER).is_valid\n"
        "assert check('https://bücher.example/ä') and not check('no address')\n"
        "assert sys.modules['rfc3987_syntax'].is_valid_syntax('iri', 'https://x/')\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
    )


def test_a_light_notebook_is_what_nbformat_reads(tmp_path: Path) -> None:
    node = new_notebook(
        cells=[
            new_markdown_cell("# title\ntext"),
            new_code_cell("n = 1\nname: str = 'x'", metadata={"tags": ["parameters"]}),
            new_raw_cell("raw"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    path = tmp_path / "x.ipynb"
    nbformat.write(node, path)
    light, whole = read_notebook(path), read_notebook(path, whole=True)
    assert light == whole
    assert type(whole).__module__.startswith("nbformat")
    assert declared_parameters(light, path) == declared_parameters(whole, path)
    assert light.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize(
    "change",
    [
        {"nbformat": 3},
        {"cells": {}},
        {"cells": [1]},
        {"cells": [{"cell_type": "code", "metadata": {}}]},
        {"cells": [{"cell_type": "code", "metadata": [], "source": ""}]},
        {"cells": [{"cell_type": "code", "metadata": {"tags": "x"}, "source": ""}]},
        {"cells": [{"cell_type": "code", "metadata": {}, "source": [1]}]},
        {"metadata": {"kernelspec": 1}},
        {"metadata": None},
    ],
    ids=str,
)
def test_what_is_not_plain_is_left_to_nbformat(change: dict[str, object], tmp_path: Path) -> None:
    good = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    assert light_notebook(json.dumps(good)) is not None
    assert light_notebook(json.dumps(good | change)) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"nbformat": 4}'])
def test_what_is_no_notebook(text: str, tmp_path: Path) -> None:
    assert light_notebook(text) is None
    path = tmp_path / "x.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookError, match="is not a notebook"):
        read_notebook(path)
