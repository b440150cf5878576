"""The read model says what changed, and only that."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.model.ids import new_id
from jupyter_mlops.model.registry import ModelVersion, RegisteredModel, RunSummary
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB, changes_after, last_change
from jupyter_mlops.state.db import _MIGRATIONS
from jupyter_mlops.state.meta import get_meta, put_meta
from jupyter_mlops.state.readmodel import (
    clear,
    find_runs,
    forget_models,
    forget_run,
    forget_version,
    move_alias,
    put_model,
    put_run,
    put_version,
    read_model,
    read_models,
    read_run,
    read_runs,
    read_version,
    unfinished_runs,
)


@pytest.fixture
def connection(project: Project) -> Iterator[sqlite3.Connection]:
    with StateDB(project).write() as connection:
        yield connection


def run(**fields: object) -> RunSummary:
    run_id = str(fields.pop("run_id", new_id()))
    defaults = {"name": "n", "status": "FINISHED", "started": 1.0, "mlflow_run_id": f"m{run_id}"}
    return RunSummary(run_id=run_id, **(defaults | fields))  # type: ignore[arg-type]


def version(number: int, **fields: object) -> ModelVersion:
    return ModelVersion("taxi", number, 10.0 + number, **fields)  # type: ignore[arg-type]


def news(connection: sqlite3.Connection, since: int) -> list[tuple[str, str, str]]:
    return [(c.kind, c.action, c.id) for c in changes_after(connection, since)]


def test_a_run_is_news_once(connection: sqlite3.Connection) -> None:
    one = run(metrics={"a": math.nan, "b": math.inf}, params={"x": 1}, warnings=("w",))
    assert put_run(connection, one)
    assert not put_run(connection, one)
    assert put_run(connection, replace(one, status="FAILED"))
    found = read_run(connection, one.run_id)
    assert found is not None
    assert found.status == "FAILED"
    assert math.isnan(found.metrics["a"])
    assert found.metrics["b"] == math.inf
    assert found.warnings == ("w",)
    assert forget_run(connection, f"m{one.run_id}")
    assert not forget_run(connection, one.run_id)
    assert [action for _, action, _ in news(connection, 0)] == ["created", "updated", "removed"]


def test_a_run_that_was_first_seen_by_mlflows_id_is_not_listed_twice(
    connection: sqlite3.Connection,
) -> None:
    put_run(connection, run(run_id="abc", mlflow_run_id="abc"))
    put_run(connection, run(run_id="01OURS", mlflow_run_id="abc"))
    assert [r.run_id for r in read_runs(connection, 10)] == ["01OURS"]


def test_runs_are_listed_newest_first_and_found_by_prefix(connection: sqlite3.Connection) -> None:
    for i in range(5):
        put_run(connection, run(run_id=f"01AB{i}", mlflow_run_id=f"ff{i}", started=float(i)))
    assert [r.run_id for r in read_runs(connection, 2)] == ["01AB4", "01AB3"]
    assert [r.run_id for r in find_runs(connection, "01ab3")] == ["01AB3"]
    assert [r.run_id for r in find_runs(connection, "FF1")] == ["01AB1"]
    assert len(find_runs(connection, "01")) == 5
    put_run(connection, run(status="RUNNING"))
    assert [r.status for r in unfinished_runs(connection)] == ["RUNNING"]


def test_models_versions_and_aliases(connection: sqlite3.Connection) -> None:
    source = run(run_id="R", mlflow_run_id="m1", metrics={"auc": 0.9}, notebook="a.ipynb")
    put_run(connection, source)
    since = last_change(connection)
    put_version(connection, version(1, mlflow_run_id="m1", source="/files", aliases=("champion",)))
    put_version(connection, version(2))
    assert news(connection, since) == [("model", "created", "taxi"), ("model", "updated", "taxi")]
    one = read_version(connection, "taxi", 1)
    assert one is not None
    assert (one.run_id, one.metrics, one.notebook) == ("R", {"auc": 0.9}, "a.ipynb")
    assert read_runs(connection, 1)[0].registered == "taxi@1"

    assert move_alias(connection, "taxi", "champion", 2)
    assert not move_alias(connection, "taxi", "champion", 2)
    model = read_model(connection, "taxi")
    assert model is not None
    assert [(v.version, v.aliases) for v in model.versions] == [(2, ("champion",)), (1, ())]
    assert move_alias(connection, "taxi", "champion", None)
    assert forget_version(connection, "taxi", 2)
    assert not forget_version(connection, "taxi", 2)
    assert read_version(connection, "taxi", 2) is None


def test_reading_a_model_again_is_no_news(connection: sqlite3.Connection) -> None:
    light = RegisteredModel("taxi", 5.0, "", (version(2), version(1, metrics={"nan": math.nan})))
    full = replace(light.versions[1], source="/files")
    assert put_model(connection, light)
    put_version(connection, full)
    since = last_change(connection)
    assert not put_model(connection, light)
    assert not put_model(connection, replace(light, updated=6.0))
    assert news(connection, since) == []
    found = read_version(connection, "taxi", 1)
    assert found is not None
    assert found.source == "/files"
    assert put_model(connection, replace(light, versions=light.versions[:1]))
    assert not put_model(connection, replace(light, versions=()), remove=False)
    assert put_model(connection, replace(light, description="d", versions=light.versions[:1]))
    forget_models(connection, ["taxi"])
    assert [m.description for m in read_models(connection)] == ["d"]
    forget_models(connection, [])
    assert read_models(connection) == []
    assert news(connection, since)[-1] == ("model", "removed", "taxi")


def test_another_tracking_server_begins_with_nothing(connection: sqlite3.Connection) -> None:
    put_run(connection, run())
    put_version(connection, version(1))
    clear(connection)
    assert read_runs(connection, 10) == []
    assert read_models(connection) == []


def test_meta(connection: sqlite3.Connection) -> None:
    assert get_meta(connection, "a", 5) == 5
    put_meta(connection, "a", {"x": [1]})
    put_meta(connection, "a", {"x": [2]})
    assert get_meta(connection, "a") == {"x": [2]}
    connection.execute("UPDATE meta SET value = '{'")
    assert get_meta(connection, "a", "default") == "default"


NAMES = st.sampled_from(["a", "b"])
MODELS = st.builds(
    RegisteredModel,
    NAMES,
    st.floats(0, 9),
    st.sampled_from(["", "d"]),
    st.lists(st.integers(1, 3), unique=True, max_size=3).map(
        lambda numbers: tuple(ModelVersion("", n, float(n)) for n in sorted(numbers, reverse=True))
    ),
)


@given(st.lists(MODELS, max_size=6))
def test_it_holds_what_was_put_last(models: list[RegisteredModel]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.executescript(_MIGRATIONS[0])
    last = {}
    for model in models:
        named = tuple(replace(v, name=model.name) for v in model.versions)
        last[model.name] = replace(model, versions=named)
        put_model(connection, last[model.name])
    found = {m.name: (m.description, m.versions) for m in read_models(connection)}
    assert found == {m.name: (m.description, m.versions) for m in last.values()}
    connection.close()
