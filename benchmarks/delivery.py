"""What storing a run costs: delivery from the journal against plain MLflow, by hand.

``python benchmarks/delivery.py [--runs N]`` logs the same N runs (10 parameters, 20 metrics, one
fitted model) three ways in one process, taking turns run by run, each to its own SQLite store:

- ``delivered``: spooled and journaled as a tracked cell does, then delivered;
- ``mlflow``: ``start_run``, ``log_params``, ``log_metrics``, ``sklearn.log_model`` as its
  documentation shows them;
- ``mlflow, expert``: the same with the signature and the requirements given and in one batch.

It prints CPU seconds a run, children included (``log_model`` starts one to find requirements), and
the ratios.  Imports and the making of the stores are paid before.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PARAMS = {f"parameter_{i}": i / 7 for i in range(10)}
METRICS = {f"metric_{i}": i / 3 for i in range(20)}


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def fitted() -> tuple[Any, Any]:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X.head()


def delivered(folder: Path, model: Any, rows: Any) -> Callable[[int], None]:
    from jupyter_mlops.config import Config
    from jupyter_mlops.journal import BlobStore, SessionJournal, boot_id, sign, this_process
    from jupyter_mlops.model.events import ModelRecord, RunRecord, SessionHeader
    from jupyter_mlops.model.ids import new_id
    from jupyter_mlops.project import open_project
    from jupyter_mlops.tracking import deliver

    (folder / ".git").mkdir(parents=True)
    project = open_project(folder)
    session, identity, now = new_id(), this_process(), time.time()
    journal = SessionJournal(project.journal, session)
    header = SessionHeader(
        session, now, sys.executable, "", "", identity.pid, identity.started, boot_id(),
        socket.gethostname(), str(folder),
    )  # fmt: skip
    journal.append(header.to_dict(), sync=True)
    blobs = BlobStore(project.journal)

    def log(number: int) -> None:
        data = pickle.dumps({"model": model, "example": rows}, protocol=5)
        record = ModelRecord("model", "Pipeline", blobs.put(data), "pickle5", sign(data), len(data))
        now = time.time()
        run = RunRecord(
            new_id(), session, f"run {number}", "FINISHED", now, now,
            params=PARAMS, metrics=METRICS, models=(record,),
        )  # fmt: skip
        journal.append(run.to_dict(), sync=True)
        report = deliver(project, Config())
        assert report.delivered == 1, report

    return log


def plain(folder: Path, model: Any, rows: Any, *, expert: bool) -> Callable[[int], None]:
    import mlflow
    import mlflow.sklearn
    from mlflow.models import infer_signature

    folder.mkdir()
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("runs", (folder / "artifacts").as_uri())

    def log(number: int) -> None:
        mlflow.set_tracking_uri(uri)
        with mlflow.start_run(experiment_id=experiment, run_name=f"run {number}"):
            mlflow.log_params(PARAMS)
            mlflow.log_metrics(METRICS)
            given = {}
            if expert:
                given = {
                    "signature": infer_signature(rows, model.predict(rows)),
                    "pip_requirements": ["scikit-learn", "skops"],
                }
            mlflow.sklearn.log_model(model, name="model", input_example=rows, **given)
        mlflow.set_tracking_uri(None)

    return log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="bench-delivery-") as temporary:
        os.environ["JUPYTER_DATA_DIR"] = f"{temporary}/data"
        root = Path(temporary)
        model, rows = fitted()
        ways = {
            "delivered": delivered(root / "ours", model, rows),
            "mlflow": plain(root / "plain", model, rows, expert=False),
            "mlflow, expert": plain(root / "expert", model, rows, expert=True),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-1, runs):  # the first one of each pays for what is made once
            for name, log in ways.items():
                before = cpu()
                log(number)
                if number >= 0:
                    spent[name].append(cpu() - before)
        ours = sum(spent["delivered"]) / runs
        for name, seconds in spent.items():
            mean = sum(seconds) / runs
            print(
                f"{name:<15} {mean:8.3f} CPU s a run "
                f"(least {min(seconds):.3f}, most {max(seconds):.3f}; {mean / ours:.1f} times ours)"
            )


if __name__ == "__main__":
    main()
