"""What tracking costs a notebook's kernel, against MLflow as its experts would set it up.

    python benchmarks/capture.py [--rounds N] [--fits N]

The same session (N + 1 fits of a logistic regression, 21 unless told otherwise) in real kernels,
started one after the other in turns:

- `plain`: nobody tracks;
- `ours`: `%load_ext` and a tracked cell a fit; then `jupyter mlops sync`, whose CPU, the agent's
  included, is the difference between "kernel" and "with sync";
- `autolog`: `mlflow.autolog()`;
- `autolog, no models`: `mlflow.autolog(log_models=False)`;
- `by hand`: `start_run`, `log_params`, `log_metrics` and `log_model` with signature and
  requirements given, on a store in WAL.

It prints seconds of CPU of the kernel's process beyond `plain`, medians of the rounds, and ratios
to `ours`; that all runs are stored and all models load is checked.  Then, in one kernel, pairs of a
plain and a tracked cell in turns: CPU added by tracking a cell without a model, and with one of
about 1 and 5 MB, each with a 95% confidence interval of the median (by bootstrap), and the median
of one fsync here.  Last, memory: resident after the session, against the plain kernel's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
SETUP = """
import warnings; warnings.simplefilter("ignore")
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns)
"""
FIT = (
    "C = {C}\nmodel = LogisticRegression(C=C, max_iter=300).fit(X, y)\naccuracy = model.score(X, y)"
)
BY_HAND = """
C = {C}
with mlflow.start_run():
    model = LogisticRegression(C=C, max_iter=300).fit(X, y)
    accuracy = model.score(X, y)
    mlflow.log_params(model.get_params())
    mlflow.log_metrics({{"accuracy": accuracy}})
    mlflow.sklearn.log_model(
        model, name="model", signature=signature, pip_requirements=requirements,
        skops_trusted_types=trusted,
    )
"""
STORE = "import mlflow, os\nmlflow.set_tracking_uri('sqlite:///' + os.path.abspath('mlflow.db'))\n"
BEFORE = {
    "plain": "",
    "ours": "%load_ext jupyter_mlops",
    "autolog": STORE + "mlflow.autolog()",
    "autolog, no models": STORE + "mlflow.autolog(log_models=False)",
    "by hand": STORE
    + "import sqlite3\n"
    + "signature = mlflow.models.infer_signature(X.head(), np.array([0, 1]))\n"
    + "import sklearn, skops\n"
    + "requirements = [f'scikit-learn=={sklearn.__version__}', f'skops=={skops.__version__}']\n"
    + "trusted = ['sklearn._loss._loss.CyHalfBinomialLoss', 'sklearn._loss.link.LogitLink',"
    + " 'sklearn._loss.link.Interval', 'sklearn.linear_model._logistic.LogisticRegression']",
}


class Kernel:
    """A kernel process and how much CPU and memory it has used."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder), env=env, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.process = psutil.Process(self.manager.provisioner.pid)

    def run(self, source: str) -> None:
        reply = self.client.execute_interactive(
            source, allow_stdin=False, timeout=600, output_hook=self._hear
        )
        if reply["content"]["status"] != "ok":
            raise SystemExit(f"{source}\n{reply['content']}")

    def ask(self, expression: str) -> Any:
        """The value of an expression, as JSON."""
        asked = {"value": f"__import__('json').dumps({expression})"}
        reply = self.client.execute_interactive(
            "", user_expressions=asked, allow_stdin=False, timeout=600, store_history=False
        )
        return json.loads(eval(reply["content"]["user_expressions"]["value"]["data"]["text/plain"]))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and "jupyter_mlops" in message["content"]["text"]:
            print(message["content"]["text"], file=sys.stderr, end="")

    def cpu(self) -> float:
        """Seconds of this process and of its children that have ended."""
        times = self.process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextmanager
