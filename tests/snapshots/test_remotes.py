"""Push, pull, clone: complete, partial, resumed, in conflict, and with hostile remotes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3

from jupyter_mlops.config import Config
from jupyter_mlops.errors import (
    ConflictError,
    MissingDependencyError,
    NotFoundError,
    ServiceError,
    UsageError,
)
from jupyter_mlops.project import Project, open_project
from jupyter_mlops.snapshots import inventory as inventory_module
from jupyter_mlops.snapshots import pulling, pushing
from jupyter_mlops.snapshots.pulling import clone, pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.refs import Version
from jupyter_mlops.snapshots.remotes import Remote, open_remote, public_url
from jupyter_mlops.snapshots.store import SnapshotStore

from .s3 import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("snapshots") as url:
        yield url


@pytest.fixture(params=["folder", "s3", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty remote."""
    if request.param == "folder":
        return str(tmp_path / "remote")
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


@pytest.fixture
def mine(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "mine")


@pytest.fixture
def theirs(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "theirs")


def commit(
    store: SnapshotStore,
    name: str,
    columns: dict[str, list[bytes]],
    tags: tuple[str, ...] = (),
    message: str | None = None,
) -> Version:
    """A version whose columns are these chunks."""
    with store.begin() as tx:
        parts = [
            {"name": key, "chunks": [tx.add(chunk) for chunk in chunks]}
            for key, chunks in columns.items()
        ]
        tree = {"kind": "frame", "columns": parts, "index": {"chunks": [tx.add(b"index")]}}
        digest = "blake3:" + blake3(json.dumps(parts).encode()).hexdigest()
        return tx.commit(name, tree, digest=digest, tags=tags, message=message)


def content(store: SnapshotStore, spec: str) -> dict[str, bytes]:
    tree = store.manifest(store.resolve(spec).manifest).object
    return {p["name"]: b"".join(store.read(p["chunks"])) for p in tree["columns"]}


