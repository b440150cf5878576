"""The rows of the ``deployments`` table: what should be served, and which process serves it.

Writers race: a command deploys or stops, the agent restarts, a child reports that it serves.  Every
update may therefore be bound to the ``epoch`` that its writer knows; it then changes nothing once
another child has been started (or the row is gone), and says so.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..errors import MlopsError
from ..journal.process import ProcessIdentity
from ..journal.redaction import default_redactor
from .changes import record_change
from .db import StateDB

__all__ = [
    "DeploymentRow",
    "Status",
    "deployment_row",
    "deployment_rows",
    "drop_deployment",
    "insert_deployment",
    "update_deployment",
]

# waiting: its server ended, and the supervisor starts it again at ``next_start``.
Status = Literal["starting", "running", "waiting", "stopped", "failed"]
_SHOWN = {"status", "version", "port", "error", "wanted"}


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """One deployment as it is stored; times are seconds since the epoch.

    ``digest`` names the copy of the model that is served; ``failures`` counts the starts in a row
    that did not last, ``restarts`` all that came after the first.
    """

    id: str
    model: str
    selector: str
    version: int
    digest: str
    port: int
    token: str = field(repr=False)
    interpreter: str
    created: float
    host: str = "127.0.0.1"
    status: Status = "starting"
    error: MlopsError | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()
    machine: str | None = None
    pid: int | None = None
    pid_started: float | None = None
    boot_id: str | None = None
    wanted: bool = True
    epoch: int = 0
    restarts: int = 0
    failures: int = 0
    next_start: float = 0.0
    started: float | None = None

    @property
    def process(self) -> ProcessIdentity | None:
        """The process that was last started for it, if any."""
        if self.pid is None:
            return None
        return ProcessIdentity(
            self.machine or "", self.boot_id or "", self.pid, self.pid_started or 0.0
        )

    @property
    def alive(self) -> bool | None:
        """Whether that process lives; ``None`` where this machine cannot tell."""
        process = self.process
        return False if process is None else process.alive()


_COLUMNS = tuple(f.name for f in fields(DeploymentRow))


def deployment_rows(db: StateDB) -> list[DeploymentRow]:
    """All deployments, oldest first."""
    with db.read() as connection:
        found = connection.execute("SELECT * FROM deployments ORDER BY created, id").fetchall()
    return [_read(row) for row in found]


def deployment_row(db: StateDB, id: str) -> DeploymentRow | None:
    """The deployment ``id``, ``None`` if there is none."""
    with db.read() as connection:
        row = connection.execute("SELECT * FROM deployments WHERE id = ?", (id,)).fetchone()
    return None if row is None else _read(row)


def insert_deployment(db: StateDB, new: DeploymentRow) -> DeploymentRow:
    """Store ``new`` unless its model and selector are deployed already; return what is stored."""
    marks = ", ".join("?" for _ in _COLUMNS)
    with db.write() as connection:
        cursor = connection.execute(
            f"INSERT INTO deployments ({', '.join(_COLUMNS)}) VALUES ({marks}) "  # noqa: S608
            "ON CONFLICT (model, selector) DO NOTHING",
            [_stored(name, getattr(new, name)) for name in _COLUMNS],
        )
        if cursor.rowcount:
            record_change(connection, "deployment", "created", new.id)
        row = connection.execute(
            "SELECT * FROM deployments WHERE model = ? AND selector = ?", (new.model, new.selector)
        ).fetchone()
    return _read(row)


def update_deployment(
    db: StateDB,
    id: str,
    *,
    if_epoch: int | None = None,
    process: ProcessIdentity | None = None,
    **changes: Any,
) -> bool:
    """Set columns of one row; ``False`` when it is gone or its epoch is not ``if_epoch``.

    ``process`` sets the four columns that identify one.
    """
    if process is not None:
        changes |= {
            "machine": process.host,
            "pid": process.pid,
            "pid_started": process.started,
            "boot_id": process.boot_id,
        }
    unknown = set(changes) - set(_COLUMNS)
    if unknown or not changes:
        raise TypeError(f"no such columns: {sorted(unknown)}")
    # The names in the statement are this module's own, checked above.
    sets = ", ".join(f"{name} = ?" for name in changes)
    values = [_stored(name, value) for name, value in changes.items()]
    sql = f"UPDATE deployments SET {sets} WHERE id = ?"  # noqa: S608
    with db.write() as connection:
        if if_epoch is None:
            cursor = connection.execute(sql, (*values, id))
        else:
            cursor = connection.execute(sql + " AND epoch = ?", (*values, id, if_epoch))
        if cursor.rowcount and _SHOWN & set(changes):
            record_change(connection, "deployment", "updated", id)
        return cursor.rowcount == 1


def drop_deployment(db: StateDB, id: str) -> bool:
    """Delete the row; ``False`` if there is none."""
    with db.write() as connection:
        cursor = connection.execute("DELETE FROM deployments WHERE id = ?", (id,))
        if cursor.rowcount:
            record_change(connection, "deployment", "removed", id)
        return cursor.rowcount == 1


def _stored(name: str, value: Any) -> Any:
    if name == "warnings":
        return json.dumps(list(value))
    if name == "error" and value is not None:
        return json.dumps(default_redactor().redact_value("error", value.to_dict()), default=str)
    return int(value) if isinstance(value, bool) else value


def _read(row: sqlite3.Row) -> DeploymentRow:
    values = {name: row[name] for name in _COLUMNS}
    values["wanted"] = bool(values["wanted"])
    values["warnings"] = tuple(json.loads(values["warnings"]))
    if values["error"] is not None:
        values["error"] = MlopsError.from_dict(json.loads(values["error"]))
    return DeploymentRow(**values)
