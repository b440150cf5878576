"""Making the project's own MLflow store: a SQLite file in WAL, complete or not there at all."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import CorruptError, MlopsError, ProjectError
from .mlflow_environment import translate, using

__all__ = ["ensure_wal", "initialise"]


def initialise(path: Path, artifact_root: Path) -> bool:
    """Make the store ``path`` if it does not exist; return whether it is in WAL mode.

    The caller holds a lock: MLflow's migrations crash when several processes run them on one fresh
    database.  They run on a temporary file that is moved into place, so that a process killed
    meanwhile leaves nothing half-made.  WAL costs a thirtieth of the fsyncs of a run; where the
    file system cannot do it, SQLite's default journal stays, which is correct and slower.
    """
    if path.exists():
        return ensure_wal(path)
    temporary = path.with_name(f".{path.name}.tmp")
    _remove(temporary)  # of one who was killed
    try:
        artifact_root.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        ensure_wal(temporary)
        _migrate(temporary, artifact_root)
        wal = _checkpoint(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except MlopsError:  # some are an OSError, too
        raise
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be made: {error.strerror or error}",
            hint="Make the project folder writable, or set JUPYTER_MLOPS_HOME.",
        ) from error
    finally:
        _remove(temporary)
    return wal


def ensure_wal(path: Path) -> bool:
    """Put a SQLite file into WAL mode, which persists in it; return whether it is.

    Somebody else's open transaction can be in the way (``mlflow ui`` on a store that it has made):
    then it stays as it is until the next time.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=5.0)) as connection:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                # The answer is the mode that it is in now: a failure is silent.
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            return False
        except sqlite3.DatabaseError as error:
            raise CorruptError(
                f"{path} is damaged: {error}",
                hint="Put a copy of it back, or move it away: a new one is made then.",
            ) from error
    return bool(mode == "wal")


def _migrate(path: Path, artifact_root: Path) -> None:
    uri = f"sqlite:///{path}"
    try:
        with using(None, 30.0), _quiet_migrations():
            stores: Any = import_module("mlflow.store.tracking.sqlalchemy_store")
            # The artifact root becomes that of MLflow's own "Default" experiment.
            stores.SqlAlchemyStore(uri, artifact_root.as_uri()).engine.dispose()
    except OSError:
        raise
    except Exception as error:
        raise translate(error, uri) from error


def _checkpoint(path: Path) -> bool:
    """Move everything from the write-ahead log into the file, durably."""
    with contextlib.closing(sqlite3.connect(path, timeout=5.0)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return bool(mode == "wal")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(name).unlink()


@contextlib.contextmanager
def _quiet_migrations() -> Iterator[None]:
    """Alembic tells each of its forty steps to stderr."""
    names = ("alembic", "mlflow.store.db.utils")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
