"""What was done with plain MLflow is seen, each change once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import ConflictError, NotFoundError
from jupyter_mlops.model.wiring import load_port, replaced_port
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.registry import list_models
from jupyter_mlops.state import StateDB, changes_after, last_change
from jupyter_mlops.tracking import (
    delete_run,
    deliver,
    find_run,
    list_runs,
    refresh,
    sync_state,
    tracking_uri,
    watched_experiments,
)

from .sessions import Session

Client = Callable[[Project | str], Any]


class News:
    """The changes noted since the last look."""

    def __init__(self, project: Project) -> None:
        self._db = StateDB(project)
        self._seq = 0
        self()

    def __call__(self) -> list[tuple[str, str]]:
        with self._db.read() as connection:
            changes = changes_after(connection, self._seq)
            self._seq = last_change(connection)
        return [(c.kind, c.action) for c in changes]


def test_what_others_do_is_read_back(
    mlflow_project: Project, client: Client, forest: Any, iris: tuple[Any, Any]
) -> None:
    project, config = mlflow_project, Config()
    session = Session(project)
    ours = session.run(models=(session.model(forest, iris[0].head()),), register="iris")
    deliver(project, config)
    refresh(project, config)
    news = News(project)
    refresh(project, config)
    refresh(project, config, whole=True)
    assert news() == []

    plain = client(project)
    experiment = plain.create_experiment("by hand", f"{project.artifacts.as_uri()}/by-hand")
    theirs = plain.create_run(experiment, run_name="their run", tags={"mlflow.user": "you"})
    plain.log_param(theirs.info.run_id, "depth", 3)
    refresh(project, config)
    assert news() == [("run", "created")]
    found = find_run(project, theirs.info.run_id)
    assert (found.kind, found.status, found.params) == ("mlflow", "RUNNING", {"depth": "3"})

    plain.log_metric(theirs.info.run_id, "auc", 0.5)
    plain.set_terminated(theirs.info.run_id)
    refresh(project, config)
    assert news() == [("run", "updated")]
    assert find_run(project, theirs.info.run_id).metrics == {"auc": 0.5}

    plain.set_registered_model_alias("iris", "champion", "1")
    plain.update_registered_model("iris", "flowers")
    refresh(project, config)
    assert news() == [("model", "updated")]
    (model,) = list_models(project)
    assert model.description == "flowers"
    assert model.versions[0].aliases == ("champion",)
    assert model.versions[0].run_id == ours.run_id

    plain.create_registered_model("empty")
    plain.delete_run(theirs.info.run_id)
    refresh(project, config)
    assert sorted(news()) == [("model", "created"), ("run", "removed")]
    assert [r.run_id for r in list_runs(project)] == [ours.run_id]

    plain.delete_registered_model("iris")
    plain.restore_run(theirs.info.run_id)
    refresh(project, config)
    assert sorted(news()) == [("model", "removed"), ("run", "created")]
    assert find_run(project, ours.run_id).registered is None


def test_a_model_registered_by_plain_mlflow_is_complete(
    mlflow_project: Project, client: Client, forest: Any, iris: tuple[Any, Any]
) -> None:
    project = mlflow_project
    plain = client(project)
    import mlflow
    import mlflow.sklearn

    plain.create_experiment("theirs", f"{project.artifacts.as_uri()}/theirs")
    mlflow.set_experiment("theirs")
    with mlflow.start_run() as run:
        mlflow.log_metric("auc", 0.75)
        mlflow.sklearn.log_model(
            forest,
            name="forest",
            registered_model_name="theirs",
            pip_requirements=[],
            skops_trusted_types=["sklearn.tree._tree.Tree"],
        )
    refresh(project, Config())
    (model,) = list_models(project)
    (version,) = model.versions
    assert version.metrics == {"auc": 0.75}
    assert version.mlflow_run_id == run.info.run_id
    assert version.source is not None
    assert Path(version.source, "MLmodel").is_file()
    assert find_run(project, run.info.run_id).registered == "theirs@1"


def test_reading_an_unchanged_store_asks_nobody(mlflow_project: Project) -> None:
    project, config = mlflow_project, Config()
    Session(project).run()
    deliver(project, config)
    refresh(project, config)
    refresh(project, config)
    connect = load_port("tracking")
    asked: list[str] = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        backend = connect(*args, **kwargs)
        for name in ("runs", "models", "version", "run"):
            inner = getattr(backend, name)
            setattr(backend, name, lambda *a, n=name, f=inner: (asked.append(n), f(*a))[1])
        return backend

    with replaced_port("tracking", watched):
        refresh(project, config)
        assert asked == []
        refresh(project, config, whole=True)
        assert "runs" in asked


def test_a_delivery_while_reading_is_not_lost(mlflow_project: Project, client: Client) -> None:
    """A whole reading drops what MLflow no longer has, but not what came after it was read."""
    project, config = mlflow_project, Config()
    session = Session(project)
    session.run("first")
    deliver(project, config)
    connect = load_port("tracking")
    late: list[str] = []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        backend = connect(*args, **kwargs)
        inner = backend.models

        def models() -> Any:
            found = inner()
            if not late:
                late.append(session.run("late").run_id)
                with replaced_port("tracking", connect):
                    deliver(project, config)
            return found

        backend.models = models
        return backend

    with replaced_port("tracking", interrupted):
        refresh(project, config, whole=True)
    assert {r.name for r in list_runs(project)} == {"first", "late"}


def test_a_store_that_is_damaged_says_so(mlflow_project: Project) -> None:
    project = mlflow_project
    (project.state / "mlflow.db").write_bytes(b"not a database" * 100)
    Session(project).run()
    report = deliver(project, Config())
    assert report.waiting == 1
    assert "mlflow.db" in report.errors[0]
    refresh(project, Config())
    error = sync_state(project).error
    assert error is not None
    assert "mlflow.db" in str(error["message"])


def test_nothing_is_made_for_a_project_that_has_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    project = open_project(tmp_path, create=False)
    refresh(project, Config())
    assert not project.state.exists()
    assert sync_state(project).at is None


def test_a_run_can_be_deleted_and_restored(
    mlflow_project: Project, client: Client, forest: Any
) -> None:
    project, config = mlflow_project, Config()
    session = Session(project)
    plain_run = session.run("plain")
    source = session.run("source", models=(session.model(forest),), register="m")
    with pytest.raises(ConflictError, match="not been delivered"):
        delete_run(project, config, plain_run.run_id)
    deliver(project, config)
    removed = delete_run(project, config, plain_run.run_id).run
    assert removed.run_id == plain_run.run_id
    with pytest.raises(NotFoundError):
        find_run(project, plain_run.run_id)
    with pytest.raises(ConflictError, match="m@1"):
        delete_run(project, config, source.run_id)
    client(project).restore_run(removed.mlflow_run_id)
    refresh(project, config, whole=True)
    assert find_run(project, plain_run.run_id).name == "plain"


def test_addresses(project: Project) -> None:
    assert tracking_uri(project, Config()) == f"sqlite:///{project.state}/mlflow.db"
    relative = Config(tracking_uri="sqlite:///data/mlflow.db")
    assert tracking_uri(project, relative) == f"sqlite:///{project.root}/data/mlflow.db"
    absolute = Config(tracking_uri="sqlite:////data/mlflow.db")
    assert tracking_uri(project, absolute) == "sqlite:////data/mlflow.db"
    assert watched_experiments(project, Config()) is None
    server = Config(tracking_uri="http://127.0.0.1:5000", experiment="mine")
    assert watched_experiments(project, server) == ("mine",)


def test_runs_go_to_another_sqlite_store_by_address(
    project: Project, mlflow_template: Path, client: Client, forest: Any
) -> None:
    (project.root / "shared.db").write_bytes(mlflow_template.read_bytes())
    config = Config(tracking_uri="sqlite:///shared.db", experiment="ours")
    session = Session(project)
    session.run(models=(session.model(forest),), files=(session.file("a.txt", b"x"),))
    assert deliver(project, config).delivered == 1
    plain = client(f"sqlite:///{project.root}/shared.db")
    (run,) = plain.search_runs([plain.get_experiment_by_name("ours").experiment_id])
    assert plain.list_artifacts(run.info.run_id)[0].path == "a.txt"
    assert not (project.state / "mlflow.db").exists()
    refresh(project, config)
    assert [r.experiment for r in list_runs(project)] == ["ours"]
