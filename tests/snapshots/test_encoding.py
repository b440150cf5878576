"""What is stored comes back to the bit: frames, and parts of them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops.errors import CorruptError, NotFoundError, UsageError
from jupyter_mlops.snapshots import LEAF_ROWS
from jupyter_mlops.snapshots.encoding import chunks_of, decode

from .memory import MemoryStore, back, put
from .odd_frames import FRAMES, objects, strict


@pytest.mark.parametrize("name", FRAMES)
def test_odd_frames_come_back(name: str) -> None:
    frame = FRAMES[name]()
    store = MemoryStore()
    manifest, _ = put(frame, store)
    json.dumps(manifest.object, allow_nan=False)
    json.dumps(manifest.stats, allow_nan=False)
    assert set(chunks_of(manifest.object)) == set(store.chunks)
    found = back(manifest, store)
    strict(frame, found)
    again, tx = put(found, store, manifest)
    assert (again.object, again.digest, tx.new_chunks) == (manifest.object, manifest.digest, 0)
    assert again.stats == manifest.stats


@pytest.mark.parametrize("name", FRAMES)
def test_rows_and_columns_are_those_of_the_whole(name: str) -> None:
    frame = FRAMES[name]()
    store = MemoryStore()
    manifest, _ = put(frame, store)
    for rows in (slice(1, 3), slice(None, None, 2), slice(-2, None), slice(5, 2), range(2)):
        chosen = slice(rows.start, rows.stop, rows.step) if isinstance(rows, range) else rows
        found = back(manifest, store, rows=rows)
        expected = frame.iloc[chosen]
        pd.testing.assert_frame_equal(found, expected, check_exact=True, check_freq=False)
    if len(frame.columns) and frame.columns.is_unique:
        label = frame.columns[-1]
        found = back(manifest, store, columns=[label])
        pd.testing.assert_frame_equal(found, frame[[label]], check_exact=True, check_freq=False)


def test_equal_objects_give_equal_chunks() -> None:
    shared = ["x", "y"]
    store = MemoryStore()
    put(objects(shared, shared, {"k": "x"}), store)
    _, tx = put(objects(["x", "y"], ["x", "y"], {"".join(["k"]): "".join(["x"])}), store)
    assert tx.new_chunks == 0


def test_only_what_is_needed_is_read() -> None:
    frame = pd.DataFrame({c: np.random.default_rng(0).random(LEAF_ROWS * 8) for c in "abc"})
    store = MemoryStore()
    manifest, _ = put(frame, store)
    everything = len(set(chunks_of(manifest.object)))
    store.reads.clear()
    found = back(manifest, store, columns=["b"], rows=slice(100, 110))
    assert found["b"].tolist() == frame["b"][100:110].tolist()
    assert len(set(store.reads)) <= 3 < everything  # Two are the labels of the columns.
    with pytest.raises(NotFoundError, match="'z'"):
        back(manifest, store, columns=["z"])


def test_rows_of_what_has_none() -> None:
    store = MemoryStore()
    manifest, _ = put([1, 2, 3, 4], store)
    assert back(manifest, store, rows=slice(1, 3)) == [2, 3]
    manifest, _ = put({"a": 1}, store)
    with pytest.raises(UsageError, match="rows"):
        back(manifest, store, rows=slice(1))
    with pytest.raises(NotFoundError, match="columns"):
        back(manifest, store, columns=["a"])


def test_what_is_restored_can_be_changed() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [1.5, None], "s": ["x", "y"]})
    store = MemoryStore()
    found = back(put(frame, store)[0], store)
    found.loc[0, "a"] = 9
    found.loc[1, "b"] = 2.0
    found.iloc[:, 0] += 1
    assert found["a"].tolist() == [10, 3]


@pytest.mark.parametrize("change", ["rows", "length", "chunks", "type", "kind", "format"])
def test_a_manifest_that_does_not_fit_is_corrupt(change: str) -> None:
    store = MemoryStore()
    manifest, _ = put(pd.DataFrame({"a": [1, 2, 3]}), store)
    tree = json.loads(json.dumps(manifest.object))
    node = tree["columns"][0]
    if change == "rows":
        node["rows"] = [10**15]
    elif change == "length":
        node["length"] = node["rows"][0] = 10**15
    elif change == "chunks":
        node["streams"]["values"]["chunks"] = []
    elif change == "type":
        node["streams"]["values"]["type"] = "|O"
    elif change == "kind":
        node["kind"] = "evil"
    else:
        tree["format"] = 2
    with pytest.raises(CorruptError):
        decode(tree, store.read)
