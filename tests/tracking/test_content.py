"""All that a run holds is in MLflow, where its own pages show it, and the same each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.model.events import FileRecord, InputRecord, RunProgress, RunRecord
from jupyter_mlops.model.registry import key_metric
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.tracking import deliver, find_run, waiting

from .rich import amend, digest, environment, pair
from .sessions import Session, all_runs, blob_names

Client = Callable[[Project | str], Any]


def only_run(client: Any) -> Any:
    (run,) = all_runs(client)
    return run


def artifacts(client: Any, run: Any, folder: str = "") -> set[str]:
    found = set()
    for item in client.list_artifacts(run.info.run_id, folder or None):
        found |= artifacts(client, run, item.path) if item.is_dir else {item.path}
    return found


def read(run: Any, name: str) -> str:
    return Path(run.info.artifact_uri.removeprefix("file://"), name).read_text()


def again(project: Project) -> None:
    """As if the process had been killed before the position moved."""
    with StateDB(project).write() as connection:
        connection.execute("UPDATE delivery SET position = 0")


def test_every_field_arrives(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    wanted = pair(project).a
    report = deliver(project, Config())
    assert (report.delivered, report.errors) == (2, ())
    plain = client(project)
    run = next(r for r in all_runs(plain) if r.data.tags["mlops.run_id"] == wanted.run_id)

    # The person's value of `rate`, though the estimator says the same name.
    assert run.data.params["rate"] == "0.1"
    assert run.data.params["model.C"] == "1.0"
    history = plain.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (0, 0.9, 1000),
        (1, 0.5, 2000),
        (2, 0.3, 3000),
    ]
    assert run.data.metrics["system/wall_seconds"] == 1.0
    assert run.data.metrics["system/peak_memory_megabytes"] == 100.0
    assert key_metric(run.data.metrics) == "accuracy"

    datasets = {item.dataset.name: item for item in run.inputs.dataset_inputs}
    assert set(datasets) == {"trips", "zones", "old"}
    trips = datasets["trips"].dataset
    assert trips.digest == "a" * 32
    assert json.loads(trips.source)["digest"] == digest("a")
    assert json.loads(trips.source)["uri"] == "trips.csv"
    assert json.loads(trips.profile) == {"num_rows": 100, "num_columns": 2, "size_bytes": 1600}
    assert [c["name"] for c in json.loads(trips.schema)["mlflow_colspec"]] == ["tip", "km"]
    assert {t.key: t.value for t in datasets["trips"].tags} == {
        "mlflow.data.context": "used",
        "mlops.digest": digest("a"),
    }
    assert json.loads(run.data.tags["mlops.inputs"])[0]["digest"] == digest("a")

    assert run.data.tags["mlflow.source.git.branch"] == "main"
    assert run.data.tags["mlops.git_dirty"] == "false"
    assert json.loads(run.data.tags["mlops.seeds"]) == {"random_state": 0}
    assert artifacts(plain, run) == {
        "source.py",
        "output.txt",
        "figures/fit.png",
        "environment/requirements.txt",
        "environment/environment.json",
        "mlops/run.json",
    }
    assert read(run, "source.py") == wanted.source
    assert read(run, "environment/requirements.txt").startswith("numpy==")
    assert json.loads(read(run, "environment/environment.json"))["python"] == "3.11.9"
    record = json.loads(read(run, "mlops/run.json"))
    assert record["environment_record"]["packages"]["numpy"] == "2.1.0"
    back = RunRecord.from_dict(record)
    assert back.inputs == wanted.inputs
    assert back.modules == wanted.modules
    assert blob_names(project) == []


def test_a_second_delivery_adds_nothing(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    session = Session(project)
    session.run(
        series={"loss": [[i, 1 / (i + 1), 5.0 + i] for i in range(2500)]},
        inputs=(InputRecord("X", "frame", digest("a"), 3, 1, 24),),
    )
    plain = client(project)
    deliver(project, Config())
    run = only_run(plain)
    # What a process leaves that is killed before it could end the run.
    plain.update_run(run.info.run_id, status="RUNNING")
    again(project)
    assert deliver(project, Config()).delivered == 1
    run = only_run(plain)
    assert run.info.status == "FINISHED"
    assert len(plain.get_metric_history(run.info.run_id, "loss")) == 2500
    assert len(run.inputs.dataset_inputs) == 1


def test_the_environment_was_written_long_before(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    session = Session(project)
    known = environment(session)
    session.run("first", environment=known.digest)
    deliver(project, Config())
    later = session.run("later", environment=known.digest)
    deliver(project, Config())
    run = next(r for r in all_runs(client(project)) if r.info.run_name == later.name)
    assert read(run, "environment/requirements.txt") == known.lock


def test_minimal_capture_tells_code_values_and_digests_only(
    mlflow_project: Project, client: Client
) -> None:
    project = mlflow_project
    session = Session(project)
    known = environment(session)
    session.run(
        environment=known.digest,
        source="x = 1\n" * 3000,
        hyperparameters={"C": 1},
        inputs=(
            InputRecord("X", "frame", digest("a"), 3, 1, 24, {"name": "str"}, "/home/me/x.csv"),
        ),
        files=(FileRecord("output.txt", text="hello", kind="output"),),
    )
    report = deliver(project, Config(capture="minimal"))
    assert any("its files were not stored" in text for text in report.warnings)
    plain = client(project)
    run = only_run(plain)
    assert artifacts(plain, run) == {"source.py"}
    (item,) = run.inputs.dataset_inputs
    assert (item.dataset.digest, item.dataset.schema) == ("a" * 32, None)
    assert "/home/me" not in json.dumps(run.to_dictionary())
    assert run.data.params["C"] == "0.5", "the person's"


def test_what_has_no_digest_and_what_was_left_out_is_named(
    mlflow_project: Project, client: Client
) -> None:
    project = mlflow_project
    Session(project).run(
        inputs=(InputRecord("X", "object", reason="no digest for Graph"),),
        files=(
            FileRecord("figures/big.png", size=10**9, reason="larger than the limit"),
            FileRecord("../up", text="x"),
        ),
        left_out={"figures/big.png": "larger than the limit"},
        metrics={"odd": "x"},  # a damaged or later journal
    )
    report = deliver(project, Config())
    assert any("'../up' cannot name" in text for text in report.warnings)
    assert any("1 metrics are not numbers" in text for text in report.warnings)
    plain = client(project)
    run = only_run(plain)
    assert run.inputs.dataset_inputs == []
    assert json.loads(run.data.tags["mlops.inputs"])[0]["reason"] == "no digest for Graph"
    assert json.loads(run.data.tags["mlops.left_out"]) == {
        "figures/big.png": "larger than the limit"
    }
    assert artifacts(plain, run) == {"source.py", "mlops/run.json"}


@pytest.mark.parametrize("delivered_between", [False, True])
def test_what_becomes_known_later_is_added(
    mlflow_project: Project, client: Client, delivered_between: bool
) -> None:
    project = mlflow_project
    session = Session(project)
    record = session.run(
        inputs=(InputRecord("X", "file", None, source="x.csv", reason="taken later"),),
        files=(FileRecord("output.txt", text="hello"),),
    )
    other = session.run("other")
    if delivered_between:
        assert deliver(project, Config()).delivered == 2
    amend(
        session,
        record,
        inputs=(InputRecord("X", "file", digest("c"), size=7, source="x.csv"),),
        tags={"mlops.git_dirty": "true"},
    )
    amend(session, record, files=(session.file("changes.diff", b"-a\n+b\n"),))
    assert waiting(project) == (0 if delivered_between else 2)
    report = deliver(project, Config())
    assert (report.delivered, report.errors) == (0 if delivered_between else 2, ())
    plain = client(project)

    def check() -> None:
        runs = {r.data.tags["mlops.run_id"]: r for r in all_runs(plain)}
        assert set(runs) == {record.run_id, other.run_id}
        run = runs[record.run_id]
        (item,) = run.inputs.dataset_inputs
        assert item.dataset.digest == "c" * 32
        assert run.data.tags["mlops.git_dirty"] == "true"
        (row,) = json.loads(run.data.tags["mlops.inputs"])
        assert row["digest"] == digest("c")
        assert read(run, "changes.diff") == "-a\n+b\n"
        assert read(run, "output.txt") == "hello"
        inputs = RunRecord.from_dict(json.loads(read(run, "mlops/run.json"))).inputs
        assert [i.digest for i in inputs] == [digest("c")]
        assert blob_names(project) == []

    check()
    again(project)
    session.file("changes.diff", b"-a\n+b\n")  # not removed yet when it was killed
    assert deliver(project, Config()).errors == ()
    check()
    assert deliver(project, Config()).delivered == 0


def test_bytes_of_what_came_later_wait_with_it(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    plain = client(project)
    experiment = plain.create_experiment("later")
    session, other = Session(project), Session(project)
    record = session.run(experiment="later")
    assert deliver(project, Config()).delivered == 1
    plain.delete_experiment(experiment)
    amend(session, record, files=(session.file("changes.diff", b"diff"),))
    other.run(files=(other.file("a.txt", b"diff"),))
    report = deliver(project, Config())
    assert report.delivered == 1
    assert "was deleted" in report.errors[0]
    assert len(blob_names(project)) == 1
    plain.restore_experiment(experiment)
    assert deliver(project, Config(), force=True).errors == ()
    assert blob_names(project) == []


def test_what_comes_for_a_run_that_is_gone_is_passed_over(
    mlflow_project: Project, client: Client
) -> None:
    project = mlflow_project
    session = Session(project)
    record = session.run()
    deliver(project, Config())
    plain = client(project)
    plain.delete_run(only_run(plain).info.run_id)
    amend(session, record, tags={"a": "b"})
    amend(session, RunRecord("X" * 26, session.id, "never", "FINISHED", 0, 0), tags={"a": "b"})
    report = deliver(project, Config())
    assert (report.errors, report.warnings) == ((), ())
    assert all_runs(plain) == []
    session.run("next")
    assert deliver(project, Config()).delivered == 1


def test_a_killed_run_has_what_it_had_logged(mlflow_project: Project, client: Client) -> None:
    project = mlflow_project
    session = Session(project, dead=True)
    lost = session.start("lost")
    for step in range(3):
        progress = RunProgress(
            lost, session.id, (["loss", step, 1.0 / (step + 1), 4e9 + step],), {"lr": 0.1}
        )
        session.journal.append(progress.to_dict())
    amend(
        session,
        RunRecord(lost, session.id, "lost", "KILLED", 0, 0),
        files=(session.file("half.txt", b"half"),),
    )
    assert waiting(project) == 1
    assert deliver(project, Config()).delivered == 1
    plain = client(project)
    run = only_run(plain)
    assert run.info.status == "KILLED"
    assert run.data.params == {"lr": "0.1"}
    assert run.data.metrics == {"loss": pytest.approx(1 / 3)}
    assert len(plain.get_metric_history(run.info.run_id, "loss")) == 3
    assert read(run, "half.txt") == "half"
    assert run.info.end_time == round((4e9 + 2) * 1000)
    assert blob_names(project) == []


def test_a_run_that_the_person_ended_is_still_completed(
    mlflow_project: Project, client: Client
) -> None:
    """Made while the cell ran; their own calls of MLflow logged into it and ended it."""
    project = mlflow_project
    session = Session(project)
    plain = client(project)
    theirs = plain.create_experiment("their own")
    run_id = session.start("train")
    made = plain.create_run(
        theirs, tags={"mlops.run_id": run_id, "mlops.adopted": "1", "mine": "kept"}
    ).info.run_id
    plain.log_param(made, "C", "theirs")
    plain.log_metric(made, "accuracy", 0.9, timestamp=1, step=7)
    plain.set_tag(made, "mlflow.user", "somebody")
    plain.set_terminated(made, "FINISHED")
    record = session.run(
        "train",
        run_id=run_id,
        adopted=made,
        status="FAILED",
        metrics={"accuracy": 0.1, "ours": 1.0},
        tags={"mine": "not", "mlflow.user": "me", "yours": "x"},
    )
    for _ in range(2):
        assert deliver(project, Config()).errors == ()
        (run,) = all_runs(plain)
        assert run.info.run_id == made
        assert run.info.experiment_id == theirs
        assert run.info.status == "FAILED"
        assert run.data.params == {"C": "theirs", "solver": "lbfgs"}
        assert run.data.metrics == {"accuracy": 0.9, "ours": 1.0}
        assert run.data.tags["mine"] == "kept"
        assert run.data.tags["yours"] == "x"
        assert run.data.tags["mlflow.user"] == "somebody"
        assert run.data.tags["mlops.source"] == "x = 1"
        assert run.data.tags["mlops.delivered"] == "true"
        assert find_run(project, record.run_id).mlflow_run_id == made
        # Killed just before it was marked: its own values are not taken for the person's.
        plain.delete_tag(made, "mlops.delivered")
        again(project)


def test_a_run_made_in_a_killed_cell_is_found_and_closed(
    mlflow_project: Project, client: Client
) -> None:
    project = mlflow_project
    session = Session(project, dead=True)
    plain = client(project)
    lost = session.start("lost")
    made = plain.create_run(
        plain.create_experiment("their own"), tags={"mlops.run_id": lost, "mlops.adopted": "1"}
    ).info.run_id
    plain.log_metric(made, "loss", 0.5)
    assert deliver(project, Config()).delivered == 1
    (run,) = all_runs(plain)
    assert (run.info.run_id, run.info.status) == (made, "KILLED")
    assert run.data.metrics == {"loss": 0.5}
