"""Changing a delivered run, and reading back what is kept beside its summary."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ..errors import CorruptError, NotFoundError
from .mlflow_environment import translate
from .mlflow_logged_models import LoggedModels
from .mlflow_reading import local_folder
from .mlflow_session import MlflowSession, mlflow_error
from .mlflow_writing import safe_file_name

__all__ = ["MlflowChanges"]

_NAME = "mlflow.runName"
_NOTE = "mlflow.note.content"


class MlflowChanges(MlflowSession):
    """The part of ``model.ports.TrackingBackend`` that is about one delivered run."""

    def restore_run(self, mlflow_run_id: str) -> None:
        """Take a soft deletion back; a run that is not deleted stays as it is."""
        with self._session() as client:
            if client.get_run(mlflow_run_id).info.lifecycle_stage == "deleted":
                client.restore_run(mlflow_run_id)

    def rename_run(self, mlflow_run_id: str, name: str) -> None:
        """Give a run another name."""
        with self._session() as client:
            client.set_tag(mlflow_run_id, _NAME, name)

    def note_run(self, mlflow_run_id: str, text: str) -> None:
        """Replace a run's note (Markdown, as MLflow's own page shows it); empty removes it."""
        with self._session() as client:
            if text:
                client.set_tag(mlflow_run_id, _NOTE, text)
            elif _NOTE in client.get_run(mlflow_run_id).data.tags:
                client.delete_tag(mlflow_run_id, _NOTE)

    def tags(self, mlflow_run_id: str) -> dict[str, str]:
        """The tags of a run; ``NotFoundError`` for no such run."""
        with self._session() as client:
            return dict(sorted(client.get_run(mlflow_run_id).data.tags.items()))

    def series(self, mlflow_run_id: str, names: Sequence[str]) -> dict[str, list[list[float]]]:
        """The history of metrics as ``[step, value, time]``, in the order of steps."""
        with self._session() as client:
            return {
                name: sorted(
                    [float(m.step), float(m.value), m.timestamp / 1000]
                    for m in client.get_metric_history(mlflow_run_id, name)
                )
                for name in names
            }

    def read_artifact(self, mlflow_run_id: str, name: str) -> bytes:
        """A file of a run's artifacts; ``NotFoundError`` for none of that name."""
        safe = safe_file_name(name)
        if safe is None:
            raise NotFoundError(f"{name!r} cannot name a file of a run")
        with self._session() as client:
            place = local_folder(client.get_run(mlflow_run_id).info.artifact_uri)
            if place is not None:
                return _read_inside(place, safe)
            with tempfile.TemporaryDirectory(prefix="mlops-artifact-") as temporary:
                try:
                    got = client.download_artifacts(mlflow_run_id, safe, temporary)
                except (mlflow_error(), OSError) as error:
                    problem = translate(error, self.uri)
                    if isinstance(error, OSError) or isinstance(problem, NotFoundError):
                        raise NotFoundError(f"run {mlflow_run_id} has no file {name!r}") from error
                    raise problem from error
                return Path(got).read_bytes()

    def download_run_model(self, mlflow_run_id: str, model: str | None, target: Path) -> Path:
        """A local folder with a run's stored model: its own, or ``target`` filled with it.

        ``model`` chooses by ``ModelRecord.name``, with the errors of ``register``.
        """
        with self._session() as client:
            run = client.get_run(mlflow_run_id)
            logged = LoggedModels(client, run.info.experiment_id, mlflow_run_id).choose(run, model)
            folder = local_folder(logged.artifact_location)
            if folder is not None:
                return folder
            target = target / str(logged.model_id)
            if target.is_dir():
                return target
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
                got = import_module("mlflow.artifacts").download_artifacts(
                    artifact_uri=f"models:/{logged.model_id}", dst_path=temporary
                )
                with contextlib.suppress(OSError):  # somebody else was quicker
                    shutil.move(got, target)
            return target


def _read_inside(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CorruptError(f"{name} in {folder} leads out of it")
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise NotFoundError(f"there is no file {name!r} in {folder}") from None
