"""Positions only move forward, delays grow, a lease held is renewed and given up."""

from __future__ import annotations

import threading
import time

from jupyter_mlops.model.policy import GateVerdict
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB, acquire
from jupyter_mlops.state.aliases import add_move, alias_history, last_move, mark_undone
from jupyter_mlops.state.delivery import (
    advance,
    all_progress,
    begin_attempt,
    get_progress,
    postpone,
)
from jupyter_mlops.state.held import hold


def test_positions_and_delays(project: Project) -> None:
    with StateDB(project).write() as connection:
        assert get_progress(connection, "s").position == 0
        delays = []
        for _ in range(12):
            begin_attempt(connection, "s")
            delays.append(postpone(connection, "s", "down", now=1000.0) - 1000.0)
        assert 0.5 <= delays[0] <= 1.0
        assert 150.0 <= delays[-1] <= 300.0
        progress = get_progress(connection, "s")
        assert (progress.attempts, progress.error) == (12, "down")
        advance(connection, "s", 500)
        advance(connection, "s", 300, closed=True)
        progress = all_progress(connection)["s"]
        assert progress.position == 500
        assert progress.closed
        assert (progress.attempts, progress.error, progress.next_try) == (0, None, 0.0)


def test_alias_history(project: Project) -> None:
    verdict = GateVerdict("floor", True, "fine", 0.9, 0.8)
    with StateDB(project).write() as connection:
        add_move(connection, by="me", name="m", alias="a", before=None, after=1)
        add_move(connection, by="me", name="m", alias="a", before=1, after=2, verdicts=[verdict])
        add_move(connection, by="me", name="other", alias="a", before=None, after=9)
        move = last_move(connection, "m", "a")
        assert move is not None
        assert (move.before, move.after, move.verdicts) == (1, 2, (verdict,))
        mark_undone(connection, move.seq)
        assert last_move(connection, "m", "a").before is None  # type: ignore[union-attr]
        assert [m.after for m in alias_history(connection, "m")] == [2, 1]
        assert last_move(connection, "m", "b") is None


def test_a_held_lease_outlives_its_seconds(project: Project) -> None:
    db = StateDB(project)
    with hold(db, "work", seconds=0.3) as held:
        assert held is not None
        time.sleep(0.8)
        assert held.holds()
        assert acquire(db, "work", "other", 1.0) is None
    assert acquire(db, "work", "other", 1.0) is not None
    assert not held.holds()


def test_waiting_for_a_lease(project: Project) -> None:
    db = StateDB(project)
    entered = threading.Event()
    leave = threading.Event()

    def first() -> None:
        with hold(db, "work"):
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with hold(db, "work") as held:
        assert held is None
    leave.set()
    with hold(db, "work", wait=10.0) as held:
        assert held is not None
    thread.join()


def test_a_lease_that_was_lost_is_found_out(project: Project) -> None:
    db = StateDB(project)
    with hold(db, "work") as held:
        assert held is not None
        with db.write() as connection:  # what happens to one who was stopped past its lease
            connection.execute("UPDATE leases SET holder = 'other', epoch = epoch + 1")
        assert not held.holds()
