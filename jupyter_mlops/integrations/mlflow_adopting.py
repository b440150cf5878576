"""Copying the runs and models of another MLflow into the project's own store, and out again.

Rows are written as MLflow's own tables hold them, in one transaction: ten thousand runs take
seconds, where its client would take minutes.  Runs and stored models keep their ids and stay where
their artifacts are, so that copying again adds only what is new and the original is not touched.
What was copied carries the tag ``mlops.adopted_from``.
"""

# Names of tables and columns are this module's own and those of the project's own database.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..errors import ConflictError, CorruptError
from ..model.ports import Copied
from ..model.registry import RunSummary
from .mlflow_reading import run_summary
from .mlflow_sources import FolderSource, Source, SqliteSource, open_source
from .mlflow_writing import experiment_folder

__all__ = ["ADOPTED_FROM", "copy_runs", "remove_copied"]

ADOPTED_FROM = "mlops.adopted_from"
_CHUNK = 5000
_STATUSES = {"SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"}
_BY_RUN = ("params", "tags", "metrics", "latest_metrics")
_BY_MODEL = ("logged_model_params", "logged_model_tags", "logged_model_metrics")
_NAMED = (
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
)
Row = dict[str, Any]


def copy_runs(
    uri: str,
    database: Path,
    artifact_root: Path,
    *,
    redact: Callable[[str, str], str],
    dry_run: bool,
    timeout: float,
) -> Copied:
    """Copy what the MLflow at ``uri`` has and the store ``database`` has not.

    ``redact`` takes the name and the value of a parameter or tag.  Raises ``ConflictError`` when
    both are one, ``CorruptError`` for a database that is none of MLflow's, and the errors of
    ``open_source``.
    """
    source = open_source(uri, timeout)
    if isinstance(source, SqliteSource) and source.path == database.resolve():
        raise ConflictError(
            f"{source.path} is the project's own store", hint="Its runs are listed already."
        )
    with _writing(database) as connection:
        copy = _Copy(source, connection, artifact_root, redact)
        copied = copy.run()
        if dry_run:
            connection.rollback()
        return copied


def remove_copied(label: str, database: Path) -> Copied:
    """Take back what was copied from ``label``; the original is not touched.

    Runs that a model version was made from here since stay, and are named.
    """
    with _writing(database) as connection:
        return _remove(connection, label)