def project(template: Path, env: dict[str, str], kind: str) -> Iterator[tuple[Path, Kernel]]:
    folder = Path(tempfile.mkdtemp(prefix="mlb"))
    (folder / "pyproject.toml").touch()
    store = folder / ".mlops" / "mlflow.db" if kind == "ours" else folder / "mlflow.db"
    if kind == "ours":
        subprocess.run(  # makes the project, as a first use does
            [sys.executable, "-m", "jupyter_mlops", "status"], cwd=folder, env=env, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        store.parent.mkdir(exist_ok=True)
    shutil.copy(template, store)
    kernel = Kernel(folder, env)
    try:
        yield folder, kernel
    finally:
        kernel.close()
        shutil.rmtree(folder, ignore_errors=True)


def session(kind: str, fits: int, template: Path, env: dict[str, str]) -> dict[str, float]:
    with project(template, env, kind) as (folder, kernel):
        kernel.run(SETUP)
        kernel.run(FIT.format(C=0.5))  # the first fit imports more; no one's tracking is on yet
        before = kernel.cpu()
        if BEFORE[kind]:
            kernel.run(BEFORE[kind])
        for number in range(fits):
            source = BY_HAND if kind == "by hand" else FIT
            head = "%%track\n" if kind == "ours" else ""
            kernel.run(head + source.format(C=0.1 + number / 10).strip())
        found = {"kernel": kernel.cpu() - before, "memory": float(kernel.process.memory_info().rss)}
        if kind == "ours":
            found["sync"] = synchronise(folder, env)
        check(kind, folder, fits, env)
        return found


def synchronise(folder: Path, env: dict[str, str]) -> float:
    """CPU seconds of `jupyter mlops sync`, its children included."""
    import resource

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    command = [sys.executable, "-m", "jupyter_mlops", "sync"]
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    return spent() - before


def check(kind: str, folder: Path, fits: int, env: dict[str, str]) -> None:
    """All runs are there, and where models are kept all of them load and predict."""
    if kind == "plain":
        return
    store = folder / ".mlops" / "mlflow.db" if kind == "ours" else folder / "mlflow.db"
    models = 0 if kind == "autolog, no models" else fits
    code = f"""
import mlflow, sys, warnings
warnings.simplefilter("ignore")
mlflow.set_tracking_uri("sqlite:///{store}")
client = mlflow.MlflowClient()
ids = [e.experiment_id for e in client.search_experiments()]
runs = client.search_runs(ids, max_results=500)
assert len(runs) == {fits}, len(runs)
models = [m for m in client.search_logged_models(ids, max_results=100)]
loaded = [mlflow.sklearn.load_model(f"models:/{{m.model_id}}") for m in models] if {models} else []
assert len(loaded) == {models}, (len(loaded), {models})
import numpy
for model in loaded:
    assert model.predict(numpy.zeros((1, model.n_features_in_))).shape == (1,)
"""
    trusting = env | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=trusting, check=True)


PAIRED = """
def _pairs(tracked, plain, count):
    import time
    shell = get_ipython()
    shell.display_pub.publish = lambda *args, **kwargs: None  # cards by the hundred
    added = []
    for number in range(count):
        spent = {}
        for kind in ((tracked, plain) if number % 2 else (plain, tracked)):
            begin = time.process_time()
            shell.run_cell(kind.replace("NUMBER", str(number)), store_history=True)
            spent[kind] = time.process_time() - begin
        added.append((spent[tracked] - spent[plain]) * 1000)
    del shell.display_pub.publish
    return added

def _fsyncs(count):
    import os, time
    found = []
    with open("probe", "wb") as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            file.flush()
            begin = time.perf_counter()
            os.fsync(file.fileno())
            found.append((time.perf_counter() - begin) * 1000)
    return found
"""
CELLS = {
    "a cell without a model": "C = NUMBER\nscore = C / 7",
    "a cell that reads a frame of 140 kB": "C = NUMBER\nscore = float(X['mean radius'].mean())",
}
FOREST = """
import copy
def _forest(size):
    trees = 4
    while True:
        forest = RandomForestClassifier(trees, random_state=0).fit(noisy, flips)
        import pickle
        if len(pickle.dumps(forest, 5)) > size:
            return forest
        trees = int(trees * 1.5) + 1
noisy = np.random.default_rng(0).normal(size=(600, 8))
flips = np.random.default_rng(1).integers(0, 2, 600)
one, five = _forest(800_000), _forest(4_000_000)
"""
MODELS = {
    "a cell with a model of about 1 MB": "model = copy.copy(one)\nscore = NUMBER / 7",
    "a cell with a model of about 5 MB": "model = copy.copy(five)\nscore = NUMBER / 7",
}


