"""Journals as a kernel leaves them, for tests of what happens to them afterwards."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import time
from typing import Any

from jupyter_mlops.journal import (
    BlobStore,
    SessionJournal,
    boot_id,
    process_identity,
    sign,
    this_process,
)
from jupyter_mlops.model.events import (
    CellEvent,
    FileRecord,
    ModelRecord,
    RunRecord,
    RunStarted,
    SessionHeader,
)
from jupyter_mlops.model.ids import new_id
from jupyter_mlops.project import Project


class Session:
    """A session's journal, written by this process or, with ``dead``, by one that has ended.

    ``process`` is another one that it seems to be written by.
    """

    def __init__(
        self,
        project: Project,
        *,
        dead: bool = False,
        interpreter: str = sys.executable,
        process: subprocess.Popen[bytes] | None = None,
        kind: str = "kernel",
    ) -> None:
        self.project = project
        self.id = new_id()
        self.journal = SessionJournal(project.journal, self.id)
        self.blobs = BlobStore(project.journal)
        self.seq = 0
        identity = this_process() if process is None else process_identity(process.pid)
        assert identity is not None
        header = SessionHeader(
            session=self.id,
            started=time.time(),
            interpreter=interpreter,
            python="3.11",
            version="0",
            pid=ended_pid() if dead else identity.pid,
            pid_started=1.0 if dead else identity.started,
            boot_id=boot_id(),
            host=socket.gethostname(),
            cwd=str(project.root),
            kind=kind,
            notebook="work.ipynb",
        )
        self.journal.append(header.to_dict(), sync=True)

    @property
    def path(self) -> Any:
        return self.journal.path

    def start(self, name: str = "train", **fields: Any) -> str:
        run_id = new_id()
        started = RunStarted(run_id, self.id, time.time(), name, notebook="work.ipynb", **fields)
        self.journal.append(started.to_dict())
        return run_id

    def run(self, name: str = "train", *, run_id: str | None = None, **fields: Any) -> RunRecord:
        """Append a run as a tracked cell does; return its record."""
        run_id = run_id or self.start(name, kind=fields.get("kind", "cell"))
        now = time.time()
        self.seq += 1
        cell = CellEvent(self.id, self.seq, "%%track\nx = 1", now - 1, now, "ok")
        self.journal.append(cell.to_dict())
        defaults: dict[str, Any] = {
            "status": "FINISHED",
            "started": now - 1,
            "ended": now,
            "seq": self.seq,
            "notebook": "work.ipynb",
            "source": "x = 1",
            "params": {"C": 0.5, "solver": "lbfgs"},
            "metrics": {"accuracy": 0.75},
            "tags": {
                "mlflow.source.name": "work.ipynb",
                "mlflow.source.type": "NOTEBOOK",
                "mlflow.user": "me",
            },
        }
        record = RunRecord(run_id=run_id, session=self.id, name=name, **(defaults | fields))
        self.journal.append(record.to_dict(), sync=True)
        return record

    def model(
        self, model: Any, example: Any = None, name: str = "model", **fields: Any
    ) -> ModelRecord:
        """Spool a model as a kernel does."""
        data = pickle.dumps({"model": model, "example": example}, protocol=5)
        record = {
            "name": name,
            "class_name": type(model).__name__,
            "blob": self.blobs.put(data),
            "format": "pickle5",
            "signature": sign(data),
            "size": len(data),
        }
        return ModelRecord(**(record | fields))

    def file(self, name: str, data: bytes) -> FileRecord:
        return FileRecord(name, self.blobs.put(data), len(data))


def ended_pid() -> int:
    """The pid of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def blob_names(project: Project) -> list[str]:
    return sorted(os.listdir(project.journal / "blobs"))


def all_runs(client: Any) -> list[Any]:
    """Every run that plain MLflow shows."""
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))
