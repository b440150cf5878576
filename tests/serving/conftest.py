"""Real models in MLflow's format, made once, and a scoring server in a thread of the test."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tornado.netutil import bind_sockets

import jupyter_mlops
from jupyter_mlops.serving.access_log import AccessLog
from jupyter_mlops.serving.scoring import Limits, Scorer, Scoring, ScoringServer

TOKEN = "a-token-of-the-tests"


@pytest.fixture(autouse=True)
def _children_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(jupyter_mlops.__file__).parents[1]))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of MLflow models: ``mixed`` ``numeric`` ``array`` ``whole`` ``proba`` ``joblib``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, while it saves
        return _make_models(tmp_path_factory.mktemp("models"))


def _make_models(root: Path) -> Path:
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.compose import make_column_transformer
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    def save(name: str, model: Any, signature: Any, example: Any, **more: Any) -> None:
        options: dict[str, Any] = {"serialization_format": "skops", "pip_requirements": ["sklearn"]}
        mlflow.sklearn.save_model(
            model,
            str(root / name),
            signature=signature,
            input_example=example,
            **(options | more),
        )

    random = np.random.default_rng(0)
    n = 200
    trips = pd.DataFrame(
        {
            "distance": random.gamma(2.0, 3.0, n),
            "passengers": random.integers(1, 5, n),
            "borough": random.choice(["Bronx", "Queens", "Brooklyn"], n),
            "night": random.random(n) < 0.3,
        }
    )
    tipped = (trips["distance"] + 3 * trips["night"] + random.normal(0, 1, n) > 6).map(
        {True: "yes", False: "no"}
    )
    mixed = make_pipeline(
        make_column_transformer(
            (StandardScaler(), ["distance", "passengers"]),
            (OneHotEncoder(handle_unknown="ignore"), ["borough"]),
            remainder="passthrough",
        ),
        LogisticRegression(),
    ).fit(trips, tipped)
    save("mixed", mixed, infer_signature(trips, mixed.predict(trips)), trips.head(2))

    iris, species = load_iris(return_X_y=True, as_frame=True)
    iris.columns = ["a", "b", "c", "d"]
    numeric = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(iris, species)
    save("numeric", numeric, infer_signature(iris, numeric.predict(iris)), iris.iloc[::50])
    save(
        "proba",
        numeric,
        infer_signature(iris, numeric.predict_proba(iris)),
        iris.iloc[::50],
        pyfunc_predict_fn="predict_proba",
    )
    save("joblib", numeric, infer_signature(iris), None, serialization_format="cloudpickle")

    values = iris.to_numpy()
    array = DecisionTreeClassifier(random_state=0).fit(values, species)
    trusted = ["sklearn.tree._tree.Tree"]
    signature = infer_signature(values, array.predict(values))
    save("array", array, signature, values[:2], skops_trusted_types=trusted)

    counts = pd.DataFrame(
        {"few": trips["passengers"].astype("int32"), "many": 10 * trips["passengers"]}
    )
    whole = LinearRegression().fit(counts, trips["distance"])
    save("whole", whole, infer_signature(counts, whole.predict(counts)), counts.head(2))

    save("bare", LinearRegression().fit(values, species), None, None)
    return root


@dataclass
class Served:
    """A scoring server in a thread: its port, and the scoring's counters."""

    port: int
    scoring: Scoring
    log: Path


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """``serve(scorer, body=..., read_timeout=..., ...)``: a server that ends with the test."""
    with ExitStack() as stack:
        yield lambda scorer, **options: stack.enter_context(serving(tmp_path, scorer, **options))


@contextmanager
def serving(
    folder: Path,
    scorer: Scorer,
    *,
    body: int = 1 << 20,
    read_timeout: float = 30.0,
    concurrency: int = 8,
    connections: int = 100,
    threads: int = 2,
) -> Iterator[Served]:
    ready = threading.Event()
    holder: dict[str, Any] = {}

    async def main() -> None:
        log = AccessLog(folder / "access.log")
        scoring = Scoring(
            scorer,
            token=TOKEN,
            version=7,
            protocol="3.17.2",
            limits=Limits(body, read_timeout, concurrency, connections),
            log=log,
            threads=threads,
        )
        server = ScoringServer(scoring)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        stop = asyncio.Event()
        holder.update(
            port=sockets[0].getsockname()[1],
            scoring=scoring,
            stop=stop,
            loop=asyncio.get_running_loop(),
        )
        ready.set()
        await stop.wait()
        await server.drain(5.0)
        scoring.pool.shutdown(wait=True, cancel_futures=True)
        log.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(30)
    try:
        yield Served(holder["port"], holder["scoring"], folder / "access.log")
    finally:
        holder["loop"].call_soon_threadsafe(holder["stop"].set)
        thread.join(30)
        assert not thread.is_alive()
