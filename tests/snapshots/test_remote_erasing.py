"""Erasures and remotes: what was erased on one side is not brought back from the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from jupyter_mlops.errors import ConflictError, NotFoundError
from jupyter_mlops.snapshots import pushing
from jupyter_mlops.snapshots.inventory import Inventory, fetch_run, runs_of
from jupyter_mlops.snapshots.manifests import manifest_json
from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.purging import Column, Rows, purge_part
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.remote_erasing import erase_there
from jupyter_mlops.snapshots.remotes import open_remote
from jupyter_mlops.snapshots.store import SnapshotStore

from .s3 import s3_server
from .test_purging import NAME, PLANTED, load, people, traces, versions
from .test_reader import take


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("erasing") as url:
        yield url


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "remote")
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


@pytest.fixture
def mine(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "mine")


@pytest.fixture
def theirs(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "theirs")


def there(url: str, cache: Path, *planted: bytes) -> list[str]:
    """Where on a remote these bytes are: in files as they are, and in all that they hold."""
    remote = open_remote(url)
    found = []
    inventory = Inventory(remote, cache)
    for name in inventory.packs:
        entries = inventory.holding({e.id for e in inventory._entries[name]})[name]
        for run in runs_of({name: entries}):
            from jupyter_mlops.snapshots.chunks import decode_chunk

            for entry, stored in fetch_run(remote, run):
                raw = bytes(decode_chunk(entry.codec, stored, entry.size))
                found += [f"{name} {entry.id}" for word in planted if word in raw or word in stored]
    for address in remote.files("manifests"):
        data = remote.read(f"manifests/{address}", limit=10**9)
        plain = manifest_json(data, address, address)
        found += [address for word in planted if word in plain]
    for home in remote.folders("refs"):
        for file in remote.files(f"refs/{home}"):
            line = remote.read(f"refs/{home}/{file}", limit=10**9)
            found += [file for word in planted if word in line]
    return found


def test_rows_are_erased_there_under_any_name(
    place: str, mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    frame = people(800)
    gone = versions(mine, frame)
    take(mine, "other", frame[["amount"]])
    push(mine, place)
    push(mine, place, ["people@1"], as_name="people-mine")
    pull(theirs, place)
    loss = Rows("id", [str(gone)])
    purge_part(mine, "people", loss, dry_run=False, reason="asked for")
    # Nothing goes over by itself, in either direction.
    left = push(mine, place)
    assert set(left.erased) == {f"people@{n}" for n in range(1, 6)}
    assert left.chunks == 0
    with pytest.raises(ConflictError, match="still on"):
        push(mine, place, ["people@1"])
    assert pull(mine, place, ["people@*"]).new == 0
    assert traces(mine, *PLANTED) == []
    assert there(place, tmp_path / "cache", NAME.encode())
    done = erase_there(mine, open_remote(place))
    assert set(done.versions) == {*(f"people@{n}" for n in range(1, 6)), "people-mine@1"}
    assert done.broken == []
    assert there(place, tmp_path / "cache", *PLANTED) == []
    assert erase_there(mine, open_remote(place)).versions == []
    # Who still has it whole cannot bring it back, and is told.
    assert set(push(theirs, place).erased) >= {f"people@{n}" for n in range(1, 6)}
    with pytest.raises(ConflictError, match="not brought back"):
        push(theirs, place, ["people@2"])
    told = pull(theirs, place)
    assert set(told.erased) >= {f"people@{n}" for n in range(1, 6)}
    assert traces(theirs, NAME.encode())
    pull(theirs, place, erase=True)
    assert traces(theirs, *PLANTED) == []
    for number in range(1, 6):
        ours = mine.resolve(f"people@{number}")
        assert theirs.resolve(ours.spec).manifest == ours.manifest
        pd.testing.assert_frame_equal(load(theirs, ours.spec), load(mine, ours.spec))
    assert pull(theirs, place).erased == []
    assert push(theirs, place).erased == []
    assert theirs.verify().ok


def test_a_version_is_erased_there(
    place: str, mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    frame = people(500)
    take(mine, "people", frame, tags=("raw",))
    take(mine, "people", frame.drop(columns=["name", "first"]))
    push(mine, place)
    pull(theirs, place)
    mine.purge("people@1", reason="asked for")
    assert there(place, tmp_path / "cache", NAME.encode())
    assert erase_there(mine, open_remote(place)).versions == ["people@1"]
    assert there(place, tmp_path / "cache", NAME.encode()) == []
    with pytest.raises(NotFoundError):
        pull(theirs, place, ["people@raw"], as_name="again")
    assert push(theirs, place).erased == ["people@1"]
    with pytest.raises(ConflictError, match="was erased on"):
        push(theirs, place, ["people@1"])
    assert pull(theirs, place).erased == ["people@1"]
    assert pull(theirs, place, erase=True).erased == ["people@1"]
    assert traces(theirs, NAME.encode()) == []
    with pytest.raises(NotFoundError, match="asked for"):
        theirs.resolve("people@1")
    assert [v.spec for v in theirs.versions()] == ["people@2"]


def test_the_same_erased_on_both_sides(
    mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path
) -> None:
    place = str(tmp_path / "remote")
    take(mine, "people", people(500))
    push(mine, place)
    pull(theirs, place)
    for store in (mine, theirs):
        purge_part(store, "people", Column("name"), dry_run=False)
    erase_there(mine, open_remote(place))
    assert push(theirs, place).new == 0
    assert pull(theirs, place).versions[0].digest == mine.resolve("people").digest


def test_a_push_under_way_does_not_bring_it_back(
    mine: SnapshotStore, theirs: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the claim of one pusher, another erases."""
    place = str(tmp_path / "remote")
    frame = people(500)
    take(mine, "people", frame)
    take(mine, "rest", frame[["amount"]])
    push(mine, place)
    pull(theirs, place)
    take(theirs, "new", frame[["amount", "card"]])
    real = pushing.send

    def meanwhile(*arguments: object, **options: object) -> object:
        done = real(*arguments, **options)  # type: ignore[arg-type]
        if mine.versions("people"):
            mine.purge("people@1")
            erase_there(mine, open_remote(place))
        return done

    monkeypatch.setattr(pushing, "send", meanwhile)
    with pytest.raises(ConflictError, match="erased"):
        push(theirs, place, ["people@1"])
    assert not list((tmp_path / "remote" / "refs" / "people").glob("*.ref"))
    # What it relied on and has gone, it sends.
    push(theirs, place, ["new"])
    assert load_from(place, tmp_path / "fresh", "new").equals(frame[["amount", "card"]])


