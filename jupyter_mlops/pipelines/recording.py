"""The runner's own session in the journal: one run, its files and its model."""

from __future__ import annotations

import contextlib
import json
import math
import platform
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._version import version
from ..capture.git import head_commit
from ..capture.redact import redact
from ..capture.session import user_name
from ..errors import ProjectError, RunError
from ..journal import (
    BlobStore,
    Redactor,
    SessionJournal,
    list_sessions,
    read_session,
    this_process,
)
from ..model.events import FileRecord, ModelRecord, RunRecord, RunStarted, SessionHeader
from ..model.ids import is_ulid, new_id, ulid_time
from ..project import Project

__all__ = [
    "RunnerJournal",
    "children_of",
    "journal_errors",
    "read_metrics",
    "shown_parameters",
    "source_tags",
]

_METRICS_LIMIT = 1024 * 1024


class RunnerJournal:
    """A journal of its own for each headless run: kernels write theirs beside it."""

    def __init__(self, project: Project, notebook: str | None, redactor: Redactor | None) -> None:
        self.session = new_id()
        self._redactor = redactor
        self._blobs = BlobStore(project.journal)
        process = this_process()
        with journal_errors(project):
            self._journal = SessionJournal(project.journal, self.session, redactor=redactor)
            header = SessionHeader(
                session=self.session,
                started=time.time(),
                interpreter=sys.executable,
                python=platform.python_version(),
                version=version(),
                pid=process.pid,
                pid_started=process.started,
                boot_id=process.boot_id,
                host=process.host,
                cwd=str(Path.cwd()),
                kind="runner",
                notebook=notebook,
                user=user_name(),
            )
            self._journal.append(header.to_dict())

    def start(self, started: RunStarted) -> None:
        """Note that the run begins; durable when this returns."""
        self._journal.append(started.to_dict(), sync=True)

    def finish(self, run: RunRecord) -> None:
        """Note how the run ended; durable when this returns."""
        self._journal.append(run.to_dict(), sync=True)

    def close(self) -> None:
        """Close the journal's file."""
        self._journal.close()

    def file(self, name: str, path: Path) -> FileRecord:
        """Keep a file beside the run under ``name``; a text without its secrets."""
        data = path.read_bytes()
        if self._redactor is not None:
            with contextlib.suppress(UnicodeDecodeError):
                data = self._redactor.redact_text(data.decode("utf-8")).encode("utf-8")
        return FileRecord(name, self._blobs.put(data), len(data))

    def model(self, path: Path, example: Path | None, limit: int) -> ModelRecord:
        """Keep a skops file, with a few rows of input; over ``limit`` bytes it is only named.

        Raises ``RunError`` when the file is not what skops writes.  Nothing in it is loaded.
        """
        class_name = _skops_class(path)
        size = path.stat().st_size
        if size > limit:
            reason = f"{size} bytes are more than the limit of {limit} (model-size-limit)"
            return ModelRecord("model", class_name, format="skops", size=size, reason=reason)
        return ModelRecord(
            "model",
            class_name,
            blob=self._blobs.put(path.read_bytes()),
            format="skops",
            size=size,
            example_blob=None if example is None else self._blobs.put(example.read_bytes()),
            example_format=None if example is None else example.suffix.lstrip("."),
        )


@contextlib.contextmanager
def journal_errors(project: Project) -> Iterator[None]:
    """Say which project cannot be written when the disk is full or the folder read-only."""
    try:
        yield
    except ProjectError:
        raise
    except OSError as error:
        raise ProjectError(
            f"the project folder {project.root} cannot be written: {error.strerror or error}",
            hint="Make room or make it writable, or set JUPYTER_MLOPS_HOME to a folder that is.",
            root=str(project.root),
        ) from error


def read_metrics(path: Path) -> dict[str, float]:
    """Return the metrics of a JSON file: one object of names and numbers.

    Raises ``RunError`` that says what is there instead.
    """
    if path.stat().st_size > _METRICS_LIMIT:
        raise RunError(f"{path.name} is larger than {_METRICS_LIMIT} bytes")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise RunError(f"{path.name} must be one object of metrics, not {type(data).__name__}")
    metrics = {}
    for name, value in data.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RunError(f"{path.name}: metric {name!r} must be a number, not {value!r:.60}")
        try:
            metrics[name] = float(value)
        except OverflowError:
            metrics[name] = math.inf
    return metrics


def source_tags(
    project: Project, source: str, kind: str, trigger: Mapping[str, str]
) -> dict[str, str]:
    """The tags by which MLflow shows where a run comes from, and what fired it."""
    tags = {"mlflow.source.name": source, "mlflow.source.type": kind}
    user = user_name()
    if user:
        tags["mlflow.user"] = user
    commit = head_commit(project.root)
    if commit:
        tags["mlflow.source.git.commit"] = commit
    return tags | {f"mlops.{name}": str(value) for name, value in trigger.items()}


def shown_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they may be written down: those with a secret's name are not."""
    return {name: redact(name, value) for name, value in values.items()}


def children_of(project: Project, run_id: str) -> list[RunRecord]:
    """The runs that tracked cells recorded inside ``run_id``, oldest first."""
    found: list[RunRecord] = []
    since = ulid_time(run_id) - 60.0  # session ids are ULIDs: older journals need no reading
    for path in list_sessions(project.journal):
        if is_ulid(path.stem) and ulid_time(path.stem) < since:
            continue
        with contextlib.suppress(OSError):
            found += [run for run in read_session(path).runs if run.parent == run_id]
    return found


def _skops_class(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("schema.json").file_size > 64 * 1024 * 1024:
                raise ValueError("its schema is too large")
            schema = json.loads(archive.read("schema.json"))
        return str(schema["__class__"])
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(
            f"{path.name} is not a skops file: {error}",
            hint="Write it with skops.io.dump(model, path).",
        ) from error
