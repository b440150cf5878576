"""Runs of the journal reach MLflow, each once."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotFoundError, UsageError
from jupyter_mlops.journal import encode_record
from jupyter_mlops.model.events import ModelRecord
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.state import StateDB, changes_after
from jupyter_mlops.tracking import (
    deliver,
    find_run,
    list_runs,
    sync_state,
    waiting,
)

from .sessions import Session, all_runs, blob_names

Client = Callable[[Project | str], Any]


def test_a_run_with_a_model_and_files_arrives_whole(
    mlflow_project: Project, client: Client, forest: Any, iris: tuple[Any, Any]
) -> None:
    project = mlflow_project
    session = Session(project)
    record = session.run(
        "forest",
        models=(session.model(forest, iris[0].head()),),
        files=(session.file("plots/curve.svg", b"<svg/>"),),
        metrics={"accuracy": 0.97, "nan": math.nan, "inf": math.inf},
        params={"depth": 3, "name": "a b", "größe": [1, 2]},
        register="iris",
        git_commit="c0ffee",
        warnings=("a warning",),
    )
    assert waiting(project) == 1

    report = deliver(project, Config())

    assert (report.delivered, report.waiting, report.errors) == (1, 0, ())
    assert report.warnings == ()
    (version,) = report.versions
    assert (version.name, version.version, version.run_id) == ("iris", 1, record.run_id)
    plain = client(project)
    (run,) = all_runs(plain)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "forest"
    assert run.info.start_time == round(record.started * 1000)
    assert run.info.end_time == round(record.ended * 1000)
    assert run.data.params == {"depth": "3", "name": "a b", "größe": "[1, 2]"}
    assert run.data.metrics["accuracy"] == 0.97
    assert math.isnan(run.data.metrics["nan"])
    tags = run.data.tags
    assert tags["mlops.run_id"] == record.run_id
    assert tags["mlops.session"] == session.id
    assert tags["mlops.notebook"] == "work.ipynb"
    assert tags["mlops.source"] == "x = 1"
    assert tags["mlflow.source.git.commit"] == "c0ffee"
    assert json.loads(tags["mlops.warnings"]) == ["a warning"]
    assert [f.path for f in plain.list_artifacts(run.info.run_id, "plots")] == ["plots/curve.svg"]
    (output,) = run.outputs.model_outputs
    logged = plain.get_logged_model(output.model_id)
    assert logged.name == "model"
    assert logged.tags["mlops.verified"] == "predictions of 5 rows are equal"
    assert {m.key: m.value for m in logged.metrics}["accuracy"] == 0.97
    made = plain.get_model_version("iris", "1")
    assert made.source == f"models:/{output.model_id}"
    assert made.tags["mlops.model_key"] == f"{record.run_id}/model"

    summary = find_run(project, record.run_id[:14])
    assert summary.mlflow_run_id == run.info.run_id
    assert summary.registered == "iris@1"
    assert summary.metrics["inf"] == math.inf
    assert blob_names(project) == []
    assert sync_state(project).error is None
    with StateDB(project).read() as connection:
        changes = [(c.kind, c.action, c.id) for c in changes_after(connection, 0)]
    assert changes == [("run", "created", record.run_id), ("model", "created", "iris")]


def test_plain_mlflow_in_another_process_reads_all_of_it(
    mlflow_project: Project, forest: Any, iris: tuple[Any, Any], tmp_path: Path
) -> None:
    project = mlflow_project
    session = Session(project)
    model = session.model(forest, iris[0].head())
    session.run(models=(model,), files=(session.file("a.txt", b"hello"),), register="iris")
    assert deliver(project, Config()).errors == ()
    iris[0].head(7).to_json(tmp_path / "rows.json", orient="split")
    code = """
