"""What the journal holds, as frozen dataclasses.

The wire form is ``to_dict()``: JSON objects with a ``"type"``.  The format is additive: a reader
ignores keys it does not know and gives missing ones their default, so a kernel and a server with
different versions of this package understand each other.  ``SCHEMA`` changes only when an old
reader would misread a new record.  Times are seconds since the epoch (UTC), durations seconds.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

__all__ = [
    "SCHEMA",
    "CellEvent",
    "FileRecord",
    "ModelRecord",
    "RunRecord",
    "RunStarted",
    "SessionHeader",
    "record_from_dict",
]

SCHEMA = 1

STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING")


class _Record:
    type: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object that the journal stores."""
        return {"type": self.type} | {
            f.name: _plain(getattr(self, f.name))
            for f in fields(self)  # type: ignore[arg-type]
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the record from its wire form; unknown keys are ignored.

        Raises ``TypeError`` when a field without a default is missing.
        """
        hints = get_type_hints(cls)
        known = {
            f.name: _restore(data[f.name], hints[f.name])
            for f in fields(cls)  # type: ignore[arg-type]
            if f.name in data
        }
        return cls(**known)


@dataclass(frozen=True, slots=True)
class SessionHeader(_Record):
    """First record of a journal file: who wrote it.

    ``boot_id``, ``pid`` and ``pid_started`` together tell whether the writer still lives
    (``pid_started`` is that of ``journal.ProcessIdentity``: on Linux in seconds since the boot).
    ``kind`` is ``kernel`` or ``runner``.  ``sys_path`` is not kept; ``cwd`` is.
    """

    type: ClassVar[str] = "session"
    session: str
    started: float
    interpreter: str
    python: str
    version: str
    pid: int
    pid_started: float
    boot_id: str
    host: str
    cwd: str
    kind: str = "kernel"
    notebook: str | None = None
    kernel_id: str | None = None
    user: str | None = None
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class FileRecord(_Record):
    """A file beside a run (a figure, an executed notebook): its name there, its bytes in a blob."""

    type: ClassVar[str] = "file"
    name: str
    blob: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class CellEvent(_Record):
    """One executed cell, tracked or plain.

    ``source`` is the cell as executed (``%%track`` line included); ``options`` the parsed
    ``%%track`` options, or ``None`` for a plain cell; ``bound`` the names it bound, in order.
    ``status`` is ``ok``, ``error`` or ``interrupted``.
    """

    type: ClassVar[str] = "cell"
    session: str
    seq: int
    source: str
    started: float
    ended: float
    status: str
    cell_id: str | None = None
    options: dict[str, Any] | None = None
    bound: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    evidence: dict[str, Any] | None = None
    error: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ModelRecord(_Record):
    """A fitted estimator of a run.

    ``format`` is ``pickle5`` or ``cloudpickle`` (a signed dictionary ``{"model", "example"}``, see
    ``journal.signing``) or ``skops`` (the bytes of a skops file).  ``blob`` is ``None`` where the
    bytes were not kept; ``reason`` then says why.  ``example_name`` is the expression that was
    fitted on, where it is a plain name.
    """

    type: ClassVar[str] = "model"
    name: str
    class_name: str
    blob: str | None = None
    format: str = "pickle5"
    signature: str | None = None
    size: int = 0
    reason: str | None = None
    example_name: str | None = None
    example_blob: str | None = None
    example_format: str | None = None


@dataclass(frozen=True, slots=True)
class RunStarted(_Record):
    """A run that has begun; without a matching ``RunRecord`` its process was killed."""

    type: ClassVar[str] = "run_started"
    run_id: str
    session: str
    started: float
    name: str
    experiment: str | None = None
    kind: str = "cell"
    notebook: str | None = None
    pipeline: str | None = None
    parent: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord(_Record):
    """A run that has ended.

    ``kind`` is ``cell`` (a tracked cell, ``seq`` is its CellEvent), ``notebook`` or ``pipeline``.
    ``notebook`` is relative to the project root where it lies below it.  ``register`` names the
    registered model that ``register_model`` (a ``ModelRecord.name``) becomes a version of.
    """

    type: ClassVar[str] = "run"
    run_id: str
    session: str
    name: str
    status: str
    started: float
    ended: float
    kind: str = "cell"
    seq: int | None = None
    experiment: str | None = None
    notebook: str | None = None
    pipeline: str | None = None
    parent: str | None = None
    source: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    models: tuple[ModelRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
    register: str | None = None
    register_model: str | None = None
    git_commit: str | None = None
    error: dict[str, str] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.ended - self.started


_TYPES: dict[str, type[_Record]] = {
    record.type: record for record in (SessionHeader, CellEvent, RunStarted, RunRecord)
}


def record_from_dict(data: Mapping[str, Any]) -> _Record | None:
    """Return the record in ``data``, ``None`` if its type is of a later version."""
    kind = _TYPES.get(str(data.get("type")))
    return None if kind is None else kind.from_dict(data)


def _plain(value: Any) -> Any:
    if isinstance(value, _Record):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _restore(value: Any, hint: Any) -> Any:
    if get_origin(hint) is types.UnionType:
        if value is None:
            return None
        hint = next(t for t in get_args(hint) if t is not type(None))
    if get_origin(hint) is tuple and isinstance(value, list):
        (item, *_) = get_args(hint)
        return tuple(_restore(v, item) for v in value)
    if isinstance(hint, type) and issubclass(hint, _Record) and isinstance(value, Mapping):
        return hint.from_dict(value)
    return value
