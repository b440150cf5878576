"""Space: removal and its undo, collection, erasure of versions and columns, and what is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops.errors import ConflictError, CorruptError, NotFoundError
from jupyter_mlops.snapshots.chunks import chunk_id
from jupyter_mlops.snapshots.store import SnapshotStore

from .test_store import content, noise, put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    yield store
    store.index.close()


def test_what_the_store_takes_on_disk(store: SnapshotStore) -> None:
    def files() -> int:
        folders = (store.packs, store.manifests)
        return sum(path.stat().st_size for folder in folders for path in folder.iterdir())

    assert store.bytes_on_disk() == 0
    put(store, "a", noise(1))
    assert store.bytes_on_disk() == files() > 20_000
    put(store, "a", noise(1), noise(2))
    (store.packs / ".being-written.tmp").write_bytes(b"x" * 9000)
    assert store.bytes_on_disk() == files() - 9000 > 40_000
    store.remove("a@2")
    store.gc(dry_run=False, grace=0)
    assert 20_000 < store.bytes_on_disk() < 22_000
    assert SnapshotStore(store.folder).bytes_on_disk() == store.bytes_on_disk()


def test_remove_and_undo(store: SnapshotStore) -> None:
    put(store, "a", noise(1), tags=["t"])
    put(store, "a", noise(2))
    store.remove("a")
    assert [v.version for v in store.versions("a")] == [1]
    with pytest.raises(NotFoundError, match="was removed"):
        store.resolve("a@2")
    assert store.restore_removed("a").version == 2
    store.remove("a@1")
    with pytest.raises(NotFoundError, match="was removed"):
        store.resolve("a@t")
    with pytest.raises(NotFoundError, match="no removed version"):
        store.restore_removed("a@2")
    assert store.restore_removed("a@1").tags == ("t",)
    assert content(store, "a@1") == [noise(1)]


def test_gc_takes_what_nothing_needs_and_says_so_before(store: SnapshotStore) -> None:
    put(store, "a", noise(1), noise(2), tags=["t"])
    put(store, "a", noise(2), noise(3))
    store.remove("a@1")
    assert store.gc(grace=3600).versions == []
    plan = store.gc(grace=0)
    assert plan.dry_run
    assert plan.versions == ["a@1"]
    assert store.restore_removed("a@1")
    store.remove("a@1")
    done = store.gc(dry_run=False, grace=0)
    # Half of the first pack is live: it stays.
    assert (done.versions, done.removed_packs, done.rewritten_packs) == (["a@1"], 0, 0)
    put(store, "b", *[noise(n) for n in range(10, 14)])
    put(store, "c", noise(10))
    store.remove("b")
    plan, done = store.gc(grace=0), store.gc(dry_run=False, grace=0)
    assert (plan.rewritten_packs, plan.chunks) == (done.rewritten_packs, done.chunks) == (1, 3)
    assert abs(plan.freed - done.freed) < 500
    assert content(store, "c") == [noise(10)]
    assert content(store, "a") == [noise(2), noise(3)]
    with pytest.raises(NotFoundError, match="no removed version"):
        store.restore_removed("a@1")
    with pytest.raises(NotFoundError, match="was erased"):
        store.resolve("b@1")
    # Numbers are not given again.
    assert put(store, "b", b"x").version == 2
    assert store.verify().ok


def test_gc_leaves_alone_what_somebody_may_be_writing(store: SnapshotStore) -> None:
    put(store, "a", noise(1))
    store.remove("a")
    with store.begin() as transaction:
        id = transaction.add(noise(1))  # Refers to what only the removed version has.
        report = store.gc(dry_run=False, grace=0, wait=0.05)
        assert len(report.held) == 1
        assert f"process {os.getpid()}" in report.held[0]
        transaction.commit("b", {"columns": [id]}, digest="d")
    report = store.gc(dry_run=False, grace=0)
    assert (report.versions, report.removed_packs) == (["a@1"], 0)
    assert content(store, "b") == [noise(1)]


def test_a_transaction_does_not_build_on_what_is_condemned(store: SnapshotStore) -> None:
    first = put(store, "a", noise(1))
    (id,) = store.manifest(first.manifest).chunks
    (store.folder / "condemned" / "someone.ids").write_text(id)
    with store.begin() as transaction:
        assert not transaction.has(id)
        with pytest.raises(ConflictError, match="being collected"):
            transaction.commit("c", {"columns": [id]}, digest="d")
    with store.begin() as transaction:
        assert transaction.add(noise(1)) == id
        assert transaction.new_bytes == 20_000
        transaction.commit("b", {"columns": [id]}, digest="d")
    assert len(list(store.packs.iterdir())) == 2
    # What a dead collector left behind goes, and so does the copy.
    store.gc(dry_run=False, grace=0)
    assert not list((store.folder / "condemned").iterdir())
    assert len(list(store.packs.iterdir())) == 1
    assert content(store, "a") == content(store, "b") == [noise(1)]


def test_gc_touches_nothing_when_it_cannot_tell_what_is_needed(store: SnapshotStore) -> None:
    version = put(store, "a", noise(1))
    put(store, "b", noise(2))
    store.remove("b")
    path = store.manifests / version.manifest
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="a@1"):
        store.gc(dry_run=False, grace=0)
    assert store.restore_removed("b")
    assert content(store, "b") == [noise(2)]


def test_a_commit_whose_lease_was_taken_away_makes_no_version(store: SnapshotStore) -> None:
    with store.begin() as transaction:
        id = transaction.add(noise(1))
        for path in (store.folder / "leases").iterdir():
            path.unlink()
        with pytest.raises(ConflictError, match="lease"):
            transaction.commit("a", {"columns": [id]}, digest="d")
    assert store.versions() == []
    assert not list(store.manifests.iterdir())


def test_purge_erases_for_good(store: SnapshotStore) -> None:
    secret = b"Rosa Parker, 1 High Street" + noise(7, 30_000)
    put(store, "a", noise(1), noise(2), secret, tags=["t"])
    put(store, "a", noise(1), noise(3))
    report = store.purge("a@1", reason="asked for")
    assert (report.chunks, report.shared, report.shared_with) == (2, 1, ["a@2"])
    assert report.freed > 49_000
    assert content(store, "a") == [noise(1), noise(3)]
    for path in [p for p in store.folder.rglob("*") if p.is_file()]:
        assert b"Rosa" not in path.read_bytes()
    assert "asked for" in (store.refs.path("a", 1, "gone")).read_text()
    for spec in ("a@1", "a@t"):
        with pytest.raises(NotFoundError):
            store.resolve(spec)
    with pytest.raises(NotFoundError, match="erased already"):
        store.purge("a@1")
    assert store.verify().ok


def test_an_interrupted_purge_is_completed_by_the_next(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.snapshots import erasing

    put(store, "a", noise(1), noise(2))
    put(store, "b", noise(2))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "sweep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.purge("a@1")
    assert store.purge("a@1").chunks == 1
    assert [len(store.index.find([chunk_id(noise(n))])) for n in (1, 2)] == [0, 1]
    assert content(store, "b") == [noise(2)]


def test_purge_waits_for_nobody_for_ever(store: SnapshotStore) -> None:
    put(store, "a", noise(1))
    with store.begin(), pytest.raises(ConflictError, match="nothing was erased"):
        store.purge("a", wait=0.05)
    assert content(store, "a") == [noise(1)]
