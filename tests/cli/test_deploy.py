"""``deploy`` and ``deployments`` against a real registry and a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops
from jupyter_mlops.cli.main import main
from jupyter_mlops.project import Project
from jupyter_mlops.serving.process import end
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.deployments import deployment_rows

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def registered(mlflow_project: Project) -> Iterator[Project]:
    """A project with two versions of ``iris``, as MLflow's own tools make them; 1 is champion."""
    project = mlflow_project
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, while it logs
        import mlflow
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        mlflow.set_tracking_uri(project.default_tracking_uri)
        X, y = load_iris(return_X_y=True, as_frame=True)
        experiment = mlflow.create_experiment(project.name, project.artifacts.as_uri())
        model = LogisticRegression(max_iter=1000).fit(X, y)
        with mlflow.start_run(experiment_id=experiment):
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                signature=mlflow.models.infer_signature(X, y),
                input_example=X.head(2),
                pip_requirements=["scikit-learn"],
            )
        client = mlflow.MlflowClient()
        client.create_registered_model("iris")
        for _ in range(2):
            client.create_model_version("iris", logged.model_uri)
        client.set_registered_model_alias("iris", "champion", "1")
    try:
        yield project
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        for row in deployment_rows(StateDB(project)):
            if row.process is not None:
                end(row.process, grace=0)


@pytest.fixture
def run(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PYTHONPATH", str(Path(jupyter_mlops.__file__).parents[1]))

    def one(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, captured.out, captured.err

    return one


def ask(run: Run, *arguments: str) -> Any:
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_version_is_served_followed_and_stopped(registered: Project, run: Run) -> None:
    code, out, err = run("deploy", "iris@champion")
    assert code == 0
    assert "iris version 1 is served at http://127.0.0.1:" in out
    assert "not supervised" in err  # the agent is off in tests
    (one,) = ask(run, "deployments", "ls")["deployments"]
    assert f"jupyter mlops deployments stop {one['id']}" in out

    # The printed command works when it is pasted, and does not show the token.
    token = run("deployments", "token", "iris@champion")[1].strip()
    assert token not in out
    assert token not in json.dumps(one)
    command = out[out.index("  curl") : out.index("\n\nTo take it back")]
    if shutil.which("curl"):
        answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout) == {"predictions": [0]}
    else:
        assert re.search(r"-d '\{\"dataframe_split\"", command)

    assert ask(run, "deploy", "iris@champion")["pid"] == one["pid"]
    shown = run("deployments", "show", one["id"])[1]
    assert "curl -s http://127.0.0.1" in shown
    assert re.search(r"status +running \(process \d+\)", shown)

    # Moved by MLflow's own tools: seen at the next deploy, and at the next reading before it.
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias("iris", "champion", "2")
    again = ask(run, "deploy", "iris@champion")
    assert (again["version"], again["url"], again["id"]) == (2, one["url"], one["id"])
    mlflow.MlflowClient().set_registered_model_alias("iris", "champion", "1")
    assert run("sync")[0] == 0
    code, out, err = run("deployments", "ls")
    assert "2 (behind 1)" in out
    assert "champion is version 1 by now; it serves 2" in err

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, out, err = run("deploy", "iris@2", "--port", port)
    assert code == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in err
    assert "--port" in err
    (_, failed) = ask(run, "deployments", "ls")["deployments"]
    assert (failed["status"], failed["selector"]) == ("failed", "2")

    code, out, _ = run("deployments", "stop", one["id"])
    assert code == 0
    assert "To take it back: jupyter mlops deploy iris@champion" in out
    assert ask(run, "deployments", "stop", one["id"])["status"] == "stopped"
    for id in (one["id"], failed["id"]):
        code, out, _ = run("deployments", "rm", id)
        assert code == 0
        assert "still registered" in out
    assert "jupyter mlops deploy NAME@ALIAS" in run("deployments", "ls")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deploy", "iris"), "NAME@VERSION or NAME@ALIAS"),
        (("deploy", "iris@9"), "iris"),
        (("deploy", "iris@1", "--port", "99999"), "--port"),
        (("deployments", "show", "iris"), "no deployment 'iris'"),
        (("deployments", "stop", "iris"), "no deployment 'iris'"),
        (("deployments", "rm", "iris"), "no deployment 'iris'"),
        (("deployments", "token", "iris"), "no deployment 'iris'"),
    ],
)
def test_wrong_input_leaves_nothing(
    project: Project, run: Run, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert not (project.state / "deployments").exists()
