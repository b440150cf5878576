"""Keep the files that a pipeline was proven on, so that a clone without them can fetch them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..dataflow.paths import is_local
from ..errors import MlopsError
from ..project import Project
from .plan import PlannedFile

__all__ = ["Mark", "keep_sources", "marks_of"]

Mark = tuple[int, int, int]  # size, time of the last change in ns, inode
_LARGEST = 1_000_000_000  # bytes


def marks_of(project: Project, files: Sequence[PlannedFile]) -> dict[str, Mark]:
    """How the files are now; those that are not there, and addresses, are left out."""
    found: dict[str, Mark] = {}
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            if is_local(file.source):
                status = (project.root / file.source).stat()
                found[file.source] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def keep_sources(
    project: Project, files: Sequence[PlannedFile], before: Mapping[str, Mark], pipeline: str
) -> tuple[tuple[PlannedFile, ...], list[str]]:
    """Take a snapshot of each source that none keeps, and return the files with them.

    All of them get the tag ``pipeline-NAME``: ``snapshots gc`` leaves what has one alone, also when
    the run it was made for is gone.

    Only of files in the project that are as they were ``before`` the replay: they gave its result.
    Beside the files there are warnings of what could not be kept; a promotion does not fail for it.
    """
    from ..snapshots.automatic import automatic_name
    from ..snapshots.service import existing_store, take

    now = marks_of(project, files)
    kept: list[PlannedFile] = []
    warnings: list[str] = []
    for file in files:
        kept.append(file)
        path = Path(file.source)
        mark = now.get(file.source)
        inside = not path.is_absolute() and ".." not in path.parts
        if file.exact and file.snapshot is not None:
            with contextlib.suppress(MlopsError, OSError):  # It may be on another machine.
                existing_store(project).tag(file.snapshot, f"pipeline-{pipeline}")
        if file.exact or not inside or mark is None or not (project.root / path).is_file():
            continue
        if mark != before.get(file.source):
            warnings.append(f"{file.source} is in no snapshot: it changed while it was replayed")
            continue
        if mark[0] > _LARGEST:
            warnings.append(f"{file.source} is in no snapshot: it has more than 1 GB")
            continue
        try:
            version = take(
                project, project.root / path, automatic_name(file.source),
                tags=[f"pipeline-{pipeline}"],
            )  # fmt: skip
        except (MlopsError, OSError) as error:
            warnings.append(f"{file.source} is in no snapshot: {error}")
            continue
        kept[-1] = replace(file, snapshot=version.spec, exact=True)
    return tuple(kept), warnings
