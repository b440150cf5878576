"""MLflow's own calls in the cells of a real kernel, asynchronous ones included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_mlops.config import Config
from jupyter_mlops.project import Project
from jupyter_mlops.tracking import deliver
from tests.tracking.conftest import client
from tests.tracking.sessions import all_runs

from .conftest import start_kernel

__all__ = ["client"]

CELLS = {
    "plain": "%%track --name plain\nimport mlflow\nmlflow.log_metric('a', 1.0)\nmine = float(2)",
    "awaits": (
        "%%track --name awaits\nimport asyncio\nmlflow.log_param('p', 'x')\n"
        "await asyncio.sleep(0)\nmlflow.log_metric('a', 3.0)"
    ),
    "timed": (
        "%%track --name timed\n%%time\nwith mlflow.start_run():\n    mlflow.log_metric('a', 4.0)"
    ),
    "fails": "%%track --name fails\nmlflow.log_metric('a', 5.0)\n1 / 0",
    "quiet": "%%track --name quiet\ny = 1.0",
}


def test_calls_of_mlflow_in_a_kernel(
    mlflow_project: Project, client: Callable[[Project], Any]
) -> None:
    project = mlflow_project
    with start_kernel(project.root) as kernel:
        kernel.run("%load_ext jupyter_mlops")
        outcomes = {name: kernel.run(source) for name, source in CELLS.items()}
        after = kernel.run(
            "import os\nprint([n for n in os.environ if n in ('MLFLOW_RUN_ID', "
            "'MLFLOW_TRACKING_URI', 'MLFLOW_RUN_CONTEXT')], mlflow.active_run())"
        )
    assert {name: o.ename for name, o in outcomes.items() if o.ename} == {
        "fails": "ZeroDivisionError"
    }
    assert after.stdout.strip() == "[] None"
    assert not any("jupyter_mlops:" in o.stderr for o in outcomes.values())
    assert deliver(project, Config()).errors == ()
    runs = {run.info.run_name: run for run in all_runs(client(project))}
    assert set(runs) == set(CELLS)
    assert {name: run.data.metrics.get("a") for name, run in runs.items()} == {
        "plain": 1.0, "awaits": 3.0, "timed": 4.0, "fails": 5.0, "quiet": None,
    }  # fmt: skip
    assert runs["plain"].data.metrics["mine"] == 2.0
    assert runs["awaits"].data.params["p"] == "x"
    assert {name: run.info.status for name, run in runs.items()} == {
        name: "FAILED" if name == "fails" else "FINISHED" for name in CELLS
    }
    assert all("mlops.delivered" in run.data.tags for run in runs.values())
    assert not (project.root / "mlflow.db").exists()
