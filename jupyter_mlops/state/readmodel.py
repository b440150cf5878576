"""The read model: what MLflow said when we last asked, so that a panel needs no MLflow.

Each function that writes notes a change in the same transaction, and only where something did
change.  Metrics, name and notebook of a version are those of its run where the run is here.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from ..model.registry import ModelVersion, RegisteredModel, RunSummary
from .changes import record_change

__all__ = [
    "clear",
    "find_runs",
    "forget_models",
    "forget_run",
    "forget_version",
    "load_run",
    "load_version",
    "move_alias",
    "put_model",
    "put_run",
    "put_version",
    "read_model",
    "read_models",
    "read_run",
    "read_runs",
    "read_version",
    "runs_by_mlflow_id",
    "unfinished_runs",
]

_CHUNK = 500  # SQLite's limit on parameters is 999 in old builds


def put_run(connection: sqlite3.Connection, run: RunSummary) -> bool:
    """Keep a run as it now is; return whether that is news."""
    text = _dump(run)
    row = connection.execute("SELECT summary FROM runs WHERE run_id = ?", (run.run_id,)).fetchone()
    if row is not None and row["summary"] == text:
        return False
    connection.execute(
        "DELETE FROM runs WHERE mlflow_run_id = ? AND run_id <> ?", (run.mlflow_run_id, run.run_id)
    )
    connection.execute(
        "INSERT INTO runs (run_id, mlflow_run_id, started, name, status, summary) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET "
        "mlflow_run_id = excluded.mlflow_run_id, started = excluded.started, name = excluded.name, "
        "status = excluded.status, summary = excluded.summary",
        (run.run_id, run.mlflow_run_id, run.started, run.name, run.status, text),
    )
    record_change(connection, "run", "created" if row is None else "updated", run.run_id)
    return True


def forget_run(connection: sqlite3.Connection, run_id: str) -> bool:
    """Drop a run that MLflow no longer shows, by our id or MLflow's."""
    row = connection.execute(
        "DELETE FROM runs WHERE run_id = ? OR mlflow_run_id = ? RETURNING run_id", (run_id, run_id)
    ).fetchone()
    if row is None:
        return False
    record_change(connection, "run", "removed", row["run_id"])
    return True


def read_runs(connection: sqlite3.Connection, limit: int) -> list[RunSummary]:
    """The newest runs, newest first."""
    rows = connection.execute(
        "SELECT summary FROM runs ORDER BY started DESC, run_id DESC LIMIT ?", (limit,)
    )
    return _with_versions(connection, [load_run(row) for row in rows])


def read_run(connection: sqlite3.Connection, run_id: str) -> RunSummary | None:
    """One run by our id or MLflow's."""
    row = connection.execute(
        "SELECT summary FROM runs WHERE run_id = ? OR mlflow_run_id = ?", (run_id, run_id)
    ).fetchone()
    return None if row is None else _with_versions(connection, [load_run(row)])[0]


def find_runs(connection: sqlite3.Connection, prefix: str, limit: int = 10) -> list[RunSummary]:
    """Runs whose id, ours or MLflow's, begins with ``prefix`` (letters and digits)."""
    rows = connection.execute(
        "SELECT summary FROM runs WHERE run_id >= ? AND run_id < ? "
        "OR run_id >= ? AND run_id < ? OR mlflow_run_id >= ? AND mlflow_run_id < ? LIMIT ?",
        (*_range(prefix.upper()), *_range(prefix.lower()), *_range(prefix.lower()), limit),
    )
    return _with_versions(connection, [load_run(row) for row in rows])


def runs_by_mlflow_id(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, RunSummary]:
    """The runs that are here out of some of MLflow's ids."""
    wanted = list(dict.fromkeys(ids))
    found = {}
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        marks = ",".join("?" * len(part))
        for row in connection.execute(
            f"SELECT mlflow_run_id, summary FROM runs WHERE mlflow_run_id IN ({marks})",  # noqa: S608
            part,
        ):
            found[row["mlflow_run_id"]] = load_run(row)
    return found


def unfinished_runs(connection: sqlite3.Connection) -> list[RunSummary]:
    """Runs that MLflow last showed as running, scheduled or the like."""
    rows = connection.execute(
        "SELECT summary FROM runs WHERE status NOT IN ('FINISHED', 'FAILED', 'KILLED')"
    )
    return [load_run(row) for row in rows]


