"""Where a project's runs go: MLflow's address, and the project's own store, made once."""

from __future__ import annotations

from ..config import Config, absolute_uri
from ..project import Project, file_lock
from .wiring import load_port

__all__ = ["default_experiment", "is_embedded", "prepare_store", "tracking_uri"]


def tracking_uri(project: Project, config: Config) -> str:
    """MLflow's address for this project: the configured one, else the project's own store.

    A relative SQLite path is relative to the project's root, wherever a process stands.
    """
    uri = config.tracking_uri
    if not uri:
        return project.default_tracking_uri
    return absolute_uri(uri, project.root)


def is_embedded(project: Project, config: Config) -> bool:
    """Whether runs go to the project's own store."""
    return tracking_uri(project, config) == project.default_tracking_uri


def default_experiment(project: Project, config: Config) -> str:
    """The experiment of runs that name none."""
    return config.experiment or project.name


def prepare_store(project: Project) -> None:
    """Make the project's own MLflow store if need be.

    Raises ``ProjectError`` when it cannot be made.
    """
    database = project.state / "mlflow.db"
    prepare = load_port("tracking_store")
    if database.exists():
        prepare(database, project.artifacts)
        return
    project.create()
    # Three processes that migrate one fresh database crash; two minutes are a slow disk's.
    with file_lock(project.state / "mlflow.lock", timeout=120.0):
        prepare(database, project.artifacts)
