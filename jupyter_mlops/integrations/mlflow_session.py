"""What the parts of the MLflow backend share: one client at a time, experiments, pages, errors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConflictError, MlopsError, NotFoundError, ServiceError
from .mlflow_environment import translate, using
from .mlflow_writing import experiment_folder

__all__ = ["MlflowSession", "check_guard", "pages", "tagged", "tolerate_existing"]


class MlflowSession:
    """The address of a tracking server or store, and how it is spoken to."""

    def __init__(
        self, uri: str, artifact_root: Path, experiment_default: str, timeout: float
    ) -> None:
        self.uri = uri
        self._artifact_root = artifact_root
        self._experiment_default = experiment_default
        self._timeout = timeout
        self._experiments: dict[str, str] = {}  # id -> name, as they are met

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        """A client, with MLflow set up for us; errors of the libraries come out as ours."""
        try:
            with using(self.uri, self._timeout):
                mlflow = import_module("mlflow")
                yield mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        except MlopsError:
            raise
        except (mlflow_error(), OSError) as error:
            raise translate(error, self.uri) from error

    def _all_experiments(self, client: Any) -> dict[str, str]:
        """Id and name of every experiment that is not deleted."""
        found = {e.experiment_id: e.name for e in pages(client.search_experiments)}
        self._experiments.update(found)
        return found

    def _experiment_name(self, client: Any, experiment_id: str) -> str:
        if experiment_id not in self._experiments:
            self._experiments[experiment_id] = client.get_experiment(experiment_id).name
        return self._experiments[experiment_id]

    def _experiment(self, client: Any, name: str) -> str:
        """The id of the experiment, made if there is none of that name."""
        for experiment_id, known in self._experiments.items():
            if known == name:
                return experiment_id
        found = client.get_experiment_by_name(name)
        if found is None:
            place = None  # a server decides itself
            if urlsplit(self.uri).scheme not in ("http", "https", "databricks"):
                place = (self._artifact_root / experiment_folder(name)).as_uri()
            with tolerate_existing():
                client.create_experiment(name, place)
            found = client.get_experiment_by_name(name)
        if found.lifecycle_stage == "deleted":
            raise ServiceError(
                f"the experiment {name!r} was deleted in MLflow",
                hint=f"Restore it (mlflow experiments restore --experiment-id "
                f"{found.experiment_id}) or set another experiment.",
            )
        self._experiments[found.experiment_id] = found.name
        return str(found.experiment_id)

    def _get_run(self, client: Any, mlflow_run_id: str) -> Any:
        """An MLflow run, or ``None`` if there is none of that id."""
        try:
            return client.get_run(mlflow_run_id)
        except mlflow_error() as error:
            if isinstance(translate(error, self.uri), NotFoundError):
                return None
            raise


def mlflow_error() -> type[Exception]:
    """MLflow's own exception."""
    kind: type[Exception] = import_module("mlflow.exceptions").MlflowException
    return kind


@contextlib.contextmanager
def tolerate_existing() -> Iterator[None]:
    """Two processes may make the same thing at once: the second is content with the first's."""
    try:
        yield
    except mlflow_error() as error:
        if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
            raise


def check_guard(guard: Callable[[], bool]) -> None:
    """Raise ``ConflictError`` when the caller may no longer write."""
    if not guard():
        raise ConflictError("the delivery has passed to another process")


def tagged(tag: str, value: str) -> str:
    """A filter for what carries a tag."""
    return f"tags.`{tag}` = '{value}'"


def pages(search: Callable[..., Any], text: str | None = None) -> Iterator[Any]:
    """Everything that a paged search finds."""
    token: str | None = None
    while True:
        page = search(filter_string=text, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
