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
    "BEING_KEPT",
    "SCHEMA",
    "CellEvent",
    "EnvironmentRecord",
    "FileRecord",
    "InputRecord",
    "ModelRecord",
    "RunAmended",
    "RunProgress",
    "RunRecord",
    "RunStarted",
    "SessionHeader",
    "record_from_dict",
]

SCHEMA = 1

# The ``reason`` of an input whose data are being kept: a ``RunAmended`` will say what became of it.
BEING_KEPT = "it is being kept"

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
        hints = _hints(cls)
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
    """A file beside a run (a figure, an executed notebook): its name there and its content.

    The content is in ``blob``, or, where it is a short text, in ``text`` itself.  ``kind`` is
    ``file``, ``figure``, ``table``, ``output`` (stdout and stderr), ``traceback``, ``code`` (a
    diff) or ``notebook``.  ``size`` is that of the content as it was, in bytes: what was cut off is
    the difference.  ``reason`` says why nothing, or not all, was kept.
    """

    type: ClassVar[str] = "file"
    name: str
    blob: str | None = None
    size: int = 0
    kind: str = "file"
    text: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class InputRecord(_Record):
    """Something that a run's result depends on: a frame, an array, a file.

    ``kind`` is ``frame``, ``series``, ``array``, ``sparse``, ``table``, ``file``, ``folder`` or
    ``object``.  ``digest`` is ``blake3:`` and 64 hex digits of the design's Merkle tree (of a file:
    of its bytes), ``None`` with the ``reason`` where there is none.  ``schema`` maps columns to
    types; ``source`` is the path (relative to the project root where it lies below) or address that
    it was read from.  ``how`` says how it was seen: ``used`` (a variable that the cell reads),
    ``read`` (a reader's call), ``opened`` (the operating system's open) or ``earlier`` (a file that
    a cell before it read, and that it depends on).  ``size`` is in bytes.
    ``snapshot`` is the version that keeps it (``name@3``) and ``added`` the bytes that this version
    was new on disk; ``None`` where its data are not kept, and ``reason`` may say why.
    """

    type: ClassVar[str] = "input"
    name: str
    kind: str
    digest: str | None = None
    rows: int | None = None
    columns: int | None = None
    size: int = 0
    schema: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    how: str = "used"
    reason: str | None = None
    snapshot: str | None = None
    added: int = 0


@dataclass(frozen=True, slots=True)
class EnvironmentRecord(_Record):
    """What a session's interpreter is and has; runs name it by ``digest``.

    ``packages`` maps distributions to versions; ``lock`` is the text of a requirements file that
    ``uv pip install -r`` accepts.  ``hardware`` holds ``cpu``, ``cores``, ``memory`` (bytes) and
    ``gpu`` (names).  Written again when what is installed changes.
    """

    type: ClassVar[str] = "environment"
    session: str
    digest: str
    python: str
    platform: str
    packages: dict[str, str] = field(default_factory=dict)
    lock: str = ""
    hardware: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunProgress(_Record):
    """What a run has logged while it still goes on.

    ``points`` are ``[name, step, value, time]``.  A run whose process was killed is closed with
    these; a ``RunRecord`` has them again, in ``series``.
    """

    type: ClassVar[str] = "progress"
    run_id: str
    session: str
    points: tuple[list[Any], ...] = ()
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunAmended(_Record):
    """What became known of a run after its record was written: digests and diffs that take time.

    Everything in it is added to the run; an input of the same name and source replaces the one
    before it.
    """

    type: ClassVar[str] = "run_amended"
    run_id: str
    session: str
    time: float
    inputs: tuple[InputRecord, ...] = ()
    files: tuple[FileRecord, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellEvent(_Record):
    """One executed cell, tracked or plain.

    ``source`` is the cell as executed (``%%track`` line included); ``options`` the parsed
    ``%%track`` options, or ``None`` for a plain cell; ``bound`` the names it bound, in order.
    ``private`` says that the person keeps the cell to themselves: its source is then empty.
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
    private: bool = False


@dataclass(frozen=True, slots=True)
class ModelRecord(_Record):
    """A fitted estimator of a run.

    ``format`` is ``pickle5`` or ``cloudpickle`` (a signed dictionary ``{"model", "example"}``, see
    ``journal.signing``) or ``skops`` (the bytes of a skops file).  ``blob`` is ``None`` where the
    bytes were not kept; ``reason`` then says why.  ``example_name`` is the expression that was
    fitted on, where it is a plain name.

    ``flavor`` is MLflow's name for the kind of model (``sklearn``, ``xgboost``, ``lightgbm``,
    ``pytorch``, ``keras``, ``statsmodels``, ``python``); ``consent`` says who allowed a format that
    runs code when it is loaded, and where (``None``: nobody); ``requirements`` are pins of what is
    loaded that the model needs.
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
    flavor: str = "sklearn"
    consent: str | None = None
    requirements: tuple[str, ...] = ()


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

    ``params`` are what the person chose (literals, ``--param``), ``hyperparameters`` what fitted
    estimators say of themselves; a name in both is the person's.  ``series`` maps a metric to
    ``[step, value, time]``; its last value is in ``metrics``, too.  ``environment`` is the digest
    of an ``EnvironmentRecord`` of the same session.  ``modules`` maps files of the project that are
    imported to their BLAKE3 digest; ``seeds`` maps what was seeded to the seed.  ``resources``
    holds ``wall_seconds``, ``cpu_seconds``, ``peak_memory_bytes`` and what else was measured.
    ``left_out`` names what was not captured, each with the reason.  ``adopted`` is MLflow's id of a
    run that was created while the cell ran, for its own calls of MLflow.
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
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    series: dict[str, list[list[float]]] = field(default_factory=dict)
    inputs: tuple[InputRecord, ...] = ()
    environment: str | None = None
    git_branch: str | None = None
    git_dirty: bool | None = None
    modules: dict[str, str] = field(default_factory=dict)
    seeds: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    adopted: str | None = None
    cell_id: str | None = None

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.ended - self.started


_TYPES: dict[str, type[_Record]] = {
    record.type: record
    for record in (
        SessionHeader,
        CellEvent,
        RunStarted,
        RunRecord,
        RunProgress,
        RunAmended,
        EnvironmentRecord,
    )
}


def record_from_dict(data: Mapping[str, Any]) -> _Record | None:
    """Return the record in ``data``, ``None`` if its type is of a later version."""
    kind = _TYPES.get(str(data.get("type")))
    return None if kind is None else kind.from_dict(data)


_resolved: dict[type[Any], dict[str, Any]] = {}


def _hints(cls: type[Any]) -> dict[str, Any]:
    """The types of a record's fields: resolving them takes longer than reading one."""
    if cls not in _resolved:
        _resolved[cls] = get_type_hints(cls)
    return _resolved[cls]


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
