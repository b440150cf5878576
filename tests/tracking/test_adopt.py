"""What exists is listed at once: executed notebooks, other MLflows; again, and taken back."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ConflictError, CorruptError, NotFoundError, UsageError
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.readmodel import read_model
from jupyter_mlops.tracking import find_run, list_runs, refresh
from jupyter_mlops.tracking.adopt import adopt, unadopt
from jupyter_mlops.tracking.executed import executed_run, find_notebooks

from .sessions import Session, all_runs

Client = Callable[[Project | str], Any]


def notebook(path: Path, *cells: dict[str, Any], **metadata: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}
    path.write_text(json.dumps(found))
    return path


def cell(source: str = "x", *outputs: Any, count: int | None = 1, **metadata: Any) -> Any:
    return {
        "cell_type": "code",
        "source": source,
        "outputs": list(outputs),
        "execution_count": count,
        "metadata": metadata,
    }


PICTURE = {"output_type": "display_data", "data": {"image/png": "aGk="}, "metadata": {}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
SCRAP = {
    "output_type": "display_data",
    "data": {"application/scrapbook.scrap.json+json": {"name": "auc", "data": 0.75}},
}


@pytest.fixture
def work(project: Project) -> Path:
    """A folder with notebooks of every kind."""
    folder = project.root / "work"
    notebook(
        folder / "papermill.ipynb",
        cell("# defaults\nC = 1.0\nname: str = 'a'\nbig = {1, 2}\nf()", tags=["parameters"]),
        cell("C = 2.0", tags=["injected-parameters"]),
        cell("plot()", PICTURE, PICTURE, SCRAP),
        papermill={
            "start_time": "2026-01-02T03:04:05.000000",
            "end_time": "2026-01-02T03:05:05.000000",
            "parameters": {"C": 2.5},
            "exception": None,
        },
    )
    notebook(
        folder / "sub" / "lab.ipynb",
        cell(
            "1",
            execution={
                "iopub.execute_input": "2026-02-02T10:00:00.500Z",
                "shell.execute_reply": "2026-02-02T10:00:02.500Z",
            },
        ),
        cell("fail()", ERROR, count=2),
    )
    notebook(folder / "tolerated.ipynb", cell("fail()", ERROR, tags=["raises-exception"]))
    notebook(folder / "new.ipynb", cell(count=None))
    notebook(folder / ".ipynb_checkpoints" / "papermill-checkpoint.ipynb", cell())
    (folder / "broken.ipynb").write_text("{")
    (folder / "list.ipynb").write_text("[1]")
    return folder


def test_what_a_notebook_says_of_itself(work: Path) -> None:
    run = executed_run(work / "papermill.ipynb", "work/papermill.ipynb", "S")
    assert not isinstance(run, str)
    assert (run.name, run.status, run.kind) == ("papermill", "FINISHED", "notebook")
    assert run.duration == 60
    assert run.params == {"C": 2.5, "name": "a", "big": "{1, 2}"}
    assert run.metrics == {"auc": 0.75}
    assert run.tags["mlops.figures"] == "2"
    assert run.tags["mlops.adopted_from"] == "work/papermill.ipynb"
    failed = executed_run(work / "sub" / "lab.ipynb", "lab.ipynb", "S")
    assert not isinstance(failed, str)
    assert (failed.status, failed.error) == ("FAILED", {"ename": "ValueError", "evalue": "no"})
    assert failed.duration == 2
    tolerated = executed_run(work / "tolerated.ipynb", "t.ipynb", "S")
    assert not isinstance(tolerated, str)
    assert tolerated.status == "FINISHED"
    assert executed_run(work / "new.ipynb", "n", "S") == "it was not executed"
    assert executed_run(work / "broken.ipynb", "n", "S") == "it is no notebook"
    assert executed_run(work / "list.ipynb", "n", "S") == "it is no notebook"
    assert "cannot be read" in str(executed_run(work / "none.ipynb", "n", "S"))
    assert [p.name for p in find_notebooks(work)] == [
        "broken.ipynb", "list.ipynb", "new.ipynb", "papermill.ipynb", "tolerated.ipynb",
        "lab.ipynb",
    ]  # fmt: skip


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": anything | st.fixed_dictionaries({"papermill": anything}),
            "cells": anything
            | st.lists(
                st.fixed_dictionaries(
                    {"cell_type": st.just("code")},
                    optional={
                        "source": anything,
                        "outputs": anything | st.lists(st.fixed_dictionaries({"data": anything})),
                        "metadata": anything | st.fixed_dictionaries({"execution": anything}),
                        "execution_count": anything,
                    },
                ),
                max_size=3,
            ),
        },
    )
)
def test_no_notebook_is_too_odd(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.ipynb"
    path.write_text(json.dumps(content))
    run = executed_run(path, "odd.ipynb", "S")
    if not isinstance(run, str):
        json.dumps(run.to_dict())
        assert len(run.run_id) == 26


def test_a_folder_of_notebooks(mlflow_project: Project, work: Path, client: Client) -> None:
    project = mlflow_project
    preview = adopt(project, Config(), str(work), dry_run=True)
    assert len(preview.notebooks) == 3
    assert list_runs(project) == []

    report = adopt(project, Config(), str(work))
    assert report.notebooks == preview.notebooks
    assert report.errors == ()
    assert any("broken.ipynb: it is no notebook" in text for text in report.skipped)
    assert report.undo == f"jupyter mlops adopt --undo {work}"
    plain = client(project)
    runs = {run.info.run_name: run for run in all_runs(plain)}
    assert set(runs) == {"papermill", "lab", "tolerated"}
    assert runs["papermill"].data.tags["mlops.kind"] == "notebook"
    assert runs["papermill"].data.tags["mlflow.source.name"] == "work/papermill.ipynb"
    assert runs["papermill"].data.params["C"] == "2.5"
    assert runs["lab"].info.status == "FAILED"

    again = adopt(project, Config(), str(work))
    assert (again.notebooks, again.known, again.undo) == ((), 3, None)
    assert len(all_runs(plain)) == 3
    # Executed again it is another run.
    notebook(work / "tolerated.ipynb", cell("y"))
    assert len(adopt(project, Config(), str(work)).notebooks) == 1

    taken = unadopt(project, Config(), str(work))
    assert len(taken.notebooks) == 4
    assert all_runs(plain) == []
    assert list_runs(project) == []
    assert unadopt(project, Config(), str(work)).notebooks == ()
    back = adopt(project, Config(), str(work))
    assert len(back.notebooks) == 3
    assert len(all_runs(plain)) == 3
    assert find_run(project, back.notebooks[0][0]).mlflow_run_id


@pytest.fixture
def other(tmp_path: Path, mlflow_template: Path, client: Client) -> Any:
    """Another MLflow with runs, a nested one, data, a registered model, a deleted run."""
    place = tmp_path / "other"
    place.mkdir()
    shutil.copy(mlflow_template, place / "mlflow.db")
    plain = client(f"sqlite:///{place / 'mlflow.db'}")
    import mlflow
    from mlflow.entities import Dataset, DatasetInput, InputTag

    experiment = plain.create_experiment("theirs", (place / "artifacts").as_uri())
    run = plain.create_run(experiment, run_name="one", tags={"t": "x", "token": "hunter22hunter"})
    run_id = run.info.run_id
    plain.log_param(run_id, "C", "0.5")
    for step in range(3):
        plain.log_metric(run_id, "loss", 1 / (step + 1), step=step, timestamp=1000 + step)
    plain.log_metric(run_id, "nan", float("nan"))
    data = Dataset("X", "d" * 8, "local", "{}")
    plain.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    (place / "note.txt").write_text("hello")
    plain.log_artifact(run_id, str(place / "note.txt"))
    plain.set_terminated(run_id)
    child = plain.create_run(experiment, run_name="child", tags={"mlflow.parentRunId": run_id})
    plain.delete_run(plain.create_run(experiment, run_name="deleted").info.run_id)
    plain.create_registered_model("their-model")
    plain.create_model_version("their-model", (place / "model").as_uri(), run_id=run_id)
    plain.set_registered_model_alias("their-model", "champion", "1")
    assert mlflow is not None
    return place, plain, run_id, child.info.run_id


def test_another_mlflow(mlflow_project: Project, client: Client, other: Any) -> None:
    project = mlflow_project
    place, theirs, run_id, child_id = other
    mine = client(project)
    kept = mine.create_run(mine.create_experiment("theirs"), run_name="mine").info.run_id
    refresh(project, Config())
    source = str(place / "mlflow.db")

    preview = adopt(project, Config(), source, dry_run=True)
    assert (preview.runs, preview.models) == (2, ("their-model",))
    assert len(all_runs(mine)) == 1

    report = adopt(project, Config(), source)
    assert (report.runs, report.known, report.models) == (2, 0, ("their-model",))
    assert report.skipped == ()
    runs = {run.info.run_id: run for run in all_runs(mine)}
    assert set(runs) == {kept, run_id, child_id}
    one = runs[run_id]
    assert (one.info.run_name, one.info.status) == ("one", "FINISHED")
    assert one.data.params == {"C": "0.5"}
    assert one.data.metrics["loss"] == pytest.approx(1 / 3)
    assert len(mine.get_metric_history(run_id, "loss")) == 3
    assert one.info.experiment_id == runs[kept].info.experiment_id
    assert one.inputs.dataset_inputs[0].dataset.name == "X"
    assert one.inputs.dataset_inputs[0].tags[0].value == "training"
    assert "hunter22" not in one.data.tags["token"]
    assert [f.path for f in mine.list_artifacts(run_id)] == ["note.txt"]
    assert mine.get_model_version_by_alias("their-model", "champion").run_id == run_id
    # Listed at once, without MLflow being asked.
    assert {r.name for r in list_runs(project)} == {"one", "child", "mine"}
    assert find_run(project, run_id).experiment == "theirs"
    with StateDB(project).read() as connection:
        model = read_model(connection, "their-model")
    assert model is not None
    assert model.versions[0].aliases == ("champion",)

    # What goes on there comes the next time; nothing comes twice.
    theirs.log_metric(child_id, "loss", 5.0)
    theirs.set_terminated(child_id)
    theirs.create_run(one.info.experiment_id, run_name="later")
    again = adopt(project, Config(), source)
    assert (again.runs, again.known) == (1, 2)
    assert mine.get_run(child_id).data.metrics["loss"] == 5.0
    assert mine.get_run(child_id).info.status == "FINISHED"
    assert find_run(project, child_id).status == "FINISHED"
    assert len(mine.get_metric_history(run_id, "loss")) == 3

    before = (place / "mlflow.db").read_bytes()
    taken = unadopt(project, Config(), source)
    assert (taken.runs, taken.models) == (3, ("their-model",))
    assert [run.info.run_id for run in all_runs(mine)] == [kept]
    assert mine.search_registered_models() == []
    assert [r.name for r in list_runs(project)] == ["mine"]
    assert (place / "mlflow.db").read_bytes() == before
    assert adopt(project, Config(), source).runs == 3


def test_what_is_ours_is_never_replaced(
    mlflow_project: Project, client: Client, other: Any
) -> None:
    project = mlflow_project
    place, _, run_id, _ = other
    mine = client(project)
    mine.create_registered_model("their-model", description="ours")
    report = adopt(project, Config(), f"sqlite:///{place / 'mlflow.db'}")
    assert report.models == ()
    assert any("their-model" in text for text in report.skipped)
    assert mine.get_registered_model("their-model").description == "ours"
    # A version was made from one of them here: that run stays.
    mine.create_model_version("their-model", "file:///nowhere", run_id=run_id)
    taken = unadopt(project, Config(), f"sqlite:///{place / 'mlflow.db'}")
    assert taken.runs == 1
    assert run_id in taken.skipped[0]
    assert mine.get_run(run_id).info.run_name == "one"
    with pytest.raises(ConflictError, match="own store"):
        adopt(project, Config(), str(project.state / "mlflow.db"))


def test_a_folder_of_the_file_store(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    root = project.root / "mlruns"
    experiment, run = root / "123", root / "123" / ("a" * 32)
    (run / "params").mkdir(parents=True)
    (run / "metrics" / "val").mkdir(parents=True)
    (run / "tags").mkdir()
    (run / "artifacts").mkdir()
    (run / "artifacts" / "a.txt").write_text("hi")
    (experiment / "meta.yaml").write_text("experiment_id: '123'\nname: old\n")
    (run / "meta.yaml").write_text(
        f"run_id: {'a' * 32}\nrun_name: ancient\nstatus: 3\nstart_time: 1000\nend_time: 2000\n"
        "lifecycle_stage: active\nartifact_uri: file:///moved/away\n"
    )
    (run / "params" / "C").write_text("1")
    (run / "metrics" / "val" / "loss").write_text("1000 0.5 0\n1001 0.25 1\nodd\n")
    (run / "metrics" / "nan").write_text("1000 nan 0\n")
    (run / "tags" / "mlflow.user").write_text("me")
    (experiment / "broken").mkdir()
    (experiment / "broken" / "meta.yaml").write_text("{[")
    version = root / "models" / "old-model" / "version-1"
    version.mkdir(parents=True)
    (version.parent / "meta.yaml").write_text("name: old-model\ncreation_timestamp: 1000\n")
    (version / "meta.yaml").write_text(
        f"name: old-model\nversion: 1\nsource: {run}\nrun_id: {'a' * 32}\n"
        "creation_timestamp: 1000\n"
    )
    (version.parent / "aliases").mkdir()
    (version.parent / "aliases" / "champion").write_text("1")
    for source in (str(root), str(project.root)):
        report = adopt(project, Config(), source)
        assert report.runs + report.known == 1
        mine = client(project)
        (found,) = all_runs(mine)
        assert (found.info.run_name, found.info.status) == ("ancient", "FINISHED")
        assert found.data.metrics["val/loss"] == 0.25
        assert found.data.params == {"C": "1"}
        assert [f.path for f in mine.list_artifacts("a" * 32)] == ["a.txt"]
        assert mine.get_model_version_by_alias("old-model", "champion").version == 1
        assert unadopt(project, Config(), source).runs == 1
        assert all_runs(mine) == []
        assert mine.get_experiment_by_name("old") is None


def test_ten_thousand_runs_are_quick(
    mlflow_project: Project, tmp_path: Path, mlflow_template: Path
) -> None:
    database = tmp_path / "many.db"
    shutil.copy(mlflow_template, database)
    with sqlite3.connect(database) as connection:
        ids = [f"{i:032x}" for i in range(10_000)]
        connection.executemany(
            "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, "
            "experiment_id, artifact_uri) VALUES (?, ?, 'FINISHED', ?, ?, 'active', 0, '')",
            [(run_id, f"run {i}", i, i + 1) for i, run_id in enumerate(ids)],
        )
        for table in ("metrics", "latest_metrics"):
            connection.executemany(
                f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) "
                "VALUES (?, ?, 1, 0, 0, ?)",
                [(f"m{k}", k / 10, run_id) for run_id in ids for k in range(10)],
            )
        connection.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            [(f"p{k}", str(k), run_id) for run_id in ids for k in range(10)],
        )
    connection.close()
    began = time.process_time()
    report = adopt(mlflow_project, Config(), str(database))
    seconds = time.process_time() - began
    assert report.runs == 10_000
    assert len(list_runs(mlflow_project, 10_000)) == 10_000
    assert seconds < 30, f"{seconds:.1f} s of CPU"


def test_sources_that_cannot_be_taken(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="neither there nor an address"):
        adopt(project, Config(), str(tmp_path / "none"))
    with pytest.raises(NotFoundError, match="no MLflow database"):
        adopt(project, Config(), "sqlite:///none.db")
    (tmp_path / "text.db").write_text("this is no database, but long enough to be read as one" * 9)
    with pytest.raises(CorruptError):
        adopt(project, Config(), str(tmp_path / "text.db"))
    (tmp_path / "empty").mkdir()
    assert adopt(project, Config(), str(tmp_path / "empty")).undo is None
    with pytest.raises(UsageError, match="cannot be listed beside"):
        adopt(
            project,
            Config(tracking_uri="http://127.0.0.1:9"),
            f"sqlite:///{tmp_path / 'text.db'}",
        )


def test_another_projects_runs_keep_our_ids(
    mlflow_project: Project, tmp_path: Path, mlflow_template: Path, client: Client
) -> None:
    from jupyter_mlops.project import open_project
    from jupyter_mlops.tracking import deliver

    root = tmp_path / "second"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    second = open_project(root)
    shutil.copy(mlflow_template, second.state / "mlflow.db")
    record = Session(second).run("elsewhere")
    assert deliver(second, Config()).delivered == 1
    adopt(mlflow_project, Config(), second.default_tracking_uri)
    found = find_run(mlflow_project, record.run_id)
    assert (found.name, found.kind) == ("elsewhere", "cell")
    assert len(all_runs(client(mlflow_project))) == 1
