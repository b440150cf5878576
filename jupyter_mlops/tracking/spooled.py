"""Removing spooled bytes once MLflow has what was made of them.

Which bytes are spent is kept in ``state.db``, written in the transaction that moves the position: a
process that is killed before it has removed them leaves that to the next.
"""

from __future__ import annotations

import sqlite3
import time

from ..journal import BlobStore, read_session
from ..model.events import RunAmended, RunRecord
from ..project import Project
from ..state import StateDB
from ..state.held import HeldLease
from ..state.meta import get_meta, put_meta
from .sessions import open_sessions

__all__ = ["any_spent", "blobs_of", "note_spent", "remove_spent"]

_SPENT = "spent_blobs"  # meta: digests
_CLOCK = 0.02  # seconds by which a file's time may lag behind the clock
_ORPHAN_AGE = 86_400.0  # seconds after which bytes that no record names are nobody's


def blobs_of(record: RunRecord | RunAmended) -> set[str]:
    """The digests of the bytes that a run's record, or an addition to it, names."""
    found = {item.blob for item in record.files}
    if isinstance(record, RunRecord):
        found |= {model.blob for model in record.models} | {m.example_blob for m in record.models}
    return {digest for digest in found if digest}


def note_spent(connection: sqlite3.Connection, record: RunRecord | RunAmended) -> None:
    """Note that MLflow has what a run's bytes were kept for."""
    digests = blobs_of(record)
    if digests:
        put_meta(connection, _SPENT, sorted(digests.union(get_meta(connection, _SPENT, []))))


def any_spent(state: StateDB) -> bool:
    """Whether there are bytes to remove."""
    with state.read() as connection:
        return bool(get_meta(connection, _SPENT, []))


def remove_spent(project: Project, state: StateDB, blobs: BlobStore, lease: HeldLease) -> int:
    """Remove spent blobs that nothing waiting names; return how many.

    The same bytes may be wanted by several runs, also by one whose cell runs right now and whose
    record will follow: what was put again since the first such cell began stays for the next time.
    Bytes that a killed process put without a record go after a day.
    """
    began = time.time()
    wanted: set[str] = set()
    for session in open_sessions(project):
        found = session.examine()
        for run in found.runs:
            wanted |= blobs_of(run)
        for change in found.file.amendments:
            wanted |= blobs_of(change)
        whole = read_session(session.path)  # a run may have begun before the stored position
        if whole.unfinished and whole.writer_alive() is not False:
            began = min(began, *(started.started for started in whole.unfinished))
    with state.read() as connection:
        spent = set(get_meta(connection, _SPENT, []))
    left = set()
    count = 0
    for digest in {*blobs.digests(), *spent} - wanted:
        since = began if digest in spent else min(began, time.time() - _ORPHAN_AGE)
        if blobs.remove(digest, unless_put_since=since - _CLOCK):
            count += 1
        elif digest in spent:
            left.add(digest)
    with state.write() as connection:
        lease.lease.check(connection)
        put_meta(connection, _SPENT, sorted(left))
    return count
