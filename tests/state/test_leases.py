"""Leases, the change feed and write transactions under contention."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from jupyter_mlops.errors import ConflictError, CorruptError, ProjectError
from jupyter_mlops.project import Project
from jupyter_mlops.state import (
    StateDB,
    acquire,
    changes_after,
    last_change,
    record_change,
    release,
    renew,
)


def test_one_holder_at_a_time_and_the_epoch_grows(project: Project) -> None:
    db = StateDB(project)
    first = acquire(db, "delivery", "a", 60)
    assert first is not None
    assert acquire(db, "delivery", "b", 60) is None
    assert renew(db, first, 60)
    release(db, first)
    second = acquire(db, "delivery", "b", 60)
    assert second is not None
    assert second.epoch == first.epoch + 1


def test_a_holder_past_its_lease_is_fenced_at_commit(project: Project) -> None:
    db = StateDB(project)
    stale = acquire(db, "delivery", "a", 0.01)
    assert stale is not None
    time.sleep(0.05)
    assert acquire(db, "delivery", "b", 60) is not None
    assert not renew(db, stale, 60)
    with pytest.raises(ConflictError, match="has passed"), db.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('late', '1')")
        stale.check(connection)
    with db.read() as connection:
        assert connection.execute("SELECT * FROM meta").fetchall() == []


def test_racing_processes_never_hold_it_together(project: Project) -> None:
    code = """
import sys, time
from jupyter_mlops.project import open_project
from jupyter_mlops.state import StateDB, acquire, release
db = StateDB(open_project(sys.argv[1]))
done = 0
while done < 25:
    lease = acquire(db, "x", sys.argv[2], 30)
    if lease is None:
        time.sleep(0.001)
        continue
    with db.write() as c:
        c.execute("INSERT INTO meta VALUES (?, ?)", (f"{lease.epoch:06d}", sys.argv[2]))
    release(db, lease)
    done += 1
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(project.root), f"p{i}"]) for i in range(4)
    ]
    assert [child.wait() for child in children] == [0] * 4
    with StateDB(project).read() as connection:
        rows = connection.execute("SELECT key FROM meta ORDER BY key").fetchall()
    assert [int(r["key"]) for r in rows] == list(range(1, 101))


def test_the_change_feed_is_ordered_and_bounded(project: Project) -> None:
    db = StateDB(project)
    with db.write() as connection:
        assert last_change(connection) == 0
        for number in range(1100):
            record_change(connection, "run", "created", str(number))
    with db.read() as connection:
        assert last_change(connection) == 1100
        assert [c.id for c in changes_after(connection, 1097)] == ["1097", "1098", "1099"]
        assert len(changes_after(connection, 0)) == 1000


def test_a_failed_transaction_leaves_nothing(project: Project) -> None:
    db = StateDB(project)
    with pytest.raises(RuntimeError), db.write() as connection:
        record_change(connection, "run", "created", "x")
        raise RuntimeError
    with db.read() as connection:
        assert last_change(connection) == 0


def test_a_damaged_database_is_named(project: Project) -> None:
    project.database.write_bytes(b"not a database" * 100)
    with pytest.raises(CorruptError, match=r"state\.db is damaged"), StateDB(project).read():
        pass


def test_a_later_versions_database_is_refused(project: Project) -> None:
    import sqlite3

    with StateDB(project).read():
        pass
    connection = sqlite3.connect(project.database)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(ProjectError, match="later version"), StateDB(project).read():
        pass
