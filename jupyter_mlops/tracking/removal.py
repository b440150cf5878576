"""Deleting a run so that it can be restored, restoring, renaming and noting it.

Each writes to MLflow first and then keeps what MLflow shows in the read model, so that whoever
watches follows.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
from dataclasses import dataclass

from ..config import Config
from ..errors import ConflictError, NotFoundError, UsageError
from ..journal.redaction import redact_text
from ..model.ids import is_ulid
from ..model.ports import TrackingBackend
from ..model.registry import RunSummary
from ..project import Project
from ..state import StateDB
from ..state.meta import get_meta, put_meta
from ..state.readmodel import forget_run, put_run
from .queries import find_run
from .target import has_state, open_backend

__all__ = ["RunChange", "delete_run", "note_run", "rename_run", "restore_run"]

_REMOVED = "removed_runs"  # meta: our id -> MLflow's, the last ones last
_REMEMBERED = 1000
_NAME_LENGTH = 250  # MLflow's limit
_NOTE_LENGTH = 5000  # MLflow's limit of its own pages; its tags hold 8,000


@dataclass(frozen=True, slots=True)
class RunChange:
    """What a change made of a run: ``run`` as it is now (as it was, if it was deleted).

    ``before`` is the name or note that was replaced; ``undo`` the command that takes it back.
    """

    run: RunSummary
    undo: str
    before: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """The change as plain data: the REST API's ``RunChange``."""
        return {
            "run_id": self.run.run_id,
            "mlflow_run_id": self.run.mlflow_run_id,
            "name": self.run.name,
            "note": self.run.note,
            "before": self.before,
            "undo": self.undo,
        }


def delete_run(project: Project, config: Config, text: str) -> RunChange:
    """Delete a run softly in MLflow, which keeps it; ``restore_run`` brings it back.

    Raises ``NotFoundError`` for no such run, ``ConflictError`` for one that is not delivered yet or
    that a model version was made from, ``ServiceError`` when MLflow does not answer.
    """
    run, mlflow_id = _delivered(project, text)
    if run.registered and "@" in run.registered:
        raise ConflictError(
            f"run {run.name} ({run.run_id}) is where {run.registered} comes from",
            hint="A version whose run is gone has no metrics for a gate to judge.",
        )
    _open(project, config).delete_run(mlflow_id)
    with StateDB(project).write() as connection:
        removed = get_meta(connection, _REMOVED, {})
        removed.pop(run.run_id, None)
        removed[run.run_id] = mlflow_id
        put_meta(connection, _REMOVED, dict(list(removed.items())[-_REMEMBERED:]))
        forget_run(connection, run.run_id)
    return RunChange(run, f"jupyter mlops runs restore {run.run_id}")


def restore_run(project: Project, config: Config, text: str) -> RunChange:
    """Bring a deleted run back.

    ``text`` is our id or MLflow's, or a unique beginning of one that was deleted from here.  Raises
    ``ConflictError`` for a run that is not deleted, ``NotFoundError`` for one that MLflow does not
    have (any more), ``ServiceError`` when MLflow does not answer.
    """
    text = text.strip()
    _refuse_present(project, text)
    found = _remembered(project, text)
    backend = _open(project, config)
    mlflow_id = found[1] if found else None
    if mlflow_id is None and is_ulid(text.upper()):
        mlflow_id = backend.find_run(text.upper())
    if mlflow_id is None and re.fullmatch(r"[0-9a-f]{32}", text.lower()):
        mlflow_id = text.lower()
    if mlflow_id is None:
        raise NotFoundError(
            f"no deleted run {text!r} is known in {project.root}",
            hint="Give its whole run id, or MLflow's.",
            run=text,
        )
    backend.restore_run(mlflow_id)
    run = _reread(project, backend, mlflow_id)
    with StateDB(project).write() as connection:
        removed = get_meta(connection, _REMOVED, {})
        if removed.pop(run.run_id, None) is not None:
            put_meta(connection, _REMOVED, removed)
    return RunChange(run, f"jupyter mlops runs rm {run.run_id}")