def noise(seed: int, size: int = 40_000) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def test_a_version_goes_over_and_comes_back(
    place: str, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    one = commit(mine, "customers", {"a": [noise(1)], "b": [noise(2), b"x" * 5000]}, message="hi")
    two = commit(mine, "customers", {"a": [noise(1)], "b": [noise(3)]}, tags=("good",))
    other = commit(mine, "Prices/EU", {"p": [noise(2)]})
    pushed = push(mine, place)
    assert pushed.new == 3
    assert {v.spec for v in pushed.versions} == {"customers@1", "customers@2", "Prices/EU@1"}
    again = push(mine, place)
    assert (again.new, again.chunks, again.bytes) == (0, 0, 0)
    pulled = pull(theirs, place)
    assert pulled.new == 3
    for version in (one, two, other):
        assert content(theirs, version.spec) == content(mine, version.spec)
        assert theirs.resolve(version.spec) == mine.resolve(version.spec)
    assert theirs.resolve("customers@good").version == 2
    assert pull(theirs, place).chunks == 0
    assert theirs.verify().ok


def test_only_what_changed_goes_over(
    place: str, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    commit(mine, "customers", {"a": [noise(1)], "b": [noise(2)]})
    push(mine, place, ["customers"])
    commit(mine, "customers", {"a": [noise(1)], "b": [noise(4)]})
    pushed = push(mine, place, ["customers"])
    assert pushed.chunks == 1
    assert pushed.bytes < 45_000
    pulled = pull(theirs, place, ["customers@1"])
    assert [v.spec for v in pulled.versions] == ["customers@1"]
    assert pull(theirs, place, ["customers@*"]).chunks == 1


def test_one_column_of_one_version_comes_alone(
    place: str, mine: SnapshotStore, theirs: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory_module, "_TAIL", 4096)
    monkeypatch.setattr(inventory_module, "_GAP", 1024)
    commit(mine, "wide", {str(n): [noise(n), noise(100 + n)] for n in range(10)})
    push(mine, place)
    read: list[int] = []
    real = Remote.read_range

    def counted(self: Remote, path: str, start: int, stop: int) -> bytes:
        read.append(stop - start)
        return real(self, path, start, stop)

    monkeypatch.setattr(Remote, "read_range", counted)
    pulled = pull(theirs, place, ["wide"], columns=["7"])
    assert pulled.chunks == 3  # two of the column, one of the index
    assert sum(read) < 110_000
    tree = theirs.manifest(theirs.resolve("wide").manifest).object
    assert theirs.read(tree["columns"][7]["chunks"]) == [noise(7), noise(107)]
    with pytest.raises(NotFoundError) as caught:
        theirs.read(tree["columns"][3]["chunks"])
    assert "wide@1" in caught.value.message
    assert "snapshots pull wide@1" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no column 'q'"):
        pull(theirs, place, ["wide"], columns=["q"])
    # The rest of it follows, and only that.
    assert pull(theirs, place, ["wide"]).chunks == 18
    assert content(theirs, "wide") == content(mine, "wide")


@pytest.mark.parametrize("spec", ["w@1", "w@first", "w", "w@latest", "w@2999-01-01", "w@*"])
def test_a_version_is_named_as_everywhere(
    spec: str, tmp_path: Path, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    commit(mine, "w", {"a": [b"1"]}, tags=("first",))
    commit(mine, "w", {"a": [b"2"]})
    push(mine, str(tmp_path / "r"))
    found = [v.version for v in pull(theirs, str(tmp_path / "r"), [spec]).versions]
    assert found == {"w@1": [1], "w@first": [1], "w@*": [1, 2]}.get(spec, [2])


@pytest.mark.parametrize("spec", ["v", "w@7", "w@no-such", "w@2001-01-01"])
def test_what_is_not_there_is_said(spec: str, tmp_path: Path, mine: SnapshotStore) -> None:
    commit(mine, "w", {"a": [b"1"]})
    push(mine, str(tmp_path / "r"))
    with pytest.raises(NotFoundError) as caught:
        pull(mine, str(tmp_path / "r"), [spec])
    assert spec in caught.value.message
    assert caught.value.hint


def test_two_who_made_the_same_number_are_told_and_nothing_is_lost(
    place: str, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    commit(mine, "c", {"a": [b"mine"]})
    commit(theirs, "c", {"a": [b"theirs"]})
    push(mine, place)
    with pytest.raises(ConflictError) as caught:
        push(theirs, place)
    assert "c@1" in caught.value.message
    assert "--as c-mine" in str(caught.value.hint)
    with pytest.raises(ConflictError, match="neither was changed"):
        pull(theirs, place)
    assert content(theirs, "c") == {"a": b"theirs"}
    # Both ways out that the hints name.
    assert push(theirs, place, ["c@1"], as_name="c-mine").new == 1
    assert pull(theirs, place, ["c@1"], as_name="c-theirs").versions[0].spec == "c-theirs@1"
    assert content(theirs, "c-theirs") == {"a": b"mine"}
    assert pull(mine, place, ["c-mine"]).new == 1
    assert content(mine, "c-mine") == {"a": b"theirs"}


def test_of_many_pushers_one_wins_each_number(place: str, tmp_path: Path) -> None:
    stores = [SnapshotStore(tmp_path / str(n)) for n in range(6)]
    for n, store in enumerate(stores):
        commit(store, "shared", {"a": [b"same for all" * 500], "b": [noise(n, 3000)]})
        commit(store, f"own-{n}", {"a": [noise(n, 3000)]})
    results: dict[int, object] = {}

    def go(n: int) -> None:
        try:
            push(stores[n], place, [f"own-{n}"])
            results[n] = push(stores[n], place, ["shared"]).new
        except ConflictError as error:
            results[n] = error

    threads = [threading.Thread(target=go, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [n for n, result in results.items() if result == 1]
    assert len(winners) == 1
    assert all(isinstance(results[n], ConflictError) for n in range(6) if n not in winners)
    fresh = SnapshotStore(tmp_path / "fresh")
    assert len(pull(fresh, place).versions) == 7
    assert content(fresh, "shared") == content(stores[winners[0]], "shared")
    for n in range(6):
        assert content(fresh, f"own-{n}") == content(stores[n], f"own-{n}")


def test_tags_follow_and_the_later_one_stays(
    place: str, mine: SnapshotStore, theirs: SnapshotStore
) -> None:
    commit(mine, "t", {"a": [b"1"]}, tags=("prod",))
    commit(mine, "t", {"a": [b"2"]})
    push(mine, place)
    pull(theirs, place)
    theirs.tag("t@2", "prod")
    assert pull(theirs, place).kept_tags == ["t@prod"]
    assert theirs.resolve("t@prod").version == 2
    assert push(theirs, place).kept_tags == []
    assert push(mine, place).kept_tags == ["t@prod"]
    pull(mine, place)
    assert mine.resolve("t@prod").version == 2


def test_what_was_removed_or_erased_here_is_not_brought_back_by_the_way(
    place: str, mine: SnapshotStore
) -> None:
    for n in range(3):
        commit(mine, "r", {"a": [noise(n)]})
    push(mine, place)
    mine.remove("r@1")
    mine.purge("r@2")
    assert [v.spec for v in pull(mine, place).versions] == ["r@3"]
    with pytest.raises(ConflictError, match="removed here"):
        pull(mine, place, ["r@1"])
    with pytest.raises(ConflictError, match="erased here"):
        pull(mine, place, ["r@2"])
    assert pull(mine, place, ["r@2"], as_name="again").versions[0].spec == "again@2"


def test_a_clone_is_the_same_and_is_taken_up(
    place: str, mine: SnapshotStore, project: Project, tmp_path: Path
) -> None:
    for n in range(3):
        commit(mine, "c", {"a": [noise(n)], "b": [noise(9)]})
    push(mine, place)
    assert clone(place, project, ["c@1"]).new == 1
    assert clone(place, project).new == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pyproject.toml").touch()
    other = open_project(tmp_path / "other")
    commit(SnapshotStore(other.state / "snapshots"), "d", {"a": [b"own"]})
    with pytest.raises(ConflictError, match="d@1"):
        clone(place, other)


def test_an_interrupted_pull_goes_on(
    place: str, mine: SnapshotStore, theirs: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "_BATCH", 50_000)
    monkeypatch.setattr(inventory_module, "_RUN", 50_000)
    commit(mine, "big", {"a": [noise(n) for n in range(12)]})
    push(mine, place)
    real = Remote.read_range
    count = [0]

    def failing(self: Remote, path: str, start: int, stop: int) -> bytes:
        if path.startswith("packs/"):
            count[0] += 1
            if count[0] == 7:
                raise ServiceError("the line is dead")
        return real(self, path, start, stop)

    monkeypatch.setattr(Remote, "read_range", failing)
    with pytest.raises(ServiceError, match="the line is dead"):
        pull(theirs, place, threads=1)
    assert theirs.versions() == []
    pulled = pull(theirs, place, threads=1)
    assert 0 < pulled.chunks < 10
    assert content(theirs, "big") == content(mine, "big")


def test_an_interrupted_push_goes_on(
    place: str, mine: SnapshotStore, theirs: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "_PACK", 50_000)
    commit(mine, "big", {"a": [noise(n) for n in range(12)]})
    real = Remote.write
    count = [0]

    def failing(self: Remote, path: str, data: bytes) -> None:
        count[0] += 1
        if count[0] == 5:
            raise ServiceError("the line is dead")
        real(self, path, data)

    monkeypatch.setattr(Remote, "write", failing)
    with pytest.raises(ServiceError, match="the line is dead"):
        push(mine, place, threads=1)
    with pytest.raises(NotFoundError):
        pull(theirs, place, ["big"])
    assert pull(theirs, place).versions == []
    assert 0 < push(mine, place, threads=1).chunks < 12
    pull(theirs, place)
    assert content(theirs, "big") == content(mine, "big")


# Addresses


def test_which_remote(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no remote") as caught:
        open_remote(config=Config())
    assert "snapshot-remote" in str(caught.value.hint)
    config = Config(snapshot_remote="shared/snapshots")
    assert open_remote(config=config, root=tmp_path).base == str(tmp_path / "shared/snapshots")
    assert open_remote(f"file://{tmp_path}/x").is_folder
    with pytest.raises(UsageError, match="no known kind"):
        open_remote("nonsense://x/y")


def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingDependencyError) as caught:
        open_remote("gs://bucket/x")
    assert caught.value.hint == "pip install gcsfs"


def test_secrets_are_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    assert public_url("sftp://me:geheim@host/x") == "sftp://host/x"
    assert public_url("https://host/x?sig=geheim#geheim") == "https://host/x"
    assert public_url("/a/folder?x#y") == "/a/folder?x#y"
    import fsspec

    class Failing(fsspec.AbstractFileSystem):
        protocol = "failing"

        def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
            raise OSError("cannot log in as me with geheim at failing://me:geheim@host/x")

    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr("jupyter_mlops.snapshots.remotes._ATTEMPTS", 1)
    remote = open_remote("failing://me:geheim@host/x")
    with pytest.raises(ServiceError) as caught:
        remote.files("packs")
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(remote)
    assert caught.value.__cause__ is None


def test_a_bucket_that_is_not_there(s3: str, mine: SnapshotStore) -> None:
    commit(mine, "c", {"a": [noise(1)]})
    with pytest.raises(NotFoundError, match="s3://no-such-bucket"):
        push(mine, "s3://no-such-bucket/x")


def test_a_server_that_is_gone(monkeypatch: pytest.MonkeyPatch, mine: SnapshotStore) -> None:
    import s3fs

    monkeypatch.setattr("jupyter_mlops.snapshots.remotes._ATTEMPTS", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something-secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    commit(mine, "c", {"a": [noise(1)]})
    with pytest.raises(ServiceError, match="s3://bucket/x") as caught:
        push(mine, "s3://bucket/x")
    assert "something-secret" not in str(caught.value)
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_folder_shows_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = open_remote(str(tmp_path / "r"))
    remote.write("packs/a.pack", b"x" * 10)

    def broken(path: str, data: bytes, **options: Any) -> None:
        Path(path).write_bytes(data[:3])
        raise OSError("the line is dead")

    monkeypatch.setattr("jupyter_mlops.snapshots.remotes._ATTEMPTS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(remote.fs, "pipe_file", broken)
        with pytest.raises(ServiceError, match="the line is dead"):
            remote.write("packs/b.pack", b"x" * 10)
    assert os.listdir(tmp_path / "r" / "packs") == ["a.pack"]
    shutil.rmtree(tmp_path / "r")
    assert remote.files("packs") == {}
