"""What the commit of an unchanged frame takes over from its parent is what it would make anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.snapshots.digest import digest
from jupyter_mlops.snapshots.encoding import digest_of, encode
from jupyter_mlops.snapshots.manifests import Manifest
from jupyter_mlops.snapshots.sameness import memory_key
from jupyter_mlops.snapshots.store import SnapshotStore

_ODD = st.sampled_from(["created", "parent", "stats", "object", '"],"object":{', "é", ""])
_TREES = st.recursive(
    st.none() | st.integers() | _ODD,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(_ODD, below, max_size=3),
    max_leaves=8,
)
_DICTS = st.dictionaries(_ODD, _TREES, max_size=3)


def _read(manifest: Manifest) -> Manifest:
    plain = manifest.encode()
    return replace(Manifest.from_json(plain), plain=plain)


@given(_DICTS, _DICTS, _DICTS, st.integers(0, 2), _ODD)
def test_a_manifest_of_the_same_tree_is_written_as_any(
    tree: dict[str, Any], stats: dict[str, Any], meta: dict[str, Any], ids: int, name: str
) -> None:
    chunks = [f"{n:064x}" for n in range(ids)]
    parent = _read(Manifest(tree, "blake3:1", name, stats=stats, meta=meta, chunks=chunks))
    child = replace(parent, name="b", created=2.5, parent="0" * 64, stats=meta, plain=None)
    assert child.encode_as(parent) == child.encode()
    assert replace(child, object=dict(tree)).encode_as(parent) == child.encode()
    assert child.encode_as(replace(parent, created=9.0)) == child.encode()  # Not as it was read.


def test_sizes_are_forgotten_when_a_pack_goes(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    frame = pd.DataFrame({"a": np.arange(5000)})
    with store.begin() as tx:
        tree, _ = encode(frame, tx)
        version = tx.commit("a", tree, digest=digest_of(frame, tree))
    manifest = store.manifest(version.manifest)
    sizes = store.index.sizes_of(version.manifest, manifest.chunks)
    assert set(sizes) == set(manifest.chunks)
    assert store.index.sizes_of(version.manifest, []) is sizes
    for pack in store.packs.glob("*.pack"):
        pack.unlink()
    store.index.refresh()
    assert store.index.sizes_of(version.manifest, manifest.chunks) == {}
    for number in range(20):  # Those of a few are remembered.
        store.index.remember_sizes(str(number), {})
    assert store.index.sizes_of("0", manifest.chunks) == {}


@pytest.mark.parametrize("dtype", ["str", "string[pyarrow]", "string[python]", object])
def test_labels_are_part_of_what_is_known_again(tmp_path: Path, dtype: Any) -> None:
    store = SnapshotStore(tmp_path)
    values = np.ones((5, 3))

    def key(labels: list[Any], name: Any = None) -> bytes | None:
        columns = pd.Index(labels, dtype=dtype, name=name)
        return memory_key(pd.DataFrame(values, columns=columns), store.key_of)

    keys = [key(["a", "b", "c"]), key(["a", "bc", ""]), key(["a", "b", "d"]), key(["a", "b", None])]
    keys += [key(["a", "b", "c"], "n"), key(["a", "b", "c"], "None"), key(["a", "b", "c"], 1)]
    known = [each for each in keys if each is not None]
    assert len(set(known)) == len(known)
    assert key(["a", "b", "c"]) == keys[0]


def test_a_digest_for_once_is_the_same_and_forgotten() -> None:
    frame = pd.DataFrame({"a": np.arange(70_000.0), "b": pd.array(["x"] * 70_000, dtype="str")})
    parts = pd.concat([frame[:100], frame[100:40_000], frame[40_000:]])
    once = digest(frame, again=False)
    assert once == digest(frame) == digest(frame, again=False) == digest(parts, again=False)
