"""Removing spooled bytes once MLflow has what was made of them."""

from __future__ import annotations

import time

from ..journal import BlobStore, read_session
from ..model.events import RunRecord
from ..project import Project
from .sessions import open_sessions

__all__ = ["blobs_of", "remove_delivered"]

_CLOCK = 0.02  # seconds by which a file's time may lag behind the clock
_ORPHAN_AGE = 86_400.0  # seconds after which bytes that no record names are nobody's


def blobs_of(record: RunRecord) -> set[str]:
    """The digests of the bytes that a run's record names."""
    found = {model.blob for model in record.models} | {m.example_blob for m in record.models}
    return {digest for digest in found if digest} | {item.blob for item in record.files}


def remove_delivered(project: Project, blobs: BlobStore, acknowledged: set[str]) -> int:
    """Remove acknowledged blobs that nothing waiting names; return how many.

    The same bytes may be wanted by several runs, also by one whose cell runs right now and whose
    record will follow: what was put again since the first such cell began stays for the next time.
    Bytes that a killed process put without a record go after a day.
    """
    began = time.time()
    wanted: set[str] = set()
    for session in open_sessions(project):
        for run in session.examine().runs:
            wanted |= blobs_of(run)
        whole = read_session(session.path)  # a run may have begun before the stored position
        if whole.unfinished and whole.writer_alive() is not False:
            began = min(began, *(started.started for started in whole.unfinished))
    count = 0
    for digest in blobs.digests():
        if digest in wanted:
            continue
        since = began if digest in acknowledged else min(began, time.time() - _ORPHAN_AGE)
        count += blobs.remove(digest, unless_put_since=since - _CLOCK)
    return count
