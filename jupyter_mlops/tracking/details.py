"""Everything that is known of one run: from its session's journal, else as MLflow keeps it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import CorruptError, NotFoundError, ServiceError
from ..journal import BlobStore, SessionFile, read_session
from ..model.events import (
    EnvironmentRecord,
    FileRecord,
    ModelRecord,
    RunRecord,
    RunStarted,
)
from ..model.registry import RunSummary
from ..project import Project
from .amending import amended, killed_run
from .queries import find_run
from .target import open_backend

__all__ = [
    "RUN_FILE",
    "RunDetails",
    "details_of",
    "journal_details",
    "read_run_file",
    "run_details",
]

RUN_FILE = "mlops/run.json"  # the artifact that holds a delivered run's record
_ID = re.compile(r"[0-9A-Za-z]{1,64}")


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run with everything that is known of it.

    ``summary`` is how it is listed now: its name, status and note are those of today.  ``record``
    is what was captured, with what became known later; ``origin`` says where it comes from:
    ``journal``, ``artifact`` (MLflow's copy of the record), ``mlflow`` (a run that is not ours, or
    older than that copy: parameters, metrics, tags) or ``summary`` (the list alone, because MLflow
    was not asked or did not answer; ``problem`` then says why).
    """

    summary: RunSummary
    record: RunRecord
    environment: EnvironmentRecord | None = None
    origin: str = "journal"
    problem: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Our id; MLflow's for a run that is not ours."""
        return self.summary.run_id

    @property
    def name(self) -> str:
        """The name that it has now."""
        return self.summary.name

    @property
    def complete(self) -> bool:
        """Whether this is all that was captured."""
        return self.origin in ("journal", "artifact")

    def files(self, *kinds: str) -> list[FileRecord]:
        """The files of some kinds (see ``FileRecord``), in the order in which they came."""
        return [item for item in self.record.files if item.kind in kinds]


def run_details(project: Project, config: Config, text: str, *, ask: bool = True) -> RunDetails:
    """Find a run as ``find_run`` does and return everything that is known of it.

    MLflow is asked only where neither the journal nor the project's own artifacts have the record,
    and only if ``ask``; an MLflow that does not answer leaves the summary.  Raises what
    ``find_run`` raises.
    """
    return details_of(project, config, find_run(project, text), ask=ask)


def details_of(
    project: Project, config: Config, summary: RunSummary, *, ask: bool = True
) -> RunDetails:
    """Everything that is known of a listed run; see ``run_details``."""
    found = journal_details(project, summary) or _artifact_details(project, summary)
    if found is not None:
        return found
    if summary.mlflow_run_id is None or not ask:
        problem = None if summary.kind == "mlflow" else "its record is not on this machine"
        return RunDetails(summary, _record(summary, {}), origin="summary", problem=problem)
    try:
        return _asked(project, config, summary, summary.mlflow_run_id)
    except (ServiceError, NotFoundError, ImportError) as error:
        return RunDetails(summary, _record(summary, {}), origin="summary", problem=str(error))


def journal_details(
    project: Project, summary: RunSummary, file: SessionFile | None = None
) -> RunDetails | None:
    """The run as its session's journal on this machine has it, ``None`` where there is none.

    ``file`` is that journal where the caller has read it already.
    """
    if file is None:
        if summary.session is None or _ID.fullmatch(summary.session) is None:
            return None
        try:
            file = read_session(project.journal / f"{summary.session}.journal")
        except OSError:
            return None
    record = next((run for run in file.runs if run.run_id == summary.run_id), None)
    if record is None:
        started = next(
            (
                item
                for item in file.records
                if isinstance(item, RunStarted) and item.run_id == summary.run_id
            ),
            None,
        )
        if started is None:
            return None
        record = _unfinished(started, summary, file)
    else:
        record = amended(record, file.amendments)
    environment = None if record.environment is None else file.environments.get(record.environment)
    return RunDetails(summary, _with_git(record), environment, "journal", tags=dict(record.tags))