import sys, json, io, pandas as pd, mlflow
uri, rows = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = mlflow.MlflowClient(uri)
(run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
text = open(client.download_artifacts(run.info.run_id, "a.txt")).read()
frame = pd.read_json(io.StringIO(open(rows).read()), orient="split")
print(json.dumps({
    "text": text,
    "sklearn": mlflow.sklearn.load_model("models:/iris/1").predict(frame).tolist(),
    "pyfunc": mlflow.pyfunc.load_model("models:/iris/1").predict(frame).tolist(),
    "requirements": mlflow.artifacts.load_text("models:/iris/1/requirements.txt"),
}))
"""
    result = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            code,
            project.default_tracking_uri,
            tmp_path / "rows.json",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    wanted = forest.predict(iris[0].head(7)).tolist()
    assert found["text"] == "hello"
    assert found["sklearn"] == found["pyfunc"] == wanted
    assert "scikit-learn==" in found["requirements"]
    assert "skops==" in found["requirements"]


def test_delivering_again_changes_nothing(
    mlflow_project: Project, client: Client, forest: Any, iris: tuple[Any, Any]
) -> None:
    project = mlflow_project
    session = Session(project)
    model = session.model(forest, iris[0].head())
    record = session.run(models=(model,), register="iris")
    data = session.blobs.get(str(model.blob))
    deliver(project, Config())
    plain = client(project)
    before = all_runs(plain)[0]

    # What a process leaves that is killed when MLflow has all and the position has not moved yet.
    session.blobs.put(data)
    with StateDB(project).write() as connection:
        connection.execute("UPDATE delivery SET position = 0")
    report = deliver(project, Config())

    assert (report.delivered, report.versions) == (1, ())
    (after,) = all_runs(plain)
    assert after.to_dictionary() == before.to_dictionary()
    assert len(plain.search_logged_models([after.info.experiment_id])) == 1
    assert len(plain.search_model_versions("name = 'iris'")) == 1
    assert plain.get_metric_history(after.info.run_id, "accuracy").__len__() == 1
    assert find_run(project, record.run_id).registered == "iris@1"


def test_runs_of_every_session_arrive_and_nothing_waits(
    mlflow_project: Project, client: Client
) -> None:
    project = mlflow_project
    sessions = [Session(project), Session(project)]
    wanted = [session.run(f"run {i}").run_id for i in range(3) for session in sessions]
    assert deliver(project, Config()).delivered == 6
    assert {r.data.tags["mlops.run_id"] for r in all_runs(client(project))} == set(wanted)
    assert [r.run_id for r in list_runs(project)] == sorted(wanted, reverse=True)
    assert deliver(project, Config()).delivered == 0
    sessions[0].run("later")
    assert waiting(project) == 1
    assert deliver(project, Config()).delivered == 1


@pytest.mark.parametrize("parent_first", [True, False])
def test_parent_and_child_find_each_other(
    mlflow_project: Project, client: Client, parent_first: bool
) -> None:
    project = mlflow_project
    session = Session(project)
    parent = session.start("pipeline", kind="pipeline")
    if parent_first:
        session.run("pipeline", run_id=parent, kind="pipeline", pipeline="p")
        deliver(project, Config())
    child = session.run("step", kind="notebook", parent=parent, experiment="elsewhere")
    deliver(project, Config())
    if not parent_first:
        session.run("pipeline", run_id=parent, kind="pipeline", pipeline="p")
        deliver(project, Config())
    runs = {r.data.tags["mlops.run_id"]: r for r in all_runs(client(project))}
    assert runs[child.run_id].data.tags["mlflow.parentRunId"] == runs[parent].info.run_id
    assert find_run(project, child.run_id).parent == parent


@pytest.mark.parametrize("delivered_between", [False, True])
def test_blocks_find_the_cell_that_they_ran_in(
    mlflow_project: Project, client: Client, delivered_between: bool
) -> None:
    """Their records come before the cell's."""
    project = mlflow_project
    session = Session(project)
    cell = session.start("cell")
    outer = session.start("outer", kind="block", parent=cell)
    inner = session.run("inner", kind="function", parent=outer)
    session.run("outer", run_id=outer, kind="block", parent=cell)
    if delivered_between:
        assert deliver(project, Config()).delivered == 2
    session.run("cell", run_id=cell)
    alone = session.run("alone")
    deliver(project, Config())
    runs = {r.data.tags["mlops.run_id"]: r for r in all_runs(client(project))}
    parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
    assert parents == {
        inner.run_id: runs[outer].info.run_id,
        outer: runs[cell].info.run_id,
        cell: None,
        alone.run_id: None,
    }


def test_a_damaged_record_is_skipped_and_reported_once(mlflow_project: Project) -> None:
    project = mlflow_project
    session = Session(project)
    session.run("first")
    line = encode_record(session.run("broken").to_dict())
    data = session.path.read_bytes()
    session.path.write_bytes(data.replace(line, line[:40] + b"#" + line[41:]))
    session.run("last")
    report = deliver(project, Config())
    assert report.delivered == 2
    (error,) = report.errors
    assert session.id in error
    assert "damaged" in error
    session.run("more")
    assert deliver(project, Config()).errors == ()


def test_a_model_that_would_run_foreign_code_is_left_out(
    mlflow_project: Project, client: Client, forest: Any
) -> None:
    project = mlflow_project
    session = Session(project)
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    foreign = session.model(make_pipeline(FunctionTransformer(os.path.join)), name="foreign")
    unsigned = session.model(forest, name="unsigned", signature="0" * 64)
    unsaved = ModelRecord("unsaved", "Big", reason="larger than the limit")
    record = session.run(models=(foreign, unsigned, unsaved), register="m")
    report = deliver(project, Config())
    assert report.delivered == 1
    (run,) = all_runs(client(project))
    reasons = {k: v for k, v in run.data.tags.items() if k.endswith(".left_out")}
    assert "posixpath.join" in reasons["mlops.model.foreign.left_out"]
    assert "not pickled by a session of yours" in reasons["mlops.model.unsigned.left_out"]
    assert reasons["mlops.model.unsaved.left_out"] == "larger than the limit"
    shown = {m["name"]: m for m in find_run(project, record.run_id).models}
    assert not any(model["kept"] for model in shown.values())
    assert len(report.warnings) == 4
    assert "m got no version" in report.warnings[-1]
    assert client(project).search_logged_models([run.info.experiment_id]) == []


def test_a_run_deleted_in_mlflow_stays_deleted(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    session = Session(project)
    record = session.run()
    deliver(project, Config())
    plain = client(project)
    plain.delete_run(all_runs(plain)[0].info.run_id)
    with StateDB(project).write() as connection:
        connection.execute("UPDATE delivery SET position = 0")
    assert deliver(project, Config()).delivered == 1
    assert all_runs(plain) == []
    with pytest.raises(NotFoundError):
        find_run(project, record.run_id)


def test_bytes_that_another_run_still_needs_are_kept(
    mlflow_project: Project, client: Client, forest: Any
) -> None:
    project = mlflow_project
    plain = client(project)
    experiment = plain.create_experiment("gone")
    plain.delete_experiment(experiment)
    first, second = Session(project), Session(project)
    first.run(models=(first.model(forest),))
    waits = second.run(models=(second.model(forest),), experiment="gone")
    assert len(blob_names(project)) == 1
    assert deliver(project, Config()).delivered == 1
    assert len(blob_names(project)) == 1
    plain.restore_experiment(experiment)
    assert deliver(project, Config(), force=True).delivered == 1
    assert find_run(project, waits.run_id).models[0]["kept"]
    assert blob_names(project) == []


def test_bytes_put_while_a_cell_runs_are_kept(mlflow_project: Project, forest: Any) -> None:
    project = mlflow_project
    session = Session(project)
    session.run(models=(session.model(forest),))
    running = session.start("next")
    again = session.model(forest)  # the same bytes, wanted again
    assert deliver(project, Config()).delivered == 1
    assert blob_names(project) == [again.blob]
    record = session.run("next", run_id=running, models=(again,))
    assert deliver(project, Config()).delivered == 1
    assert find_run(project, record.run_id).models[0]["kept"]
    assert blob_names(project) == []


def test_a_project_without_a_state_has_nothing_to_deliver(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    project = open_project(tmp_path, create=False)
    assert deliver(project, Config()).delivered == 0
    assert list_runs(project) == []
    assert waiting(project) == 0
    assert not project.exists


def test_finding_a_run(mlflow_project: Project) -> None:
    project = mlflow_project
    session = Session(project)
    one, two = session.run(), session.run()
    deliver(project, Config())
    waits = session.run()
    mlflow_id = find_run(project, one.run_id).mlflow_run_id
    assert mlflow_id is not None
    assert find_run(project, mlflow_id).run_id == one.run_id
    assert find_run(project, one.run_id.lower()).run_id == one.run_id
    assert find_run(project, waits.run_id).mlflow_run_id is None
    with pytest.raises(UsageError, match="several"):
        find_run(project, two.run_id[:6])
    for text in ("", "nothing", "../x", "' OR 1=1"):
        with pytest.raises(NotFoundError):
            find_run(project, text)


def test_capture_is_minimal_without_consent(
    mlflow_project: Project, client: Client, forest: Any
) -> None:
    project = mlflow_project
    session = Session(project)
    session.run(models=(session.model(forest),), files=(session.file("a.txt", b"x"),), register="m")
    report = deliver(project, Config(capture="minimal"))
    assert report.delivered == 1
    assert any("capture is minimal" in w for w in report.warnings)
    plain = client(project)
    (run,) = all_runs(plain)
    assert run.data.tags["mlops.capture"] == "minimal"
    assert run.data.tags["mlops.source"] == "x = 1"
    assert run.data.params
    assert plain.list_artifacts(run.info.run_id) == []
    assert plain.search_logged_models([run.info.experiment_id]) == []
