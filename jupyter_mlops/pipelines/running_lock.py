"""One run of a pipeline at a time in a project: a lock that its holder's death releases.

The lock is the operating system's (``flock``), so nothing is left over to be cleaned up; a file
beside it says whose it is.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from ..errors import ConflictError, ProjectError
from ..journal import ProcessIdentity, this_process
from ..project import Project, file_lock

__all__ = ["pipeline_lock"]

_LOOK = 0.2  # seconds between two attempts to get it


@contextlib.contextmanager
def pipeline_lock(
    project: Project,
    pipeline: str,
    run_id: str,
    *,
    wait: bool | float = False,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[bool]:
    """Hold the lock of ``pipeline`` for the run ``run_id``; yields whether it was waited for.

    ``wait`` is how long another run is waited for: not at all, as long as it takes (``True``), or
    seconds; ``on_wait`` is then told once who has it.  Raises ``ConflictError`` that names the
    other run and its process.
    """
    folder = project.state / "running"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ProjectError(
            f"{folder} cannot be made: {error.strerror or error}", root=str(project.root)
        ) from error
    lock, holder = folder / f"{pipeline}.lock", folder / f"{pipeline}.json"
    began, waited = time.monotonic(), False
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(file_lock(lock, timeout=0.0))
                break
            except ProjectError:
                patience = wait if not isinstance(wait, bool) else (1e9 if wait else 0.0)
                other = _holder(holder)
                if time.monotonic() >= began + patience:
                    raise _conflict(pipeline, other, wait) from None
            if not waited and on_wait is not None:
                on_wait(_words(pipeline, other))
            waited = True
            time.sleep(_LOOK)
        with contextlib.suppress(OSError):
            holder.write_text(json.dumps({"run_id": run_id, **asdict(this_process())}))
        yield waited


def _holder(path: Path) -> tuple[str, ProcessIdentity] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        run_id = str(data.pop("run_id"))
        process = ProcessIdentity(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if process.alive() is False else (run_id, process)


def _words(pipeline: str, other: tuple[str, ProcessIdentity] | None) -> str:
    if other is None:
        return f"pipeline {pipeline!r} is being run by another process"
    return f"pipeline {pipeline!r} is being run already: run {other[0]}, process {other[1].pid}"


def _conflict(
    pipeline: str, other: tuple[str, ProcessIdentity] | None, wait: bool | float
) -> ConflictError:
    end = "" if other is None else f", or end it: jupyter mlops runs cancel {other[0]}"
    again = "Wait for its end with --wait" if not wait else "It is still going on: wait longer"
    return ConflictError(
        _words(pipeline, other),
        hint=f"{again}{end}",
        pipeline=pipeline,
        run_id=None if other is None else other[0],
        pid=None if other is None else other[1].pid,
    )
