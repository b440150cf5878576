"""What the API says of a project: from local state alone, and as data alone."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB

from .conftest import Server
from .seed import HOSTILE, TOKEN, Seeded, fill

EVERY_GET = ("status", "models", "runs", "pipelines", "schedules", "deployments")


@pytest.fixture
def seeded(place: Path) -> Seeded:
    return fill(place)


def get(server: Server, place: Path, route: str, **query: str) -> Any:
    answer = server.get(route, path=place.name, **query)
    assert answer.status == 200, answer.text
    return answer.data


def test_runs_with_those_that_wait(server: Server, place: Path, seeded: Seeded) -> None:
    waits, delivered = get(server, place, "runs")["runs"]
    assert (waits["run_id"], waits["delivered"]) == (seeded.waiting, False)
    assert (delivered["run_id"], delivered["delivered"]) == (seeded.delivered, True)
    assert delivered["duration"] == 2.5
    assert delivered["metrics"] == {"accuracy": 0.9, HOSTILE: 1.0, "loss": None}
    assert waits["metrics"] == {"accuracy": None}
    assert waits["models"][0]["reason"] == "too large"
    assert [run["name"] for run in get(server, place, "runs", limit="1")["runs"]] == ["waits"]


def test_one_run_by_any_of_its_names(server: Server, place: Path, seeded: Seeded) -> None:
    for name in (seeded.delivered, seeded.mlflow, seeded.delivered[:-1]):
        run = get(server, place, f"runs/{name}")
        assert run["run_id"] == seeded.delivered
        assert run["registered"] == [
            {"name": HOSTILE, "version": 2},
            {"name": HOSTILE, "version": 1},
        ]
    assert get(server, place, f"runs/{seeded.waiting}")["registered"] == []
    assert server.get("runs/ZZZZ", path=place.name).status == 404
    ambiguous = server.get("runs/0", path=place.name)
    assert ambiguous.status == 400
    assert "several" in ambiguous.data["message"]
    for hostile in ("..", "a b", "a%2fb", "x" * 65, "a;b"):
        answer = server.ask("GET", f"v1/runs/{hostile}", prefix="/mlops/api/")
        assert answer.status == 404, hostile


def test_models_with_their_versions(server: Server, place: Path, seeded: Seeded) -> None:
    (model,) = get(server, place, "models")["models"]
    assert (model["name"], model["description"]) == (HOSTILE, HOSTILE)
    newest, champion = model["versions"]
    assert (newest["version"], champion["aliases"]) == (2, ["champion"])
    assert newest["key_metric"] == {"name": "accuracy", "value": 0.9}
    assert newest["run_id"] == seeded.delivered


def test_code_that_loads_a_version(server: Server, place: Path, seeded: Seeded) -> None:
    answer = get(server, place, "models/code", name=HOSTILE, version="2")
    assert answer["language"] == "python"
    compile(answer["code"], "code", "exec")
    assert "jupyter_mlops.load_model(" in answer["code"]
    for query, status in [
        ({"name": HOSTILE, "version": "9"}, 404),
        ({"name": "unknown", "version": "1"}, 404),
        ({"name": HOSTILE, "version": "two"}, 400),
        ({"name": HOSTILE}, 400),
    ]:
        assert server.get("models/code", path=place.name, **query).status == status, query


def test_pipelines_and_those_that_are_broken(server: Server, place: Path, seeded: Seeded) -> None:
    data = get(server, place, "pipelines")
    (pipeline,) = data["pipelines"]
    assert pipeline["path"] == f"{place.name}/pipelines/taxi-tips"
    assert pipeline["parameters"][0]["name"] == "rate"
    assert pipeline["model"] == "taxi-tips"
    (broken,) = data["broken"]
    assert broken["name"] == "broken"
    assert "pipeline.yaml" in broken["error"]["message"]


def test_schedules_and_whether_they_can_fire(server: Server, place: Path, seeded: Seeded) -> None:
    data = get(server, place, "schedules")
    (schedule,) = data["schedules"]
    assert (schedule["id"], schedule["enabled"]) == (seeded.schedule, True)
    assert schedule["next_at"] > 1e9
    assert data["agent_running"] is False


def test_deployments_without_their_tokens(server: Server, place: Path, seeded: Seeded) -> None:
    answer = server.get("deployments", path=place.name)
    (deployment,) = answer.data["deployments"]
    assert (deployment["id"], deployment["status"]) == (seeded.deployment, "stopped")
    assert TOKEN not in answer.text
    stopped = server.post(f"deployments/{seeded.deployment}/stop", path=place.name)
    assert stopped.status == 200
    assert TOKEN not in stopped.text
    # Beginnings of ids are for people to type.
    assert server.post("deployments/taxi/stop", path=place.name).status == 404


def test_status_of_a_project(server: Server, place: Path, seeded: Seeded) -> None:
    status = get(server, place, "status")
    assert status["project"] == {
        "name": place.name,
        "root": f"~/{place.name}",
        "path": place.name,
        "exists": True,
        "key": seeded.project.key,
    }
    assert status["waiting"] == 1
    assert status["tracking"]["local"] is True
    assert status["agent"] == {"running": False, "pid": None, "enabled": False}
    inside = server.get("status", path=f"{place.name}/sub/nb.ipynb").data["project"]
    assert (inside["path"], inside["key"]) == (place.name, seeded.project.key)
    assert {"name": place.name, "path": place.name, "key": seeded.project.key} in server.get(
        "projects"
    ).data["projects"]


def test_hostile_names_arrive_as_json_and_nothing_else(
    server: Server, place: Path, seeded: Seeded
) -> None:
    seen = 0
    for route in (*EVERY_GET, f"runs/{seeded.delivered}"):
        answer = server.get(route, path=place.name)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        seen += HOSTILE in json.dumps(answer.data)
        json.loads(answer.text, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert seen >= 5
    refused = server.get("runs", path=place.name, **{HOSTILE: "1"})
    assert refused.status == 400
    assert HOSTILE in refused.data["message"]
    assert refused.headers["Content-Type"] == "application/json"


def test_a_project_without_state_answers_empty_and_stays_without(
    server: Server, place: Path
) -> None:
    assert get(server, place, "models") == {"models": []}
    assert get(server, place, "runs") == {"runs": []}
    assert get(server, place, "pipelines") == {"pipelines": [], "broken": []}
    assert get(server, place, "schedules") == {"schedules": [], "agent_running": False}
    assert get(server, place, "deployments") == {"deployments": []}
    status = get(server, place, "status")
    assert (status["project"]["exists"], status["waiting"]) == (False, 0)
    assert server.get("runs/01ARZ3", path=place.name).status == 404
    assert server.post("refresh", path=place.name).data == {"ok": True, "error": None}
    for method, route, body in [
        ("POST", "models/versions", {"run_id": "01ARZ3", "name": "taxi"}),
        ("PUT", "models/aliases", {"name": "taxi", "alias": "champion", "version": 1}),
        ("POST", "models/aliases/revert", {"name": "taxi", "alias": "champion"}),
        ("POST", "deployments/taxi/stop", {}),
    ]:
        answer = server.ask(method, route, {"path": place.name, **body})
        assert answer.status == 404, (route, answer.text)
        assert "nothing has been tracked" in answer.data["message"]
    assert [path.name for path in place.iterdir()] == ["pyproject.toml"]


def test_the_home_folder_is_no_project_and_that_is_said(server: Server) -> None:
    status = server.get("status").data
    assert status["project"] is None
    assert "home folder" in status["problem"]["message"]
    assert status["problem"]["hint"]
    assert server.get("models").data == {"models": []}
    assert server.get("pipelines").data == {"pipelines": [], "broken": []}
    refused = server.post("refresh", path="")
    assert refused.status == 400
    assert refused.data["message"] == status["problem"]["message"]
    assert not (server.root / ".mlops").exists()


def test_reading_changes_no_file(server: Server, place: Path, seeded: Seeded) -> None:
    before = _files(place)
    for route in (*EVERY_GET, "projects", f"runs/{seeded.delivered}"):
        assert server.get(route, **({} if route == "projects" else {"path": place.name}))
    server.get("models/code", path=place.name, name=HOSTILE, version="1")
    assert _files(place) == before


@pytest.mark.parametrize("path", ["../x", "..%2fx", "..\\x", "/etc", "%252e%252e%252f", "a\0b"])
def test_paths_that_lead_out_are_refused_everywhere(server: Server, path: str) -> None:
    for route in (*EVERY_GET, "runs/01ARZ3"):
        answer = server.get(route, path=path)
        assert answer.status == 400, (route, answer.text)
        assert answer.data["fields"]["field"] == "path"
    for method, route, body in [
        ("POST", "models/versions", {"run_id": "01ARZ3", "name": "taxi"}),
        ("PUT", "models/aliases", {"name": "taxi", "alias": "champion", "version": 1}),
        ("POST", "models/aliases/revert", {"name": "taxi", "alias": "champion"}),
        ("POST", "deployments/taxi/stop", {}),
        ("POST", "promotions", {}),
        ("POST", "refresh", {}),
    ]:
        answer = server.ask(method, route, {"path": path, **body})
        assert answer.status == 400, (route, answer.text)


def test_a_query_that_is_encoded_by_the_client_is_decoded_once(server: Server) -> None:
    for query in ("path=..%2Fx", "path=%2e%2e%2fx", "path=..%5Cx", "path=%00", "path=%ff"):
        assert server.ask("GET", "status", query=query).status == 400, query


def test_links_and_siblings_stay_outside(server: Server) -> None:
    secret = server.root.parent / "root-secret"
    link = server.root / "link-out"
    link.symlink_to(secret)
    try:
        assert server.get("status", path="link-out").status == 400
        assert server.get("status", path="../root-secret").status == 400
    finally:
        link.unlink()


def test_what_needs_the_agent_says_that_it_is_turned_off(
    server: Server, place: Path, seeded: Seeded
) -> None:
    for method, route, body in [
        ("POST", "models/versions", {"run_id": seeded.delivered, "name": "taxi"}),
        ("PUT", "models/aliases", {"name": HOSTILE, "alias": "champion", "version": 2}),
        ("POST", "models/aliases/revert", {"name": HOSTILE, "alias": "champion"}),
        ("POST", "refresh", {}),
    ]:
        answer = server.ask(method, route, {"path": place.name, **body})
        assert answer.status == 503, (route, answer.text)
        assert "turned off" in answer.data["message"]
        assert "JUPYTER_MLOPS_AGENT" in answer.data["hint"]


def test_a_fault_of_ours_is_answered_in_words_without_secrets(
    server: Server, place: Path, seeded: Seeded
) -> None:
    _break(seeded.project)
    answer = server.ask(
        "GET",
        "models",
        query={"path": place.name, "token": server.token},
        headers={"Referer": f"http://127.0.0.1/lab?token={server.token}"},
    )
    assert answer.status == 500
    assert set(answer.data) == {"message", "reason", "hint", "fields"}
    log = server.log.read_text()
    assert "no such table" in log
    for text in (answer.text, log):
        assert server.token not in text


def test_a_damaged_database_is_named(server: Server, place: Path, seeded: Seeded) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{seeded.project.database}{suffix}").unlink(missing_ok=True)
    seeded.project.database.write_bytes(b"this is no database; it is long enough to be read" * 200)
    answer = server.get("models", path=place.name)
    assert answer.status == 500
    assert answer.data["reason"] == "corrupt"
    assert "state.db" in answer.data["message"]


def test_configuration_that_is_wrong_is_named(server: Server, place: Path) -> None:
    (place / "pyproject.toml").write_text("[tool.jupyter-mlops]\ncapture = 'everything'\n")
    answer = server.get("status", path=place.name)
    assert answer.status == 400
    assert "capture" in answer.data["message"]


def test_the_servers_process_never_imports_what_is_heavy(
    server: Server, place: Path, seeded: Seeded
) -> None:
    for route in EVERY_GET:
        get(server, place, route)
    get(server, place, "models/code", name=HOSTILE, version="1")
    assert server.ask("GET", "mlops-probe", prefix="/").data == []


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    # SQLite's shared memory file is bookkeeping of readers.
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def _break(project: Project) -> None:
    with StateDB(project).write() as connection:
        connection.execute("DROP TABLE models")
    with sqlite3.connect(project.database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
