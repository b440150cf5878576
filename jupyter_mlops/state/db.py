"""Opening ``state.db``: WAL, migrations, and write transactions that do not deadlock."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import CorruptError, ProjectError
from ..project import Project, file_lock

__all__ = ["StateDB"]

# Each entry moves the database from version i to i + 1 and is never edited once released.
_MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE leases (
        name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL,
        expires REAL NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,
        kind TEXT NOT NULL, action TEXT NOT NULL, id TEXT NOT NULL
    );

    -- Delivery: how far each session's journal has been delivered, and what last went wrong.
    CREATE TABLE delivery (
        session TEXT PRIMARY KEY, position INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0,
        error TEXT, closed INTEGER NOT NULL DEFAULT 0, updated REAL NOT NULL
    ) WITHOUT ROWID;

    -- The read model: what MLflow said when we last asked, so that a panel needs no MLflow.
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY, mlflow_run_id TEXT UNIQUE, started REAL NOT NULL,
        name TEXT NOT NULL, status TEXT NOT NULL, summary TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX runs_started ON runs (started);
    CREATE TABLE models (name TEXT PRIMARY KEY, updated REAL NOT NULL, description TEXT NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE model_versions (
        name TEXT NOT NULL, version INTEGER NOT NULL, created REAL NOT NULL, detail TEXT NOT NULL,
        PRIMARY KEY (name, version)
    ) WITHOUT ROWID;

    CREATE TABLE alias_history (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, by TEXT NOT NULL,
        name TEXT NOT NULL, alias TEXT NOT NULL, before INTEGER, after INTEGER,
        verdict TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0
    );

    CREATE TABLE schedules (
        id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, cron TEXT NOT NULL, timezone TEXT NOT NULL,
        parameters TEXT NOT NULL, catch_up TEXT NOT NULL, overlap TEXT NOT NULL,
        retries INTEGER NOT NULL, enabled INTEGER NOT NULL, created REAL NOT NULL,
        next_slot REAL, removed REAL
    ) WITHOUT ROWID;
    -- A slot is one moment at which a schedule is due; the primary key is what makes it fire once.
    -- The columns from holder to host say which process has claimed it, under which epoch.
    CREATE TABLE slots (
        schedule TEXT NOT NULL REFERENCES schedules (id), slot REAL NOT NULL,
        kind TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
        start_after REAL NOT NULL DEFAULT 0, epoch INTEGER NOT NULL DEFAULT 0, holder TEXT,
        lease_expires REAL, pid INTEGER, pid_started REAL, boot_id TEXT, host TEXT,
        started REAL, ended REAL, exit_code INTEGER, run_id TEXT, detail TEXT,
        PRIMARY KEY (schedule, slot)
    ) WITHOUT ROWID;
    CREATE INDEX slots_state ON slots (state);

    -- One row a model and selector; ``epoch`` grows with every child started, so that one that was
    -- given up finds out.  ``machine``, pid, start time and boot id are the child's identity.
    CREATE TABLE deployments (
        id TEXT PRIMARY KEY, model TEXT NOT NULL, selector TEXT NOT NULL, version INTEGER NOT NULL,
        digest TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL, token TEXT NOT NULL,
        status TEXT NOT NULL, error TEXT, warnings TEXT NOT NULL DEFAULT '[]',
        interpreter TEXT NOT NULL, machine TEXT, pid INTEGER, pid_started REAL, boot_id TEXT,
        wanted INTEGER NOT NULL, epoch INTEGER NOT NULL DEFAULT 0,
        restarts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
        next_start REAL NOT NULL DEFAULT 0, created REAL NOT NULL, started REAL,
        UNIQUE (model, selector)
    ) WITHOUT ROWID;
    """,
)


class StateDB:
    """A connection factory for one project's ``state.db``.

    Connections are per use and closed again: cheap in SQLite, and nothing is shared across
    threads or forks.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path: Path = project.database

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading: one consistent view, never blocked by a writer."""
        with self._open() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, committed at the end and rolled back on any exception.

        ``BEGIN IMMEDIATE``: a deferred transaction that reads and then writes fails with "database
        is locked" under contention, whatever the timeout.
        """
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        self.project.create()
        new = not self.path.exists()
        if new:
            # The mode of the file that SQLite makes follows the umask; ours must be private.
            with file_lock(self.project.state / "lock"):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=30.0, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version < len(_MIGRATIONS):
                self._migrate(connection)
            elif version > len(_MIGRATIONS):
                raise ProjectError(
                    f"{self.path} was made by a later version of jupyter-mlops",
                    hint="Upgrade this environment: pip install --upgrade jupyter-mlops",
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        with file_lock(self.project.state / "lock"):
            # WAL persists in the file.  The pragma reports the mode it got, and may fail silently
            # (network folders): then the default journal stays, which is correct and slower.
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for number in range(version, len(_MIGRATIONS)):
                # executescript commits on its own, so the transaction is spelled inside it.
                connection.executescript(
                    f"BEGIN IMMEDIATE;{_MIGRATIONS[number]};"
                    f"PRAGMA user_version = {number + 1};COMMIT;"
                )

    def _translate(self, error: sqlite3.DatabaseError) -> Exception:
        text = str(error)
        if "malformed" in text or "not a database" in text:
            return CorruptError(
                f"{self.path} is damaged: {text}",
                hint="Move it away; runs and models are in MLflow, and the journal is kept.",
            )
        if isinstance(error, sqlite3.OperationalError) and any(
            word in text for word in ("readonly", "read-only", "unable to open", "disk", "locked")
        ):
            return ProjectError(
                f"{self.path} cannot be used: {text}",
                hint="Make the project folder writable, or set JUPYTER_MLOPS_HOME.",
            )
        return error
