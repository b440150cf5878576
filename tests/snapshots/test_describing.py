"""Statistics that are made after a version is durable; what an unchanged version need not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jupyter_mlops.project import Project, open_project
from jupyter_mlops.snapshots import describing, service
from jupyter_mlops.snapshots.describing import describe, is_late, statistics_of, sweep_statistics
from jupyter_mlops.snapshots.encoding import decode, digest_of, encode
from jupyter_mlops.snapshots.lineage import _is_cut
from jupyter_mlops.snapshots.store import SnapshotStore
from jupyter_mlops.snapshots.streams import Coded, Text

from .memory import MemoryManifest, MemoryStore, put


def frame_of(rows: int = 5000, seed: int = 0) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    words = np.array(["red", "green", "", "blue"], object)
    text = pd.array(words.take(r.integers(0, 4, rows)), dtype="str")
    text[::7] = None
    return pd.DataFrame(
        {
            "n": r.integers(0, 50, rows),
            "x": r.normal(size=rows),
            "word": text,
            "c": pd.Categorical(words.take(r.integers(0, 4, rows))),
            "when": pd.Timestamp("2024") + pd.to_timedelta(np.arange(rows), unit="s"),
            "o": pd.Series([None, "a", 3][n % 3] for n in range(rows)),
        }
    )


def sorted_top(stats: dict[str, Any]) -> dict[str, Any]:
    """Top values that are equally frequent have no order."""
    found: dict[str, Any] = json.loads(json.dumps(stats))
    for column in found["columns"]:
        if "top" in column:
            column["top"].sort(key=str)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return open_project(tmp_path, create=True)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every value is a large one, and what would be done later is written down instead."""
    asked: list[str] = []
    monkeypatch.setattr(describing, "_INLINE", -1)
    monkeypatch.setattr(service, "describe_later", lambda store, address: asked.append(address))
    return asked


@pytest.mark.parametrize(
    "value",
    [
        frame_of(),
        pa.table({"a": [1, None, 3] * 500, "s": ["x", "y", None] * 500}),
        np.arange(3000.0),
        {"train": frame_of(seed=1), "rest": [frame_of(seed=2), np.arange(10)], "n": 3},
        pd.Series(["a", "b"] * 400, dtype="str"),
        [1, 2, 3],
    ],
    ids=["frame", "table", "array", "nested", "series", "list"],
)
def test_what_is_stored_has_the_statistics_of_what_was_in_memory(value: Any) -> None:
    store = MemoryStore()
    manifest, _ = put(value, store)
    assert sorted_top(describe(manifest.object, store.read)) == sorted_top(manifest.stats)


def test_rows_of_the_version_before_are_described_as_they_are() -> None:
    store, frame = MemoryStore(), frame_of(20_000)
    first, _ = put(frame, store)
    second, _ = put(frame[frame["n"] < 40], store, first)
    assert "lineage" in second.object
    assert sorted_top(describe(second.object, store.read)) == sorted_top(second.stats)


def test_columns_that_are_known_are_not_read() -> None:
    store, frame = MemoryStore(), frame_of()
    first, _ = put(frame, store)
    second, _ = put(frame.assign(x=1.5), store, first)
    store.reads.clear()
    describe(second.object, store.read, first.stats)
    assert len(store.reads) == 1


def test_large_values_are_described_later(project: Project, late: list[str]) -> None:
    version = service.take(project, frame_of(), "big")
    store = service.existing_store(project)
    manifest = store.manifest(version.manifest)
    assert manifest.stats == {}
    assert late == [version.manifest]
    assert statistics_of(store, version.manifest, manifest, make=False) == {}
    shown = service.show(project, "big").stats
    assert [c["name"] for c in shown["columns"]] == list(frame_of().columns)
    assert statistics_of(store, version.manifest, manifest, make=False) == shown
    assert describing.describe_later(store, version.manifest).join() is None
    assert service.take(project, frame_of(), "big").version == 1


def test_a_diff_describes_the_columns_that_differ_alone(project: Project, late: list[str]) -> None:
    frame = frame_of()
    service.take(project, frame, "big")
    service.take(project, frame.assign(n=frame["n"] + 1), "big")
    text = service.diff(project, "big@1", "big@2").text()
    assert "min            0        1" in text
    assert "max            49       50" in text
    store = service.existing_store(project)
    assert not (store.folder / "statistics").exists()
    later = late[-1]
    thread = describing.describe_later(store, later)
    thread.join()
    assert describing.statistics_of(store, later, store.manifest(later), make=False)["columns"]


