"""Push and pull killed at random moments: what is there is whole, and the rest follows."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops.snapshots.inventory import Inventory
from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.remote_refs import RemoteRefs, read_remote_manifest
from jupyter_mlops.snapshots.remotes import open_remote
from jupyter_mlops.snapshots.store import SnapshotStore

from .s3 import s3_server
from .test_remotes import commit, content, noise


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("interrupted") as url:
        yield url


def killed(what: str, folder: Path, url: str, seconds: float) -> bool:
    """Kill a push or pull so long after it has begun; return whether it was under way."""
    command = [sys.executable, "-m", "tests.snapshots.remote_child", what, str(folder), url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "READY\n"
        time.sleep(seconds)
        process.kill()
        return "DONE" not in process.stdout.read()


def whole(url: str, cache: Path) -> int:
    """Check that every version that a remote shows has all that it needs; return how many."""
    remote = open_remote(url)
    inventory = Inventory(remote, cache)
    assert not inventory.damaged
    versions = RemoteRefs(remote).resolve(None)
    for version in versions:
        manifest, _ = read_remote_manifest(remote, version.manifest)
        assert all(id in inventory for id in manifest.chunks), version.spec
    return len(versions)


def rounds(url: str, tmp_path: Path, count: int, parts: int) -> None:
    """Each round adds versions; a push and a pull are killed, looked at, and completed."""
    rng = random.Random(6)
    mine, theirs = SnapshotStore(tmp_path / "mine"), SnapshotStore(tmp_path / "theirs")
    for store in (mine, theirs):
        store.begin().abort()
    interrupted = 0
    for number in range(count):
        for name in ("a", "b"):
            columns = {f"c{n}": [noise(1000 * number + n, 200_000)] for n in range(parts)}
            commit(mine, name, columns | {"shared": [noise(7)]}, tags=("newest",))
        interrupted += killed("push", mine.folder, url, rng.uniform(0, 0.6))
        before = whole(url, tmp_path / "cache")
        assert before <= 2 * number + 2
        push(mine, url)
        assert whole(url, tmp_path / "cache") == 2 * number + 2
        interrupted += killed("pull", theirs.folder, url, rng.uniform(0, 0.6))
        assert theirs.verify().ok
        for version in theirs.versions():
            assert content(theirs, version.spec) == content(mine, version.spec)
        pull(theirs, url)
        assert {v.spec for v in theirs.versions()} == {v.spec for v in mine.versions()}
        assert theirs.resolve("a@newest").version == number + 1
        if number % 10 == 0:
            theirs.gc(dry_run=False, grace=0)  # What was killed left leases and files.
            assert not list((theirs.folder / "leases").iterdir())
    for version in mine.versions():
        assert content(theirs, version.spec) == content(mine, version.spec)
    assert theirs.verify().ok
    assert interrupted > count / 2


@pytest.mark.timeout(120)
def test_killed_at_random_moments(s3: str, tmp_path: Path) -> None:
    rounds(f"{s3}/few", tmp_path, count=2, parts=40)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_sixty_rounds_of_kills(s3: str, tmp_path: Path) -> None:
    rounds(f"{s3}/many", tmp_path, count=60, parts=40)
