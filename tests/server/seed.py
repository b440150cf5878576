"""A project with something of everything, whose names try to be markup."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jupyter_mlops import scheduling
from jupyter_mlops.journal import SessionJournal, this_process
from jupyter_mlops.model.events import ModelRecord, RunRecord, SessionHeader
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.model.pipeline import Parameter, Pipeline, PipelineModel, Step
from jupyter_mlops.model.registry import ModelVersion, RegisteredModel, RunSummary
from jupyter_mlops.pipelines import save_pipeline
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.deployments import DeploymentRow, insert_deployment
from jupyter_mlops.state.readmodel import put_model, put_run

HOSTILE = "<img src=x onerror=alert(1)>"
TOKEN = "deployment-token-that-nobody-may-see"


@dataclass
class Seeded:
    """Ids of what was put into the project."""

    project: Project
    delivered: str
    mlflow: str
    waiting: str
    schedule: str
    deployment: str


def fill(folder: Path) -> Seeded:
    """Fill the project at ``folder``: a delivered and a waiting run, two versions, and so on."""
    project = open_project(folder)
    delivered, waiting, mlflow = new_id(1.6e9), new_id(), "f" * 31 + "0"
    with StateDB(project).write() as connection:
        put_run(
            connection,
            RunSummary(
                delivered,
                f"run {HOSTILE}",
                "FINISHED",
                started=1000.0,
                ended=1002.5,
                mlflow_run_id=mlflow,
                notebook=f"{HOSTILE}.ipynb",
                params={HOSTILE: HOSTILE, "rate": 0.1},
                metrics={"accuracy": 0.9, HOSTILE: 1.0, "loss": float("nan")},
                models=({"name": "clf", "class_name": HOSTILE, "kept": True, "reason": None},),
                warnings=(HOSTILE,),
            ),
        )
        versions = tuple(
            ModelVersion(
                HOSTILE,
                number,
                created=1000.0 + number,
                run_id=delivered,
                mlflow_run_id=mlflow,
                run_name=f"run {HOSTILE}",
                notebook=f"{HOSTILE}.ipynb",
                aliases=("champion",) if number == 1 else (),
                metrics={"accuracy": 0.9},
                class_name=HOSTILE,
            )
            for number in (2, 1)
        )
        put_model(connection, RegisteredModel(HOSTILE, 1002.0, HOSTILE, versions))
    _journal(project, waiting)
    pipeline = Pipeline(
        "taxi-tips",
        (Step("train", "train.ipynb", outputs={"model_path": "model.skops"}),),
        parameters=(Parameter("rate", 0.1, {"type": "number"}, HOSTILE),),
        model=PipelineModel("taxi-tips", "train.model_path"),
        description=HOSTILE,
    )
    save_pipeline(pipeline, project.pipelines / "taxi-tips")
    (project.pipelines / "broken").mkdir()
    (project.pipelines / "broken" / "pipeline.yaml").write_text(f"name: '{HOSTILE}'\n")
    schedule = scheduling.add_schedule(project, "taxi-tips", "0 6 * * *", "Europe/Berlin")
    deployment = DeploymentRow(
        id="taxi-tips-abcd",
        model=HOSTILE,
        selector="1",
        version=1,
        digest="0" * 64,
        port=5001,
        token=TOKEN,
        interpreter=sys.executable,
        created=1000.0,
        status="stopped",
        wanted=False,
    )
    insert_deployment(StateDB(project), deployment)
    return Seeded(project, delivered, mlflow, waiting, schedule.id, deployment.id)


def _journal(project: Project, run_id: str) -> None:
    session, me, now = new_id(), this_process(), time.time()
    journal = SessionJournal(project.journal, session)
    try:
        header = SessionHeader(
            session, now, sys.executable, "3.11", "0", me.pid, me.started, me.boot_id, me.host,
            cwd=os.getcwd(),
        )  # fmt: skip
        journal.append(header.to_dict())
        run = RunRecord(
            run_id,
            session,
            "waits",
            "FAILED",
            started=now - 3,
            ended=now - 1,
            metrics={"accuracy": float("inf")},
            models=(ModelRecord("clf", "sklearn.Dummy", reason="too large"),),
        )
        journal.append(run.to_dict(), sync=True)
    finally:
        journal.close()
