"""What needs MLflow is done by the project's agent, and the panel's clients hear of it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sklearn.dummy import DummyClassifier

from jupyter_mlops.capture import agent_client
from jupyter_mlops.errors import AgentUnavailable
from jupyter_mlops.model.policy import Gate, Policy
from jupyter_mlops.pipelines import save_policy
from jupyter_mlops.project import Project, open_project

from ..tracking.sessions import Session
from .conftest import Server, running_server, until
from .test_events import events_while


@dataclass
class Live:
    """A project with three runs, two with models, that are not delivered, and its server."""

    server: Server
    project: Project
    good: str
    bad: str
    lone: str

    def ask(self, method: str, route: str, **body: Any) -> Any:
        return self.server.ask(method, route, {"path": "proj", **body})

    def get(self, route: str) -> Any:
        return self.server.get(route, path="proj").data

    def aliases(self) -> dict[int, list[str]]:
        (model,) = self.get("models")["models"]
        return {version["version"]: version["aliases"] for version in model["versions"]}


@pytest.fixture(scope="module")
def live(
    _private_environment: None, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    root = folder / "root"
    (root / "proj").mkdir(parents=True)
    (root / "proj" / "pyproject.toml").write_text("")
    project = open_project(root / "proj")
    shutil.copy(mlflow_template, project.state / "mlflow.db")
    session = Session(project)
    model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    runs = [
        session.run(
            name,
            models=(session.model(model, [[0.0]], "clf"),),
            metrics={"accuracy": accuracy},
            pipeline="taxi",
        ).run_id
        for name, accuracy in (("good", 0.9), ("bad", 0.4))
    ]
    runs.append(session.run("lone", metrics={"accuracy": 0.5}).run_id)
    session.journal.close()
    gate = Gate("accurate", "accuracy", min=0.8)
    (project.pipelines / "taxi").mkdir(parents=True)
    save_policy(Policy((gate,)), project.pipelines / "taxi")
    (project.pipelines / "taxi" / "pipeline.yaml").write_text(
        "name: taxi\nversion: 1\nsteps:\n  - name: train\n    notebook: train.ipynb\n"
    )
    try:
        with running_server(folder, root, JUPYTER_MLOPS_AGENT="on") as server:
            yield Live(server, project, *runs)
    finally:
        _end_agent(project)


def test_asking_starts_no_agent(live: Live) -> None:
    assert live.get("status")["waiting"] == 3
    assert live.get("schedules")["agent_running"] is False
    assert live.get("status")["agent"] == {"running": False, "pid": None, "enabled": True}
    assert agent_client.read_pointer(live.project) is None


def test_refresh_starts_the_agent_and_delivers_what_waits(live: Live) -> None:
    def act() -> None:
        answer = live.ask("POST", "refresh")
        assert (answer.status, answer.data) == (200, {"ok": True, "error": None}), answer.text

    heard = events_while(live.server, act, 1)
    assert {event["project"] for event in heard} == {live.project.key}
    until(lambda: live.get("status")["waiting"] == 0, 120)
    status = live.get("status")
    assert status["agent"]["running"] is True
    assert psutil.pid_exists(status["agent"]["pid"])
    assert status["tracking"]["error"] is None
    runs = {run["run_id"]: run for run in live.get("runs")["runs"]}
    assert {run_id: run["delivered"] for run_id, run in runs.items()} == {
        live.good: True,
        live.bad: True,
        live.lone: True,
    }


def test_a_version_is_made_and_told(live: Live) -> None:
    def act() -> None:
        for number, run in enumerate((live.good, live.bad), 1):
            answer = live.ask("POST", "models/versions", run_id=run, name="taxi-tips")
            assert answer.status == 201, answer.text
            version = answer.data["version"]
            assert (version["version"], version["run_id"]) == (number, run)
            assert version["uri"] == f"models:/taxi-tips/{number}"

    heard = events_while(live.server, act, 2)
    assert {event["kind"] for event in heard} <= {"model", "run", "sync"}
    assert live.aliases() == {2: [], 1: []}
    run = live.get(f"runs/{live.good}")
    assert run["registered"] == [{"name": "taxi-tips", "version": 1}]


def test_an_alias_moves_where_the_gates_agree_and_goes_back(live: Live) -> None:
    move = {"name": "taxi-tips", "alias": "champion"}
    first = live.ask("PUT", "models/aliases", version=1, **move)
    assert first.status == 200, first.text
    assert (first.data["version"], first.data["previous"]) == (1, None)
    assert "models revert" in first.data["undo"]
    assert live.aliases() == {2: [], 1: ["champion"]}

    refused = live.ask("PUT", "models/aliases", version=2, **move)
    assert refused.status == 409, refused.text
    assert refused.data["reason"] == "gate_refused"
    (gate,) = refused.data["fields"]["gates"]
    assert (gate["name"], gate["passed"]) == ("accurate", False)
    assert "0.4" in gate["message"]
    assert live.aliases() == {2: [], 1: ["champion"]}

    back = live.ask("POST", "models/aliases/revert", **move)
    assert back.status == 200, back.text
    assert (back.data["version"], back.data["previous"]) == (None, 1)
    assert live.aliases() == {2: [], 1: []}
    again = live.ask("POST", "models/aliases/revert", **move)
    assert again.status == 409, again.text


def test_what_the_agent_refuses_keeps_its_status(live: Live) -> None:
    for method, route, body, status in [
        ("POST", "models/versions", {"run_id": "ZZZZ", "name": "taxi-tips"}, 404),
        ("POST", "models/versions", {"run_id": live.good, "name": "a/b"}, 400),
        ("POST", "models/versions", {"run_id": live.good, "name": "x", "model": "none"}, 404),
        ("PUT", "models/aliases", {"name": "taxi-tips", "alias": "champion", "version": 9}, 404),
        ("PUT", "models/aliases", {"name": "taxi-tips", "alias": "latest", "version": 1}, 400),
    ]:
        answer = live.ask(method, route, **body)
        assert answer.status == status, (route, body, answer.text)
        assert answer.data["message"]


def test_a_run_is_renamed_noted_deleted_and_restored(live: Live) -> None:
    run = f"runs/{live.bad}"

    def act() -> None:
        renamed = live.ask("PUT", f"{run}/name", name="not so good")
        assert (renamed.status, renamed.data["before"]) == (200, "bad"), renamed.text
        noted = live.ask("PUT", f"{run}/note", note="too few rows")
        assert (noted.status, noted.data["note"]) == (200, "too few rows"), noted.text

    (heard,) = events_while(live.server, act, 1, about=live.bad)
    assert (heard["kind"], heard["action"]) == ("run", "updated")
    shown = live.get(run)
    assert (shown["name"], shown["note"]) == ("not so good", "too few rows")
    assert live.ask("PUT", f"{run}/note", note="").data["undo"].endswith("'too few rows'")
    assert live.get(run)["note"] is None

    kept = live.server.ask("DELETE", run, query={"path": "proj"})
    assert kept.status == 409  # a version was made from it
    other = live.lone
    gone = live.server.ask("DELETE", f"runs/{other}", query={"path": "proj"})
    assert gone.status == 200, gone.text
    assert gone.data["undo"] == f"jupyter mlops runs restore {other}"
    assert live.server.get(f"runs/{other}", path="proj").status == 404
    assert live.ask("POST", f"runs/{other}/restore").status == 200
    assert live.get(f"runs/{other}")["name"] == "lone"
    assert live.ask("POST", f"runs/{other}/restore").status == 409
    fetched = live.server.get(f"runs/{other}", path="proj", fetch="1").data
    assert fetched["details"]["complete"] is True


def test_a_tracking_server_that_is_down_is_an_answer(live: Live) -> None:
    config = live.project.root / "pyproject.toml"
    config.write_text(
        "[tool.jupyter-mlops]\ntracking-uri = 'http://ada:hunter22@127.0.0.1:9'\n"
        "delivery-timeout = 1\n"
    )
    try:
        refresh = live.ask("POST", "refresh")
        assert refresh.status == 200, refresh.text
        assert refresh.data["ok"] is False
        assert "127.0.0.1:9" in refresh.data["error"]["message"]
        status = live.server.get("status", path="proj")
        assert status.data["tracking"]["error"] == refresh.data["error"]
        alias = {"name": "taxi-tips", "alias": "champion", "version": 1}
        moved = live.ask("PUT", "models/aliases", **alias)
        assert moved.status == 503, moved.text
        for text in (refresh.text, status.text, moved.text, live.server.log.read_text()):
            assert "hunter22" not in text
    finally:
        config.write_text("")


def _end_agent(project: Project) -> None:
    pointer = agent_client.read_pointer(project)
    if pointer is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pointer.pid)
        with contextlib.suppress(AgentUnavailable):
            agent_client.call(project, "/v1/shutdown", {"drain": False})
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.kill()