def put_model(
    connection: sqlite3.Connection, model: RegisteredModel, *, remove: bool = True
) -> bool:
    """Keep a registered model with its versions; return whether that is news.

    Versions that it does not have are dropped if ``remove``.  What a version leaves open (its
    place, its metrics) stays as it was.
    """
    row = connection.execute(
        "SELECT updated, description FROM models WHERE name = ?", (model.name,)
    ).fetchone()
    changed = row is None or row["description"] != model.description
    if row is None or changed or row["updated"] != model.updated:
        connection.execute(
            "INSERT INTO models (name, updated, description) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, "
            "description = excluded.description",
            (model.name, model.updated, model.description),
        )
    known = {v.version: v for v in _versions(connection, model.name)}
    for version in model.versions:
        changed |= _write_version(connection, version, known.pop(version.version, None))
    for number in known if remove else ():
        connection.execute(
            "DELETE FROM model_versions WHERE name = ? AND version = ?", (model.name, number)
        )
        changed = True
    if changed:
        record_change(connection, "model", "created" if row is None else "updated", model.name)
    return changed


def put_version(connection: sqlite3.Connection, version: ModelVersion) -> bool:
    """Keep one version (and its model, if that is new); return whether that is news."""
    row = connection.execute("SELECT 1 FROM models WHERE name = ?", (version.name,)).fetchone()
    connection.execute(
        "INSERT INTO models (name, updated, description) VALUES (?, ?, '') "
        "ON CONFLICT (name) DO UPDATE SET updated = MAX(updated, excluded.updated)",
        (version.name, version.created),
    )
    known = next(
        (v for v in _versions(connection, version.name) if v.version == version.version), None
    )
    changed = _write_version(connection, version, known)
    for alias in version.aliases:
        changed |= _take_alias(connection, version.name, alias, version.version)
    if changed or row is None:
        record_change(connection, "model", "created" if row is None else "updated", version.name)
    return changed


def forget_version(connection: sqlite3.Connection, name: str, version: int) -> bool:
    """Drop a version that MLflow no longer has."""
    cursor = connection.execute(
        "DELETE FROM model_versions WHERE name = ? AND version = ?", (name, version)
    )
    if cursor.rowcount:
        record_change(connection, "model", "updated", name)
    return bool(cursor.rowcount)


def move_alias(connection: sqlite3.Connection, name: str, alias: str, version: int | None) -> bool:
    """Put an alias on one version and take it from the others; return whether that is news."""
    changed = _take_alias(connection, name, alias, version)
    for known in _versions(connection, name):
        if known.version == version and alias not in known.aliases:
            aliases = tuple(sorted({*known.aliases, alias}))
            _write_version(connection, replace(known, aliases=aliases), known)
            changed = True
    if changed:
        record_change(connection, "model", "updated", name)
    return changed


def forget_models(connection: sqlite3.Connection, keep: Iterable[str]) -> None:
    """Drop the registered models that MLflow no longer has."""
    kept = set(keep)
    for row in connection.execute("SELECT name FROM models").fetchall():
        if row["name"] not in kept:
            connection.execute("DELETE FROM model_versions WHERE name = ?", (row["name"],))
            connection.execute("DELETE FROM models WHERE name = ?", (row["name"],))
            record_change(connection, "model", "removed", row["name"])


def read_models(connection: sqlite3.Connection) -> list[RegisteredModel]:
    """All registered models, the one that changed last first, versions newest first."""
    versions: dict[str, list[ModelVersion]] = {}
    for version in _with_runs(connection, _versions(connection)):
        versions.setdefault(version.name, []).append(version)
    rows = connection.execute("SELECT * FROM models ORDER BY updated DESC, name")
    return [
        RegisteredModel(
            row["name"], row["updated"], row["description"], tuple(versions.get(row["name"], ()))
        )
        for row in rows
    ]


