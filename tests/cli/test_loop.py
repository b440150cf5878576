"""The loop by the command line, as a person or a CI job walks it, and each wrong input on the way.

One project is walked once for the whole module; the tests look at what each step left.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .command_line import Result

CELLS = [
    "%load_ext jupyter_mlops\nimport numpy as np\nimport pandas as pd",
    "from sklearn.datasets import load_wine\n"
    "from sklearn.linear_model import LogisticRegression\n"
    "from sklearn.model_selection import train_test_split",
    "X, y = load_wine(return_X_y=True, as_frame=True)\nX.describe()",
    "dead_end = X.corr()\ndead_end.iloc[0]",
    "share = 0.3\nX_train, X_test, y_train, y_test = train_test_split(\n"
    "    X, y, test_size=share, random_state=0\n)",
    "%%track --register wine\n"
    "C = 0.5  # inverse strength of the penalty\n"
    "model = LogisticRegression(C=C, max_iter=5000).fit(X_train, y_train)\n"
    "accuracy = model.score(X_test, y_test)",
    "pd.Series(model.coef_[0]).abs().nlargest(3)",
]


def write_notebook(path: Path, cells: list[str]) -> Path:
    notebook = new_notebook(cells=[new_markdown_cell("# Wine"), *map(new_code_cell, cells)])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, path)
    return path


def mlops(root: Path, *arguments: str, **environment: str) -> Result:
    result = subprocess.run(
        [sys.executable, "-m", "jupyter_mlops", *arguments],
        cwd=root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "Traceback" not in result.stderr, result.stderr
    return Result(result.returncode, result.stdout, result.stderr)


def files(root: Path) -> set[str]:
    """Every file outside the state folder: what a person would find in git."""
    return {
        p.relative_to(root).as_posix()
        for p in root.rglob("*")
        if p.is_file() and ".mlops" not in p.relative_to(root).parts
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Iterator[Path]:
    """A project with one notebook, executed headless and promoted."""
    root = tmp_path_factory.mktemp("loop") / "work"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    from jupyter_mlops.project import open_project

    project = open_project(root)
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    write_notebook(root / "wine.ipynb", CELLS)
    run = mlops(root, "run", "wine.ipynb")
    assert run.code == 0, run.out + run.err
    promoted = mlops(root, "promote", "wine.ipynb", "--name", "wine")
    assert promoted.code == 0, promoted.out + promoted.err
    return root


@pytest.fixture(scope="module")
def second(root: Path) -> Any:
    """The pipeline run once more with another parameter: version 2."""
    result = mlops(root, "run", "wine", "-p", "C", "0.001", "--json")
    assert result.code == 0, result.err
    return result.json


def test_the_notebooks_tracked_cell_made_the_first_version(root: Path) -> None:
    models = mlops(root, "models", "ls", "--json").json
    (model,) = models["models"] if isinstance(models, dict) else models
    assert model["name"] == "wine"
    first = model["versions"][-1]
    assert first["version"] == 1
    assert first["metrics"]["accuracy"] > 0.9
    assert first["notebook"] == "wine.ipynb"


def test_the_pipeline_holds_what_the_result_needs_and_its_proof(root: Path) -> None:
    folder = root / "pipelines" / "wine"
    assert {p.name for p in folder.iterdir()} == {
        "pipeline.yaml",
        "policy.yaml",
        "proof.json",
        "train.ipynb",
    }
    step = nbformat.read(folder / "train.ipynb", as_version=4)
    nbformat.validate(step)
    source = "\n".join(c.source for c in step.cells)
    assert "dead_end" not in source
    assert "describe" not in source or "X, y = load_wine" in source
    assert "%%track" not in source
    assert "jupyter_mlops" not in source
    (parameters,) = [c for c in step.cells if "parameters" in c.metadata.get("tags", [])]
    assert "C = 0.5" in parameters.source
    assert "share = 0.3" in parameters.source
    proof = json.loads((folder / "proof.json").read_text())
    assert proof["verdict"] == "equal"
    assert proof["metrics"]["accuracy"]["tracked"] == proof["metrics"]["accuracy"]["replayed"]


def test_plain_papermill_runs_the_step(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    metrics = tmp_path / "metrics.json"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER_MLOPS")}
    subprocess.run(
        [
            Path(sys.executable).with_name("papermill"),
            "pipelines/wine/train.ipynb",
            out,
            "-p",
            "C",
            "0.25",
            "-p",
            "metrics_path",
            metrics,
            "--no-progress-bar",
        ],
        cwd=root,
        env=environment,
        check=True,
        capture_output=True,
    )
    assert json.loads(metrics.read_text())["accuracy"] > 0.9


def test_plain_mlflow_reads_the_store(root: Path, second: Any) -> None:
    code = """
import json, sys, mlflow
client = mlflow.MlflowClient(sys.argv[1])
runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
versions = client.search_model_versions("name='wine'")
model = client.get_model_version("wine", "1")
print(json.dumps({
    "runs": sorted(r.data.tags["mlops.kind"] for r in runs),
    "status": sorted({r.info.status for r in runs}),
    "params": [r.data.params.get("C") for r in runs if r.data.tags["mlops.kind"] == "pipeline"],
    "versions": sorted(int(v.version) for v in versions),
}))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, f"sqlite:///{root}/.mlops/mlflow.db"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(result.stdout)
    assert found["runs"].count("cell") == 1
    assert found["runs"].count("notebook") == 1
    assert found["runs"].count("pipeline") >= 1
    assert found["status"] == ["FINISHED"]
    assert "0.001" in found["params"]
    assert found["versions"][:2] == [1, 2]


