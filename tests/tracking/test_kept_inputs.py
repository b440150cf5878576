"""The versions that keep a run's inputs reach MLflow, also when they become known after the run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jupyter_mlops.config import Config
from jupyter_mlops.model.events import BEING_KEPT, InputRecord, RunAmended, RunRecord
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import deliver

from .sessions import Session, all_runs

Client = Callable[[Project | str], Any]
DIGEST = "blake3:" + "0123456789abcdef" * 4
WAITING = InputRecord("X", "frame", DIGEST, rows=3, columns=2, reason=BEING_KEPT)
KEPT = replace(WAITING, snapshot="work.ipynb/X@1", added=512, reason=None)


def amend(session: Session, run: RunRecord, *inputs: InputRecord) -> None:
    record = RunAmended(run.run_id, session.id, time.time(), inputs=inputs)
    session.journal.append(record.to_dict(), sync=True)


def test_what_was_kept_after_the_run_was_delivered(mlflow_project: Project, client: Client) -> None:
    session = Session(mlflow_project)
    run = session.run(inputs=(WAITING,))
    assert deliver(mlflow_project, Config()).errors == ()
    (found,) = all_runs(client(mlflow_project))
    assert found.inputs.dataset_inputs == []
    assert json.loads(found.data.tags["mlops.inputs"])[0]["digest"] == DIGEST

    amend(session, run, KEPT)
    assert deliver(mlflow_project, Config()).errors == ()
    (found,) = all_runs(client(mlflow_project))
    (item,) = found.inputs.dataset_inputs
    assert item.dataset.digest == DIGEST.removeprefix("blake3:")[:32]
    source = json.loads(item.dataset.source)
    assert (source["digest"], source["snapshot"]) == (DIGEST, "work.ipynb/X@1")
    assert {tag.key: tag.value for tag in item.tags}["mlops.snapshot"] == "work.ipynb/X@1"
    (row,) = json.loads(found.data.tags["mlops.inputs"])
    assert (row["snapshot"], row["added"]) == ("work.ipynb/X@1", 512)


def test_what_was_being_kept_when_its_kernel_was_killed(
    mlflow_project: Project, client: Client
) -> None:
    session = Session(mlflow_project, dead=True)
    session.run(inputs=(WAITING, replace(KEPT, name="Y")))
    assert deliver(mlflow_project, Config()).errors == ()
    (found,) = all_runs(client(mlflow_project))
    sources = {i.dataset.name: json.loads(i.dataset.source) for i in found.inputs.dataset_inputs}
    assert sources["X"]["digest"] == DIGEST
    assert "snapshot" not in sources["X"]
    assert sources["Y"]["snapshot"] == "work.ipynb/X@1"
    assert deliver(mlflow_project, Config()).delivered == 0
