"""Where runs are delivered to, and how much of them."""

from __future__ import annotations

import time

from ..config import Config, is_local_uri, public_uri
from ..errors import UsageError
from ..model.address import default_experiment, is_embedded, prepare_store, tracking_uri
from ..model.ports import TrackingBackend
from ..model.wiring import load_port
from ..project import Project
from ..state import StateDB
from ..state.consent import CONSENT, consented
from ..state.meta import get_meta, put_meta

__all__ = [
    "capture_level",
    "give_consent",
    "has_state",
    "is_embedded",
    "open_backend",
    "prepare",
    "revoke_consent",
    "tracking_uri",
    "watched_experiments",
]

EXPERIMENTS = "experiments"  # meta: names that this project has delivered to


def open_backend(project: Project, config: Config) -> TrackingBackend:
    """Return the tracking backend; the project's own store is made if need be.

    Raises ``ProjectError`` when it cannot be made.  Contacts no server yet.
    """
    uri = tracking_uri(project, config)
    if is_embedded(project, config):
        prepare_store(project)
    backend: TrackingBackend = load_port("tracking")(
        uri,
        artifact_root=project.artifacts,
        experiment_default=default_experiment(project, config),
        timeout=config.delivery_timeout,
    )
    return backend


def prepare(project: Project, config: Config) -> None:
    """Do ahead what takes long about a first delivery, and needs no server.

    Raises ``ProjectError`` when the project's own store cannot be made.
    """
    open_backend(project, config).prepare()


def capture_level(project: Project, config: Config) -> str:
    """The level that applies: ``minimal`` on a server that is not local, without consent."""
    uri = tracking_uri(project, config)
    if config.capture == "minimal" or is_local_uri(uri) or consented(project, uri):
        return config.capture
    return "minimal"


def give_consent(project: Project, uri: str) -> None:
    """Allow models and files to be stored on the tracking server at ``uri``, from now on.

    Raises ``UsageError`` for a local address, which needs none.
    """
    if is_local_uri(uri):
        raise UsageError(
            f"{public_uri(uri)} is on this machine and needs no consent",
            hint="Set MLFLOW_TRACKING_URI, or tracking_uri under [tool.jupyter-mlops], first.",
        )
    with StateDB(project).write() as connection:
        given = get_meta(connection, CONSENT, {})
        put_meta(connection, CONSENT, given | {public_uri(uri): time.time()})


def revoke_consent(project: Project, uri: str) -> bool:
    """Take consent back; return whether there was any."""
    with StateDB(project).write() as connection:
        given = get_meta(connection, CONSENT, {})
        found = given.pop(public_uri(uri), None) is not None
        put_meta(connection, CONSENT, given)
    return found


def watched_experiments(project: Project, config: Config) -> tuple[str, ...] | None:
    """The experiments whose runs are this project's; ``None`` means all of its own store's."""
    if is_embedded(project, config):
        return None
    names = {default_experiment(project, config)}
    if has_state(project):
        with StateDB(project).read() as connection:
            names.update(get_meta(connection, EXPERIMENTS, []))
    return tuple(sorted(names))


def has_state(project: Project) -> bool:
    """Whether there is a ``state.db``: asking must not make one."""
    return project.exists and project.database.is_file()
