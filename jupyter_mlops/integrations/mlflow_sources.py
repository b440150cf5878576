"""Another MLflow, read as the rows of its tables, whatever it is kept in.

A SQLite file is read as it is, without MLflow, which would refuse one of another version; so is a
folder of MLflow's old file store.  Anything else is asked by MLflow's client.  Nothing is written.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from ..config import public_uri
from ..errors import CorruptError, NotFoundError
from .mlflow_environment import check_server, translate, using
from .mlflow_session import mlflow_error, pages

__all__ = ["FolderSource", "ServerSource", "Source", "SqliteSource", "open_source"]

Row = dict[str, Any]


class Source(ABC):
    """``label`` names it in the tags of what is copied; ``rows`` are those of a table of MLflow's.

    A table that there is not has none.
    """

    label: str

    @abstractmethod
    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table, in an order in which none needs a later one."""


def open_source(uri: str, timeout: float) -> Source:
    """Return the MLflow at ``uri``: an address, a SQLite file, a folder of the file store.

    Raises ``NotFoundError`` for a file that is not there, ``ServiceError`` for a server that does
    not answer within ``timeout`` seconds.
    """
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return SqliteSource(Path(parts.path.removeprefix("/") or "/"))
    if parts.scheme in ("", "file"):
        path = Path(url2pathname(parts.path)) if parts.scheme else Path(uri)
        return FolderSource(path) if path.is_dir() else SqliteSource(path)
    check_server(uri, timeout)
    return ServerSource(uri, timeout)


class SqliteSource(Source):
    """An MLflow database file, of any version."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.label = f"sqlite:///{self.path}"
        if not self.path.is_file():
            raise NotFoundError(f"there is no MLflow database {self.path}")

    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table; ``CorruptError`` for a file that is no database."""
        uri = f"file:{quote(str(self.path))}?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10.0)) as connection:
                known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                if not known:
                    return
                connection.row_factory = sqlite3.Row
                for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a constant
                    yield dict(row)
        except sqlite3.DatabaseError as error:
            raise CorruptError(
                f"{self.path} cannot be read as MLflow's database: {error}"
            ) from error


class FolderSource(Source):
    """A folder of MLflow's file store: ``mlruns``."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.label = self.path.as_uri()
        self._experiments = [
            (folder, meta)
            for folder in sorted(self.path.iterdir())
            if (meta := _meta(folder)) is not None and "experiment_id" in meta
        ]
        if not self._experiments:
            raise NotFoundError(f"{self.path} holds no runs of MLflow's file store")

    def rows(self, table: str) -> Iterator[Row]:
        """Yield rows made from files; a run whose ``meta.yaml`` is damaged has none."""
        if table == "experiments":
            for folder, meta in self._experiments:
                yield {"lifecycle_stage": "active", **meta, "experiment_id": folder.name}
        elif table == "runs":
            for folder, meta in self._runs():
                yield {
                    **meta,
                    "run_uuid": meta.get("run_id") or folder.name,
                    "name": meta.get("run_name") or meta.get("name") or "",
                    "status": _status(meta.get("status")),
                    "experiment_id": folder.parent.name,
                    # The folder may have been moved since it was written.
                    "artifact_uri": (folder / "artifacts").as_uri(),
                }
        elif table in ("params", "tags"):
            for folder, meta in self._runs():
                for name, path in _files(folder / table):
                    text = path.read_text(encoding="utf-8", errors="replace")
                    yield {"key": name, "value": text, "run_uuid": _run_id(folder, meta)}
        elif table in ("metrics", "latest_metrics"):
            for folder, meta in self._runs():
                for name, path in _files(folder / "metrics"):
                    points = _points(name, path, _run_id(folder, meta))
                    if table == "metrics":
                        yield from points
                    else:
                        order = ("step", "timestamp", "value")
                        yield from sorted(points, key=lambda row: [row[k] for k in order])[-1:]

        elif table == "registered_models":
            for _, meta in self._models():
                yield _dated(meta, ("name", "description"))
        elif table == "registered_model_aliases":
            for folder, meta in self._models():
                for name, path in _files(folder / "aliases"):
                    with contextlib.suppress(ValueError):
                        version = int(path.read_text(encoding="utf-8"))
                        yield {"alias": name, "version": version, "name": meta["name"]}
        elif table == "model_versions":
            wanted = ("name", "version", "description", "current_stage", "source", "run_id")
            for folder, _ in self._models():
                for path in sorted(folder.glob("version-*")):
                    version_meta = _meta(path)
                    if version_meta is not None:
                        yield {**_dated(version_meta, wanted), "status": "READY"}

    def _models(self) -> Iterator[tuple[Path, Row]]:
        """MLflow's old registry, beside the experiments."""
        folder = self.path / "models"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            meta = _meta(path)
            if meta is not None and "name" in meta:
                yield path, meta

    def _runs(self) -> Iterator[tuple[Path, Row]]:
        for folder, _ in self._experiments:
            for run in sorted(folder.iterdir()):
                meta = _meta(run)
                if meta is not None and ("run_id" in meta or "run_uuid" in meta):
                    yield run, meta