def cells(template: Path, env: dict[str, str]) -> None:
    quiet = env | {"JUPYTER_MLOPS_AGENT": "off"}  # the agent is another process: not the cell's
    with project(template, quiet, "ours") as (_, kernel):
        for source in (SETUP, FOREST, PAIRED, "%load_ext jupyter_mlops", "%%track\nx = 1"):
            kernel.run(source)
        fsync = statistics.median(kernel.ask("_fsyncs(50)"))
        print(f"\none fsync of the journal's folder: {fsync:.2f} ms (wall)")
        for name, source in CELLS.items():
            kernel.run(f"_pairs({('%%track' + chr(10) + source)!r}, {source!r}, 3);")
            show(
                name, kernel.ask(f"_pairs({('%%track' + chr(10) + source)!r}, {source!r}, 60)"), 10
            )
        for name, source in MODELS.items():
            show(
                name, kernel.ask(f"_pairs({('%%track' + chr(10) + source)!r}, {source!r}, 20)"), 50
            )


def show(name: str, added: list[float], budget: float) -> None:
    low, high = interval(added)
    print(
        f"{name}: {statistics.median(added):+.2f} ms CPU "
        f"(95% of the median: {low:+.2f} to {high:+.2f}; budget {budget:g})"
    )


def interval(values: list[float]) -> tuple[float, float]:
    """A 95% interval of the median by bootstrap (Efron 1979), with a fixed seed."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fits", type=int, default=21)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, JUPYTER_MLOPS_AGENT="off", MLFLOW_DISABLE_TELEMETRY="true")
        env |= {"JUPYTER_DATA_DIR": folder, "JUPYTER_RUNTIME_DIR": folder, "IPYTHONDIR": folder}
        env |= {"MPLBACKEND": "agg", "MLFLOW_LOGGING_LEVEL": "ERROR", "GIT_PYTHON_REFRESH": "quiet"}
        env |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
        os.environ.update(env)
        template = Path(folder, "mlflow.db")
        code = (
            "import sqlite3, sys, mlflow; path = sys.argv[1]; "
            "sqlite3.connect(path).execute('PRAGMA journal_mode = WAL'); "
            "mlflow.MlflowClient('sqlite:///' + path).search_experiments(max_results=1)"
        )
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(template)], check=True)
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in BEFORE}
        for number in range(options.rounds):
            for kind in list(BEFORE)[:: -1 if number % 2 else 1]:
                found[kind].append(session(kind, options.fits, template, env))
                time.sleep(0.2)
        report(found, options.fits)
        cells(template, env)


def report(found: dict[str, list[dict[str, float]]], fits: int) -> None:
    def median(kind: str, what: str) -> float:
        return statistics.median(one[what] for one in found[kind])

    base = median("plain", "kernel")
    ours = median("ours", "kernel") - base
    synced = ours + median("ours", "sync")
    print(f"{fits} fits, seconds of CPU in the kernel beyond the fits themselves ({base:.2f} s):")
    print(f"  {'ours':20} {ours:7.3f}   with sync {synced:.3f}")
    for kind in BEFORE:
        if kind in ("plain", "ours"):
            continue
        theirs = median(kind, "kernel") - base
        print(
            f"  {kind:20} {theirs:7.3f}   ratio {theirs / ours:.1f}, with sync "
            f"{theirs / synced:.1f}"
        )
    plain, tracked = median("plain", "memory"), median("ours", "memory")
    print(
        f"memory: plain {plain / 1e6:.0f} MB, tracked {tracked / 1e6:.0f} MB: "
        f"{(tracked / plain - 1) * 100:+.1f}% (budget +10%)"
    )


if __name__ == "__main__":
    main()
