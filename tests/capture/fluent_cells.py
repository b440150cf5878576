"""Runs cells as a kernel does, with ``Fluent`` around the tracked ones; a process of its own.

``python -m tests.capture.fluent_cells ROOT`` reads a JSON list of ``{"source", "tracked",
"experiment"}`` and prints, as JSON, what each cell's run got and what was left behind.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from jupyter_mlops.capture.fluent import Fluent
from jupyter_mlops.capture.warner import Warner
from jupyter_mlops.config import load_config
from jupyter_mlops.model.events import RunStarted
from jupyter_mlops.project import open_project
from tests.tracking.sessions import Session

_WATCHED = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_CONTEXT")


def main() -> None:
    project = open_project(Path(sys.argv[1]))
    config = load_config(project.root)
    session = Session(project)
    said: list[str] = []

    class Told(Warner):
        def __call__(self, text: str) -> None:
            said.append(text)

    fluent = Fluent(Told())
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = []
    for cell in json.load(sys.stdin):
        adopted = started = None
        run_id = ""
        seconds = 0.0
        if cell.get("tracked", True):
            run_id = session.start(experiment=cell.get("experiment"))
            started = RunStarted(
                run_id,
                session.id,
                time.time(),
                cell.get("name", "cell"),
                experiment=cell.get("experiment"),
            )
            before = time.perf_counter()
            tags = {"mlflow.user": "me"} | cell.get("tags", {})
            adopted = fluent.begin(started, project, config, cell["source"], tags, namespace)
            seconds = time.perf_counter() - before
        error = None
        if cell.get("die"):
            exec(cell["source"], namespace)
            os._exit(9)
        try:
            exec(cell["source"], namespace)
        except Exception:
            error = traceback.format_exc()
        values = None if adopted is None else fluent.end(adopted)
        if started is not None:
            session.run(
                "cell",
                run_id=run_id,
                adopted=None if adopted is None else adopted.mlflow_run_id,
                experiment=cell.get("experiment"),
                params={},
                metrics={},
                status="FAILED" if error else "FINISHED",
            )
        found.append(
            {
                "run_id": run_id,
                "adopted": None if adopted is None else adopted.mlflow_run_id,
                "experiment": None if adopted is None else adopted.experiment,
                "params": {} if values is None else values.params,
                "metrics": {} if values is None else values.metrics,
                "problem": None if values is None else values.error,
                "error": error,
                "seconds": seconds,
                "imported": "mlflow" in sys.modules,
                "left": {name: os.environ[name] for name in _WATCHED if name in os.environ},
                "said": said[:],
            }
        )
        said.clear()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
