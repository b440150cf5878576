"""Reading back from MLflow what was done there: by its own pages, its SDK, other people."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, replace
from typing import Any

from ..config import Config, public_uri
from ..errors import MlopsError, NotFoundError
from ..model.ports import RunPage, TrackingBackend
from ..model.registry import ModelVersion, RegisteredModel, RunSummary
from ..project import Project
from ..state import StateDB, last_change, record_change
from ..state.meta import get_meta, put_meta
from ..state.readmodel import (
    clear,
    forget_models,
    forget_run,
    put_model,
    put_run,
    read_models,
    runs_by_mlflow_id,
    unfinished_runs,
)
from .target import has_state, is_embedded, open_backend, tracking_uri, watched_experiments

__all__ = ["SyncState", "note_contact", "refresh", "settle_target", "sync_state"]

_SYNC = "sync"  # meta: {"at": seconds, "error": {"message", "hint"} or None}
_TARGET = "target"  # meta: whose runs and models the read model holds
_SEEN = "sync_seen"  # meta: {"store", "newest", "whole"}: how far reading has come
_OVERLAP = 3600.0  # seconds: runs may be logged late, with an earlier start
_WHOLE_EVERY = 6 * 3600.0  # seconds between readings of all runs, which find old deletions
_LIMIT = 10_000  # runs in one reading
_ATTEMPTS = 3  # readings, when deliveries keep writing meanwhile


@dataclass(frozen=True, slots=True)
class SyncState:
    """How the last contact with MLflow went: ``at`` is when it last answered."""

    at: float | None = None
    error: dict[str, str | None] | None = None


def sync_state(project: Project) -> SyncState:
    """How the last contact with MLflow went."""
    if not has_state(project):
        return SyncState()
    with StateDB(project).read() as connection:
        data = get_meta(connection, _SYNC, {})
    return SyncState(data.get("at"), data.get("error"))


def refresh(project: Project, config: Config, *, whole: bool = False) -> None:
    """Read runs, models, versions and aliases from MLflow into the read model.

    Costs next to nothing when the project's own store has not changed, and otherwise reads the
    runs since the last time; ``whole`` reads all of them.  What goes wrong with MLflow is kept for
    ``sync_state`` and not raised.  Raises ``ProjectError`` when the project cannot be written.
    """
    made = has_state(project) or (project.state / "mlflow.db").exists()
    if not made and is_embedded(project, config):
        return  # nothing there, and nothing to make for it
    state = StateDB(project)
    uri = tracking_uri(project, config)
    try:
        backend = _reachable(project, config)
        for attempt in range(_ATTEMPTS):
            if _read(project, config, state, uri, backend, whole, last=attempt == _ATTEMPTS - 1):
                return
    except (MlopsError, ImportError) as error:
        problem = error if isinstance(error, MlopsError) else MlopsError(str(error))
        with state.write() as connection:
            note_contact(connection, problem)


def _reachable(project: Project, config: Config) -> TrackingBackend | None:
    """The backend once it answers; ``None`` for a store of our own that was never made."""
    if is_embedded(project, config) and not (project.state / "mlflow.db").exists():
        return None
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    return backend


def _read(
    project: Project,
    config: Config,
    state: StateDB,
    uri: str,
    backend: TrackingBackend | None,
    whole: bool,
    *,
    last: bool,
) -> bool:
    """Read once; ``False`` if a delivery wrote meanwhile, so that what was read is old."""
    with state.read() as connection:
        seen = get_meta(connection, _SEEN, {}) if _is_target(connection, uri) else {}
        before = last_change(connection)
    store = _store_mark(project) if is_embedded(project, config) else None
    models: list[RegisteredModel] = []
    page = RunPage(())
    whole = whole or time.time() - seen.get("whole", 0) > _WHOLE_EVERY
    news = backend is not None and (whole or store is None or store != seen.get("store"))
    if backend is not None and news:
        since = 0.0 if whole else max(0.0, seen.get("newest", 0) - _OVERLAP)
        page = _read_runs(state, backend, watched_experiments(project, config), since)
        models = _read_models(state, backend, page)
    with state.write() as connection:
        current = last_change(connection) == before
        if not current and not last:
            return False
        settle_target(connection, uri)
        if news or backend is None:
            _keep(connection, page, models, whole=whole, remove=current)
            newest = max((run.started for run in page.runs), default=0.0)
            read = {"store": store, "newest": max(newest, seen.get("newest", 0))}
            read["whole"] = time.time() if whole and page.complete else seen.get("whole", 0)
            put_meta(connection, _SEEN, read)
        if backend is not None:
            note_contact(connection, None)
    return True


def settle_target(connection: sqlite3.Connection, uri: str) -> None:
    """Make the read model that of ``uri``: what another server said does not belong here."""
    before = get_meta(connection, _TARGET)
    if before == public_uri(uri):
        return
    if before is not None:
        clear(connection)
    put_meta(connection, _TARGET, public_uri(uri))
    put_meta(connection, _SEEN, {})


def note_contact(connection: sqlite3.Connection, error: MlopsError | None) -> None:
    """Keep how a contact went, and tell those who watch when that changed."""
    before = get_meta(connection, _SYNC, {})
    problem = None if error is None else {"message": error.message, "hint": error.hint}
    at = time.time() if error is None else before.get("at")
    put_meta(connection, _SYNC, {"at": at, "error": problem})
    if before.get("error") != problem:
        record_change(connection, "sync", "updated", "")


def _read_runs(
    state: StateDB,
    backend: TrackingBackend,
    experiments: tuple[str, ...] | None,
    since: float,
) -> RunPage:
    page = backend.runs(experiments, since, _LIMIT)
    got = {run.mlflow_run_id for run in page.runs}
    with state.read() as connection:
        open_ones = [run.mlflow_run_id for run in unfinished_runs(connection)]
    # Runs that were still running when last seen may lie before the part that is read.
    more: list[RunSummary] = []
    gone: set[str] = set()
    for mlflow_id in open_ones:
        if mlflow_id is None or mlflow_id in got:
            continue
        run = backend.run(mlflow_id)
        if run is None:
            gone.add(mlflow_id)
        else:
            more.append(run)
    return replace(page, runs=(*page.runs, *more), deleted=page.deleted | gone)


def _keep(
    connection: sqlite3.Connection,
    page: RunPage,
    models: list[RegisteredModel],
    *,
    whole: bool,
    remove: bool,
) -> None:
    for run in page.runs:
        put_run(connection, run)
    for mlflow_id in page.deleted:
        forget_run(connection, mlflow_id)
    for model in models:
        put_model(connection, model, remove=remove)
    if remove:
        forget_models(connection, (model.name for model in models))
    if remove and whole and page.complete:
        there = {run.mlflow_run_id for run in page.runs}
        rows = connection.execute("SELECT mlflow_run_id FROM runs WHERE mlflow_run_id NOT NULL")
        for row in rows.fetchall():
            if row["mlflow_run_id"] not in there:
                forget_run(connection, row["mlflow_run_id"])


def _read_models(state: StateDB, backend: TrackingBackend, page: RunPage) -> list[RegisteredModel]:
    """All models; what is new among their versions with the place of its files and its metrics."""
    models = list(backend.models())
    with state.read() as connection:
        known = {(v.name, v.version): v for m in read_models(connection) for v in m.versions}
        ids = [v.mlflow_run_id or "" for m in models for v in m.versions]
        runs = runs_by_mlflow_id(connection, ids)
    runs.update({run.mlflow_run_id or "": run for run in page.runs})
    return [
        replace(model, versions=tuple(_complete(backend, v, known, runs) for v in model.versions))
        for model in models
    ]


def _complete(
    backend: TrackingBackend,
    version: ModelVersion,
    known: dict[tuple[str, int], ModelVersion],
    runs: dict[str, RunSummary],
) -> ModelVersion:
    before = known.get((version.name, version.version))
    if before is not None and before.created == version.created and before.source:
        return replace(version, source=before.source, metrics=_metrics(version, runs, before))
    try:
        found = backend.version(version.name, version.version)
    except NotFoundError:  # removed while we read
        return version
    return replace(found, aliases=version.aliases)


def _metrics(
    version: ModelVersion, runs: dict[str, RunSummary], before: ModelVersion
) -> dict[str, float]:
    run = runs.get(version.mlflow_run_id or "")
    return before.metrics if run is None else run.metrics


def _is_target(connection: sqlite3.Connection, uri: str) -> bool:
    return bool(get_meta(connection, _TARGET) == public_uri(uri))


def _store_mark(project: Project) -> list[Any] | None:
    """What changes when anybody writes to the project's own store; ``None`` if there is none."""
    mark: list[Any] = []
    for name in ("mlflow.db", "mlflow.db-wal"):
        try:
            status = (project.state / name).stat()
        except FileNotFoundError:
            if name == "mlflow.db":
                return None
            mark.append(None)
        else:
            mark.append([status.st_mtime_ns, status.st_size, status.st_ino])
    return mark
