"""What goes wrong during a delivery loses nothing and makes nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ConflictError, ServiceError, UsageError
from jupyter_mlops.model.wiring import load_port, replaced_port
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.held import hold
from jupyter_mlops.tracking import (
    deliver,
    find_run,
    what_waits,
)

from .sessions import Session, all_runs

Client = Callable[[Project | str], Any]


def test_a_deleted_experiment_keeps_its_runs_waiting(
    mlflow_project: Project, client: Client
) -> None:
    project = mlflow_project
    plain = client(project)
    plain.delete_experiment(plain.create_experiment("gone"))
    Session(project).run(experiment="gone")
    other = Session(project).run()
    report = deliver(project, Config())
    assert report.delivered == 1
    assert report.waiting == 1
    assert "'gone' was deleted" in report.errors[0]
    assert find_run(project, other.run_id).mlflow_run_id
    (wait,) = what_waits(project)
    assert wait.error is not None
    assert wait.next_try > time.time() - 1


def test_only_one_process_delivers_at_a_time(mlflow_project: Project) -> None:
    project = mlflow_project
    Session(project).run()
    with hold(StateDB(project), "delivery"):
        report = deliver(project, Config(), wait_lease=0.2)
    assert (report.delivered, report.waiting, report.busy) == (0, 1, True)
    assert deliver(project, Config()).delivered == 1


@pytest.mark.parametrize("when", ["before create", "after create", "at the end"])
def test_a_process_that_lost_its_lease_leaves_one_run(
    mlflow_project: Project, client: Client, when: str
) -> None:
    """It was stopped for longer than its lease; another one delivered meanwhile."""
    project = mlflow_project
    record = Session(project).run()
    connect = load_port("tracking")
    answers = {"before create": [False], "after create": [True, False]}.get(when, [True, True])

    def stopped(*args: Any, **kwargs: Any) -> Any:
        backend = connect(*args, **kwargs)
        inner = backend.deliver

        def interrupted(run: Any, **options: Any) -> Any:
            replies = iter(answers)
            return inner(run, **(options | {"guard": lambda: next(replies, False)}))

        backend.deliver = interrupted
        return backend

    with replaced_port("tracking", stopped):
        report = deliver(project, Config())
    assert report.busy
    assert (report.delivered, report.waiting) == (0, 1)
    assert deliver(project, Config()).delivered == 1
    (run,) = all_runs(client(project))
    assert run.data.tags["mlops.run_id"] == record.run_id
    assert run.info.status == "FINISHED"


def test_the_holder_of_the_lease_removes_a_second_copy(
    mlflow_project: Project, client: Client
) -> None:
    """A stopped process wakes up between its search and its create: both have made a run."""
    project = mlflow_project
    record = Session(project).run()
    plain = client(project)
    experiment = plain.create_experiment(project.name)
    connect = load_port("tracking")

    def racing(*args: Any, **kwargs: Any) -> Any:
        backend = connect(*args, **kwargs)
        inner = backend.deliver

        def late(run: Any, **options: Any) -> Any:
            first = True

            def guard() -> bool:
                nonlocal first
                if first:  # asked just before the run is created
                    first = False
                    plain.create_run(experiment, tags={"mlops.run_id": run.run_id})
                return True

            return inner(run, **(options | {"guard": guard}))

        backend.deliver = late
        return backend

    with replaced_port("tracking", racing):
        assert deliver(project, Config()).delivered == 1
    (run,) = all_runs(plain)
    assert run.info.run_id == find_run(project, record.run_id).mlflow_run_id


def test_what_mlflow_refuses_is_skipped_and_stays_visible(mlflow_project: Project) -> None:
    project = mlflow_project
    session = Session(project)
    refused = session.run("refused")
    session.run("fine")
    connect = load_port("tracking")

    def picky(*args: Any, **kwargs: Any) -> Any:
        backend = connect(*args, **kwargs)
        inner = backend.deliver

        def deliver_one(run: Any, **options: Any) -> Any:
            if run.run_id == refused.run_id:
                raise UsageError("MLflow refused: no")
            return inner(run, **options)

        backend.deliver = deliver_one
        return backend

    with replaced_port("tracking", picky):
        report = deliver(project, Config())
    assert (report.delivered, report.waiting) == (1, 0)
    assert "refused" in report.errors[0]
    shown = find_run(project, refused.run_id)
    assert shown.mlflow_run_id is None
    assert "was not accepted" in shown.warnings[-1]


def test_a_fault_in_one_session_does_not_keep_others_waiting(mlflow_project: Project) -> None:
    project = mlflow_project
    bad = Session(project).run("bad")
    good = Session(project).run("good")
    connect = load_port("tracking")

    def faulty(*args: Any, **kwargs: Any) -> Any:
        backend = connect(*args, **kwargs)
        inner = backend.deliver

        def deliver_one(run: Any, **options: Any) -> Any:
            if run.run_id == bad.run_id:
                raise RuntimeError("a bug")
            return inner(run, **options)

        backend.deliver = deliver_one
        return backend

    with replaced_port("tracking", faulty):
        report = deliver(project, Config())
        assert (report.delivered, report.waiting) == (1, 1)
        assert report.errors == ("RuntimeError: a bug",)
        # Left for later, and said why; forced, it is tried again.
        assert deliver(project, Config()).errors == ("RuntimeError: a bug",)
    assert find_run(project, good.run_id).mlflow_run_id
    assert deliver(project, Config(), force=True).delivered == 1


def test_errors_are_of_the_right_kind() -> None:
    assert issubclass(ConflictError, UsageError)
    assert issubclass(ServiceError, OSError)
