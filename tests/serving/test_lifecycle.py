"""Deployments as real processes: started, asked, swapped, killed, restarted, stopped."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import registry, serving
from jupyter_mlops.config import load_config
from jupyter_mlops.errors import (
    ConflictError,
    CorruptError,
    NotFoundError,
    RunError,
    UntrustedError,
    UsageError,
)
from jupyter_mlops.journal import process_identity, this_process
from jupyter_mlops.model.registry import ModelSpec, ModelVersion, parse_model_spec
from jupyter_mlops.project import Project
from jupyter_mlops.serving import Deployment
from jupyter_mlops.serving.lifecycle import held
from jupyter_mlops.serving.process import end, folder_of
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.deployments import (
    DeploymentRow,
    deployment_row,
    deployment_rows,
    insert_deployment,
    update_deployment,
)

IRIS = [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.2, 2.0]]


@pytest.fixture
def project(project: Project) -> Iterator[Project]:
    """A project whose servers end with the test, however it ends."""
    yield project
    for row in deployment_rows(StateDB(project)) if project.database.exists() else []:
        if row.process is not None:
            end(row.process, grace=0)


@pytest.fixture(autouse=True)
def aliases(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The read model's aliases, as far as these tests go."""
    known: dict[str, int] = {}

    def get_version(project: Project, spec: ModelSpec) -> ModelVersion:
        if str(spec) not in known:
            raise NotFoundError(f"no {spec}")
        return ModelVersion(spec.name, known[str(spec)], created=0.0)

    monkeypatch.setattr(registry, "get_version", get_version, raising=False)
    return known


@pytest.fixture
def deploy(project: Project, models: Path) -> Callable[..., Deployment]:
    config = load_config(project.root)

    def one(spec: str, model: str = "array", version: int = 1, port: int = 0) -> Deployment:
        parsed = parse_model_spec(spec)
        return serving.deploy_folder(project, config, parsed, models / model, version, port=port)

    return one


def score(project: Project, deployment: Deployment, rows: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(deployment.url.removeprefix("http://"), timeout=30)
    token = serving.deployment_token(project, deployment.id)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    try:
        body = json.dumps({"inputs": IRIS if rows is None else rows})
        connection.request("POST", "/invocations", body, headers)
        response = connection.getresponse()
        return int(response.headers["X-Model-Version"]), json.loads(response.read())
    finally:
        connection.close()


def look_after(project: Project, until: Callable[[DeploymentRow], bool], id: str) -> DeploymentRow:
    """Do what the agent does until the row is so; the test's timeout ends it otherwise."""
    while True:
        serving.supervise(project)
        row = deployment_row(StateDB(project), id)
        assert row is not None
        if until(row):
            return row
        time.sleep(0.05)


def test_a_deployment_s_life(
    project: Project,
    deploy: Callable[..., Deployment],
    aliases: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "canary-1")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "canary-2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-3")
    first = deploy("iris@champion")
    assert first.status == "running"
    assert first.id.startswith("iris-")
    assert "not supervised" in first.warnings[-1]
    assert score(project, first) == (1, {"predictions": [0, 2]})

    # What is on disk is this user's alone.
    folder = folder_of(project, first.id)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    authorization = Path(first.authorization).read_text()
    assert authorization == f"Authorization: Bearer {serving.deployment_token(project, first.id)}\n"
    assert serving.deployment_token(project, first.id) not in repr(first) + str(first.to_dict())
    assert b"canary" not in Path(f"/proc/{first.pid}/environ").read_bytes()

    # Deployed again it is the same; found by id, its beginning, or what was deployed.
    assert deploy("iris@champion").pid == first.pid
    for text in (first.id, first.id[:6], "iris@champion"):
        assert serving.get_deployment(project, text).id == first.id
    assert serving.example_request(project, first.id) == {"inputs": IRIS[:1]}
    with pytest.raises(ConflictError, match="on port"):
        deploy("iris@champion", port=1)

    # The alias moves on: the deployment stays, says so, and is swapped when it is deployed again.
    aliases["iris@champion"] = 2
    assert serving.get_deployment(project, first.id).behind == 2
    answers: list[tuple[int, Any]] = []
    stop = threading.Event()

    broken: list[ConnectionError] = []

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                answers.append(score(project, first))
            except ConnectionError as error:
                broken.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        second = deploy("iris@champion", "numeric", 2)
    finally:
        stop.set()
        asking.join(60)
    assert (second.url, second.version, second.behind) == (first.url, 2, None)
    assert second.pid != first.pid
    assert process_identity(first.pid or 0) is None
    # Nobody was refused in between: each was answered by the one version or the other.  Only a
    # connection that waits to be accepted while the old one ends breaks off.
    assert len(broken) <= 1
    assert {version for version, _ in answers} <= {1, 2}
    assert answers[0] == (1, {"predictions": [0, 2]})
    assert [p.name.split("-")[0] for p in (folder / "models").iterdir()] == ["2"]

    # A version that cannot be served leaves the one that is.
    with pytest.raises(UntrustedError):
        deploy("iris@champion", "joblib", 3)
    assert serving.get_deployment(project, first.id).pid == second.pid

    stopped = serving.stop_deployment(project, "iris@champion")
    assert (stopped.status, stopped.pid) == ("stopped", None)
    assert process_identity(second.pid or 0) is None
    assert serving.stop_deployment(project, first.id).status == "stopped"
    with pytest.raises(ConnectionRefusedError):
        score(project, first)
    serving.supervise(project)
    assert serving.get_deployment(project, first.id).status == "stopped"

    # Its port has gone to somebody else meanwhile, and nobody had asked for that one.
    with socket.create_server(("127.0.0.1", int(first.url.rpartition(":")[2]))):
        moved = deploy("iris@champion")
        assert (moved.id, moved.status) == (first.id, "running")
        assert moved.url != first.url
        assert score(project, moved) == (1, {"predictions": [0, 2]})

    serving.remove_deployment(project, first.id)
    assert process_identity(moved.pid or 0) is None
    assert serving.list_deployments(project) == []
    assert not folder.exists()
    with pytest.raises(NotFoundError):
        serving.stop_deployment(project, first.id)


