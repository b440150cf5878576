"""The store: chunks, versions, tags, specs, and the cache."""

from __future__ import annotations

import gc as memory
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.config import Config, load_config
from jupyter_mlops.errors import (
    CorruptError,
    NotFoundError,
    ProjectError,
    UsageError,
)
from jupyter_mlops.project import Project
from jupyter_mlops.snapshots.chunks import Compressor, chunk_id, decode_chunk
from jupyter_mlops.snapshots.index import on_network
from jupyter_mlops.snapshots.naming import file_name, plain_name
from jupyter_mlops.snapshots.store import (
    SnapshotStore,
    Version,
    open_store,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    yield store
    store.index.close()


def noise(seed: int, size: int = 20_000) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def put(store: SnapshotStore, name: str, *parts: bytes, **options: object) -> Version:
    with store.begin() as transaction:
        ids = [transaction.add(part) for part in parts]
        return transaction.commit(
            name,
            {"kind": "frame", "columns": ids, "rows": len(parts)},
            digest=f"blake3:{chunk_id(b''.join(parts))}",
            **options,  # type: ignore[arg-type]
        )


def content(store: SnapshotStore, spec: str) -> list[bytes]:
    manifest = store.manifest(store.resolve(spec).manifest)
    return [bytes(part) for part in store.read(manifest.object["columns"])]


def test_what_goes_in_comes_out(store: SnapshotStore) -> None:
    parts = [b"", b"a", noise(1), b"x" * 100_000, np.arange(9999).tobytes()]
    version = put(store, "customers", *parts, message="first", tags=["good"], meta={"a": 1})
    assert content(store, "customers") == parts
    assert version.spec == "customers@1"
    assert (version.kind, version.rows, version.columns) == ("frame", 5, 5)
    assert (version.message, version.tags, version.meta) == ("first", ("good",), {"a": 1})
    assert version.size == sum(map(len, parts))
    assert 0 < version.added < version.size
    assert store.versions() == store.versions("customers") == [version]
    assert store.read(store.manifest(version.manifest).chunks * 2)


def test_the_same_again_is_the_same_version_and_writes_nothing(store: SnapshotStore) -> None:
    first = put(store, "a", noise(1), noise(2))
    before = sorted(p for p in store.folder.rglob("*") if "index.db" not in p.name)
    again = put(store, "a", noise(1), noise(2), tags=["kept"])
    assert (again.version, again.added, again.tags) == (1, 0, ("kept",))
    after = sorted(p for p in store.folder.rglob("*") if "index.db" not in p.name)
    assert {p.name for p in after} - {p.name for p in before} == {"tags", "kept"}
    assert store.versions()[0].added == first.added


def test_chunks_are_shared_across_names_and_versions(store: SnapshotStore) -> None:
    put(store, "a", *[noise(n) for n in range(20)])
    version = put(store, "b", *[noise(n) for n in range(20)], noise(99))
    assert version.added < 23_000
    usage = store.du()
    assert usage.saved == 20 * 20_000
    assert usage.live == 21 * 20_000
    assert [(u.name, u.versions, u.stored, u.own) for u in usage.names] == [
        ("a", 1, 400_000, 0),
        ("b", 1, 420_000, 20_000),
    ]


def test_a_new_process_knows_the_chunks_again(store: SnapshotStore) -> None:
    put(store, "a", noise(1))
    other = SnapshotStore(store.folder)
    with other.begin() as transaction:
        transaction.add(noise(1))
        assert transaction.new_bytes == 0
    other.index.close()


def test_changing_the_buffer_afterwards_leaves_no_trace(store: SnapshotStore) -> None:
    array = np.arange(500_000)
    wanted = array.tobytes()
    with store.begin() as transaction:
        ids = [transaction.add(array, itemsize=8) for _ in range(2)]
        array[:] = 0
        transaction.commit("a", {"columns": ids}, digest="d")
    assert content(store, "a") == [wanted, wanted]


def test_a_buffer_changed_while_it_is_added_is_never_stored_under_a_wrong_id(
    store: SnapshotStore,
) -> None:
    array = np.zeros(200_000, dtype=np.uint64)
    stop = threading.Event()

    def scribble() -> None:
        generator = np.random.default_rng(0)
        while not stop.is_set():
            array[generator.integers(len(array), size=1000)] += np.uint64(1)

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        with store.begin() as transaction:
            ids = [transaction.add(array, itemsize=8) for _ in range(30)]
            transaction.commit("a", {"columns": ids}, digest="d")
    finally:
        stop.set()
        thread.join()
    assert [chunk_id(part) for part in content(store, "a")] == ids
    # Nor is what the index learnt wrong.
    for part in content(store, "a"):
        with store.begin() as transaction:
            assert transaction.add(part) == chunk_id(part)


def test_many_threads_may_add(store: SnapshotStore) -> None:
    parts = [noise(n % 50, 3000) for n in range(200)]
    with store.begin() as transaction:
        ids = [""] * len(parts)

        def work(start: int) -> None:
            for n in range(start, len(parts), 8):
                ids[n] = transaction.add(parts[n])

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert transaction.new_bytes == 50 * 3000
        transaction.commit("a", {"columns": ids}, digest="d")
    assert content(store, "a") == parts


def test_what_is_not_committed_leaves_nothing(store: SnapshotStore) -> None:
    with pytest.raises(ZeroDivisionError), store.begin() as transaction:
        transaction.add(noise(1))
        raise ZeroDivisionError
    with pytest.raises(UsageError, match="ended"):
        transaction.add(b"x")
    forgotten = store.begin()
    forgotten.add(noise(2))
    del forgotten
    memory.collect()
    for folder in ("packs", "manifests", "leases"):
        assert not list((store.folder / folder).iterdir())
    assert store.versions() == []


def test_files_are_private(store: SnapshotStore) -> None:
    put(store, "a", noise(1), tags=["t"])
    assert stat.S_IMODE((store.folder / "secret").stat().st_mode) == 0o600
    for path in [p for p in store.folder.rglob("*") if p.is_file()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_specs(store: SnapshotStore) -> None:
    put(store, "a b/é", b"1", tags=["first"])
    middle = time.time()
    time.sleep(0.01)
    put(store, "a b/é", b"2")
    put(store, "a", b"3")

    def number(selector: str) -> int:
        return store.resolve(f"a b/é{selector}").version

    moment = datetime.fromtimestamp(middle, UTC)
    assert [number(s) for s in ("", "@latest", "@2", "@v1", "@first")] == [2, 2, 2, 1, 1]
    assert number(f"@{moment.isoformat()}") == 1
    assert number(f"@{moment.astimezone().replace(tzinfo=None).isoformat()}") == 1
    assert number(f"@{moment.astimezone().date().isoformat()}") == 2
    assert store.names() == ["a", "a b/é"]
    for spec, kind, text in [
        ("nobody", NotFoundError, "no snapshot is called 'nobody'"),
        ("a@7", NotFoundError, "there is no a@7"),
        ("a@best", NotFoundError, "no tag 'best'"),
        ("a@2001-01-01", NotFoundError, "no version yet"),
        ("a@2001-13-01", UsageError, "not a moment"),
        ("@1", UsageError, "names no snapshot"),
        ("a@", UsageError, "names no snapshot"),
        ("", UsageError, "names no snapshot"),
    ]:
        with pytest.raises(kind, match=text):
            store.resolve(spec)


def test_tags_move_and_go(store: SnapshotStore) -> None:
    put(store, "a", b"1")
    put(store, "a", b"2")
    assert store.tag("a@1", "Best").tags == ("Best",)
    assert store.tag("a", "Best").version == 2
    assert store.resolve("a@1").tags == ()
    assert store.untag("a@Best").tags == ()
    with pytest.raises(NotFoundError, match="no tag"):
        store.untag("a", "Best")
    for tag in ("latest", "7", "v7", "2026-01-01", "", "x@y", " x", "a\nb"):
        with pytest.raises(UsageError):
            store.tag("a", tag)


@pytest.mark.parametrize("name", ["", "a@b", " a", "a\x00b", "x" * 201, 7])
def test_bad_names_are_refused_before_anything_is_written(store: SnapshotStore, name: str) -> None:
    with store.begin() as transaction, pytest.raises(UsageError):
        transaction.commit(name, {}, digest="d")
    assert not list(store.refs.folder.iterdir())


def test_what_is_not_json_is_refused(store: SnapshotStore) -> None:
    for tree in ({"a": float("nan")}, {"a": b"x"}, {"a": {1, 2}}):
        with store.begin() as transaction, pytest.raises(UsageError, match="not JSON"):
            transaction.commit("a", tree, digest="d")
    with store.begin() as transaction, pytest.raises(UsageError, match="not in the store"):
        transaction.commit("a", {}, digest="d", chunks=["0" * 64])
    with store.begin() as transaction, pytest.raises(UsageError, match="contiguous"):
        transaction.add(memoryview(b"abcdef")[::2])
    assert store.versions() == []


@pytest.mark.parametrize("damage", ["missing", "garbage", "empty", "stale"])
def test_the_index_is_only_a_cache(store: SnapshotStore, damage: str) -> None:
    put(store, "a", noise(1), noise(2))
    store.index.close()
    old = store.index.path.read_bytes()
    put(store, "a", noise(2), noise(3))
    store.index.close()
    for path in store.folder.glob("index.db*"):
        path.unlink()
    if damage != "missing":
        data = {"garbage": b"no database" * 999, "empty": b"", "stale": old}[damage]
        store.index.path.write_bytes(data)
    fresh = SnapshotStore(store.folder)
    assert content(fresh, "a") == [noise(2), noise(3)]
    assert content(fresh, "a@1") == [noise(1), noise(2)]
    assert put(fresh, "b", noise(1), noise(3)).added < 2000
    fresh.index.close()


def test_a_forked_child_uses_an_index_of_its_own(store: SnapshotStore) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tests.snapshots.store_child import check, commit\n"
        "from jupyter_mlops.snapshots.store import SnapshotStore\n"
        "store = SnapshotStore(Path(sys.argv[1]))\n"
        "commit(store, 'a', [1, 2])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    commit(store, 'b', [2, 3])\n"
        "    store.index.close()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "commit(store, 'c', [3, 4])\n"
        "check(store)\n"
        "print(*store.names())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, store.folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert result.stdout == "a b c\n", result.stderr
    assert store.verify().ok


def test_a_lying_index_is_found_out(store: SnapshotStore) -> None:
    put(store, "a", noise(1), noise(2))
    connection = store.index._open()
    connection.execute("UPDATE chunks SET offset = offset + 1")
    assert content(store, "a") == [noise(1), noise(2)]


def test_a_store_that_cannot_be_written_can_be_read(store: SnapshotStore) -> None:
    put(store, "a", noise(1))
    store.index.close()
    for path in store.folder.glob("index.db*"):
        path.unlink()
    (store.folder / "index.db").mkdir()  # Root may write anywhere; nobody opens a folder.
    fresh = SnapshotStore(store.folder)
    assert content(fresh, "a") == [noise(1)]
    assert put(fresh, "a", noise(1)).added == 0


def test_a_missing_chunk_names_versions_and_the_way_to_get_it(store: SnapshotStore) -> None:
    version = put(store, "a", noise(1))
    ids = store.manifest(version.manifest).chunks
    for path in store.packs.iterdir():
        path.unlink()
    with pytest.raises(NotFoundError, match="a@1") as caught:
        store.read(ids)
    assert caught.value.hint == "jupyter mlops snapshots pull a@1"
    assert caught.value.fields["versions"] == ["a@1"]
    # Taking it again repairs it without another version.
    again = put(store, "a", noise(1))
    assert (again.version, content(store, "a")) == (1, [noise(1)])


def test_the_reserve_is_kept_free(project: Project) -> None:
    store = open_store(project, Config(snapshot_reserve=0.999999))
    with pytest.raises(ProjectError, match="kept free") as caught, store.begin() as transaction:
        transaction.add(noise(1))
    assert "snapshot-reserve" in str(caught.value.hint)
    assert not list(store.packs.iterdir())
    with store.begin(reserve=0) as transaction:
        transaction.commit("a", {"columns": [transaction.add(noise(1))]}, digest="d")
    store.index.close()


def test_the_reserve_is_below_one() -> None:
    with pytest.raises(UsageError, match="below 1"):
        load_config(None, env={"JUPYTER_MLOPS_SNAPSHOT_RESERVE": "1"})


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_file_names_fit_any_system_and_stay_apart(one: str, other: str) -> None:
    first, second = file_name(one), file_name(other)
    assert (first.lower() == second.lower()) == (one == other)
    assert len(first) <= 120
    assert plain_name(first) in (one, None)
    assert not set(first) & set('<>:"/\\|?* ')
    assert first[0] != "."
    assert first[-1] not in ". "
    assert first.split(".")[0].lower() not in {"con", "nul", "prn", "aux", "com1", "lpt9"}


@given(
    st.binary(max_size=5000) | st.integers(0, 30_000).map(lambda n: b"abcdefgh" * n),
    st.sampled_from([1, 2, 4, 8, 16, 3]),
    st.sampled_from(["", "text", "raw", "0"]),
)
def test_chunks_are_compressed_without_loss(raw: bytes, itemsize: int, hint: str) -> None:
    codec, stored = Compressor().encode(raw, itemsize, hint)
    assert len(stored) <= len(raw)
    assert bytes(decode_chunk(codec, stored, len(raw))) == raw


@pytest.mark.parametrize("raw", [b"\x00" * 100_000, np.arange(20_000).tobytes()])
def test_a_chunk_never_becomes_larger_than_it_says(raw: bytes) -> None:
    for itemsize in (1, 8):
        codec, stored = Compressor().encode(raw, itemsize, "")
        for size in (0, 99, len(raw) - 1, len(raw) + 1, 1 << 31):
            with pytest.raises(CorruptError):
                decode_chunk(codec, stored, size)
        with pytest.raises(CorruptError):
            decode_chunk(codec, stored[:-3], len(raw))
        with pytest.raises(CorruptError):
            decode_chunk("pickle", stored, len(raw))


def test_a_network_folder_is_noticed(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\n"
        f"srv:/home {tmp_path.resolve()} nfs4 rw 0 0\n"
        f"tmpfs {tmp_path.resolve()}/local tmpfs rw 0 0\n"
    )
    assert on_network(tmp_path / "x", mounts)
    assert not on_network(tmp_path / "local" / "x", mounts)
    assert not on_network(Path("/"), mounts)
    assert not on_network(tmp_path, tmp_path / "none")
