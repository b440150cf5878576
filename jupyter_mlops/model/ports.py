"""The Protocols that services own and ``integrations/`` implements.

A service asks ``wiring.load_port(name)`` for the implementation, so that nothing imports mlflow,
scikit-learn or papermill until it is used, and a test can put a fake in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .events import EnvironmentRecord, ModelRecord, RunAmended, RunRecord
from .registry import ModelVersion, RegisteredModel, RunSummary
from .search import Trial

__all__ = [
    "BuiltModel",
    "CellProgress",
    "Copied",
    "Delivered",
    "ExecutionResult",
    "ModelCodec",
    "NotebookExecutor",
    "RunPage",
    "Search",
    "TrackingBackend",
]


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """An MLflow model folder made from a spooled model.

    ``verified`` says how the stored file was compared with the model it was made from;
    ``warnings`` are what the libraries said meanwhile.  ``format`` is how the model is stored
    (``skops``, ``ubj``, ``text``, ``keras``, ``pt2``, ``pickle``); ``consent`` says who allowed a
    pickle.
    """

    folder: Path
    class_name: str
    verified: str
    warnings: tuple[str, ...] = ()
    format: str = "skops"
    consent: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a delivered run became: ``summary`` is how MLflow has it.

    ``stored`` maps ``ModelRecord.name`` to the MLflow model id, ``left_out`` to the reason why a
    model was not stored.  ``removed`` says that somebody had deleted the run in MLflow since: it
    then stays deleted.
    """

    summary: RunSummary
    stored: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    removed: bool = False