def read_model(connection: sqlite3.Connection, name: str) -> RegisteredModel | None:
    """One registered model."""
    row = connection.execute("SELECT * FROM models WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    versions = _with_runs(connection, _versions(connection, name))
    return RegisteredModel(row["name"], row["updated"], row["description"], tuple(versions))


def read_version(connection: sqlite3.Connection, name: str, version: int) -> ModelVersion | None:
    """One version of a registered model."""
    model = read_model(connection, name)
    versions = model.versions if model is not None else ()
    return next((found for found in versions if found.version == version), None)


def clear(connection: sqlite3.Connection) -> None:
    """Forget everything: the project has another tracking server now."""
    for row in connection.execute("SELECT run_id FROM runs").fetchall():
        forget_run(connection, row["run_id"])
    forget_models(connection, ())


def _write_version(
    connection: sqlite3.Connection, version: ModelVersion, known: ModelVersion | None
) -> bool:
    if known is not None:
        version = replace(
            version,
            source=version.source or known.source,
            metrics=version.metrics or known.metrics,
            class_name=version.class_name or known.class_name,
            run_name=version.run_name or known.run_name,
            notebook=version.notebook or known.notebook,
            pipeline=version.pipeline or known.pipeline,
        )
        if _dump(version) == _dump(known):  # as text: NaN does not equal itself
            return False
    connection.execute(
        "INSERT INTO model_versions (name, version, created, detail) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (name, version) DO UPDATE SET created = excluded.created, "
        "detail = excluded.detail",
        (version.name, version.version, version.created, _dump(version)),
    )
    return True


def _take_alias(connection: sqlite3.Connection, name: str, alias: str, keeper: int | None) -> bool:
    changed = False
    for known in _versions(connection, name):
        if alias in known.aliases and known.version != keeper:
            aliases = tuple(other for other in known.aliases if other != alias)
            _write_version(connection, replace(known, aliases=aliases), known)
            changed = True
    return changed


def _versions(connection: sqlite3.Connection, name: str | None = None) -> list[ModelVersion]:
    rows = connection.execute(
        "SELECT detail FROM model_versions WHERE ? IS NULL OR name = ? ORDER BY name, version DESC",
        (name, name),
    )
    return [load_version(row) for row in rows]


def _with_runs(
    connection: sqlite3.Connection, versions: Sequence[ModelVersion]
) -> list[ModelVersion]:
    ids = [version.mlflow_run_id for version in versions if version.mlflow_run_id]
    runs = runs_by_mlflow_id(connection, ids)
    return [
        version
        if (run := runs.get(version.mlflow_run_id or "")) is None
        else replace(
            version,
            run_id=run.run_id,
            run_name=run.name,
            metrics=run.metrics,
            notebook=run.notebook or version.notebook,
            pipeline=run.pipeline or version.pipeline,
        )
        for version in versions
    ]


def _with_versions(connection: sqlite3.Connection, runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Say of each run which version it became."""
    made: dict[str, list[str]] = {}
    for row in connection.execute(
        "SELECT name, version, json_extract(detail, '$.mlflow_run_id') AS run FROM model_versions "
        "ORDER BY name, version"
    ):
        made.setdefault(row["run"], []).append(f"{row['name']}@{row['version']}")
    return [
        replace(run, registered=", ".join(made[run.mlflow_run_id]))
        if run.mlflow_run_id in made
        else run
        for run in runs
    ]


def load_run(row: sqlite3.Row) -> RunSummary:
    """The run in a row's ``summary``."""
    return RunSummary(**_load(RunSummary, row["summary"]))


def load_version(row: sqlite3.Row) -> ModelVersion:
    """The version in a row's ``detail``, as it was kept: without what its run says."""
    return ModelVersion(**_load(ModelVersion, row["detail"]))


def _dump(value: RunSummary | ModelVersion) -> str:
    return json.dumps(_standard(asdict(value)), sort_keys=True, allow_nan=False, default=repr)


def _standard(value: Any) -> Any:
    """NaN and infinities as text: SQLite's functions refuse them, as the JSON standard does."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _standard(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_standard(item) for item in value]
    return value


def _load(kind: type[RunSummary] | type[ModelVersion], text: str) -> dict[str, Any]:
    known = {field.name for field in fields(kind)}
    data = {name: value for name, value in json.loads(text).items() if name in known}
    data["metrics"] = {name: float(value) for name, value in data.get("metrics", {}).items()}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


def _range(prefix: str) -> tuple[str, str]:
    return prefix, prefix + "\x7f"
