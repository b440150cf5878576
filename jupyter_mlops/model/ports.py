"""The Protocols that services own and ``integrations/`` implements.

A service asks ``wiring.load_port(name)`` for the implementation, so that nothing imports mlflow,
scikit-learn or papermill until it is used, and a test can put a fake in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .events import ModelRecord, RunRecord
from .registry import ModelVersion, RegisteredModel, RunSummary

__all__ = [
    "CellProgress",
    "Delivered",
    "ExecutionResult",
    "ModelCodec",
    "NotebookExecutor",
    "TrackingBackend",
]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a delivered run became: MLflow's run id, versions made, what was left out and why."""

    mlflow_run_id: str
    versions: tuple[ModelVersion, ...] = ()
    stored: dict[str, str] = field(default_factory=dict)  # ModelRecord.name -> model uri
    left_out: dict[str, str] = field(default_factory=dict)  # ModelRecord.name -> reason


class TrackingBackend(Protocol):
    """Runs and models on an MLflow tracking server or store.

    Every method raises ``ServiceError`` when the server does not answer.
    """

    uri: str

    def check(self, timeout: float) -> None:
        """Make sure that the server answers within ``timeout`` seconds."""

    def find_run(self, run_id: str) -> str | None:
        """MLflow's id of the run tagged ``mlops.run_id = run_id``, if it has been created."""

    def deliver(
        self,
        run: RunRecord,
        *,
        read_blob: Callable[[str], bytes],
        level: str,
        interpreter: str,
    ) -> Delivered:
        """Store the run, idempotently: a second call with the same record changes nothing."""

    def register(self, name: str, mlflow_run_id: str, model: str | None, run_id: str | None) -> int:
        """Make a version of ``name`` from a run's stored model; return its number (idempotent)."""

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Point ``alias`` at ``version``; ``None`` removes it."""

    def models(self) -> Sequence[RegisteredModel]:
        """All registered models with their versions, aliases and metrics."""

    def runs(self, limit: int) -> Sequence[RunSummary]:
        """The newest runs of this project's experiments."""

    def model_path(self, name: str, version: int) -> Path:
        """A local folder that holds the version's MLflow model (``MLmodel`` and its files)."""


class ModelCodec(Protocol):
    """Model files that load without running foreign code."""

    def dump(self, model: Any) -> bytes:
        """Return a skops file; ``UntrustedError`` where a type is not on our own allow-list."""

    def load(self, data: bytes) -> Any:
        """Load a skops file against our own allow-list, never the list inside it."""

    def load_record(self, record: ModelRecord, data: bytes) -> tuple[Any, Any]:
        """Return ``(model, example)`` of a spooled model whose signature has been verified."""


@dataclass(frozen=True, slots=True)
class CellProgress:
    """One code cell of a headless run: ``state`` is ``started``, ``completed`` or ``failed``.

    ``index`` counts the code cells that run from 1 to ``total``, which is their number in
    ``In [...]`` too; ``title`` is the first meaningful line of the source, ``output`` the last
    lines of a failed cell's output.
    """

    index: int
    total: int
    state: str
    title: str
    seconds: float = 0.0
    output: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """How a headless execution ended.

    ``status`` is ``completed``, ``failed``, ``died`` or ``timeout``; unless completed, ``error``
    holds ``ename`` and ``evalue``, ``cell`` (the code cell's number as in ``CellProgress.index``),
    ``cell_id`` and ``index`` (its place in the notebook that was given, from 0; ``None`` for the
    injected parameters), ``lineno`` (from 1, in the cell) and ``line`` (its text) where they are
    known, ``source``, ``traceback`` and ``output`` (text, the last lines before it ended).
    """

    status: str
    output: Path
    seconds: float
    error: dict[str, Any] | None = None


class NotebookExecutor(Protocol):
    """Executes one parameterized notebook in a fresh kernel."""

    def execute(
        self,
        notebook: Path,
        output: Path,
        parameters: Mapping[str, Any],
        *,
        kernel: str | None,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float | None = None,
        progress: Callable[[CellProgress], None] | None = None,
    ) -> ExecutionResult:
        """Run ``notebook`` and write the executed one to ``output``; the input is not changed.

        ``kernel`` names a kernelspec (``None``: the notebook's own), ``env`` is added to this
        process's environment for the kernel alone, ``timeout`` is in seconds for the whole
        notebook.  A cell's failure, the kernel's death and a timeout are results, and the partial
        output is kept.  ``progress`` is called in the calling thread; what it raises, and
        ``KeyboardInterrupt``, ends the kernel and its processes, keeps the partial output and is
        raised.  Raises ``NotebookError`` for a file that is no notebook and ``UsageError`` for a
        kernelspec that is not installed, both before anything is started or written.
        """