class _Copy:
    def __init__(
        self,
        source: Source,
        connection: sqlite3.Connection,
        artifact_root: Path,
        redact: Callable[[str, str], str],
    ) -> None:
        self.source = source
        self.connection = connection
        self.artifact_root = artifact_root
        self.redact = redact
        self.experiments: dict[str, tuple[int, str]] = {}  # theirs -> ours, name
        self.runs: dict[str, Row] = {}  # theirs that are here, or come now
        self.skipped: list[str] = []
        self._columns: dict[str, list[str]] = {}

    def run(self) -> Copied:
        here = {row[0] for row in self.connection.execute("SELECT run_uuid FROM runs")}
        ours = self._ids("SELECT run_uuid FROM tags WHERE key = ? AND value = ?")
        found = [row for row in self.source.rows("runs") if _is_active(row)]
        self._experiments({str(row["experiment_id"]) for row in found})
        for row in found:
            run_id, place = str(row["run_uuid"]), self.experiments.get(str(row["experiment_id"]))
            if place is None:
                continue  # of an experiment that was deleted
            if run_id in here and run_id not in ours:
                self.skipped.append(f"run {row.get('name') or run_id}: it is here already")
                continue
            # MLflow itself fails on a run that lacks one of these.
            self.runs[run_id] = {
                **row,
                "name": row.get("name") or "",
                "user_id": row.get("user_id") or "unknown",
                "status": row["status"] if row.get("status") in _STATUSES else "FINISHED",
                "start_time": row.get("start_time") or 0,
                "experiment_id": place[0],
                "experiment": place[1],
                "artifact_uri": self._place(row.get("artifact_uri")) or "",
                "lifecycle_stage": "active",
            }
        new = [run_id for run_id in self.runs if run_id not in here]
        self._insert("runs", self.runs.values(), "REPLACE")
        values = {table: self._values(table) for table in _BY_RUN}
        self._insert(
            "tags",
            ({"key": ADOPTED_FROM, "value": self.source.label, "run_uuid": r} for r in self.runs),
            "IGNORE",
        )
        self._inputs()
        self._logged_models()
        models = self._models()
        return Copied(
            source=self.source.label,
            runs=tuple(self._summaries(values)),
            new=len(new),
            models=models,
            skipped=tuple(self.skipped),
        )

    def _experiments(self, wanted: set[str]) -> None:
        known = dict(
            self.connection.execute(
                "SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"
            )
        )
        gone = {
            row[0]
            for row in self.connection.execute(
                "SELECT name FROM experiments WHERE lifecycle_stage <> 'active'"
            )
        }
        for row in self.source.rows("experiments"):
            theirs, name = str(row["experiment_id"]), str(row["name"])
            if theirs not in wanted or not _is_active(row):
                continue
            if name in gone:
                self.skipped.append(f"experiment {name}: it was deleted here")
                continue
            if name not in known:
                place = (self.artifact_root / experiment_folder(name)).as_uri()
                cursor = self.connection.execute(
                    "INSERT INTO experiments (name, artifact_location, lifecycle_stage, "
                    "creation_time, last_update_time) VALUES (?, ?, 'active', ?, ?)",
                    (name, place, row.get("creation_time"), row.get("last_update_time")),
                )
                known[name] = cursor.lastrowid
                self.connection.execute(
                    "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, ?)",
                    (ADOPTED_FROM, self.source.label, known[name]),
                )
            self.experiments[theirs] = (int(known[name]), name)

    def _values(self, table: str) -> dict[str, dict[str, Any]]:
        """Copy one table of values; return those that a summary shows, by run."""
        found: dict[str, dict[str, Any]] = {run_id: {} for run_id in self.runs}

        def rows() -> Iterator[Row]:
            for row in self.source.rows(table):
                run_id = str(row["run_uuid"])
                if run_id not in found:
                    continue
                if table in ("params", "tags"):
                    row["value"] = self.redact(str(row["key"]), str(row["value"] or ""))
                nan = row.get("is_nan")
                found[run_id][row["key"]] = float("nan") if nan else row["value"]
                yield row

        self._insert(table, rows(), "REPLACE" if table == "latest_metrics" else "IGNORE")
        return {} if table == "metrics" else found

    def _inputs(self) -> None:
        known = {
            (row[0], row[1], row[2]): row[3]
            for row in self.connection.execute(
                "SELECT experiment_id, name, digest, dataset_uuid FROM datasets"
            )
        }
        ids: dict[str, str] = {}
        new: list[Row] = []
        for row in self.source.rows("datasets"):
            place = self.experiments.get(str(row["experiment_id"]))
            if place is None:
                continue
            key = (place[0], row["name"], row["digest"])
            if key not in known:
                known[key] = row["dataset_uuid"]
                new.append({**row, "experiment_id": place[0]})
            ids[row["dataset_uuid"]] = known[key]
        self._insert("datasets", new, "IGNORE")
        links = [
            {**row, "source_id": ids.get(row["source_id"], row["source_id"])}
            for row in self.source.rows("inputs")
            if row["destination_id"] in self.runs or row["source_id"] in self.runs
        ]
        self._insert("inputs", links, "IGNORE")
        made = {row["input_uuid"] for row in links}
        tags = (row for row in self.source.rows("input_tags") if row["input_uuid"] in made)
        self._insert("input_tags", tags, "IGNORE")

    def _logged_models(self) -> None:
        kept: dict[str, int] = {}
        rows = []
        for row in self.source.rows("logged_models"):
            if _is_active(row) and str(row.get("source_run_id")) in self.runs:
                place = self.experiments[str(row["experiment_id"])][0]
                kept[row["model_id"]] = place
                location = self._place(row["artifact_location"])
                rows.append({**row, "experiment_id": place, "artifact_location": location})
        self._insert("logged_models", rows, "IGNORE")
        for table in _BY_MODEL:
            self._insert(
                table,
                (
                    {**row, "experiment_id": kept[row["model_id"]]}
                    for row in self.source.rows(table)
                    if row["model_id"] in kept
                ),
                "IGNORE",
            )

    def _models(self) -> tuple[str, ...]:
        """Copy registered models whose name is free or was copied before; return their names."""
        here = {row[0] for row in self.connection.execute("SELECT name FROM registered_models")}
        ours = self._ids("SELECT name FROM registered_model_tags WHERE key = ? AND value = ?")
        rows = []
        for row in self.source.rows("registered_models"):
            if row["name"] in here and row["name"] not in ours:
                self.skipped.append(f"model {row['name']}: a model of that name is here already")
            else:
                rows.append(row)
        names = {row["name"] for row in rows}
        self._insert("registered_models", rows, "IGNORE")
        self._insert(
            "registered_model_tags",
            ({"key": ADOPTED_FROM, "value": self.source.label, "name": name} for name in names),
            "IGNORE",
        )
        for table in _NAMED:
            found = (row for row in self.source.rows(table) if row["name"] in names)
            if table == "model_versions":
                found = (
                    {
                        **row,
                        "status": row.get("status") or "READY",
                        "current_stage": row.get("current_stage") or "None",
                        "creation_time": row.get("creation_time") or 0,
                        "source": self._place(row.get("source")),
                        "storage_location": self._place(row.get("storage_location")),
                    }
                    for row in found
                    if row.get("current_stage") != "Deleted_Internal"
                )
            self._insert(table, found, "IGNORE")
        return tuple(sorted(names))

    def _summaries(self, values: Mapping[str, Any]) -> Iterator[RunSummary]:
        for run_id, row in self.runs.items():
            info = SimpleNamespace(
                run_id=run_id,
                run_name=row.get("name") or values["tags"][run_id].get("mlflow.runName"),
                status=row["status"],
                start_time=row.get("start_time"),
                end_time=row.get("end_time"),
            )
            data = SimpleNamespace(
                tags=values["tags"][run_id],
                params=values["params"][run_id],
                metrics=values["latest_metrics"][run_id],
            )
            yield run_summary(SimpleNamespace(info=info, data=data), row["experiment"])

    def _insert(self, table: str, rows: Iterable[Row], otherwise: str) -> None:
        """Insert rows, by the columns that this version of MLflow's table has."""
        wanted: list[str] | None = None
        part: list[tuple[Any, ...]] = []
        statement = ""
        for row in rows:
            names = [name for name in self._table(table) if name in row]
            if names != wanted or len(part) >= _CHUNK:
                self.connection.executemany(statement, part) if part else None
                part, wanted = [], names
                marks = ", ".join("?" * len(names))
                statement = (
                    f"INSERT OR {otherwise} INTO {table} ({', '.join(names)}) VALUES ({marks})"
                )
            part.append(tuple(row[name] for name in names))
        if part:
            self.connection.executemany(statement, part)

    def _table(self, table: str) -> list[str]:
        if table not in self._columns:
            rows = self.connection.execute(f"PRAGMA table_info({table})")
            # One workspace here, whatever they had.
            self._columns[table] = [row[1] for row in rows if row[1] != "workspace"]
        return self._columns[table]

    def _ids(self, query: str) -> set[str]:
        return {row[0] for row in self.connection.execute(query, (ADOPTED_FROM, self.source.label))}

    def _place(self, uri: Any) -> Any:
        """An artifact address that is relative is so to the folder that MLflow was run in."""
        if not isinstance(uri, str) or "://" in uri or ":/" in uri or uri.startswith("/"):
            return uri
        if not uri or not isinstance(self.source, (SqliteSource, FolderSource)):
            return uri
        return (self.source.path.parent / uri).resolve().as_uri()


