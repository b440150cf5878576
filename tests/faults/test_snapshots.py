"""Snapshots under faults: kills, full disks, clocks, flipped bits, gc races, a real S3 server."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.store import SnapshotStore

from ..snapshots.s3 import s3_server
from . import snapshots_child as child

REPOSITORY = Path(__file__).resolve().parents[2]
CHILD = (sys.executable, "-W", "ignore", "-m", "tests.faults.snapshots_child")
full_form = pytest.mark.full
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.faults.snapshots_child",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


@needs_fork
@pytest.mark.parametrize("count", [25, pytest.param(500, marks=full_form)])
def test_random_kills_of_four_writers(tmp_path: Path, count: int) -> None:
    done = run("kills", tmp_path / "store", count, 1, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)


@needs_fork
@pytest.mark.parametrize(
    "seconds", [3, pytest.param(300, marks=[full_form, pytest.mark.timeout(600)])]
)
def test_gc_racing_ten_writers_loses_nothing(tmp_path: Path, seconds: int) -> None:
    done = run("race", tmp_path / "store", seconds, 1, timeout=seconds * 1.5 + 120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    print(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None, reason="needs unshare"
)
def test_a_disk_that_is_full_at_each_write(tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=8m tmpfs "$1" && "$2" -W ignore -m tests.faults.snapshots_child '
        'full "$1/store"'
    )
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *user, "--mount", "sh", "-c", script, "sh", str(tmp_path), sys.executable],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip("this machine lets nobody mount")
    assert done.returncode == 0, done.stderr
    failed, fitted = (int(word) for word in done.stdout.split() if word.isdigit())
    assert failed >= 5
    assert fitted >= 5


def test_a_clock_that_is_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SnapshotStore(tmp_path / "store")
    generator = random.Random(1)
    now = time.time()
    done = []
    for days in (0, -400, 3, -20000, -1):
        monkeypatch.setattr(time, "time", lambda days=days: now + days * 86400)
        done.append(child.commit(store, "c", generator))
        store.tag("c@latest", "newest")
        store.gc(dry_run=False, grace=0)
    assert [line.split()[0] for line in done] == [f"c@{n}" for n in range(1, 6)]
    assert store.resolve("c").version == 5
    assert store.resolve("c@newest").version == 5
    child.check(store.folder, done)
    # And while a snapshot is being taken: its chunks are not garbage, whatever the clock says.
    with store.begin() as tx:
        id = tx.add(b"in the making" * 100)
        monkeypatch.setattr(time, "time", lambda: now - 86400 * 800)
        SnapshotStore(tmp_path / "store").gc(dry_run=False, grace=0, wait=0.1)
        monkeypatch.setattr(time, "time", lambda: now + 86400 * 800)
        SnapshotStore(tmp_path / "store").gc(dry_run=False, grace=0, wait=0.1)
        tx.commit("d", {"kind": "raw", "chunks": [id]}, digest="d", stats={})
    assert store.read([id]) == [b"in the making" * 100]


@pytest.mark.parametrize(
    ("versions", "flips"),
    [(4, 40), pytest.param(1000, 100, marks=[full_form, pytest.mark.timeout(1800)])],
)
def test_each_flipped_bit_is_found(tmp_path: Path, versions: int, flips: int) -> None:
    store = SnapshotStore(tmp_path / "store")
    generator = random.Random(versions)
    for number in range(versions):
        child.commit(store, f"n{number % 7}", generator, 400)
    store.tag("n0@1", "t")
    child.check(store.folder, [])
    paths = [
        path
        for folder in ("packs", "manifests", "refs")
        for path in (store.folder / folder).rglob("*")
        if path.is_file()
    ]
    specs = {version.spec for version in store.versions()}
    for _ in range(flips):
        path = generator.choice(paths)
        whole = path.read_bytes()
        place, bit = generator.randrange(len(whole)), generator.randrange(8)
        data = bytearray(whole)
        data[place] ^= 1 << bit
        path.write_bytes(data)
        report = SnapshotStore(tmp_path / "store").verify()
        assert not report.ok, (path, place, bit)
        assert set(report.versions) <= specs
        path.write_bytes(whole)
        store.index.rebuild()
    child.check(store.folder, [])


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server("faults") as url:
        yield url


@pytest.mark.parametrize(
    "rounds", [3, pytest.param(60, marks=[full_form, pytest.mark.timeout(900)])]
)
def test_push_and_pull_killed_at_random(s3: str, tmp_path: Path, rounds: int) -> None:
    url = f"{s3}/{tmp_path.name}"
    generator = random.Random(rounds)
    mine, theirs = SnapshotStore(tmp_path / "mine"), SnapshotStore(tmp_path / "theirs")
    done: list[str] = []
    killed = 0
    for _ in range(rounds):
        done += [child.commit(mine, f"n{n}", generator, 200_000) for n in range(3)]
        for verb, store in (("push", mine), ("pull", theirs)):
            process = subprocess.Popen(
                [*CHILD, verb, str(store.folder), url],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stderr=subprocess.PIPE,
            )
            try:
                # Most of the time goes into imports: the moments after them are what counts.
                process.wait(generator.uniform(0.7, 2.2))
                assert process.returncode == 0, process.stderr and process.stderr.read()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
            finally:
                assert process.stderr is not None
                process.stderr.close()
            # Whatever is to be seen at this moment is whole, on both sides.
            child.check(theirs.folder, [])
            child.check(pulled_fresh(url, tmp_path).folder, [])
    push(mine, url)
    pull(theirs, url)
    child.check(theirs.folder, done)
    child.check(pulled_fresh(url, tmp_path).folder, done)
    print(f"{killed} of {2 * rounds} killed")


def pulled_fresh(url: str, tmp_path: Path) -> SnapshotStore:
    """All that the remote shows now, in a store of its own."""
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    store = SnapshotStore(tmp_path / "fresh")
    pull(store, url)
    return store


@needs_fork
def test_processes_that_push_at_once(s3: str, tmp_path: Path) -> None:
    url = f"{s3}/{tmp_path.name}"
    acks = []
    processes = []
    stores = []
    for number in range(4):
        store = SnapshotStore(tmp_path / str(number))
        stores.append(store)
        generator = random.Random(number)
        acks += [child.commit(store, f"own-{number}", generator) for _ in range(3)]
        child.commit(store, "shared", generator)
        processes.append(
            subprocess.Popen(
                [*CHILD, "push", str(store.folder), url],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    failures = []
    for process in processes:
        _, errors = process.communicate()
        if process.returncode:
            failures.append(errors)
    # One has claimed shared@1; the others are told, by name and with the way out.
    assert len(failures) == 3
    assert all("ConflictError: shared@1 on s3://" in text for text in failures)
    there = child.check(pulled_fresh(url, tmp_path).folder, [])
    assert {v.spec for v in there.versions() if v.name == "shared"} == {"shared@1"}
    # One that came late found the conflict before it sent anything: what is its own can still go.
    for number, store in enumerate(stores):
        push(store, url, [f"own-{number}@*"])
    child.check(pulled_fresh(url, tmp_path / "again").folder, acks)