class ServerSource(Source):
    """Anything that MLflow's client reads."""

    def __init__(self, uri: str, timeout: float) -> None:
        self.label = public_uri(uri)
        self._uri = uri
        self._timeout = timeout
        self._runs: list[Any] = []

    def rows(self, table: str) -> Iterator[Row]:
        """Yield rows made from answers; ``ServiceError`` where there is none."""
        read: Callable[[Any], Iterator[Row]] | None = getattr(self, f"_read_{table}", None)
        if read is None:
            return
        try:
            with using(self._uri, self._timeout):
                mlflow: Any = import_module("mlflow")
                found = list(read(mlflow.MlflowClient(self._uri, self._uri)))
        except (mlflow_error(), OSError) as error:
            raise translate(error, self._uri) from error
        yield from found

    def _read_experiments(self, client: Any) -> Iterator[Row]:
        for found in pages(client.search_experiments):
            yield {
                "experiment_id": found.experiment_id,
                "name": found.name,
                "lifecycle_stage": found.lifecycle_stage,
                "creation_time": found.creation_time,
                "last_update_time": found.last_update_time,
            }

    def _runs_of(self, client: Any) -> list[Any]:
        if not self._runs:
            ids = [e.experiment_id for e in pages(client.search_experiments)]

            def search(filter_string: str | None, page_token: str | None) -> Any:
                return client.search_runs(ids, "", 1, 1000, None, page_token)

            self._runs = list(pages(search)) if ids else []
        return self._runs

    def _read_runs(self, client: Any) -> Iterator[Row]:
        for run in self._runs_of(client):
            info = run.info
            yield {
                "run_uuid": info.run_id,
                "name": info.run_name,
                "status": info.status,
                "start_time": info.start_time,
                "end_time": info.end_time,
                "user_id": info.user_id,
                "lifecycle_stage": info.lifecycle_stage,
                "artifact_uri": info.artifact_uri,
                "experiment_id": info.experiment_id,
            }

    def _read_params(self, client: Any) -> Iterator[Row]:
        for run in self._runs_of(client):
            for name, value in run.data.params.items():
                yield {"key": name, "value": value, "run_uuid": run.info.run_id}

    def _read_tags(self, client: Any) -> Iterator[Row]:
        for run in self._runs_of(client):
            for name, value in run.data.tags.items():
                yield {"key": name, "value": value, "run_uuid": run.info.run_id}

    def _read_latest_metrics(self, client: Any) -> Iterator[Row]:
        # The history of each metric would be a request of its own: the last values are copied.
        for run in self._runs_of(client):
            for found in run.data._metric_objs:
                yield _metric(found.key, found.value, found.timestamp, found.step, run.info.run_id)

    _read_metrics = _read_latest_metrics

    def _read_registered_models(self, client: Any) -> Iterator[Row]:
        for found in pages(client.search_registered_models):
            yield {
                "name": found.name,
                "creation_time": found.creation_timestamp,
                "last_updated_time": found.last_updated_timestamp,
                "description": found.description,
            }

    def _read_registered_model_aliases(self, client: Any) -> Iterator[Row]:
        for found in pages(client.search_registered_models):
            for alias, version in found.aliases.items():
                yield {"alias": alias, "version": int(version), "name": found.name}

    def _read_model_versions(self, client: Any) -> Iterator[Row]:
        for found in pages(client.search_model_versions):
            yield {
                "name": found.name,
                "version": int(found.version),
                "creation_time": found.creation_timestamp,
                "last_updated_time": found.last_updated_timestamp,
                "description": found.description,
                "current_stage": found.current_stage,
                "source": found.source,
                "run_id": found.run_id,
                "status": found.status,
            }


def _meta(folder: Path) -> Row | None:
    """What ``meta.yaml`` in a folder says; ``None`` for none, and for one that is damaged."""
    path = folder / "meta.yaml"
    if folder.name.startswith(".") or not path.is_file():
        return None
    import yaml

    # A hundred times as quick where the C library is there: one file a run.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 - a safe loader
    except (OSError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict) else None


def _dated(meta: Row, names: tuple[str, ...]) -> Row:
    return {
        **{name: meta[name] for name in names if name in meta},
        "creation_time": meta.get("creation_timestamp"),
        "last_updated_time": meta.get("last_updated_timestamp"),
    }


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below a folder with its name as MLflow has it (``a/b`` is a path)."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            yield path.relative_to(folder).as_posix(), path


def _points(name: str, path: Path, run_id: str) -> list[Row]:
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        parts = line.split()  # timestamp, value, step
        with contextlib.suppress(ValueError, IndexError):
            step = int(parts[2]) if len(parts) > 2 else 0
            rows.append(_metric(name, float(parts[1]), int(parts[0]), step, run_id))
    return rows


def _metric(name: str, value: float, timestamp: int, step: int, run_id: str) -> Row:
    """A metric as MLflow's databases keep it: no NaN, no infinities."""
    nan = math.isnan(value)
    if math.isinf(value):
        value = math.copysign(sys.float_info.max, value)
    return {
        "key": name,
        "value": 0.0 if nan else value,
        "is_nan": int(nan),
        "timestamp": timestamp,
        "step": step,
        "run_uuid": run_id,
    }


def _run_id(folder: Path, meta: Row) -> str:
    return str(meta.get("run_id") or meta.get("run_uuid") or folder.name)


def _status(value: Any) -> str:
    """The file store keeps MLflow's numbers of ``RunStatus``."""
    names = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
    return names.get(value, value if value in names.values() else "FINISHED")
