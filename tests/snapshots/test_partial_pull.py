"""Parts of real frames, pulled by column: read where they are, and named where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import NotFoundError, UsageError
from jupyter_mlops.project import open_project
from jupyter_mlops.snapshots.encoding import decode
from jupyter_mlops.snapshots.pulling import clone, pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.store import SnapshotStore, open_store

from .test_reader import frame, take


@pytest.fixture
def mine(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "mine")


@pytest.fixture
def theirs(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "theirs")


def load(store: SnapshotStore, spec: str, columns: list[str] | None = None) -> pd.DataFrame:
    tree = store.manifest(store.resolve(spec).manifest).object
    found = decode(tree, store.read, columns=columns)
    assert isinstance(found, pd.DataFrame)
    return found


def test_the_columns_that_were_asked_for(
    mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    value = frame()
    take(mine, "c", value)
    push(mine, str(tmp_path / "remote"))
    wanted = ["amount", "category", "text"]
    part = pull(theirs, str(tmp_path / "remote"), ["c"], columns=wanted)
    pd.testing.assert_frame_equal(load(theirs, "c", wanted), value[wanted])
    with pytest.raises(NotFoundError, match="c@1"):
        load(theirs, "c")
    rest = pull(theirs, str(tmp_path / "remote"), ["c"])
    assert part.chunks > 0
    assert rest.chunks > 0
    pd.testing.assert_frame_equal(load(theirs, "c"), value)


def test_a_column_of_a_filtered_version_brings_what_it_is_made_of(
    mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    value = frame(20_000)[["id", "amount", "text"]]
    take(mine, "c", value)
    kept = value.sample(frac=0.9, random_state=1)
    take(mine, "c", kept)
    push(mine, str(tmp_path / "remote"), ["c@2"])
    pull(theirs, str(tmp_path / "remote"), ["c"], columns=["amount"])
    pd.testing.assert_frame_equal(load(theirs, "c", ["amount"]), kept[["amount"]])
    assert [v.spec for v in theirs.versions()] == ["c@2"]


def test_a_part_outlives_gc_and_goes_on_from_there(
    mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    value = frame()
    take(mine, "c", value)
    push(mine, str(tmp_path / "remote"))
    pull(theirs, str(tmp_path / "remote"), columns=["amount"])
    theirs.gc(dry_run=False, grace=0)
    pd.testing.assert_frame_equal(load(theirs, "c", ["amount"]), value[["amount"]])
    # To where the rest lies it can be pushed; elsewhere it would not be whole.
    assert push(theirs, str(tmp_path / "remote")).chunks == 0
    with pytest.raises(NotFoundError, match="neither here nor on the remote"):
        push(theirs, str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere" / "refs").exists()
    edited = value.assign(amount=np.arange(len(value)) * 1.0)
    take(theirs, "d", edited[["amount"]])
    pull(theirs, str(tmp_path / "remote"))
    pd.testing.assert_frame_equal(load(theirs, "c"), value)


def test_files_and_folders_go_over_whole(
    mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    large = np.random.default_rng(1).bytes(5_000_000)
    (folder / "large").write_bytes(large)
    (folder / "below" / "small").write_text("a small one")
    (folder / "below" / "empty").touch()
    kept = take(mine, "folder", folder)
    assert kept.size == 5_000_011
    single = take(mine, "large", folder / "large")
    assert (single.size, single.added < 10_000) == (5_000_000, True)
    chunks = set(mine.manifest(kept.manifest).chunks)
    entries = mine.manifest(kept.manifest).object["entries"]
    assert chunks == {piece[0] for entry in entries for piece in entry.get("pieces", ())}
    push(mine, str(tmp_path / "remote"))
    assert pull(theirs, str(tmp_path / "remote"), ["folder"]).chunks == len(chunks)
    theirs.gc(dry_run=False, grace=0)
    tree = theirs.manifest(theirs.resolve("folder").manifest).object
    decode(tree, theirs.read).restore(tmp_path / "out")
    assert (tmp_path / "out" / "large").read_bytes() == large
    assert (tmp_path / "out" / "below" / "small").read_text() == "a small one"
    with pytest.raises(UsageError, match="no columns to choose from"):
        pull(theirs, str(tmp_path / "remote"), ["large"], columns=["x"])
    assert theirs.verify().ok


def test_one_column_of_one_version_is_cloned(mine: SnapshotStore, tmp_path: Path) -> None:
    value = frame()
    take(mine, "c", value)
    take(mine, "c", value.assign(amount=1.0))
    push(mine, str(tmp_path / "remote"))
    (tmp_path / "project").mkdir()
    project = open_project(tmp_path / "project")
    found = clone(str(tmp_path / "remote"), project, ["c@2"], columns=["amount"])
    assert [version.spec for version in found.versions] == ["c@2"]
    store = open_store(project)
    assert (load(store, "c@2", ["amount"])["amount"] == 1.0).all()
    with pytest.raises(NotFoundError, match="c@2"):
        load(store, "c@2")
    assert clone(str(tmp_path / "remote"), project).new == 1
    pd.testing.assert_frame_equal(load(store, "c@1"), value)