def _remove(connection: sqlite3.Connection, label: str) -> Copied:
    mark = (ADOPTED_FROM, label)
    models = {
        row[0]
        for row in connection.execute(
            "SELECT name FROM registered_model_tags WHERE key = ? AND value = ?", mark
        )
    }
    connection.execute("CREATE TEMP TABLE gone (id TEXT PRIMARY KEY)")
    connection.execute(
        "INSERT INTO gone SELECT run_uuid FROM tags WHERE key = ? AND value = ?", mark
    )
    skipped = []
    for name, run_id in connection.execute(
        "SELECT name, run_id FROM model_versions WHERE run_id IN (SELECT id FROM gone)"
    ).fetchall():
        if name not in models:
            connection.execute("DELETE FROM gone WHERE id = ?", (run_id,))
            skipped.append(f"run {run_id}: the model {name} was made from it")
    count = connection.execute("SELECT count(*) FROM gone").fetchone()[0]
    ids = [row[0] for row in connection.execute("SELECT id FROM gone")]
    in_gone = "IN (SELECT id FROM gone)"
    in_models = f"IN (SELECT model_id FROM logged_models WHERE source_run_id {in_gone})"
    for statement in (
        f"DELETE FROM input_tags WHERE input_uuid IN (SELECT input_uuid FROM inputs "
        f"WHERE destination_id {in_gone} OR source_id {in_gone})",
        f"DELETE FROM inputs WHERE destination_id {in_gone} OR source_id {in_gone}",
        *(f"DELETE FROM {table} WHERE model_id {in_models}" for table in _BY_MODEL),
        f"DELETE FROM logged_models WHERE source_run_id {in_gone}",
        *(f"DELETE FROM {table} WHERE run_uuid {in_gone}" for table in (*_BY_RUN, "runs")),
    ):
        connection.execute(statement)
    for name in models:
        for table in (*reversed(_NAMED), "registered_models"):
            connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))
    empty = (
        "SELECT experiment_id FROM experiment_tags WHERE key = ? AND value = ? AND experiment_id "
        "NOT IN (SELECT experiment_id FROM runs)"
    )
    for (experiment,) in connection.execute(empty, mark).fetchall():
        for table in ("datasets", "experiment_tags", "experiments"):
            connection.execute(f"DELETE FROM {table} WHERE experiment_id = ?", (experiment,))
    connection.execute("DROP TABLE gone")
    return Copied(
        label, new=count, models=tuple(sorted(models)), skipped=tuple(skipped), ids=tuple(ids)
    )


@contextlib.contextmanager
def _writing(database: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on MLflow's database: all of it, or nothing."""
    with contextlib.closing(
        sqlite3.connect(database, timeout=30.0, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise CorruptError(f"{database} could not take the runs: {error}") from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _is_active(row: Row) -> bool:
    return row.get("lifecycle_stage") in (None, "active")