def test_a_killed_server_is_started_again(
    project: Project, deploy: Callable[..., Deployment]
) -> None:
    first = deploy("iris@1")
    serving.supervise(project)
    assert serving.get_deployment(project, first.id).pid == first.pid  # adopted, not doubled
    os.kill(first.pid or 0, signal.SIGKILL)
    while process_identity(first.pid or 0) is not None:
        time.sleep(0.01)
    down = serving.get_deployment(project, first.id)
    assert (down.status, down.pid) == ("down", None)
    row = look_after(project, lambda row: row.status == "waiting", first.id)
    assert (row.failures, row.wanted) == (1, True)
    assert "SIGKILL" in str(row.error)
    row = look_after(project, lambda row: row.status == "running", first.id)
    again = serving.get_deployment(project, first.id)
    assert (again.url, again.error, again.restarts) == (first.url, None, 1)
    assert score(project, again) == (1, {"predictions": [0, 2]})
    # Its successor is told from it by the epoch: it ends itself when it is not the one any more.
    update_deployment(StateDB(project), first.id, epoch=row.epoch + 1)
    while process_identity(again.pid or 0) is not None:
        time.sleep(0.05)


def test_a_server_that_does_not_last_is_given_up(project: Project) -> None:
    row = insert_deployment(StateDB(project), _row(wanted=True, interpreter="/nonexistent/python"))
    waits = []
    for _ in range(4):
        waiting = look_after(project, lambda row: row.status == "waiting", row.id)
        waits.append(round(waiting.next_start - time.time()))
        serving.supervise(project)
        assert deployment_row(StateDB(project), row.id) == waiting  # not before its time
        update_deployment(StateDB(project), row.id, next_start=0.0)
    assert waits == [1, 2, 4, 8]
    row = look_after(project, lambda row: row.status == "failed", row.id)
    assert not row.wanted
    failed = serving.get_deployment(project, row.id)
    assert failed.error == "/nonexistent/python cannot be started: No such file or directory"
    assert serving.wanted_deployments(project) == 0


def test_a_reboot_is_no_failure_of_the_model(project: Project, models: Path) -> None:
    me = this_process()
    row = insert_deployment(
        StateDB(project),
        _row(
            wanted=True,
            status="running",
            machine=me.host,
            boot_id="an earlier one",
            pid=me.pid,  # ours by chance, and not to be ended
            pid_started=me.started,
            started=time.time() - 3600,
            failures=4,
            interpreter="/nonexistent/python",
        ),
    )
    assert serving.get_deployment(project, row.id).status == "down"
    row = look_after(project, lambda row: row.status == "waiting", row.id)
    assert row.failures == 1