class TrackingBackend(Protocol):
    """Runs and models on an MLflow tracking server or store.

    Every method raises ``ServiceError`` when the server does not answer, and ``UsageError`` when
    it refuses what was asked.  All writing methods are idempotent: repeated with the same
    arguments after any interruption they complete what is missing and add nothing twice.
    """

    uri: str

    def prepare(self) -> None:
        """Import what is needed, and open a store that is a file; a server is not asked."""

    def check(self, timeout: float) -> None:
        """Make sure that the server answers within ``timeout`` seconds."""

    def find_run(self, run_id: str, experiment: str | None = None) -> str | None:
        """MLflow's id of the run tagged ``mlops.run_id = run_id``, if it has been created."""

    def deliver(
        self,
        run: RunRecord,
        *,
        read_blob: Callable[[str], bytes],
        build_model: Callable[[ModelRecord], BuiltModel],
        full: bool,
        guard: Callable[[], bool],
        environment: EnvironmentRecord | None = None,
        has_children: bool = True,
    ) -> Delivered:
        """Store the run with its models and files; ``full=False`` leaves models and files away.

        ``environment`` is the record that ``run.environment`` names.  Values that the person has
        logged into the run themselves are left as they are.  ``has_children=False`` says that no
        run names this one as its parent: none is looked for.

        ``build_model`` raises ``MlopsError`` with the reason why a model cannot be stored.
        ``guard`` tells whether the caller still may write; it is asked around what could make a
        second copy, and ``ConflictError`` is raised when it says no.
        """

    def amend(
        self,
        run: RunRecord,
        changes: RunAmended,
        *,
        read_blob: Callable[[str], bytes],
        full: bool,
        guard: Callable[[], bool],
        environment: EnvironmentRecord | None = None,
    ) -> Delivered | None:
        """Add ``changes`` to a run that has been delivered; ``run`` is its record with them.

        ``None`` if there is no such run.  Raises ``ConflictError`` when the guard says no.
        """

    def register(
        self, name: str, mlflow_run_id: str, model: str | None = None
    ) -> tuple[ModelVersion, bool]:
        """Make a version of ``name`` from a run's stored model.

        Returns the version and whether it is new.  ``model`` chooses by ``ModelRecord.name``;
        ``UsageError`` when there are several and it is ``None``, ``NotFoundError`` when the run
        has no such model.
        """

    def run(self, mlflow_run_id: str) -> RunSummary | None:
        """One run as MLflow has it now; ``None`` if it is gone or deleted."""

    def runs(self, experiments: Sequence[str] | None, since: float, limit: int) -> RunPage:
        """Runs started at or after ``since``, newest first, and the ids of deleted ones.

        ``experiments`` are names; ``None`` means all.  At most ``limit`` runs.
        """

    def delete_run(self, mlflow_run_id: str) -> None:
        """Delete a run softly: MLflow keeps it, and can restore it."""

    def restore_run(self, mlflow_run_id: str) -> None:
        """Take a deletion back; a run that is not deleted stays as it is."""

    def rename_run(self, mlflow_run_id: str, name: str) -> None:
        """Give a run another name."""

    def note_run(self, mlflow_run_id: str, text: str) -> None:
        """Replace a run's note; an empty text removes it."""

    def tags(self, mlflow_run_id: str) -> dict[str, str]:
        """The tags of a run; ``NotFoundError`` for no such run."""

    def series(self, mlflow_run_id: str, names: Sequence[str]) -> dict[str, list[list[float]]]:
        """The history of metrics as ``[step, value, time]``, in the order of steps."""

    def read_artifact(self, mlflow_run_id: str, name: str) -> bytes:
        """A file of a run's artifacts; ``NotFoundError`` for none of that name."""

    def download_run_model(self, mlflow_run_id: str, model: str | None, target: Path) -> Path:
        """A local folder with a run's stored model: its own, or one below ``target``.

        ``model`` chooses by ``ModelRecord.name``, with the errors of ``register``.
        """

    def models(self) -> Sequence[RegisteredModel]:
        """All registered models with versions and aliases; metrics are left to the caller."""

    def version(self, name: str, version: int) -> ModelVersion:
        """One version as MLflow has it now, with its run's metrics; ``NotFoundError``."""

    def aliases(self, name: str) -> dict[str, int]:
        """The aliases of a registered model as MLflow has them now; ``NotFoundError``."""

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Point ``alias`` at ``version``; ``None`` removes it."""

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version for good; the run keeps the model that it was made from."""

    def download_model(self, name: str, version: int, target: Path) -> Path:
        """A local folder with the version's MLflow model: its own, or ``target`` filled with it."""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs as read back; ``deleted`` are MLflow's ids, ``complete`` is false if ``limit`` cut."""

    runs: tuple[RunSummary, ...]
    deleted: frozenset[str] = frozenset()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied from another MLflow (or removed again), whose name is ``source``.

    ``runs`` are all that are here now and come from there, ``new`` of them for the first time;
    ``ids`` are those that were removed; ``skipped`` says what was left, and why.
    """

    source: str
    runs: tuple[RunSummary, ...] = ()
    new: int = 0
    models: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


class ModelCodec(Protocol):
    """Model files that load without running foreign code."""

    def dump(self, model: Any) -> bytes:
        """Return a skops file; ``UntrustedError`` where a type is not on our own allow-list."""

    def load(self, data: bytes) -> Any:
        """Load a skops file against our own allow-list, never the list inside it."""

    def trusted_types(self, data: bytes) -> tuple[str, ...]:
        """The types in the file that skops does not trust by itself and our allow-list does.

        Raises ``UntrustedError`` that names the others, ``CorruptError`` for what is no such file.
        """

    def load_record(
        self, record: ModelRecord, data: bytes, example: bytes | None = None
    ) -> tuple[Any, Any]:
        """Return ``(model, example)`` of a spooled model whose signature has been verified.

        ``example`` is the content of ``record.example_blob`` where there is one.
        """


@dataclass(frozen=True, slots=True)
class CellProgress:
    """One code cell of a headless run: ``state`` is ``started``, ``completed`` or ``failed``.

    ``index`` counts the code cells that run, from 0 (``In [1]``) to ``total - 1``; ``title`` is the
    first meaningful line of the source, ``output`` the last lines of a failed cell's output;
    ``step`` the step of the pipeline, where there is one.
    """

    index: int
    total: int
    state: str
    title: str
    seconds: float = 0.0
    output: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """How a headless execution ended.

    ``status`` is ``completed``, ``failed``, ``died``, ``timeout`` or ``cancelled`` (ended from
    outside, without ``error``); for those between, ``error`` holds ``ename`` and ``evalue``,
    ``cell`` (the code cell's number as in ``In [...]``, from 1), ``cell_id`` and ``index`` (its
    place in the notebook that was given, from 0; ``None`` for the injected parameters), ``lineno``
    (from 1, in the cell) and ``line`` (its text) where they are known, ``source``, ``traceback``
    and ``output`` (text, the last lines before it ended).
    """

    status: str
    output: Path
    seconds: float
    error: dict[str, Any] | None = None


class Search(Protocol):
    """A search for the best parameters, kept on disk; one process at a time works on it."""

    def ask(self) -> Trial | None:
        """Begin the next trial; ``None`` when there is nothing left to try."""

    def tell(self, number: int, value: float | None, run: str | None, metrics: str = "") -> None:
        """How a trial ended: its metric, or ``None`` for a failure; ``metrics`` is any JSON."""

    def recover(self) -> int:
        """Have the trials that were never told done again, and return how many these are."""

    def trials(self) -> list[Trial]:
        """All trials, in the order in which they began."""

    def close(self) -> None:
        """Close its file."""


class NotebookExecutor(Protocol):
    """Executes one parameterized notebook in a fresh kernel."""

    def check(self, notebook: Path, *, kernel: str | None, parameters: bool = True) -> None:
        """Raise what ``execute`` would raise for its input; start and write nothing.

        ``parameters`` says whether any will be given: not every language can take them.
        """

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
        cell_timeout: float | None = None,
        progress: Callable[[CellProgress], None] | None = None,
        clean: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        stoppable: Callable[[Callable[[bool], None]], None] | None = None,
        show: Callable[[str], None] | None = None,
    ) -> ExecutionResult:
        """Run ``notebook`` and write the executed one to ``output``; the input is not changed.

        ``kernel`` names a kernelspec (``None``: the notebook's own), ``env`` is added to this
        process's environment for the kernel alone, ``timeout`` is in seconds for all cells
        together, from when the kernel answers, ``cell_timeout`` for each.  ``clean`` is given the
        notebook (as JSON) before each write and returns what is written: without the secrets in it.
        A cell's failure, the kernel's death and a timeout are results, and the partial output is
        kept.  ``show`` is given the text that cells print and show, as it comes, before secrets
        are taken out of it.  ``progress`` and ``show`` are called in the calling thread; what they
        raise, and ``KeyboardInterrupt``, ends the kernel and its processes, keeps the partial
        output and is raised.  ``stoppable`` is given, before the kernel starts, a function that
        ends the execution from any thread: with ``False`` its cell is interrupted first, with
        ``True`` its processes are ended at once; the result is ``cancelled``.  Several may run at
        once in different threads.  Raises ``NotebookError`` for a file that is no notebook and
        ``UsageError`` for a kernelspec that is not installed, both before anything is started or
        written.
        """
