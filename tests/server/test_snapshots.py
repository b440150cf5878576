"""Snapshots over the REST API: listed, shown, compared by pages, tagged, removed, restored."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.journal import SessionJournal, this_process
from jupyter_mlops.model.events import InputRecord, RunRecord, SessionHeader
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.snapshots.service import take

from .conftest import Server
from .seed import HOSTILE

NAME = f"data/{HOSTILE}.csv"


def frame(rows: int = 300) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": np.arange(rows) + 2**60,
            "price": np.where(np.arange(rows) % 10 == 0, np.nan, np.arange(rows) / 4),
            "city": np.array(["Bern", "Chur", HOSTILE])[np.arange(rows) % 3],
        }
    )


@pytest.fixture
def project(place: Path) -> Project:
    """Two versions of a frame that differ in 120 cells, a file, and an automatic one."""
    project = open_project(place)
    take(project, frame(), NAME, "as it came", ["raw"])
    changed = frame()
    changed.loc[:119, "price"] = -1.5
    take(project, changed, NAME, "prices mended")
    (place / "notes.txt").write_text("one\ntwo\n")
    take(project, place / "notes.txt", "notes.txt")
    take(project, np.arange(5), "train.ipynb/x", meta={"automatic": True, "run": "01RUN"})
    return project


def get(server: Server, place: Path, route: str, **query: str) -> Any:
    answer = server.get(route, path=place.name, **query)
    assert answer.status == 200, answer.text
    return answer.data


def test_names_with_their_newest_versions(server: Server, place: Path, project: Project) -> None:
    data = get(server, place, "snapshots")
    assert [item["name"] for item in data["names"]] == ["notes.txt", NAME]
    assert (data["total"], data["hidden"]) == (2, 1)
    newest, first = data["names"][1]["versions"]
    assert (newest["spec"], newest["message"], newest["tags"]) == (f"{NAME}@2", "prices mended", [])
    assert (first["rows"], first["columns"], first["tags"]) == (300, 3, ["raw"])
    assert newest["size"] > newest["added"] > 0
    everything = get(server, place, "snapshots", automatic="1")
    (automatic,) = everything["names"][0]["versions"]
    assert (automatic["name"], automatic["automatic"]) == ("train.ipynb/x", True)
    assert (automatic["run"], everything["hidden"]) == ("01RUN", 0)


def test_names_are_searched_and_paged(server: Server, place: Path, project: Project) -> None:
    def names(**query: str) -> list[str]:
        return [item["name"] for item in get(server, place, "snapshots", **query)["names"]]

    assert names(search="notes") == ["notes.txt"]
    assert names(search="PRICES mended") == [NAME]
    assert names(search="raw") == [NAME]
    assert names(search="nothing so") == []
    assert names(limit="1", offset="1") == [NAME]
    data = get(server, place, "snapshots", each="1", search="data/")
    assert (data["names"][0]["count"], len(data["names"][0]["versions"])) == (2, 1)
    page = get(server, place, "snapshots/versions", name=NAME, limit="1", offset="1")
    assert (page["versions"][0]["version"], page["total"]) == (1, 2)
    assert server.get("snapshots/versions", path=place.name, name="nope").status == 404


def test_without_any_snapshot_there_is_an_empty_list(server: Server, place: Path) -> None:
    assert get(server, place, "snapshots") == {"names": [], "total": 0, "hidden": 0}
    assert get(server, place, "snapshots/usage")["total"] == 0
    assert not (place / ".mlops").exists()
    open_project(place).create()
    assert get(server, place, "snapshots")["names"] == []
    assert not (place / ".mlops" / "snapshots").exists()
    answer = server.get("snapshots/version", path=place.name, spec="x")
    assert (answer.status, answer.data["reason"]) == (404, "not_found")


def test_one_version_with_its_columns(server: Server, place: Path, project: Project) -> None:
    data = get(server, place, "snapshots/version", spec=f"{NAME}@raw")
    assert (data["version"]["version"], data["parent"], data["total"]) == (1, None, 3)
    by_name = {column["name"]: column for column in data["columns"]}
    ids, price, city = by_name["id"], by_name["price"], by_name["city"]
    # JavaScript would round them.
    assert (ids["min"], ids["max"]) == (str(2**60), str(2**60 + 299))
    assert (price["missing"], price["type"]) == (30, "float64")
    assert price["quantiles"]["0.5"] == pytest.approx(37.5, abs=1)
    assert city["distinct"] == {"count": 3, "exact": True}
    assert {"value": HOSTILE, "count": 100} in city["top"]
    assert city["lengths"]["max"] == len(HOSTILE)
    second = get(server, place, "snapshots/version", spec=NAME, limit="1", offset="1")
    assert [column["name"] for column in second["columns"]] == ["price"]
    assert (second["parent"], second["total"]) == (f"{NAME}@1", 3)
    kept = get(server, place, "snapshots/version", spec="notes.txt")
    assert (kept["version"]["kind"], kept["columns"]) == ("file", [])
    for spec, status in [("nope", 404), (f"{NAME}@9", 404), (f"{NAME}@none", 404), ("@", 400)]:
        assert server.get("snapshots/version", path=place.name, spec=spec).status == status, spec


def test_what_differs_comes_in_pages(server: Server, place: Path, project: Project) -> None:
    def page(**query: str) -> Any:
        return get(server, place, "snapshots/diff", a=f"{NAME}@1", b=f"{NAME}@2", **query)

    first = page()
    assert (first["equal"], first["whole"]["total"], len(first["whole"]["rows"])) == (
        False,
        120,
        50,
    )
    assert first["whole"]["counts"]["cells_changed"] == 120
    row = first["whole"]["rows"][1]
    assert (row["change"], row["a"], row["cells"]) == (
        "changed", 1, [{"column": "price", "a": "0.25", "b": "-1.5"}],
    )  # fmt: skip
    assert {"column": "price", "figure": "missing", "a": "30", "b": "18"} in first["whole"][
        "statistics"
    ]
    last = page(offset="100", limit="50")
    assert [row["b"] for row in last["whole"]["rows"]] == list(range(100, 120))
    assert page(offset="500")["whole"]["rows"] == []
    assert page(key="id")["whole"]["rows"][0]["label"] == f"id={2**60}"
    assert get(server, place, "snapshots/diff", a=NAME, b=NAME)["equal"] is True
    for query, status in [
        ({"key": "nope"}, 400), ({"limit": "201"}, 400), ({"offset": "-1"}, 400),
    ]:  # fmt: skip
        answer = server.get(
            "snapshots/diff", path=place.name, a=f"{NAME}@1", b=f"{NAME}@2", **query
        )
        assert answer.status == status, answer.text


def test_added_and_removed_rows_are_bounded(server: Server, place: Path) -> None:
    project = open_project(place)
    wide = pd.DataFrame({f"c{n}": np.arange(3) for n in range(60)})
    take(project, wide.iloc[:2], "wide")
    take(project, wide, "wide")
    (row,) = get(server, place, "snapshots/diff", a="wide@1", b="wide@2")["whole"]["rows"]
    assert (row["change"], len(row["cells"]), row["more"]) == ("added", 40, 20)
    assert row["cells"][0] == {"column": "c0", "a": None, "b": "2"}


def test_files_and_what_lies_inside_are_compared(server: Server, place: Path) -> None:
    project = open_project(place)
    folder = place / "raw"
    folder.mkdir()
    (folder / "a.txt").write_text("one\n")
    (folder / "b.txt").write_text("same\n")
    take(project, folder, "raw")
    (folder / "a.txt").write_text("two\n")
    take(project, folder, "raw")
    data = get(server, place, "snapshots/diff", a="raw@1", b="raw@2")
    (item,) = data["items"]
    assert (item["name"], data["items_total"]) == ("a.txt", 1)
    assert "-one" in item["lines"]
    assert "+two" in item["lines"]


def test_tags_are_set_moved_and_taken_away(server: Server, place: Path, project: Project) -> None:
    path = place.name
    tag = {"path": path, "name": NAME, "tag": "raw"}
    moved = server.ask("PUT", "snapshots/tags", tag | {"version": 2})
    assert (moved.status, moved.data["before"]) == (200, 1)
    assert moved.data["version"]["tags"] == ["raw"]
    assert moved.data["undo"].startswith("jupyter mlops snapshots tag ")
    gone = server.ask("DELETE", "snapshots/tags", query=tag)
    assert (gone.status, gone.data["before"], gone.data["version"]["tags"]) == (200, 2, [])
    assert server.ask("DELETE", "snapshots/tags", query=tag).status == 404
    for wrong in ("latest", "7", "2026-01-01", "a@b"):
        body = tag | {"version": 1, "tag": wrong}
        assert server.ask("PUT", "snapshots/tags", body).status == 400, wrong


def test_a_removed_version_comes_back(server: Server, place: Path, project: Project) -> None:
    which = {"path": place.name, "name": NAME, "version": 2}
    removed = server.post("snapshots/remove", **which)
    assert removed.status == 200
    assert "snapshots restore" in removed.data["undo"]
    assert get(server, place, "snapshots", search="data/")["names"][0]["count"] == 1
    assert server.post("snapshots/remove", **which).status == 404
    back = server.post("snapshots/restore", **which)
    assert (back.status, back.data["version"]["message"]) == (200, "prices mended")
    assert server.post("snapshots/restore", **which).status == 404
    assert get(server, place, "snapshots", search="data/")["names"][0]["count"] == 2


def test_what_takes_space(server: Server, place: Path, project: Project) -> None:
    data = get(server, place, "snapshots/usage")
    assert {item["name"] for item in data["names"]} == {NAME, "notes.txt", "train.ipynb/x"}
    assert data["saved"] > 0
    assert {item["name"]: item["automatic"] for item in data["names"]}["train.ipynb/x"] == 1
    assert next(item for item in data["names"] if item["name"] == NAME)["saved"] > 0
    assert data["total"] > data["names"][0]["stored"] > 0


def test_runs_that_used_a_version(server: Server, place: Path, project: Project) -> None:
    session, me, now = new_id(), this_process(), time.time()
    used, other = new_id(), new_id()
    journal = SessionJournal(project.journal, session)
    try:
        header = SessionHeader(
            session, now, "python", "3.11", "0", me.pid, me.started, me.boot_id, me.host, cwd="/"
        )
        journal.append(header.to_dict())
        for run_id, spec in ((used, f"{NAME}@2"), (other, f"{NAME}@1")):
            item = InputRecord("flights", "frame", snapshot=spec, added=12)
            run = RunRecord(
                run_id, session, f"run {HOSTILE}", "FINISHED", started=now - 3, ended=now - 1,
                inputs=(item,),
            )  # fmt: skip
            journal.append(run.to_dict(), sync=True)
    finally:
        journal.close()
    data = get(server, place, "snapshots/runs", spec=NAME)
    assert data["searched"] == 2
    (run,) = data["runs"]
    assert (run["run_id"], run["input"], run["status"]) == (used, "flights", "FINISHED")
    inputs = get(server, place, f"runs/{used}")["details"]["inputs"]
    assert (inputs[0]["snapshot"], inputs[0]["added"]) == (f"{NAME}@2", 12)
