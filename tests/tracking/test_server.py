"""A real tracking server on this machine that is away first, then there, then away again."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ServiceError
from jupyter_mlops.model.registry import ModelSpec
from jupyter_mlops.project import Project
from jupyter_mlops.registry import (
    get_version,
    list_models,
    model_folder,
    register_run,
    revert_alias,
    set_alias,
)
from jupyter_mlops.registry.load import load_folder
from jupyter_mlops.tracking import (
    capture_level,
    deliver,
    find_run,
    give_consent,
    list_runs,
    refresh,
    revoke_consent,
    sync_state,
    waiting,
    what_waits,
)
from jupyter_mlops.tracking.adopt import adopt, unadopt
from tests.capture.test_fluent import run_cells

from .rich import amend, pair
from .sessions import Session, blob_names

Client = Callable[[Project | str], Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config() -> Config:
    """A tracking server that is not there: nobody listens."""
    return Config(tracking_uri=f"http://127.0.0.1:{free_port()}", delivery_timeout=2.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Iterator[str]:
    """``mlflow server`` as people start it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    port = free_port()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(port), "--backend-store-uri", "sqlite:///mlflow.db",
            "--artifacts-destination", "artifacts", "--workers", "1",
        ],
        cwd=folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


@pytest.mark.timeout(600)
def test_away_during_the_session_then_there(
    project: Project, server: str, client: Client, forest: Any, iris: tuple[Any, Any]
) -> None:
    session = Session(project)
    model = session.model(forest, iris[0].head())
    record = session.run(
        models=(model,), files=(session.file("a.txt", b"hello"),), register="remote iris"
    )
    away = Config(tracking_uri=f"http://127.0.0.1:{free_port()}", delivery_timeout=2.0)
    report = deliver(project, away)
    assert (report.delivered, report.waiting) == (0, 1)
    assert away.tracking_uri is not None
    assert away.tracking_uri in report.errors[0]
    assert waiting(project) == 1
    assert blob_names(project) == sorted({str(model.blob), record.files[0].blob})

    there = Config(tracking_uri=server, delivery_timeout=30.0)
    report = deliver(project, there)
    assert report.errors == ()
    assert (report.delivered, report.waiting) == (1, 0)
    assert report.versions[0].name == "remote iris"
    assert deliver(project, there).delivered == 0
    plain = client(server)
    experiment = plain.get_experiment_by_name(project.name)
    (run,) = plain.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlops.run_id"] == record.run_id
    stored = [f.path for f in plain.list_artifacts(run.info.run_id)]
    assert stored == ["a.txt", "mlops", "source.py"]
    assert blob_names(project) == []

    # The rest of the loop on the same server.
    refresh(project, there)
    assert sync_state(project).error is None
    assert [m.name for m in list_models(project)] == ["remote iris"]
    assert find_run(project, record.run_id).registered == "remote iris@1"
    again = register_run(project, there, record.run_id, "remote iris")
    assert again.version == 1
    change = set_alias(project, there, "remote iris", 1, "champion", by="me")
    assert (change.before, change.after) == (None, 1)
    assert plain.get_model_version_by_alias("remote iris", "champion").version in (1, "1")
    folder, version = model_folder(project, there, "remote iris@champion")
    assert version.version == 1
    assert folder.is_relative_to(project.state / "models")
    assert model_folder(project, there, "remote iris@1")[0] == folder
    loaded = load_folder(folder)
    assert (loaded.predict(iris[0]) == forest.predict(iris[0])).all()
    assert revert_alias(project, there, "remote iris").after is None
    assert plain.get_registered_model("remote iris").aliases == {}

    # And away again: what was read stays, and says why it is old.
    refresh(project, away)
    error = sync_state(project).error
    assert error is not None
    assert away.tracking_uri in str(error["message"])
    assert [m.name for m in list_models(project)] == ["remote iris"]
    with pytest.raises(ServiceError):
        set_alias(project, away, "remote iris", 1, "champion", by="me")

    # Another address shows another world; the runs come back with the old one.
    embedded = Config()
    refresh(project, embedded)
    Session(project).run("here")
    assert deliver(project, embedded).delivered == 1
    assert [r.name for r in list_runs(project)] == ["here"]
    assert list_models(project) == []
    refresh(project, there)
    assert [r.run_id for r in list_runs(project)] == [record.run_id]
    assert get_version(project, ModelSpec("remote iris", version=1)).run_id == record.run_id


