"""Writing and reading sessions, blobs and signatures on a real disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mlops.errors import CorruptError, NotFoundError
from jupyter_mlops.journal import (
    BlobStore,
    SessionJournal,
    list_sessions,
    read_session,
    sign,
    this_process,
    verify,
)
from jupyter_mlops.model.events import (
    CellEvent,
    ModelRecord,
    RunRecord,
    RunStarted,
    SessionHeader,
    record_from_dict,
)
from jupyter_mlops.model.ids import is_ulid, new_id, ulid_time
from jupyter_mlops.project import Project


def header(session: str = "01S") -> SessionHeader:
    me = this_process()
    return SessionHeader(
        session=session,
        started=1.0,
        interpreter=sys.executable,
        python="3.11",
        version="0",
        pid=me.pid,
        pid_started=me.started,
        boot_id=me.boot_id,
        host=me.host,
        cwd="/",
    )


def run(run_id: str) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        session="01S",
        name="n",
        status="FINISHED",
        started=1.0,
        ended=2.5,
        metrics={"accuracy": 0.5},
        models=(ModelRecord(name="clf", class_name="sklearn.svm.SVC", blob="ab"),),
    )


def test_records_come_back_equal(project: Project) -> None:
    journal = SessionJournal(project.journal, "01S")
    cell = CellEvent("01S", 1, "x = 1", 1.0, 2.0, "ok", bound=("x",), options={"register": "m"})
    started = RunStarted(run_id="R2", session="01S", started=3.0, name="n")
    for record in (header(), cell, run("R1"), started):
        journal.append(record.to_dict(), sync=True)
    read = read_session(journal.path)
    assert read.records == (header(), cell, run("R1"), started)
    assert read.header == header()
    assert read.cells == (cell,)
    assert read.runs[0].models[0].class_name == "sklearn.svm.SVC"
    assert read.unfinished == (started,)
    assert read.writer_alive() is True
    assert list(list_sessions(project.journal)) == [journal.path]
    later = read_session(journal.path, read.offset)
    assert later.records == ()
    assert later.header == header()


def test_a_later_versions_records_and_keys_are_skipped() -> None:
    data = run("R").to_dict() | {"colour": "blue"}
    assert record_from_dict(data) == run("R")
    assert record_from_dict({"type": "hologram"}) is None


def test_a_record_that_does_not_fit_is_damage_not_an_exception(project: Project) -> None:
    journal = SessionJournal(project.journal, "01S")
    journal.append({"type": "run", "run_id": "only"})
    journal.append(run("R").to_dict())
    read = read_session(journal.path)
    assert [r.run_id for r in read.runs] == ["R"]
    assert "run record does not fit" in read.damage[0].reason


def test_reopening_cuts_a_torn_tail(project: Project) -> None:
    journal = SessionJournal(project.journal, "01S")
    journal.append(header().to_dict())
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b"J1 0000")
    again = SessionJournal(project.journal, "01S")
    again.append(run("R").to_dict())
    read = read_session(again.path)
    assert [r.run_id for r in read.runs] == ["R"]
    assert read.damage == ()


def test_what_was_synced_survives_kill_9(project: Project) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from jupyter_mlops.journal import SessionJournal
journal = SessionJournal(Path(sys.argv[1]), "01K")
for number in range(5):
    journal.append({"type": "cell", "session": "01K", "seq": number, "source": "", "started": 0,
                    "ended": 0, "status": "ok"}, sync=True)
    print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = subprocess.run(
        [sys.executable, "-c", code, str(project.journal)], capture_output=True, text=True
    )
    assert child.returncode == -signal.SIGKILL
    read = read_session(project.journal / "01K.journal")
    assert [c.seq for c in read.cells] == [int(n) for n in child.stdout.split()] == list(range(5))


def test_a_fork_must_not_write_into_its_parents_journal(project: Project) -> None:
    journal = SessionJournal(project.journal, "01S")
    pid = os.fork()
    if pid == 0:  # the child
        try:
            journal.append({})
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_blobs_are_kept_once_checked_and_forgotten(project: Project) -> None:
    blobs = BlobStore(project.journal)
    digest = blobs.put(b"model")
    assert blobs.put(b"model") == digest
    assert blobs.get(digest) == b"model"
    assert [p.name for p in blobs.folder.iterdir()] == [digest]
    (blobs.folder / digest).write_bytes(b"other")
    with pytest.raises(CorruptError, match="does not match"):
        blobs.get(digest)
    blobs.remove(digest)
    blobs.remove(digest)
    with pytest.raises(NotFoundError):
        blobs.get(digest)


def test_signatures_are_this_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    signature = sign(b"bytes")
    assert verify(b"bytes", signature)
    assert not verify(b"bytes!", signature)
    assert not verify(b"bytes", None)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))  # another user's key
    assert not verify(b"bytes", signature)


def test_a_dead_process_is_told_from_a_live_one() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL
    )
    from jupyter_mlops.journal import ProcessIdentity, boot_id, process_identity

    me = this_process()
    assert process_identity(me.pid) == me
    identity = process_identity(child.pid)
    assert identity is not None
    assert identity.alive() is True
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert identity.alive() is False  # already as a zombie that nobody has waited for
    child.wait()
    assert identity.alive() is False
    assert process_identity(child.pid) is None
    assert ProcessIdentity("elsewhere", boot_id(), 1, 0.0).alive() is None
    assert ProcessIdentity(me.host, "another boot", me.pid, me.started).alive() is False


def test_run_ids_sort_by_time_and_carry_it() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000
    assert all(is_ulid(i) for i in ids)
    assert ulid_time(new_id(1_700_000_000.25)) == 1_700_000_000.25
    assert not is_ulid("../x")
