"""What one scored row costs: a deployment of ours beside ``mlflow models serve``.

    python benchmarks/serving_one_row.py [--requests N] [--columns N] [--rows N]

Both serve the same model (a scaler and a logistic regression, fitted on a DataFrame of 30 columns)
on loopback with one worker, MLflow's with the command that its documentation gives.  The same body
goes to both over one kept connection each, in short turns that alternate, so that other load on the
machine hits both.  What counts is the CPU time of the server's processes, user and system, children
included.  Wall time is noise on a shared machine; other load inflates CPU time, too, so that the
ratio is given over all turns and over each server's best turn.  Prints one JSON document.

Budget: one row costs 12 times less CPU than MLflow's server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TURNS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=600, help="requests to each server")
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1, help="rows in each request")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(JUPYTER_MLOPS_AGENT="off", MLFLOW_DISABLE_TELEMETRY="true")
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        os.environ["PYTHONPATH"] = path
        sys.path.insert(0, root)
        model, body = make_model(Path(folder), options.columns, options.rows)
        with ours(Path(folder), model) as first, theirs(model) as second:
            servers = {"ours": first, "mlflow": second}
            answers = {name: server.ask(body) for name, server in servers.items()}
            assert answers["ours"] == answers["mlflow"], answers
            costs: dict[str, list[float]] = {name: [] for name in servers}
            each = max(1, options.requests // TURNS)
            for server in servers.values():
                for _ in range(20):  # warm
                    server.ask(body)
            for _ in range(TURNS):
                for name, server in servers.items():
                    before = server.cpu()
                    for _ in range(each):
                        server.ask(body)
                    costs[name].append((server.cpu() - before) / each * 1000)
            report: dict[str, Any] = {
                "cpu_ms_per_request": {n: round(statistics.mean(c), 3) for n, c in costs.items()},
                "ratio": round(sum(costs["mlflow"]) / sum(costs["ours"]), 1),
                "best_turn_cpu_ms": {n: round(min(c), 3) for n, c in costs.items()},
                "best_turn_ratio": round(min(costs["mlflow"]) / min(costs["ours"]), 1),
                "budget": 12,
                "resident_mb": {name: server.resident() for name, server in servers.items()},
                "requests": each * TURNS,
                "rows": options.rows,
                "columns": options.columns,
            }
            print(json.dumps(report, indent=2))


class Server:
    """A kept connection to a server, and what its processes have used."""

    def __init__(self, port: int, pid: int, token: str = "") -> None:
        import psutil

        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        parent = psutil.Process(pid)
        self._processes = [parent, *parent.children(recursive=True)]

    def ask(self, body: bytes) -> Any:
        self._connection.request("POST", "/invocations", body, self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, answer
        return answer

    def cpu(self) -> float:
        """CPU seconds so far: of each thread in nanoseconds where Linux tells, else in ticks."""
        total = 0.0
        for process in self._processes:
            tasks = list(Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
            if tasks:
                total += sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
            else:
                total += sum(process.cpu_times()[:2])
        return total

    def resident(self) -> int:
        return sum(process.memory_info().rss for process in self._processes) // 2**20


@contextmanager
def ours(folder: Path, model: Path) -> Iterator[Server]:
    from jupyter_mlops import serving
    from jupyter_mlops.config import load_config
    from jupyter_mlops.model.registry import ModelSpec
    from jupyter_mlops.project import open_project

    (folder / "project").mkdir()
    (folder / "project/pyproject.toml").touch()
    project = open_project(folder / "project")
    spec = ModelSpec("benchmark", version=1)
    made = serving.deploy_folder(project, load_config(project.root), spec, model, 1)
    try:
        assert made.url is not None
        assert made.pid is not None
        token = serving.deployment_token(project, made.id)
        yield Server(int(made.url.rpartition(":")[2]), made.pid, token)
    finally:
        serving.stop_deployment(project, made.id)


@contextmanager
def theirs(model: Path) -> Iterator[Server]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", str(model), "--host", "127.0.0.1", "--port", str(port)]
    # It starts its server by name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (model.parent / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--workers", "1"],
            env=os.environ | {"PATH": path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            while not answers(port):
                if process.poll() is not None:
                    sys.exit((model.parent / "mlflow.log").read_text())
                time.sleep(0.2)
            yield Server(port, process.pid)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def make_model(folder: Path, columns: int, rows: int) -> tuple[Path, bytes]:
    import mlflow
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    names = [f"feature_{number}" for number in range(columns)]
    frame = pd.DataFrame(random.normal(size=(500, columns)), columns=names)
    labels = (frame.sum(axis=1) > 0).astype(int)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model,
            str(folder / "model"),
            serialization_format="skops",
            signature=mlflow.models.infer_signature(frame, model.predict(frame)),
            input_example=frame.head(3),
            pip_requirements=["scikit-learn"],
        )
    table = frame.head(rows).to_dict(orient="split", index=False)
    return folder / "model", json.dumps({"dataframe_split": table}).encode()


if __name__ == "__main__":
    main()