def load_from(place: str, folder: Path, spec: str) -> pd.DataFrame:
    store = SnapshotStore(folder)
    pull(store, place, [spec])
    found = load(store, spec)
    assert isinstance(found, pd.DataFrame)
    return found


def test_a_pull_under_way_does_not_bring_it_back(
    mine: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pull has fetched of a version that is erased meanwhile goes, too."""
    place = str(tmp_path / "remote")
    frame = people(500)
    take(mine, "people", frame)
    push(mine, place)
    chunks = mine.manifest(mine.resolve("people").manifest).chunks
    mine.purge("people@1")
    inventory = Inventory(open_remote(place), tmp_path / "cache")
    from jupyter_mlops.snapshots.pulling import fetch_chunks

    take(mine, "people", frame[["amount"]])
    with mine.lease("writer") as lease:
        fetch_chunks(mine, inventory, chunks, lease)
    assert traces(mine, NAME.encode())
    purge_part(mine, "people", Column("amount"), dry_run=False)
    assert traces(mine, NAME.encode()) == []
    assert pull(mine, place).new == 0
    with pytest.raises(ConflictError, match="erased here"):
        pull(mine, place, ["people@1"])
    assert traces(mine, NAME.encode()) == []


def test_an_erasure_on_a_remote_that_was_interrupted_is_completed(
    mine: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.snapshots import remote_erasing

    place = str(tmp_path / "remote")
    take(mine, "people", people(500))
    push(mine, place)
    purge_part(mine, "people", Rows("name", [NAME]), dry_run=False)

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(remote_erasing, "_sweep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase_there(mine, open_remote(place))
    assert there(place, tmp_path / "cache", NAME.encode())
    assert erase_there(mine, open_remote(place)).chunks > 0
    assert there(place, tmp_path / "cache", *PLANTED) == []
    assert len(load_from(place, tmp_path / "fresh", "people")) == 499
