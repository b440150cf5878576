from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import replace
from typing import Any

import pytest

from jupyter_mlops.capture.baseline import find_baseline
from jupyter_mlops.model.events import ModelRecord, RunRecord
from jupyter_mlops.model.registry import ModelVersion, RegisteredModel, RunSummary
from jupyter_mlops.project import Project
from jupyter_mlops.state.db import StateDB
from jupyter_mlops.state.peek import peek
from jupyter_mlops.state.readmodel import put_model, put_run

RUN = RunRecord(
    "01RUN", "s", "taxi #3", "FINISHED", 100.0, 101.0,
    notebook="taxi.ipynb", cell_id="c1", metrics={"rmse": 0.3},
    models=(ModelRecord("model", "Forest", blob="ab"),),
)  # fmt: skip
EARLIER = replace(
    RUN, run_id="01EARLIER", name="taxi #2", metrics={"rmse": 0.4}, params={"depth": 3},
    hyperparameters={"model__depth": 3, "depth": 4},
)  # fmt: skip


def summary(run_id: str, **changes: Any) -> RunSummary:
    values: dict[str, Any] = {
        "run_id": run_id,
        "name": f"taxi {run_id}",
        "status": "FINISHED",
        "started": 50.0,
        "mlflow_run_id": "m" + run_id.lower(),
        "experiment": "proj",
        "notebook": "taxi.ipynb",
        "params": {"depth": "5"},
        "metrics": {"rmse": 0.5},
    }
    return RunSummary(**(values | changes))


def keep(project: Project, *runs: RunSummary, **champions: str) -> None:
    """Put runs into the read model, and for each name a champion made from a run."""
    with StateDB(project).write() as connection:
        for run in runs:
            put_run(connection, run)
        for name, mlflow_run in champions.items():
            versions = tuple(
                ModelVersion(
                    name, number, 10.0 + number, mlflow_run_id=mlflow_run if number == 2 else "x",
                    aliases=("champion",) if number == 2 else ("challenger",),
                )
                for number in (3, 2, 1)
            )  # fmt: skip
            put_model(connection, RegisteredModel(name, 20.0, "", versions))


def label(found: dict[str, Any] | None) -> str | None:
    return None if found is None else str(found["label"])


def test_without_anything_before_there_is_nothing_and_nothing_is_made(project: Project) -> None:
    assert find_baseline(project, RUN, None) is None
    assert not project.database.exists()
    assert find_baseline(Project(project.root, project.root / "no"), RUN, None) is None


def test_the_champion_of_the_model_that_the_run_becomes_a_version_of(project: Project) -> None:
    keep(project, summary("01A", notebook="other.ipynb"), summary("01B"), taxi="m01a")
    run = replace(RUN, register="taxi")
    assert find_baseline(project, run, EARLIER) == {
        "label": "champion taxi@2",
        "kind": "champion",
        "run_id": "01A",
        "metrics": {"rmse": 0.5},
        "params": {"depth": "5"},
    }
    # Of another notebook it says nothing about a run that registers nothing.
    assert label(find_baseline(project, RUN, EARLIER)) == "last run taxi #2"
    keep(project, other="m01b")
    assert label(find_baseline(project, RUN, EARLIER)) == "champion other@2"
    # Without a model of its own the run is held to the one before it.
    assert label(find_baseline(project, replace(RUN, models=()), EARLIER)) == "last run taxi #2"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "FAILED"},
        {"notebook": "else.ipynb"},
        {"experiment": "e"},
        {"kind": "pipeline"},
        {"metrics": {"other": 1.0}},
        {"run_id": "01RUN"},
    ],
)
def test_a_run_before_it_that_is_not_alike_is_none(
    project: Project, change: dict[str, Any]
) -> None:
    assert find_baseline(project, RUN, replace(EARLIER, **change)) is None


def test_the_last_of_the_session_and_of_them_that_of_the_cell(project: Project) -> None:
    keep(project, summary("01A"))
    found = find_baseline(project, RUN, EARLIER)
    assert found is not None
    assert found["label"] == "last run taxi #2"
    assert found["params"] == {"model__depth": 3, "depth": 3}
    elsewhere = replace(EARLIER, run_id="01X", name="newer", cell_id="c9")
    assert label(find_baseline(project, RUN, [EARLIER, elsewhere])) == "last run taxi #2"
    nameless = replace(RUN, cell_id=None)
    assert label(find_baseline(project, nameless, [EARLIER, elsewhere])) == "last run newer"


def test_what_was_delivered_by_an_earlier_session(project: Project) -> None:
    keep(
        project,
        summary("01A", started=1.0),
        summary("01B", started=2.0),
        summary("01C", started=3.0, notebook="else.ipynb"),
        summary("01D", started=4.0, metrics={"other": 1.0}),
        summary("01E", started=5.0, status="FAILED"),
        summary("01RUN", started=6.0),
    )
    assert label(find_baseline(project, RUN, None)) == "last run taxi 01B"
    assert label(find_baseline(project, replace(RUN, experiment="proj"), None)) is not None
    assert find_baseline(project, replace(RUN, experiment="else"), None) is None
    assert find_baseline(project, replace(RUN, metrics={}), None) is None


def test_whatever_is_wrong_with_the_database_is_no_error(project: Project) -> None:
    keep(project, summary("01A"), taxi="m01a")
    run = replace(RUN, register="taxi")
    with sqlite3.connect(project.database) as connection:
        connection.execute("UPDATE runs SET summary = 'no json'")
    connection.close()
    assert find_baseline(project, run, None) is None
    assert label(find_baseline(project, run, EARLIER)) == "last run taxi #2"
    for name in ("state.db-wal", "state.db-shm"):
        (project.state / name).unlink(missing_ok=True)
    project.database.write_bytes(b"no database" * 1000)
    assert label(find_baseline(project, run, EARLIER)) == "last run taxi #2"
    project.database.unlink()
    project.database.mkdir()
    assert find_baseline(project, run, None) is None


def test_a_writer_and_a_lock_do_not_make_the_cell_wait(project: Project) -> None:
    keep(project, summary("01A"))
    with StateDB(project).write() as connection:
        put_run(connection, summary("01B", started=60.0))
        assert label(find_baseline(project, RUN, None)) == "last run taxi 01A"
    holder = sqlite3.connect(project.database, isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("UPDATE runs SET name = name")
        began = time.perf_counter()
        find_baseline(project, RUN, None)
        assert time.perf_counter() - began < 1.0
    finally:
        holder.close()


def test_a_look_ends_when_its_time_is_over(project: Project) -> None:
    keep(project, summary("01A"))
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    with peek(project.database, 0.01) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute(endless).fetchall()
    with peek(project.database, 1.0) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM runs")


def test_thousands_of_versions_are_no_burden(project: Project) -> None:
    with StateDB(project).write() as connection:
        detail = json.dumps({"name": "m", "version": 1, "created": 1.0, "source": "s" * 300})
        connection.executemany(
            "INSERT INTO model_versions (name, version, created, detail) VALUES ('m', ?, 1, ?)",
            [(number, detail) for number in range(3000)],
        )
    keep(project, summary("01A"), taxi="m01a")
    run = replace(RUN, register="taxi")
    took = []
    for _ in range(9):  # The machine may be busy for a moment.
        began = time.perf_counter()
        found = label(find_baseline(project, run, None))
        took.append((time.perf_counter() - began, found))
    assert min(took)[0] < 0.02
    assert "champion taxi@2" in [found for _, found in took]
