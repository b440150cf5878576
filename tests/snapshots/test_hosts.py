"""A shared folder and clocks that are wrong: two hosts' views of one store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_mlops.errors import ConflictError, NotFoundError
from jupyter_mlops.journal.process import this_process
from jupyter_mlops.snapshots import leases
from jupyter_mlops.snapshots.leases import Leases
from jupyter_mlops.snapshots.store import SnapshotStore

from .test_store import content, noise, put

DAY = 86_400.0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    yield store
    store.index.close()


class Elsewhere(Leases):
    """The leases of a process on another host: nobody here can ask whether it lives."""

    def take(self, kind: str) -> leases.Lease:
        identity = replace(this_process(), host="elsewhere", boot_id="another")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leases, "_this_process", lambda: identity)
            return super().take(kind)


@pytest.fixture
def there(here: SnapshotStore) -> Iterator[SnapshotStore]:
    store = SnapshotStore(here.folder)
    store.leases = Elsewhere(here.folder / "leases")
    yield store
    store.index.close()


def test_both_see_what_either_commits(here: SnapshotStore, there: SnapshotStore) -> None:
    put(here, "a", noise(1))
    assert put(there, "a", noise(1), noise(2)).version == 2
    assert content(here, "a@2") == [noise(1), noise(2)]
    assert put(here, "a", noise(3)).version == 3
    assert content(there, "a") == [noise(3)]
    there.remove("a@3")
    assert here.resolve("a").version == 2
    assert here.gc(dry_run=False, grace=0).versions == ["a@3"]
    with pytest.raises(NotFoundError, match="erased"):
        there.resolve("a@3")
    # The packs that it knew are others now.
    assert content(there, "a@1") == [noise(1)]
    assert there.verify().ok


def test_one_collects_nothing_under_the_other(here: SnapshotStore, there: SnapshotStore) -> None:
    put(here, "a", noise(1))
    here.remove("a")
    with there.begin() as transaction:
        id = transaction.add(noise(1))
        (held,) = here.gc(dry_run=False, grace=0, wait=0.05).held
        assert "on elsewhere" in held
        with pytest.raises(ConflictError, match="elsewhere"):
            here.purge("a@1", wait=0.05)
        transaction.commit("b", {"columns": [id]}, digest="d")
    assert here.gc(dry_run=False, grace=0).versions == ["a@1"]
    assert content(there, "b") == [noise(1)]


@pytest.mark.parametrize("age", [601.0, 30 * DAY, -700.0, -400 * DAY])
def test_a_host_that_died_holds_nobody_up(
    here: SnapshotStore, there: SnapshotStore, age: float
) -> None:
    """Ten minutes without a sign, or a sign from the future: one of the clocks was wrong."""
    put(here, "a", noise(1))
    here.remove("a")
    transaction = there.begin()
    id = transaction.add(noise(2))
    (lease,) = (here.folder / "leases").iterdir()
    moment = time.time() - age
    os.utime(lease, (moment, moment))
    done = here.gc(dry_run=False, grace=0, wait=0.05)
    assert (done.held, done.versions) == ([], ["a@1"])
    # It was not dead, only late: it is told, and nothing is half there.
    with pytest.raises(ConflictError, match="lease was taken away"):
        transaction.commit("late", {"columns": [id]}, digest="d")
    assert here.names() == []
    assert here.verify().ok


def test_a_clock_that_is_set_back(
    here: SnapshotStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from jupyter_mlops.snapshots.pulling import pull
    from jupyter_mlops.snapshots.pushing import push

    put(here, "a", noise(1), tags=["t"])
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - DAY)
        assert put(here, "a", noise(2), noise(1)).version == 2
        here.tag("a@2", "t")
        assert here.resolve("a").version == 2
        assert here.resolve("a@t").version == 2
        put(here, "b", noise(3))
        here.remove("b")
        # The time of the file system counts, which is not that of the process.
        assert here.gc(dry_run=False, grace=3600).versions == []
        assert here.gc(dry_run=False, grace=0).versions == ["b@1"]
        assert put(here, "b", noise(4)).version == 2
        push(here, str(tmp_path / "remote"))
        other = SnapshotStore(tmp_path / "other")
        assert pull(other, str(tmp_path / "remote")).new == 3
    # What was made "before" the first is still the second, and the newest.
    assert [v.version for v in here.versions("a")] == [2, 1]
    assert here.resolve("a").version == 2
    assert here.resolve("a").created < here.resolve("a@1").created
    assert content(here, "a@1") == [noise(1)]
    assert content(other, "a@t") == [noise(2), noise(1)]
    assert here.verify().ok
