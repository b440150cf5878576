"""A run's details, comparisons and explanations from local state; its changes need the agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_mlops.project import open_project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.readmodel import read_run

from ..tracking.rich import HOSTILE, Pair, pair
from .conftest import Server
from .seed import fill


@pytest.fixture
def runs(place: Path) -> Pair:
    return pair(open_project(place))


def test_a_run_has_everything_that_is_known(server: Server, place: Path, runs: Pair) -> None:
    answer = server.get(f"runs/{runs.a.run_id}", path=place.name)
    assert answer.status == 200, answer.text
    details = answer.data["details"]
    assert (details["origin"], details["complete"]) == ("journal", True)
    assert answer.data["params"] == {"rate": 0.1, "depth": 3, "note": HOSTILE}
    assert details["hyperparameters"] == {"model.C": 1.0, "rate": 0.1}
    assert details["series"]["loss"][-1] == [2.0, 0.3]
    assert details["inputs"][0]["schema"] == {"tip": "f8", "km": "f8"}
    assert [file["kind"] for file in details["files"]] == ["output", "figure"]
    assert details["files"][0]["text"].startswith("epoch 1")
    assert details["environment"]["packages"]["scikit-learn"] == "1.5.0"
    assert details["git"] == {"commit": "c" * 40, "branch": "main", "dirty": False}
    assert answer.data["metrics"]["n"] is None


def test_a_run_of_which_only_the_list_is_here(server: Server, place: Path) -> None:
    seeded = fill(place)
    answer = server.get(f"runs/{seeded.delivered}", path=place.name)
    details = answer.data["details"]
    assert (details["origin"], details["complete"]) == ("summary", False)
    assert details["problem"]
    assert answer.data["params"][HOSTILE] == HOSTILE
    fetched = server.get(f"runs/{seeded.delivered}", path=place.name, fetch="1")
    assert fetched.status == 503
    assert "turned off" in fetched.data["message"]
    assert server.get(f"runs/{seeded.delivered}", path=place.name, fetch="2").status == 400
    assert server.get(f"runs/{seeded.waiting}", path=place.name, fetch="1").status == 200


def test_two_runs_are_compared(server: Server, place: Path, runs: Pair) -> None:
    answer = server.get("runs/compare", path=place.name, a=runs.a.run_id[:20], b=runs.b.run_id)
    assert answer.status == 200, answer.text
    data = answer.data
    assert (data["a"]["name"], data["b"]["name"]) == ("taxi #1", "taxi #2")
    assert [item["better"] for item in data["metrics"]] == ["a", "a", None]
    assert data["same"] is False
    json.loads(answer.text, parse_constant=pytest.fail)
    for query, status in [
        ({"a": runs.a.run_id}, 400),
        ({"a": runs.a.run_id, "b": "ZZZZ"}, 404),
        ({"a": runs.a.run_id, "b": "../x"}, 400),
        ({"a": runs.a.run_id, "b": runs.b.run_id[:5]}, 400),
    ]:
        assert server.get("runs/compare", path=place.name, **query).status == status, query


def test_why_is_explained(server: Server, place: Path, runs: Pair) -> None:
    answer = server.get(f"runs/{runs.b.run_id}/why", path=place.name)
    assert answer.status == 200, answer.text
    assert answer.data["best"]["run_id"] == runs.a.run_id
    assert answer.data["reasons"][0]["kind"] == "data"
    loss = server.get(f"runs/{runs.b.run_id}/why", path=place.name, metric="loss")
    assert loss.data["metric"] == "loss"
    assert loss.data["comparison"]["curves"][0]["name"] == "loss"
    wrong = server.get(f"runs/{runs.b.run_id}/why", path=place.name, metric=HOSTILE)
    assert wrong.status == 400
    alone = server.get(f"runs/{runs.a.run_id}/why", path=place.name)
    assert (alone.data["best"], alone.data["comparison"]) == (None, None)


def test_what_changes_a_run_needs_the_agent(server: Server, place: Path) -> None:
    seeded = fill(place)
    run = f"runs/{seeded.delivered}"
    deleted = server.ask("DELETE", run, query={"path": place.name})
    answers = [
        deleted,
        server.post(f"{run}/restore", path=place.name),
        server.ask("PUT", f"{run}/name", {"path": place.name, "name": "x"}),
        server.ask("PUT", f"{run}/note", {"path": place.name, "note": ""}),
    ]
    for answer in answers:
        assert answer.status == 503, answer.text
        assert "turned off" in answer.data["message"]
    with StateDB(seeded.project).read() as connection:
        assert read_run(connection, seeded.delivered) is not None
    for body in ({"name": ""}, {"name": "x" * 251}):
        assert server.ask("PUT", f"{run}/name", {"path": place.name, **body}).status == 400
    long = {"path": place.name, "note": "x" * 5001}
    assert server.ask("PUT", f"{run}/note", long).status == 400


def test_the_servers_process_stays_light(server: Server, place: Path, runs: Pair) -> None:
    for route in (f"runs/{runs.a.run_id}", f"runs/{runs.b.run_id}/why"):
        assert server.get(route, path=place.name).status == 200
    assert server.ask("GET", "mlops-probe", prefix="/").data == []
