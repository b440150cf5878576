"""Repair: one flipped bit anywhere is undone; larger damage comes back from a remote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jupyter_mlops.snapshots.packs import read_footer
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.repairing import repair
from jupyter_mlops.snapshots.store import SnapshotStore

from .test_remotes import commit, content, noise


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    """Three versions of two names, one tag, one removed."""
    store = SnapshotStore(tmp_path / "store")
    text = b"a line of text that compresses\n" * 300
    commit(store, "c", {"a": [noise(1, 3000)], "b": [text]}, message="first")
    commit(store, "c", {"a": [noise(2, 3000)], "b": [text]}, tags=("good",))
    commit(store, "d", {"x": [noise(3, 3000)]})
    commit(store, "d", {"x": [noise(4, 3000)]})
    store.remove("d@1")
    return store


SPECS = ("c@1", "c@2", "d@2")


def everything(store: SnapshotStore) -> dict[str, object]:
    return {spec: (store.resolve(spec), content(store, spec)) for spec in SPECS}


def files(store: SnapshotStore, *folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (store.folder / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def test_nothing_damaged_nothing_written(store: SnapshotStore) -> None:
    before = {path: path.stat().st_mtime_ns for path in files(store, "packs", "manifests", "refs")}
    done = repair(store)
    assert done.ok
    assert done.found == 0
    after = {path: path.stat().st_mtime_ns for path in files(store, "packs", "manifests", "refs")}
    assert before == after


@pytest.mark.parametrize("seed", range(4))
def test_one_flipped_bit_of_each_file_is_undone(store: SnapshotStore, seed: int) -> None:
    before = everything(store)
    generator = np.random.default_rng(seed)
    paths = files(store, "packs", "manifests", "refs")
    for path in paths:
        data = bytearray(path.read_bytes())
        data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        path.write_bytes(data)
    store.index.rebuild()
    assert len(store.verify().problems) >= len(paths)
    done = repair(store)
    assert done.ok, done.left.problems
    assert done.mended == len(paths)
    assert everything(store) == before
    assert store.restore_removed("d@1").version == 1
    assert content(store, "d@1") == {"x": noise(3, 3000)}


def test_each_part_of_a_pack(store: SnapshotStore) -> None:
    before = everything(store)
    (first, *_) = sorted(store.packs.glob("*.pack"))
    size = first.stat().st_size
    last = read_footer(first)[-1]
    for place in (
        0,
        7,
        8,
        last.offset,
        last.offset + last.length + 3,
        size - 64,
        size - 50,
        size - 1,
    ):
        (path, *_) = [p for p in store.packs.glob("*.pack") if p.stat().st_size == size]
        data = bytearray(path.read_bytes())
        data[place] ^= 16
        path.write_bytes(data)
        assert not store.verify().ok
        assert repair(store).ok, place
        assert everything(store) == before


@pytest.mark.parametrize("folder", ["packs", "manifests", "refs"])
@pytest.mark.parametrize("how", ["cut", "lost", "zeros"])
def test_the_rest_comes_from_a_remote(
    store: SnapshotStore, folder: str, how: str, tmp_path: Path
) -> None:
    remote = str(tmp_path / "remote")
    push(store, remote)
    before = everything(store)
    for path in files(store, folder):
        if how == "cut" or path.suffix == ".removed":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        elif how == "zeros" or folder == "refs":
            path.write_bytes(b"\0" * path.stat().st_size)
        else:
            path.unlink()
    store.index.rebuild()
    assert not store.verify().ok
    assert not repair(store).ok
    done = repair(store, remote)
    # What was removed was never pushed.
    assert set(done.left.versions) <= {"d@1"}
    assert done.fetched > 0
    assert everything(store) == before


def test_a_record_is_made_of_its_manifest(store: SnapshotStore) -> None:
    before = content(store, "c@2")
    path = store.refs.path("c", 2)
    path.write_bytes(b"\0" * 100)
    done = repair(store)
    assert done.ok
    assert done.rebuilt == 1
    assert content(store, "c@2") == before
    assert store.resolve("c@good").version == 2


def test_without_a_remote_the_damage_is_kept_and_named(store: SnapshotStore) -> None:
    sizes = {path: path.stat().st_size for path in store.packs.glob("*.pack")}
    broken = min(sizes, key=lambda path: path.name)
    entry = max(read_footer(broken), key=lambda e: e.length)
    data = bytearray(broken.read_bytes())
    data[entry.offset : entry.offset + 8] = bytes(8)
    broken.write_bytes(data)
    done = repair(store)
    assert not done.ok
    assert "c@1" in done.left.versions
    assert broken.exists()
    assert content(store, "c@2")


def test_who_had_the_store_open_reads_what_was_repaired(store: SnapshotStore) -> None:
    before = everything(store)
    other = SnapshotStore(store.folder)
    for spec in SPECS:
        assert content(other, spec)
    for path in files(store, "packs"):
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 4
        path.write_bytes(data)
    assert repair(store).ok
    assert not {path.name for path in files(store, "packs")} & other.index._known
    assert everything(other) == everything(store) == before
    other.index.close()
