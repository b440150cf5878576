"""``runs export``: a run as one redacted HTML file for a person without Jupyter."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._version import version
from ..config import Config
from ..errors import ConflictError, MlopsError, ProjectError, UsageError
from ..journal.redaction import Redactor
from ..model.events import EnvironmentRecord, FileRecord, RunRecord
from ..project import Project
from .details import RunDetails, read_run_file, run_details
from .export_page import RunContent, image_type, run_page
from .wording import size

__all__ = ["export_page", "export_run"]

_FILE_LIMIT = 10 * 1024 * 1024  # bytes of one figure or text
_LIMIT = 50 * 1024 * 1024  # bytes of all of them: a page has to open
_SHOWN = ("figure", "table", "output", "traceback", "code")


def export_run(
    project: Project, config: Config, text: str, target: Path | None = None, *, force: bool = False
) -> Path:
    """Write a run as one HTML file and return where.

    ``target`` is by default a file in the current folder, named after the run.  It is written
    whole or not at all.  Raises ``ConflictError`` when it exists and not ``force``, ``UsageError``
    for a folder, ``ProjectError`` when it cannot be written, and what ``run_details`` raises.
    """
    details = run_details(project, config, text)
    if target is None:
        slug = re.sub(r"[^\w.-]+", "-", details.name).strip("-.")[:60] or "run"
        target = Path.cwd() / f"{slug}-{details.run_id[:12]}.html"
    if target.is_dir():
        raise UsageError(f"{target} is a folder", hint="Name a file: -o run.html")
    if target.exists() and not force:
        raise _exists(target)
    _write(target, export_page(project, config, details).encode(), force=force)
    return target


def export_page(project: Project, config: Config, details: RunDetails) -> str:
    """The page of a run.  What cannot be read is named on it; secrets are replaced once more.

    The secrets that are known now (the environment's, say) need not be those known when the run
    was written.
    """
    redactor = Redactor()
    # The record first: what it teaches stands in the files, too.
    clean = _redacted(details, redactor)
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    total = 0
    for item, shown in zip(details.record.files, clean.record.files, strict=True):
        if item.kind not in _SHOWN:
            continue
        if total + item.size > _LIMIT or item.size > _FILE_LIMIT:
            left_out[shown.name] = f"with {size(item.size)} it is too large for a page"
            continue
        try:
            data = read_run_file(project, config, details, item)
        except (MlopsError, OSError) as error:
            left_out[shown.name] = redactor.redact_text(str(error))
            continue
        total += len(data)
        files[shown.name] = _clean(item, data, redactor)
        if item.kind == "figure" and image_type(data) is None:
            left_out[shown.name] = "it is no picture that a browser draws"
        elif item.reason and item.kind in ("figure", "table", "code"):
            left_out[shown.name] = shown.reason or item.reason
    content = RunContent(files, left_out)
    return run_page(clean, content, version=version(), exported=time.time())


def _redacted(details: RunDetails, redactor: Redactor) -> RunDetails:
    record = RunRecord.from_dict(redactor.redact_record(details.record.to_dict()))
    environment = details.environment
    if environment is not None:
        environment = EnvironmentRecord.from_dict(redactor.redact_record(environment.to_dict()))
    summary = details.summary
    texts: dict[str, Any] = {
        name: redactor.redact_text(text)
        for name in ("name", "note", "notebook", "pipeline", "experiment", "registered")
        if (text := getattr(summary, name)) is not None
    }
    summary = replace(summary, **texts)
    return replace(details, summary=summary, record=record, environment=environment)


def _clean(item: FileRecord, data: bytes, redactor: Redactor) -> bytes:
    if item.kind == "figure" and b"<svg" not in data[:2000]:
        return data  # a picture's bytes are no text
    return redactor.redact_text(data.decode("utf-8", "replace")).encode()


def _write(target: Path, data: bytes, *, force: bool) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        # With the permissions of any file that the person makes: it is meant to be passed on.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _place(temporary, target, force=force)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
    except OSError as error:
        if isinstance(error, ProjectError):
            raise
        raise ProjectError(f"{target} cannot be written: {error.strerror or error}") from error


def _place(temporary: Path, target: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(temporary, target)  # unlike a rename it never replaces anything
        except FileExistsError:
            raise _exists(target) from None
        except OSError:
            pass  # a file system without links
        else:
            return
    temporary.replace(target)


def _exists(target: Path) -> ConflictError:
    return ConflictError(f"{target} exists already", hint="Replace it with --force.")
