"""Sorted versions are stored by the column that they were sorted by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import CorruptError
from jupyter_mlops.snapshots import lineage, row_numbers
from jupyter_mlops.snapshots.encoding import decode, digest_of, encode
from jupyter_mlops.snapshots.exposure import held
from jupyter_mlops.snapshots.purging import Column, purge_part
from jupyter_mlops.snapshots.store import SnapshotStore

from .memory import MemoryStore, back, put

ROWS = 20_000
READER = Path(__file__).parents[2] / "scripts" / "read_snapshot.py"


def frame_of(rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(5)
    fare = random.normal(size=rows).round(1)
    fare[random.random(rows) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "year": np.full(rows, 2013),
            "distance": random.integers(80, 300, rows),
            "fare": fare,
            "noise": random.normal(size=rows),
            "word": pd.array(random.choice(["x", "yy"], rows), dtype="str"),
            "time": pd.date_range("2026", periods=rows, freq="min"),
        }
    )


SORTS: dict[str, tuple[Any, bool]] = {
    "stable": (lambda f: f.sort_values("distance", kind="stable"), False),
    "as pandas does": (lambda f: f.sort_values("distance"), True),
    "falling": (lambda f: f.sort_values("distance", ascending=False, kind="stable"), False),
    "with missing": (lambda f: f.sort_values("fare", kind="stable"), False),
    "falling, with missing": (
        lambda f: f.sort_values("fare", ascending=False, kind="stable"),
        False,
    ),
    "by two": (lambda f: f.sort_values(["distance", "fare"]), True),
    "index anew": (lambda f: f.sort_values("distance", kind="stable", ignore_index=True), False),
    "of some rows": (lambda f: f[f["noise"] > 0].sort_values("distance"), True),
    "of some rows, stable": (
        lambda f: f[f["noise"] > 0].sort_values("fare", kind="stable"),
        False,
    ),
}


@pytest.mark.parametrize("name", SORTS)
def test_a_sort_is_its_column(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_numbers, "_BLOCK", 777)
    monkeypatch.setattr(lineage, "_BLOCK", 5000)
    change, turns = SORTS[name]
    frame = frame_of()
    value = change(frame)
    store = MemoryStore()
    first, _ = put(frame, store)
    second, tx = put(value, store, first)
    by = second.object["lineage"]["by"]
    assert ("turns" in by) == turns
    assert tx.added <= (3 if turns else 1.3) * len(value)
    pd.testing.assert_frame_equal(back(second, store), value)
    part = back(second, store, rows=slice(300, 340), columns=["fare", "word"])
    pd.testing.assert_frame_equal(part, value[["fare", "word"]][300:340])
    again, more = put(back(second, store), store, second)
    assert (again.object, more.new_chunks) == (second.object, 0)
    # And what is made of it.
    third, _ = put(value[::2], store, second)
    pd.testing.assert_frame_equal(back(third, store), value[::2])
    fourth, _ = put(value.drop(columns="distance"), store, second)
    pd.testing.assert_frame_equal(back(fourth, store), value.drop(columns="distance"))
    assert fourth.object["lineage"].get("by", {}).get("name") != "distance"


def _taken(store: SnapshotStore, value: Any, parent: Any) -> Any:
    with store.begin() as tx:
        tree, stats = encode(value, tx, parent, store)
        version = tx.commit("frame", tree, digest=digest_of(value, tree), stats=stats)
    return store.manifest(version.manifest)


@pytest.mark.parametrize("name", ["falling, with missing", "of some rows"])
def test_the_standalone_reader(name: str, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "store")
    frame = frame_of(3000)
    value = SORTS[name][0](frame)
    second = _taken(store, value, _taken(store, frame, None))
    assert "by" in second.object["lineage"]
    out = tmp_path / "out.parquet"
    command = [sys.executable, str(READER), str(store.folder), "frame@2", str(out)]
    subprocess.run(command, check=True, timeout=120)
    found = pd.read_parquet(out).set_index("index").rename_axis(None)
    for column in ("distance", "fare", "noise", "word"):
        assert found[column].tolist() == value[column].tolist() or column == "fare"
    pd.testing.assert_series_equal(found["fare"], value["fare"], check_index=False)


def test_a_column_that_is_erased_leaves_the_order(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "store")
    frame = frame_of(3000)
    value = frame.sort_values("distance")
    second = _taken(store, value, _taken(store, frame, None))
    values = second.object["lineage"]["by"]["values"]["streams"]["values"]["chunks"]
    assert set(values) <= held(second.object, store.index.sizes).hidden
    purge_part(store, "frame", Column("distance"), dry_run=False)
    tree = store.manifest(store.version("frame", 2).manifest).object
    pd.testing.assert_frame_equal(decode(tree, store.read), value.drop(columns="distance"))
    assert not store.index.present(values)
    assert store.verify().ok


@pytest.mark.parametrize("what", ["more", "fewer"])
def test_places_that_do_not_fit_are_refused(what: str) -> None:
    frame, store = frame_of(3000), MemoryStore()
    first, _ = put(frame, store)
    second, _ = put(frame.sort_values("distance"), store, first)
    turns = second.object["lineage"]["by"]["turns"]
    (chunk,) = turns["streams"]["values"]["chunks"]
    raw = bytes(store.chunks[chunk])
    store.chunks[chunk] = b"\xff" * len(raw) if what == "more" else raw[:-4]
    with pytest.raises(CorruptError):
        back(second, store)
