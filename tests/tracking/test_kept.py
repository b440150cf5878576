"""Which snapshots stay because runs need them."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.model.events import InputRecord, RunAmended, RunRecord
from jupyter_mlops.model.registry import RunSummary
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.service import take
from jupyter_mlops.snapshots.store import SnapshotStore, open_store
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.delivery import advance
from jupyter_mlops.state.readmodel import forget_run, put_run
from jupyter_mlops.tracking.kept import kept_by_runs

from .sessions import Session


@pytest.fixture
def store(project: Project) -> SnapshotStore:
    return open_store(project)


def kept(project: Project, name: str, run: str, seed: int) -> str:
    frame = pd.DataFrame({"x": np.random.default_rng(seed).normal(size=500)})
    return take(project, frame, name, meta={"automatic": True, "run": run, "of": name}).spec


def listed(project: Project, run: RunRecord) -> None:
    with StateDB(project).write() as connection:
        put_run(connection, RunSummary(run.run_id, "r", "FINISHED", time.time(), session="x"))


def gone(project: Project, run: RunRecord) -> None:
    with StateDB(project).write() as connection:
        forget_run(connection, run.run_id)


def test_what_runs_need_stays_and_the_rest_goes(project: Project, store: SnapshotStore) -> None:
    # A run that is not delivered is there as well; those of a session that was are not looked at
    # again, so that what the list does not have is not there.
    session = Session(project)
    first, second = session.run(), session.run()
    third = session.run(inputs=(InputRecord("c", "frame", snapshot="c@1"),))
    specs = [kept(project, name, run.run_id, n) for n, (name, run) in enumerate(
        [("a", first), ("b", second), ("c", first), ("d", first), ("e", first)]
    )]  # fmt: skip
    assert specs == ["a@1", "b@1", "c@1", "d@1", "e@1"]
    amendment = RunAmended(
        third.run_id, session.id, time.time(), inputs=(InputRecord("d", "frame", snapshot="d@1"),)
    )
    session.journal.append(amendment.to_dict(), sync=True)
    # Until it is known what MLflow has, nothing goes.
    assert kept_by_runs(project) is None
    assert store.gc(grace=0, runs=kept_by_runs(project)).retired == []
    for run in (first, second, third):
        listed(project, run)
    runs = kept_by_runs(project)
    assert runs is not None
    assert runs.ids >= {first.run_id, second.run_id, third.run_id}
    assert dict(runs.named) == {"c@1": third.run_id, "d@1": third.run_id}
    assert store.gc(grace=0, runs=runs).retired == []
    # The first is deleted: what only it used goes, but what has a tag or is a person's stays.
    runs = replace(runs, ids=runs.ids - {first.run_id})
    store.tag("e@1", "mine")
    take(project, pd.DataFrame({"x": [1]}), "own")
    assert store.gc(grace=3600, runs=runs).retired == []
    plan = store.gc(grace=0, runs=runs)
    assert (plan.retired, plan.versions) == (["a@1"], ["a@1"])
    assert plan.freed > 3000
    assert {v.spec for v in store.versions()} == {*specs, "own@1"}
    done = store.gc(False, grace=0, runs=runs)
    assert (done.retired, done.versions) == (["a@1"], ["a@1"])
    assert abs(done.freed - plan.freed) < 1000
    assert {v.spec for v in store.versions()} == {"b@1", "c@1", "d@1", "e@1", "own@1"}
    assert store.verify().ok


def test_a_removed_version_that_a_run_names_comes_back(
    project: Project, store: SnapshotStore
) -> None:
    session = Session(project)
    run = session.run(inputs=(InputRecord("c", "frame", snapshot="c@1"),))
    listed(project, run)
    kept(project, "c", run.run_id, 1)
    take(project, pd.DataFrame({"x": range(100)}), "mine")
    for spec in ("c@1", "mine@1"):
        store.remove(spec)
    done = store.gc(False, grace=0, runs=kept_by_runs(project))
    assert done.versions == ["mine@1"]
    assert done.kept == {"c@1": run.run_id}
    assert store.restore_removed("c@1").rows == 500


def test_a_run_that_mlflow_does_not_show_any_more(project: Project, store: SnapshotStore) -> None:
    session = Session(project, dead=True)
    run = session.run(inputs=(InputRecord("c", "frame", snapshot="c@1"),))
    listed(project, run)
    with StateDB(project).write() as connection:
        advance(connection, session.id, session.journal.path.stat().st_size, closed=True)
    kept(project, "c", run.run_id, 1)
    assert store.gc(grace=0, runs=kept_by_runs(project)).retired == []
    gone(project, run)
    assert store.gc(grace=0, runs=kept_by_runs(project)).retired == ["c@1"]


def test_usage_by_name(project: Project, store: SnapshotStore) -> None:
    kept(project, "a", "run", 1)
    frame = pd.DataFrame({"x": np.random.default_rng(1).normal(size=500), "y": 1.5})
    take(project, frame, "own")
    take(project, frame.assign(z=np.random.default_rng(2).normal(size=500)), "own")
    found = {item.name: item for item in store.du().names}
    assert (found["a"].automatic, found["a"].versions) == (1, 1)
    assert (found["own"].automatic, found["own"].versions) == (0, 2)
    assert found["a"].saved == 0
    assert found["own"].saved > 3000
    assert found["own"].own < found["own"].stored