@pytest.mark.timeout(600)
def test_everything_of_a_run_and_what_others_log_there(
    project: Project, server: str, client: Client
) -> None:
    """Files, data, later additions; calls of MLflow in a cell; the runs that others have made."""
    config = Config(tracking_uri=server, delivery_timeout=30.0, experiment="shared")
    plain = client(server)
    wanted = pair(project).a
    assert deliver(project, config).delivered == 2
    run_id = find_run(project, wanted.run_id).mlflow_run_id or ""
    session = Session(project)
    late = session.run("late")
    assert deliver(project, config).delivered == 1
    amend(session, late, files=(session.file("code/changes.diff", b"-a"),))
    assert deliver(project, config).errors == ()
    assert blob_names(project) == []
    run = plain.get_run(run_id)
    assert {i.dataset.name for i in run.inputs.dataset_inputs} == {"trips", "zones", "old"}
    assert len(plain.get_metric_history(run_id, "loss")) == 3
    assert [f.path for f in plain.list_artifacts(run_id, "mlops")] == ["mlops/run.json"]
    late_id = find_run(project, late.run_id).mlflow_run_id or ""
    assert [f.path for f in plain.list_artifacts(late_id, "code")] == ["code/changes.diff"]

    (cell,) = run_cells(
        project, "import mlflow\nmlflow.log_metric('a', 1)", MLFLOW_TRACKING_URI=server
    )
    assert (cell["error"], cell["said"], cell["metrics"]) == (None, [], {"a": 1.0})
    assert deliver(project, config).errors == ()
    assert find_run(project, cell["run_id"]).mlflow_run_id == cell["adopted"]

    theirs = plain.create_run(plain.create_experiment("theirs"), run_name="theirs").info.run_id
    plain.log_param(theirs, "C", "1")
    refresh(project, config, whole=True)
    assert "theirs" not in [r.name for r in list_runs(project)]
    assert adopt(project, config, server).errors == ()
    assert "theirs" in [r.name for r in list_runs(project)]


@pytest.mark.timeout(600)
def test_runs_of_a_server_are_listed_in_a_project_of_its_own(
    mlflow_project: Project, server: str, client: Client
) -> None:
    project = mlflow_project
    plain = client(server)
    run = plain.create_run(plain.create_experiment("far"), run_name="far")
    plain.log_metric(run.info.run_id, "m", float("inf"))
    report = adopt(project, Config(delivery_timeout=30.0), server)
    assert report.runs >= 1
    found = find_run(project, run.info.run_id)
    assert (found.name, found.metrics, found.experiment) == ("far", {"m": math.inf}, "far")
    mine = client(project)
    assert mine.get_run(run.info.run_id).data.metrics["m"] > 1e300
    assert unadopt(project, Config(), server).runs == report.runs
    assert list_runs(project) == []


def test_a_dead_server_is_asked_less_and_less(project: Project, config: Config) -> None:
    sessions = [Session(project), Session(project)]
    for session in sessions:
        session.run()
    first = deliver(project, config)
    assert first.waiting == 2
    assert len(first.errors) == 1
    waits = what_waits(project)
    assert all(wait.error for wait in waits)
    # Not asked again so soon, and it says the same.
    quick = deliver(project, config.with_(delivery_timeout=0.001))
    assert quick.errors == first.errors
    assert what_waits(project) == waits
    # A new session gets its try at once.
    sessions.append(Session(project))
    sessions[-1].run()
    deliver(project, config)
    assert [bool(wait.error) for wait in what_waits(project)] == [True, True, True]
    state = sync_state(project)
    assert state.at is None
    assert state.error is not None
    assert config.tracking_uri is not None
    assert config.tracking_uri in str(state.error["message"])
    assert state.error["hint"]


def test_what_waits_for_a_dead_server_is_listed(project: Project, config: Config) -> None:
    record = Session(project).run("kept", metrics={"a": 1.0}, register="m")
    deliver(project, config)
    (run,) = list_runs(project)
    assert (run.run_id, run.mlflow_run_id, run.status) == (record.run_id, None, "FINISHED")
    assert run.metrics == {"a": 1.0}
    assert run.registered == "m"
    with pytest.raises(ServiceError, match="could not be delivered"):
        register_run(project, config, record.run_id, "m")


def test_consent_is_asked_once_for_each_server(project: Project) -> None:
    far = Config(tracking_uri="https://me:secret@mlflow.example/path")
    assert capture_level(project, Config()) == "standard"
    assert capture_level(project, far) == "minimal"
    assert far.tracking_uri is not None
    give_consent(project, far.tracking_uri)
    assert capture_level(project, far) == "standard"
    assert capture_level(project, far.with_(capture="minimal")) == "minimal"
    assert capture_level(project, Config(tracking_uri="https://other.example")) == "minimal"
    assert b"secret" not in project.database.read_bytes()
    assert revoke_consent(project, "https://mlflow.example/path")
    assert not revoke_consent(project, "https://mlflow.example/path")
    assert capture_level(project, far) == "minimal"