def rename_run(project: Project, config: Config, text: str, name: str) -> RunChange:
    """Give a run another name.

    Raises ``UsageError`` for a name that cannot be one, and as ``delete_run`` does.
    """
    name = name.strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise UsageError(
            f"{name[:40]!r} cannot name a run",
            hint=f"Use 1 to {_NAME_LENGTH} characters in one line.",
        )
    before, mlflow_id = _delivered(project, text)
    backend = _open(project, config)
    backend.rename_run(mlflow_id, _clean(config, name))
    run = _reread(project, backend, mlflow_id)
    undo = f"jupyter mlops runs rename {run.run_id} {_word(before.name)}"
    return RunChange(run, undo, before.name)


def note_run(project: Project, config: Config, text: str, note: str) -> RunChange:
    """Replace a run's note (Markdown, as MLflow's own page shows it); an empty one removes it.

    Raises ``UsageError`` for a note longer than 5,000 characters, and as ``delete_run`` does.
    """
    note = note.strip()
    if len(note) > _NOTE_LENGTH or "\x00" in note:
        raise UsageError(f"a note holds at most {_NOTE_LENGTH:,} characters, not {len(note):,}")
    _, mlflow_id = _delivered(project, text)
    backend = _open(project, config)
    before = backend.tags(mlflow_id).get("mlflow.note.content") or None
    backend.note_run(mlflow_id, _clean(config, note))
    run = _reread(project, backend, mlflow_id)
    undo = f"jupyter mlops runs note {run.run_id} "
    return RunChange(run, undo + ("--clear" if before is None else _word(before)), before)


def _delivered(project: Project, text: str) -> tuple[RunSummary, str]:
    run = find_run(project, text)
    if run.mlflow_run_id is None:
        raise ConflictError(
            f"run {run.name} ({run.run_id}) has not been delivered yet",
            hint="Deliver it first: jupyter mlops sync",
        )
    return run, run.mlflow_run_id


def _open(project: Project, config: Config) -> TrackingBackend:
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    return backend


def _reread(project: Project, backend: TrackingBackend, mlflow_id: str) -> RunSummary:
    run = backend.run(mlflow_id)
    with StateDB(project).write() as connection:
        if run is not None:
            put_run(connection, run)
            return run
        forget_run(connection, mlflow_id)
    raise NotFoundError(f"MLflow does not have run {mlflow_id} any more", run=mlflow_id)


def _refuse_present(project: Project, text: str) -> None:
    try:
        run = find_run(project, text)
    except NotFoundError:
        return
    raise ConflictError(f"run {run.name} ({run.run_id}) is not deleted", run=run.run_id)


def _remembered(project: Project, text: str) -> tuple[str, str] | None:
    """Our id and MLflow's of a run that was deleted from here."""
    if not has_state(project) or not text:
        return None
    with StateDB(project).read() as connection:
        removed = _removed(connection)
    found = {
        run_id: mlflow_id
        for run_id, mlflow_id in removed.items()
        if run_id.lower().startswith(text.lower()) or mlflow_id.startswith(text.lower())
    }
    if len(found) > 1:
        raise UsageError(
            f"several deleted runs begin with {text!r}: {', '.join(sorted(found)[:5])}",
            hint="Give a few more characters of the run id.",
        )
    return next(iter(found.items()), None)


def _removed(connection: sqlite3.Connection) -> dict[str, str]:
    found: dict[str, str] = get_meta(connection, _REMOVED, {})
    return found


def _clean(config: Config, text: str) -> str:
    """What a person types may hold a secret as well as what a cell prints."""
    return redact_text(text) if config.redact else text


def _word(text: str) -> str:
    """A word for a shell; ``--`` before what looks like an option."""
    return ("-- " if text.startswith("-") else "") + shlex.quote(text)
