"""Parts of real frames, pulled by column: read where they are, and named where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import NotFoundError
from jupyter_mlops.snapshots.encoding import decode
from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.store import SnapshotStore

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
