from __future__ import annotations

import time
from dataclasses import replace

import pytest

from jupyter_mlops.errors import ConflictError
from jupyter_mlops.journal.process import this_process
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB, changes_after
from jupyter_mlops.state.deployments import (
    DeploymentRow,
    deployment_row,
    deployment_rows,
    drop_deployment,
    insert_deployment,
    update_deployment,
)


@pytest.fixture
def db(project: Project) -> StateDB:
    return StateDB(project)


def new(id: str = "iris-1", **changes: object) -> DeploymentRow:
    row = DeploymentRow(
        id=id,
        model="iris",
        selector="champion",
        version=3,
        digest="d",
        port=0,
        token="secret",
        interpreter="/usr/bin/python3",
        created=time.time(),
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def test_a_row_comes_back_as_it_was_stored(db: StateDB) -> None:
    row = new(warnings=("one", "two"), error=ConflictError("port 1 is in use", hint="h", port=1))
    insert_deployment(db, row)
    stored = deployment_row(db, "iris-1")
    assert stored is not None
    assert isinstance(stored.error, ConflictError)
    assert stored.error.to_dict() == row.error.to_dict()  # type: ignore[union-attr]
    assert stored == row
    assert deployment_rows(db) == [row]
    assert "secret" not in repr(stored)


def test_one_row_a_model_and_selector(db: StateDB) -> None:
    first = insert_deployment(db, new())
    assert insert_deployment(db, new("iris-2", version=9)) == first
    assert insert_deployment(db, new("iris-3", selector="3")).id == "iris-3"
    assert [r.id for r in deployment_rows(db)] == ["iris-1", "iris-3"]


def test_an_update_of_another_epoch_changes_nothing(db: StateDB) -> None:
    insert_deployment(db, new())
    assert update_deployment(db, "iris-1", if_epoch=0, epoch=1, status="running", port=4711)
    assert not update_deployment(db, "iris-1", if_epoch=0, status="failed")
    assert not update_deployment(db, "nothing", status="failed")
    row = deployment_row(db, "iris-1")
    assert row is not None
    assert (row.status, row.port, row.epoch) == ("running", 4711, 1)


def test_columns_are_checked(db: StateDB) -> None:
    with pytest.raises(TypeError, match="no such columns"):
        update_deployment(db, "iris-1", **{"status = 'x' --": 1})


def test_the_process_is_told_from_one_that_is_gone(db: StateDB) -> None:
    insert_deployment(db, new())
    assert deployment_row(db, "iris-1").alive is False  # type: ignore[union-attr]
    update_deployment(db, "iris-1", process=this_process())
    row = deployment_row(db, "iris-1")
    assert row is not None
    assert row.alive is True
    assert row.process == this_process()
    assert replace(row, pid_started=row.pid_started - 100).alive is False  # type: ignore[operator]
    assert replace(row, boot_id="before the reboot").alive is False
    assert replace(row, machine="another-host").alive is None


def test_changes_are_announced(db: StateDB) -> None:
    insert_deployment(db, new())
    update_deployment(db, "iris-1", status="running")
    update_deployment(db, "iris-1", next_start=5.0)  # nothing that anybody sees
    assert drop_deployment(db, "iris-1")
    assert not drop_deployment(db, "iris-1")
    with db.read() as connection:
        found = [(c.kind, c.action, c.id) for c in changes_after(connection, 0)]
    assert found == [
        ("deployment", "created", "iris-1"),
        ("deployment", "updated", "iris-1"),
        ("deployment", "removed", "iris-1"),
    ]