def test_another_parameter_gives_another_version(second: Any) -> None:
    assert second["versions"][0]["version"] == 2
    assert 0 < second["metrics"]["accuracy"] < 1


def test_a_gate_accepts_one_version_and_refuses_another(root: Path, second: Any) -> None:
    (root / "pipelines/wine/policy.yaml").write_text(
        "version: 1\n"
        "gates:\n"
        "  - {name: floor, metric: accuracy, min: 0.9}\n"
        "  - {name: not worse, metric: accuracy, not_worse_than: champion}\n"
    )
    accepted = mlops(root, "models", "set", "wine@1", "champion")
    assert accepted.code == 0, accepted.err
    assert "models revert wine" in accepted.out
    refused = mlops(root, "models", "set", "wine@2", "champion")
    assert refused.code == 3
    assert "floor" in refused.out + refused.err
    versions = mlops(root, "models", "show", "wine", "--json").json["versions"]
    assert {v["version"]: v["aliases"] for v in versions}[1] == ["champion"]


# --- bad input: a clear message, the right exit code, nothing half-written ---


def test_a_notebook_that_is_not_json(root: Path) -> None:
    (root / "broken.ipynb").write_text("{ not json")
    before = files(root)
    for verb in ("promote", "run"):
        result = mlops(root, verb, "broken.ipynb")
        assert result.code == 2
        assert "broken.ipynb" in result.err
    assert files(root) == before


def test_a_notebook_without_a_tracked_cell(root: Path) -> None:
    write_notebook(root / "plain.ipynb", ["x = 1"])
    before = files(root)
    result = mlops(root, "promote", "plain.ipynb")
    assert result.code == 2
    assert "plain.ipynb" in result.err
    assert "%%track" in result.err
    assert files(root) == before


def test_a_notebook_whose_replay_differs(root: Path) -> None:
    write_notebook(
        root / "random.ipynb",
        [
            "%load_ext jupyter_mlops\nimport numpy as np",
            "%%track\nluck = float(np.random.default_rng().random())",
        ],
    )
    assert mlops(root, "run", "random.ipynb").code == 0
    before = files(root)
    result = mlops(root, "promote", "random.ipynb")
    assert result.code == 4
    assert "luck" in result.err
    assert files(root) == before
    assert not [p for p in (root / "pipelines").iterdir() if p.name != "wine"]


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (("max_depth", "3"), ["max_depth", "C", "share"]),
        (("C", "strong"), ["'C'", "number", "strong"]),
    ],
    ids=["unknown", "wrong type"],
)
def test_a_parameter_that_does_not_fit(
    root: Path, parameter: tuple[str, str], words: list[str]
) -> None:
    before = sorted((root / ".mlops" / "runs").iterdir())
    result = mlops(root, "run", "wine", "-p", *parameter)
    assert result.code == 2
    for word in words:
        assert word.strip("'") in result.err
    assert sorted((root / ".mlops" / "runs").iterdir()) == before


def test_no_such_pipeline(root: Path) -> None:
    result = mlops(root, "run", "whine")
    assert result.code == 2
    assert "wine" in result.err


def test_a_cell_that_fails_ends_with_1_and_names_it(root: Path) -> None:
    write_notebook(root / "failing.ipynb", ["x = 1", "1 / 0", "y = 2"])
    result = mlops(root, "run", "failing.ipynb")
    assert result.code == 1
    text = result.out + result.err
    assert "ZeroDivisionError" in text
    assert "failing.ipynb" in text


def test_a_project_folder_that_cannot_be_written(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    write_notebook(work / "a.ipynb", ["1"])
    command = [sys.executable, "-m", "jupyter_mlops", "run", "a.ipynb"]
    if os.geteuid() == 0:  # the super-user ignores modes: mount the folder read-only instead
        script = (
            'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && cd "$1" && shift && "$@"'
        )
        command = ["unshare", "--mount", "sh", "-c", script, "sh", str(work), *command]
    else:
        work.chmod(0o500)
    result = subprocess.run(command, cwd=work, capture_output=True, text=True)
    work.chmod(0o700)
    assert result.returncode == 2, result.stderr
    assert str(work) in result.stderr
    assert "JUPYTER_MLOPS_HOME" in result.stderr
    assert "Traceback" not in result.stderr
    assert files(work) == {"a.ipynb"}


def test_a_tracking_server_that_does_not_answer(root: Path, mlflow_template: Path) -> None:
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
        away = {"MLFLOW_TRACKING_URI": uri, "JUPYTER_MLOPS_DELIVERY_TIMEOUT": "2"}
        kept = mlops(root, "run", "wine", "-p", "C", "0.75", **away)
        assert kept.code == 0, kept.err
        assert uri in kept.out + kept.err
        assert "sync" in kept.out + kept.err
        insisted = mlops(root, "run", "wine", "-p", "C", "0.8", "--require-delivery", **away)
        assert insisted.code == 5
        assert mlops(root, "status", **away).code == 0
        assert mlops(root, "sync", **away).code == 5
    before = {r["run_id"] for r in runs(root) if not r.get("mlflow_run_id")}
    assert len(before) == 2
    delivered = mlops(root, "sync")
    assert delivered.code == 0, delivered.err
    after = {r["run_id"]: r for r in runs(root)}
    assert all(after[run]["mlflow_run_id"] for run in before)


def runs(root: Path) -> list[dict[str, Any]]:
    listed = mlops(root, "runs", "ls", "--json").json
    found: list[dict[str, Any]] = listed["runs"] if isinstance(listed, dict) else listed
    return found
