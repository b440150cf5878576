"""The registry's half of the MLflow backend: versions, aliases, and where their files are."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ..model.registry import ModelVersion, RegisteredModel
from .mlflow_logged_models import LoggedModels
from .mlflow_reading import is_prompt, local_folder, run_summary, version_of
from .mlflow_session import MlflowSession, pages, tolerate_existing
from .mlflow_writing import MODEL_KEY

__all__ = ["MlflowRegistry"]


class MlflowRegistry(MlflowSession):
    """The part of ``model.ports.TrackingBackend`` that is about registered models."""

    def register(
        self, name: str, mlflow_run_id: str, model: str | None = None
    ) -> tuple[ModelVersion, bool]:
        """Make a version of ``name`` from a run's stored model; return it and whether it is new."""
        with self._session() as client:
            run = client.get_run(mlflow_run_id)
            models = LoggedModels(client, run.info.experiment_id, mlflow_run_id)
            logged = models.choose(run, model)
            key = logged.tags.get(MODEL_KEY, logged.model_id)
            version = self._find_version(client, name, mlflow_run_id, key)
            new = version is None
            if new:
                with tolerate_existing():
                    client.create_registered_model(name)
                version = models.make_version(name, run, logged, key, self._timeout)
            models.link_version(logged, name, int(version.version))
            folder = local_folder(logged.artifact_location)
            place = str(folder or logged.artifact_location)
            return _with_run(version_of(version, tuple(version.aliases), place), run), new

    def models(self) -> Sequence[RegisteredModel]:
        """All registered models with versions (newest first) and aliases, without metrics."""
        with self._session() as client:
            models = [m for m in pages(client.search_registered_models) if not is_prompt(m)]
            versions: dict[str, list[Any]] = {model.name: [] for model in models}
            for version in pages(client.search_model_versions) if models else ():
                versions.get(version.name, []).append(version)
            return [
                RegisteredModel(
                    name=model.name,
                    updated=(model.last_updated_timestamp or 0) / 1000,
                    description=model.description or "",
                    versions=tuple(
                        version_of(version, _aliases_of(model, version))
                        for version in sorted(versions[model.name], key=_number, reverse=True)
                    ),
                )
                for model in models
            ]

    def version(self, name: str, version: int) -> ModelVersion:
        """One version with the place of its files and its run's metrics; ``NotFoundError``."""
        with self._session() as client:
            found = client.get_model_version(name, str(version))
            uri = str(client.get_model_version_download_uri(name, str(version)))
            made = version_of(found, tuple(found.aliases), str(local_folder(uri) or uri))
            run = self._get_run(client, made.mlflow_run_id) if made.mlflow_run_id else None
            return made if run is None else _with_run(made, run)

    def aliases(self, name: str) -> dict[str, int]:
        """The aliases of a registered model as MLflow has them now; ``NotFoundError``."""
        with self._session() as client:
            model = client.get_registered_model(name)
            return {alias: int(version) for alias, version in model.aliases.items()}

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Point ``alias`` at ``version``; ``None`` removes it."""
        with self._session() as client:
            if version is None:
                client.delete_registered_model_alias(name, alias)
            else:
                client.set_registered_model_alias(name, alias, str(version))

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version for good; the run keeps the model that it was made from."""
        with self._session() as client:
            client.delete_model_version(name, str(version))

    def download_model(self, name: str, version: int, target: Path) -> Path:
        """A local folder with the version's MLflow model: its own, or ``target`` filled with it."""
        with self._session() as client:
            uri = str(client.get_model_version_download_uri(name, str(version)))
            folder = local_folder(uri)
            if folder is not None:
                return folder
            if target.is_dir():
                return target
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
                got = import_module("mlflow.artifacts").download_artifacts(
                    artifact_uri=f"models:/{name}/{version}", dst_path=temporary
                )
                with contextlib.suppress(OSError):  # somebody else was quicker
                    shutil.move(got, target)
            return target

    def _find_version(self, client: Any, name: str, mlflow_run_id: str, key: str) -> Any:
        for version in pages(client.search_model_versions, f"run_id = '{mlflow_run_id}'"):
            if version.name == name and (
                version.tags.get(MODEL_KEY) == key or version.source == f"models:/{key}"
            ):
                return client.get_model_version(name, version.version)
        return None


def _with_run(version: ModelVersion, run: Any) -> ModelVersion:
    summary = run_summary(run, None)
    return replace(
        version,
        run_id=summary.run_id,
        run_name=summary.name,
        notebook=summary.notebook or version.notebook,
        pipeline=summary.pipeline or version.pipeline,
        metrics=summary.metrics,
    )


def _aliases_of(model: Any, version: Any) -> tuple[str, ...]:
    return tuple(a for a, number in model.aliases.items() if int(number) == int(version.version))


def _number(version: Any) -> int:
    return int(version.version)