def test_statistics_that_are_damaged_or_of_nothing(project: Project, late: list[str]) -> None:
    version = service.take(project, frame_of(), "big")
    shown = service.show(project, "big").stats
    store = service.existing_store(project)
    path = store.folder / "statistics" / version.manifest
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        manifest = store.manifest(version.manifest)
        assert statistics_of(store, version.manifest, manifest, make=False) == {}
    assert service.show(project, "big").stats == shown
    assert path.read_bytes() == whole
    assert sweep_statistics(store) == 0
    (store.manifests / version.manifest).unlink()
    assert sweep_statistics(store) == len(whole)
    assert not path.exists()
    describing._save(store, version.manifest, shown)  # As a thread that comes too late does.
    assert not path.exists()


def test_what_was_pulled_in_part_has_none() -> None:
    store = MemoryStore()
    manifest, _ = put(frame_of(), store)

    class Part:
        folder = manifests = Path("nowhere")
        read = MemoryStore().read

    part: Any = Part()
    whole: Any = MemoryManifest(manifest.object, {}, "")
    whole.parent = None
    assert statistics_of(part, "0" * 64, whole) == {}
    assert describing.column_statistics(part, "0" * 64, whole)(0) == {}
    assert describing.column_statistics(part, "0" * 64, whole)(99) == {}


def test_what_is_large() -> None:
    small, large = np.zeros(10), np.zeros(9_000_000)
    assert not is_late(small)
    assert is_late(large)
    assert is_late({"a": [small, large]})
    assert not is_late({"a": [small, "text"], "b": Path("x")})


def test_codes_are_strings() -> None:
    words = Text(np.array([0, 1, 1, 4]), np.frombuffer(b"abcd", "u1"))
    coded = Coded(np.array([2, 0, 1, 2]), words)
    plain = words.take(np.array([2, 0, 1, 2]))
    assert coded.same(plain)
    assert plain.same(coded)
    assert len(coded) == 4
    assert coded.slice(1, 3).same(plain.slice(1, 3))
    assert coded.take(np.array([3, 1])).same(plain.take(np.array([3, 1])))
    assert [bytes(part) for part in coded.raw(0, 2)] == [bytes(part) for part in plain.raw(0, 2)]


def test_a_digest_is_made_once_for_each_tree(tmp_path: Path) -> None:
    frame = frame_of()
    asked = 0

    def keep(value: Any) -> str:
        def make() -> str:
            nonlocal asked
            asked += 1
            return digest_of(value, tree)

        store = SnapshotStore(tmp_path / "store")  # Another each time: it is remembered on disk.
        newest = store.newest("x")
        parent = store.manifest(newest.manifest) if newest else None
        with store.begin() as tx:
            tree, stats = encode(value, tx, parent, store)
            return tx.commit("x", tree, digest=tx.digest(tree, make), stats=stats).digest

    first = keep(frame)
    assert (keep(frame.copy()), asked) == (first, 1)
    other = keep(frame.assign(n=frame["n"] * 2))
    assert other != first
    assert asked == 2
    assert keep(frame) == first
    assert other == digest_of(frame.assign(n=frame["n"] * 2), {"kind": "frame"})


def test_a_digest_is_not_remembered_of_what_was_given_up(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "store")
    with store.begin() as tx:
        tree, _ = encode(frame_of(), tx, None, store)
        assert tx.digest(tree, lambda: "blake3:" + "0" * 64) == "blake3:" + "0" * 64
    with store.begin() as tx:
        tree, _ = encode(frame_of(), tx, None, store)
        assert tx.digest(tree, lambda: digest_of(frame_of(), tree)) != "blake3:" + "0" * 64


def test_a_run_of_rows_that_went_is_no_lineage() -> None:
    rows = np.arange(1 << 21)
    removed = np.delete(rows, slice(1 << 20, (1 << 20) + 50_000))
    assert _is_cut(removed, len(rows))
    assert not _is_cut(removed[::-1], len(rows))
    assert not _is_cut(np.delete(rows, slice(5, 50)), len(rows))
    assert not _is_cut(rows[rows % 100 != 0], len(rows))
    assert not _is_cut(np.arange(5000), 10_000)

    frame = pd.DataFrame({"id": np.random.default_rng(0).permutation(len(rows)), "n": rows % 7})
    store = MemoryStore()
    first, _ = put(frame, store)
    less = frame.drop(index=range(1 << 20, (1 << 20) + 50_000)).reset_index(drop=True)
    second, tx = put(less, store, first)
    assert "lineage" not in second.object
    assert tx.added < 0.15 * tx.all + 3e6
    pd.testing.assert_frame_equal(decode(second.object, store.read), less)
