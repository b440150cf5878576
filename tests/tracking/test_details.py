"""A run with everything that is known of it: from the journal, an artifact, or MLflow alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import NotFoundError, UsageError
from jupyter_mlops.model.events import FileRecord, InputRecord, RunProgress
from jupyter_mlops.model.registry import RunSummary
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.readmodel import put_run
from jupyter_mlops.tracking import deliver, find_run, refresh
from jupyter_mlops.tracking.comparison import compare
from jupyter_mlops.tracking.details import RUN_FILE, read_run_file, run_details

from .rich import PNG, amend, digest, environment, pair
from .sessions import Session

CONFIG = Config()


def test_the_newest_runs_have_names(project: Project) -> None:
    with pytest.raises(NotFoundError, match="there are none yet"):
        find_run(project, "last")
    session = Session(project)
    ids = [session.run(f"n{number}", started=1000.0 + number).run_id for number in range(3)]
    assert find_run(project, "last").run_id == ids[2]
    assert find_run(project, " LAST ").run_id == ids[2]
    assert [find_run(project, f"-{n}").run_id for n in (1, 2, 3)] == ids[::-1]
    with pytest.raises(NotFoundError, match="only 3"):
        find_run(project, "-4")
    with pytest.raises(NotFoundError):
        find_run(project, "-0")
    with pytest.raises(UsageError):
        find_run(project, ids[0][:4])


def test_the_journal_has_everything_with_what_became_known_later(project: Project) -> None:
    runs = pair(project)
    other = runs.session.run("other")
    amend(
        runs.session,
        runs.a,
        inputs=(InputRecord("trips", "frame", digest("f"), 100, source="trips.csv"),
                InputRecord("late", "file", digest("e"))),
        files=(FileRecord("late.diff", text="+x", kind="code"),),
        tags={"late": "yes", "mlops.git_dirty": "true", "mlflow.source.git.branch": "other"},
    )  # fmt: skip
    amend(runs.session, other, tags={"not": "mine"})
    found = run_details(project, CONFIG, runs.a.run_id[:20])
    assert (found.origin, found.complete, found.run_id) == ("journal", True, runs.a.run_id)
    assert found.environment is not None
    assert found.environment.packages["scikit-learn"] == "1.5.0"
    assert {item.name: item.digest for item in found.record.inputs} == {
        "trips": digest("f"),
        "zones": digest("0"),
        "old": digest("9"),
        "late": digest("e"),
    }
    assert [item.name for item in found.files("code")] == ["late.diff"]
    assert found.tags["late"] == "yes"
    # What the record says stands; what it leaves open may become known later.
    assert (found.record.git_branch, found.record.git_dirty) == ("main", False)
    later = {"mlops.git_dirty": "true", "mlflow.source.git.commit": "d" * 40}
    amend(runs.session, other, tags=later)
    known = run_details(project, CONFIG, other.run_id).record
    assert (known.git_commit, known.git_branch, known.git_dirty) == ("d" * 40, None, True)
    assert "not" not in found.tags
    figure = found.record.files[1]
    assert read_run_file(project, CONFIG, found, figure) == PNG
    output = found.files("output")[0]
    assert read_run_file(project, CONFIG, found, output).startswith(b"epoch 1")
    lost = FileRecord("big.bin", reason="larger than 1 MB")
    with pytest.raises(NotFoundError, match="larger than 1 MB"):
        read_run_file(project, CONFIG, found, lost)


def test_a_run_that_has_no_end_has_what_it_logged(project: Project) -> None:
    session = Session(project)
    run_id = session.start("long")
    for step in range(3):
        progress = RunProgress(
            run_id, session.id, (["loss", step, 1.0 / (step + 1), 5.0],), {"lr": step}
        )
        session.journal.append(progress.to_dict(), sync=True)
    found = run_details(project, CONFIG, run_id)
    assert found.record.status == "RUNNING"
    assert [point[1] for point in found.record.series["loss"]] == [1.0, 0.5, 1 / 3]
    assert found.record.metrics == {"loss": 1 / 3}
    assert found.record.params == {"lr": 2}


def test_without_a_journal_the_artifact_has_everything(project: Project) -> None:
    runs = pair(project)
    mlflow_id = "a" * 32
    folder = project.artifacts / "proj" / mlflow_id / "artifacts"
    (folder / "mlops").mkdir(parents=True)
    env = environment(runs.session)
    content = runs.a.to_dict() | {"environment_record": env.to_dict(), "unknown": 1}
    (folder / RUN_FILE).write_text(json.dumps(content))
    (folder / "figures").mkdir()
    (folder / "figures" / "fit.png").write_bytes(PNG)
    _list(project, runs.a.run_id, mlflow_id)
    runs.session.path.unlink()
    for blob in (project.journal / "blobs").iterdir():
        blob.unlink()
    found = run_details(project, CONFIG, mlflow_id)
    assert (found.origin, found.record.hyperparameters) == ("artifact", runs.a.hyperparameters)
    assert found.record.inputs == runs.a.inputs
    assert found.environment == env
    assert read_run_file(project, CONFIG, found, found.record.files[1], ask=False) == PNG
    # A record of another run in its place is not believed.
    (folder / RUN_FILE).write_text(json.dumps(content | {"run_id": runs.b.run_id}))
    assert run_details(project, CONFIG, mlflow_id, ask=False).origin == "summary"
    (folder / RUN_FILE).write_bytes(b"\xff not json")
    assert run_details(project, CONFIG, mlflow_id, ask=False).origin == "summary"


def test_a_file_name_that_leads_out_of_the_artifacts_is_not_followed(project: Project) -> None:
    runs = pair(project)
    folder = project.artifacts / "proj" / ("a" * 32) / "artifacts"
    (folder / "mlops").mkdir(parents=True)
    (project.root / "secret.txt").write_text("secret")
    (folder / RUN_FILE).write_text(json.dumps(runs.a.to_dict()))
    _list(project, runs.a.run_id, "a" * 32)
    found = run_details(project, CONFIG, runs.a.run_id)
    for name in ("../../../../../secret.txt", str(project.root / "secret.txt")):
        item = FileRecord(name, blob="0" * 64)
        with pytest.raises(NotFoundError):
            read_run_file(project, CONFIG, found, item, ask=False)


def test_what_is_not_on_this_machine_and_not_asked_for_is_the_list_alone(
    project: Project,
) -> None:
    _list(project, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "b" * 32, params={"C": "1"})
    found = run_details(project, CONFIG, "b" * 32, ask=False)
    assert (found.origin, found.complete) == ("summary", False)
    assert found.record.params == {"C": "1"}
    assert found.problem == "its record is not on this machine"


def test_an_mlflow_that_does_not_answer_leaves_the_list(project: Project) -> None:
    _list(project, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "b" * 32)
    config = Config(tracking_uri="http://127.0.0.1:1", delivery_timeout=0.5)
    found = run_details(project, config, "b" * 32)
    assert found.origin == "summary"
    assert "127.0.0.1:1" in str(found.problem)


def test_runs_of_plain_mlflow_and_delivered_ones(
    mlflow_project: Project, client: Callable[[Project], Any]
) -> None:
    project = mlflow_project
    session = Session(project)
    ours = session.run("ours", source="x = 1", files=(session.file("a.txt", b"hello"),))
    report = deliver(project, CONFIG)
    assert report.delivered == 1, report
    mlflow = client(project)
    experiment = mlflow.create_experiment("plain", str(project.artifacts / "plain"))
    run = mlflow.create_run(experiment, run_name="foreign", tags={"team": "blue"})
    mlflow.log_param(run.info.run_id, "lr", 0.1)
    for step, value in enumerate((3.0, 2.0, 1.0)):
        mlflow.log_metric(run.info.run_id, "loss", value, step=step)
    mlflow.set_terminated(run.info.run_id)
    refresh(project, CONFIG)
    found = run_details(project, CONFIG, run.info.run_id)
    assert (found.origin, found.record.params) == ("mlflow", {"lr": "0.1"})
    assert found.record.series["loss"][-1][:2] == [2.0, 1.0]
    assert found.tags["team"] == "blue"
    delivered = run_details(project, CONFIG, ours.run_id)
    assert delivered.summary.mlflow_run_id is not None
    assert delivered.origin == "journal"
    item = delivered.record.files[0]
    assert read_run_file(project, CONFIG, delivered, item, ask=False) == b"hello"
    session.path.unlink()
    again = run_details(project, CONFIG, ours.run_id)
    assert again.record.source == "x = 1"


def test_a_local_run_needs_no_mlflow(project: Project) -> None:
    runs = pair(project)
    code = (
        "import sys; from jupyter_mlops.tracking.notebook import compare_display, why_display\n"
        f"bundle = compare_display(['{runs.a.run_id}', 'last'])\n"
        "assert bundle['text/html'].startswith('<div'), bundle\n"
        "assert 'accuracy' in why_display([])['text/plain']\n"
        "assert not {'mlflow', 'pandas', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=project.root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _list(project: Project, run_id: str, mlflow_id: str, **fields: Any) -> None:
    summary = RunSummary(run_id, "listed", "FINISHED", 1.0, 2.0, mlflow_run_id=mlflow_id, **fields)
    with StateDB(project).write() as connection:
        put_run(connection, summary)


@pytest.mark.parametrize("by", ["folder", "mlflow"])
def test_what_was_delivered_is_all_there_without_the_journal(
    mlflow_project: Project, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = mlflow_project
    runs = pair(project)
    amend(runs.session, runs.a, inputs=(InputRecord("late", "file", digest("e")),))
    before = run_details(project, CONFIG, runs.a.run_id)
    assert deliver(project, CONFIG).delivered == 2
    runs.session.path.unlink()
    if by == "mlflow":
        monkeypatch.setattr("jupyter_mlops.tracking.details._artifact_folder", lambda *_: None)
    found = run_details(project, CONFIG, runs.a.run_id)
    assert (found.origin, found.complete) == ("artifact", True)
    assert found.environment == before.environment
    assert found.record.inputs == before.record.inputs
    assert found.record.series == before.record.series
    assert repr(found.record.metrics) == repr(before.record.metrics)
    assert read_run_file(project, CONFIG, found, found.files("figure")[0]) == PNG
    assert compare(found, before).same
    with pytest.raises(NotFoundError):
        read_run_file(project, CONFIG, found, FileRecord("none.png", blob="0" * 64))