def read_run_file(
    project: Project, config: Config, details: RunDetails, item: FileRecord, *, ask: bool = True
) -> bytes:
    """The content of one of a run's files: from the record, the journal or MLflow.

    Raises ``NotFoundError`` where it was not kept, or is only on a tracking server and ``ask`` is
    false; ``ServiceError`` when that server does not answer.
    """
    if item.text is not None:
        return item.text.encode()
    if item.blob is None:
        raise NotFoundError(
            f"{item.name} of run {details.name} was not kept: {item.reason or 'unknown reason'}"
        )
    try:
        return BlobStore(project.journal).get(item.blob)
    except (NotFoundError, OSError):
        pass  # it has been delivered
    folder = _artifact_folder(project, details.summary)
    path = None if folder is None else folder / item.name
    if path is not None and folder is not None and _inside(path, folder) and path.is_file():
        return path.read_bytes()
    if details.summary.mlflow_run_id is None or not ask:
        raise NotFoundError(f"{item.name} of run {details.name} is not on this machine")
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    return backend.read_artifact(details.summary.mlflow_run_id, item.name)


def _unfinished(started: RunStarted, summary: RunSummary, file: SessionFile) -> RunRecord:
    """The record of a run that has no end (yet), with what it had logged."""
    record = killed_run(started, file)
    if summary.status == "RUNNING":
        return replace(record, status=summary.status, error=None)
    return record


def _artifact_details(project: Project, summary: RunSummary) -> RunDetails | None:
    folder = _artifact_folder(project, summary)
    if folder is None:
        return None
    try:
        data = (folder / RUN_FILE).read_bytes()
    except OSError:
        return None
    return _from_artifact(summary, data)


def _artifact_folder(project: Project, summary: RunSummary) -> Path | None:
    """The run's artifacts where they lie in the project itself: MLflow need not be asked."""
    if summary.mlflow_run_id is None or _ID.fullmatch(summary.mlflow_run_id) is None:
        return None
    found = project.artifacts.glob(f"*/{summary.mlflow_run_id}/artifacts")
    return next(found, None)


def _asked(project: Project, config: Config, summary: RunSummary, mlflow_id: str) -> RunDetails:
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    if summary.kind != "mlflow":
        try:
            found = _from_artifact(summary, backend.read_artifact(mlflow_id, RUN_FILE))
        except NotFoundError:
            found = None  # delivered by an earlier version of this package
        if found is not None:
            return found
    tags = backend.tags(mlflow_id)
    record = _record(summary, tags)
    series = backend.series(mlflow_id, list(summary.metrics))
    record = replace(record, series={name: row for name, row in series.items() if len(row) > 1})
    return RunDetails(summary, record, origin="mlflow", tags=tags)


def _from_artifact(summary: RunSummary, data: bytes) -> RunDetails | None:
    """``None`` for what is not the record of this run."""
    try:
        content = json.loads(data)
        record = RunRecord.from_dict(content)
        environment = content.get("environment_record")
        found = None if environment is None else EnvironmentRecord.from_dict(environment)
    except (ValueError, TypeError, AttributeError, CorruptError):
        return None
    if record.run_id != summary.run_id:
        return None
    return RunDetails(summary, _with_git(record), found, "artifact", tags=dict(record.tags))


def _with_git(record: RunRecord) -> RunRecord:
    """The record with the state of the code that became known only after it was written."""
    dirty = {"true": True, "false": False}.get(record.tags.get("mlops.git_dirty", ""))
    return replace(
        record,
        git_commit=record.git_commit or record.tags.get("mlflow.source.git.commit"),
        git_branch=record.git_branch or record.tags.get("mlflow.source.git.branch"),
        git_dirty=dirty if record.git_dirty is None else record.git_dirty,
    )


def _record(summary: RunSummary, tags: dict[str, str]) -> RunRecord:
    """What the list and the tags say of a run, in the form of a record."""
    error = tags.get("mlops.error")
    name, _, message = (error or "").partition(": ")
    known = RunRecord(
        run_id=summary.run_id,
        session=summary.session or "",
        name=summary.name,
        status=summary.status,
        started=summary.started,
        ended=summary.ended if summary.ended is not None else summary.started,
        kind=summary.kind,
        experiment=summary.experiment,
        notebook=summary.notebook,
        pipeline=summary.pipeline,
        parent=summary.parent,
        source=tags.get("mlops.source"),
        params=dict(summary.params),
        metrics=dict(summary.metrics),
        tags=tags,
        models=tuple(_model(row) for row in summary.models),
        error={"ename": name, "evalue": message} if error else None,
        warnings=summary.warnings,
    )
    return _with_git(known)


def _model(row: dict[str, Any]) -> ModelRecord:
    reason = row.get("reason")
    return ModelRecord(
        name=str(row.get("name")),
        class_name=str(row.get("class_name")),
        reason=None if row.get("kept") else str(reason or "it was not stored"),
    )


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
