"""What the tests of delivery share."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops
from jupyter_mlops.project import Project


@pytest.fixture(autouse=True)
def _children_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(jupyter_mlops.__file__).parents[1]))


@pytest.fixture
def client() -> Iterator[Callable[[Project | str], Any]]:
    """Plain MLflow on a project's store, as anybody would use it."""
    with contextlib.ExitStack() as stack:

        def connect(where: Project | str) -> Any:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # MLflow's own
            import mlflow

            uri = where if isinstance(where, str) else where.default_tracking_uri
            before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
            stack.callback(mlflow.set_tracking_uri, before)
            mlflow.set_tracking_uri(uri)
            return mlflow.MlflowClient(uri)

        yield connect


@pytest.fixture(scope="session")
def iris() -> tuple[Any, Any]:
    """Real rows with a column of whole numbers."""
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True, as_frame=True)
    return X.assign(row=range(len(X))), y


@pytest.fixture(scope="session")
def forest(iris: tuple[Any, Any]) -> Any:
    """One of the eight of eleven common estimators that MLflow's defaults refuse."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(4, random_state=0).fit(*iris)