def test_another_machine_s_server_is_left_alone(project: Project) -> None:
    row = insert_deployment(
        StateDB(project),
        _row(wanted=True, status="running", machine="another-host", boot_id="b", pid=1),
    )
    serving.supervise(project)
    assert deployment_row(StateDB(project), row.id) == row
    assert serving.get_deployment(project, row.id).status == "unknown"
    with pytest.raises(ConflictError, match="another-host"):
        serving.stop_deployment(project, row.id)


def test_whoever_holds_a_deployment_is_not_disturbed(project: Project) -> None:
    row = insert_deployment(StateDB(project), _row(wanted=True))
    with held(project, row.id):
        serving.supervise(project)
        assert deployment_row(StateDB(project), row.id) == row


def test_a_failed_deployment_says_why(
    project: Project, deploy: Callable[..., Deployment], models: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(models / "array", tmp_path / "broken"))
    (broken / "serving_input_example.json").write_text('{"inputs": [[1]]}')
    config = load_config(project.root)
    with pytest.raises(RunError, match=r"own input example: the input has shape \(1, 1\)"):
        serving.deploy_folder(project, config, ModelSpec("iris", 1), broken, 1)
    (failed,) = serving.list_deployments(project)
    assert failed.status == "failed"
    assert "own input example" in str(failed.error)
    assert "scikit-learn" in str(failed.hint)
    assert failed.pid is None
    # A taken port, asked for: the child says so before it loads anything.
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=f"port {port} on 127.0.0.1 cannot be used"):
            deploy("iris@1", port=port)
        assert serving.get_deployment(project, failed.id).status == "failed"
    # And it can be deployed in the same place once it is good.
    good = deploy("iris@1", port=port)
    assert (good.id, good.status, good.error) == (failed.id, "running", None)
    assert good.url == f"http://127.0.0.1:{port}"
    # What was copied is what is served: a damaged copy is not loaded.
    row = deployment_row(StateDB(project), good.id)
    assert row is not None
    assert row.process is not None
    with (folder_of(project, row.id) / "models" / row.digest / "model.skops").open("ab") as file:
        file.write(b"x")
    end(row.process, grace=0)
    row = look_after(project, lambda row: isinstance(row.error, CorruptError), row.id)
    assert "Deploy the model again" in str(row.error.hint)  # type: ignore[union-attr]


def test_stopping_while_it_starts(
    project: Project, deploy: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            deploy("iris@1")
        except ConflictError as error:
            caught.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    while not (project.database.exists() and serving.list_deployments(project)):
        time.sleep(0.01)
    while serving.list_deployments(project)[0].pid is None:
        time.sleep(0.01)
    pid = serving.list_deployments(project)[0].pid
    assert serving.stop_deployment(project, "iris@1").status == "stopped"
    starting.join(60)
    assert "stopped while it was starting" in str(caught[0])
    assert process_identity(pid or 0) is None


def test_a_lost_project_ends_its_servers(
    project: Project, deploy: Callable[..., Deployment]
) -> None:
    pid = deploy("iris@1").pid or 0
    shutil.rmtree(project.state)
    while process_identity(pid) is not None:
        time.sleep(0.05)
    assert not project.state.exists()


def test_finding_deployments(project: Project) -> None:
    assert serving.list_deployments(project) == []
    serving.supervise(project)
    assert not project.database.exists()
    with pytest.raises(NotFoundError, match="no deployment 'iris'"):
        serving.get_deployment(project, "iris")
    for id, selector in (("iris-aaaa", "1"), ("iris-aabb", "2")):
        insert_deployment(StateDB(project), _row(id=id, selector=selector))
    with pytest.raises(UsageError, match="beginning of 2"):
        serving.get_deployment(project, "iris-aa")
    assert serving.get_deployment(project, "iris@2").id == "iris-aabb"
    assert serving.get_deployment(project, "iris-aab").selector == "2"


def _row(**changes: Any) -> DeploymentRow:
    values: dict[str, Any] = {
        "id": "iris-test",
        "model": "iris",
        "selector": "1",
        "version": 1,
        "digest": "1-0",
        "port": 0,
        "token": "t",
        "interpreter": "/usr/bin/python3",
        "created": 0.0,
        "wanted": False,
    }
    return DeploymentRow(**(values | changes))
