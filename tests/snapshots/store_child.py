"""Processes that write to a store and are killed, for ``test_store_faults.py``.

::

    store_child write FOLDER SEED SECONDS   commit and say so: a line "ACK name@version" each
    store_child crash FOLDER                die before each step of a commit in turn, and check
    store_child orphan FOLDER               die while a transaction is open

What a version must hold is in its ``meta``, so that whoever looks can tell.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_mlops.errors import MlopsError
from jupyter_mlops.snapshots.store import SnapshotStore, Version

STEPS = ("open", "write", "fsync", "replace", "rename", "link", "unlink", "mkdir")


def part(number: int) -> bytes:
    return np.random.default_rng(number).bytes(200 + number % 50 * 400)


def commit(store: SnapshotStore, name: str, numbers: list[int], **options: Any) -> Version:
    with store.begin() as transaction:
        ids = [transaction.add(part(n)) for n in numbers]
        return transaction.commit(
            name,
            {"columns": ids},
            digest=f"{numbers}",
            meta={"parts": numbers},
            **options,
        )


def check(store: SnapshotStore, spec: str | None = None) -> None:
    """Raise unless every version (or one) restores equal to what was put in."""
    for version in store.versions() if spec is None else [store.resolve(spec)]:
        ids = store.manifest(version.manifest).object["columns"]
        found = [bytes(raw) for raw in store.read(ids)]
        assert found == [part(n) for n in version.meta["parts"]], version.spec


def write(folder: Path, seed: int, seconds: float) -> None:
    """Commit for so long, to names that others write to as well; remove some."""
    store = SnapshotStore(folder)
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        numbers = [rng.randrange(300) for _ in range(rng.randrange(1, 6))]
        version = commit(store, rng.choice("abc"), numbers)
        print("ACK", version.spec, flush=True)
        if rng.random() < 0.4:
            try:
                mine = rng.choice(store.versions())
                store.remove(mine.spec)
                print("REMOVED", mine.spec, flush=True)
            except (MlopsError, IndexError):
                pass  # Somebody else was faster.


def at_step(number: int, action: Callable[[], None]) -> Callable[[], int]:
    """Call ``action`` before the ``number``-th call of ``STEPS``; return a counter of them."""
    count = 0

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                action()
            return original(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, wrap(getattr(os, name)))
    return lambda: count


def crash(folder: Path) -> None:
    """Fork a writer that is killed before its n-th step, for each n; look at what is left."""
    number = 0
    os.fsync = lambda _: None  # A process that dies loses nothing that it has written.
    while True:
        number += 1
        home = folder / str(number)
        store = SnapshotStore(home)
        commit(store, "a", [1, 2])
        store.index.close()
        child = os.fork()
        if child == 0:
            writer = SnapshotStore(home)
            at_step(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
            commit(writer, "a", [2, 3, 4], tags=["t"])
            commit(writer, "b", [3, 5])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        store = SnapshotStore(home)
        found = [version.spec for version in store.versions()]
        assert found in (["a@1"], ["a@2", "a@1"], ["b@1", "a@2", "a@1"]), found
        check(store)
        assert store.verify().ok, store.verify()
        # Nothing is stuck, and what was left lying about goes.
        assert not store.gc(dry_run=False, grace=0, wait=0).held
        check(store)
        assert not list(home.rglob("*.tmp"))
        assert not list((home / "leases").iterdir())
        commit(store, "a", [2, 3, 4])
        commit(store, "b", [3, 5])
        check(store)
        assert [v.spec for v in store.versions()] == ["b@1", "a@2", "a@1"]
        assert store.verify().ok
        store.index.close()
        if os.WIFEXITED(status):
            print("STEPS", number - 1, flush=True)
            return


def orphan(folder: Path) -> None:
    """Leave an open transaction and an unfinished pack behind."""
    transaction = SnapshotStore(folder).begin()
    transaction.add(part(49))
    while not list((folder / "packs").glob("*.tmp")):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    mode, place, *rest = sys.argv[1:]
    if mode == "write":
        write(Path(place), int(rest[0]), float(rest[1]))
    elif mode == "crash":
        crash(Path(place))
    else:
        orphan(Path(place))
