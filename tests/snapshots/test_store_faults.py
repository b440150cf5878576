"""The store when processes die, disks fill, bits flip, and all write at once."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.errors import (
    ConflictError,
    CorruptError,
    MlopsError,
    NotFoundError,
    ProjectError,
)
from jupyter_mlops.snapshots import store as store_module
from jupyter_mlops.snapshots.store import SnapshotStore

from .store_child import STEPS, at_step, check, commit, part

Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.snapshots.store_child", *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said(process: subprocess.Popen[str]) -> list[list[str]]:
    """The lines of a process that has ended; a last one that was cut off says nothing."""
    assert process.stdout is not None
    text = process.stdout.read()
    return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]


def settled(store: SnapshotStore, words: list[list[str]]) -> None:
    """Check what must hold after any accident."""
    check(store)
    report = store.verify()
    assert report.ok, report.problems
    numbers = {home.name: set(store.refs.numbers(home)) for home in store.refs.homes()}
    for _, spec in words:
        name, _, number = spec.partition("@")
        assert int(number) in numbers[name], spec
    removed = {spec for word, spec in words if word == "REMOVED"}
    here = {version.spec for version in store.versions()}
    acknowledged = {spec for word, spec in words if word == "ACK"}
    gone = {
        f"{home.name}@{number}"
        for home in store.refs.homes()
        for number, kinds in store.refs.numbers(home).items()
        if kinds & {"removed", "gone"}
    }
    assert acknowledged <= here | gone
    assert not removed & here


def test_four_writers_lose_nothing_and_share_numbers(folder: Path, spawn: Spawn) -> None:
    writers = [spawn("write", folder, seed, 1.0) for seed in range(4)]
    words = [said(writer) for writer in writers]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert all(words)
    store = SnapshotStore(folder)
    settled(store, [word for lines in words for word in lines])
    for home in store.refs.homes():
        numbers = store.refs.numbers(home)
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
    # Each commit that wrote something made one version, and no two the same.
    made = {spec for lines in words for word, spec in lines if word == "ACK"}
    assert len(made) == sum(len(store.refs.numbers(home)) for home in store.refs.homes())
    store.index.close()


def test_a_crash_before_any_step_of_a_commit_leaves_all_or_nothing(
    tmp_path: Path, spawn: Spawn
) -> None:
    process = spawn("crash", tmp_path)
    ((_, steps),) = said(process)
    assert process.wait() == 0
    assert int(steps) > 30


def kill_at_random(folder: Path, spawn: Spawn, kills: int, writers: int) -> None:
    store = SnapshotStore(folder)
    rng = random.Random(4)
    words: list[list[str]] = []
    running = [spawn("write", folder, seed, 3600) for seed in range(writers)]
    seed = writers
    for count in range(kills):
        victim = running.pop(rng.randrange(len(running)))
        assert victim.stdout is not None
        words.append(victim.stdout.readline().split())  # It is at work.
        time.sleep(rng.uniform(0, 0.2))
        victim.kill()
        victim.wait()
        words += said(victim)
        running.append(spawn("write", folder, seed, 3600))
        seed += 1
        if count % 20 == 7:
            store.gc(dry_run=False, grace=0, wait=2)
    for process in running:
        process.kill()
        process.wait()
        words += said(process)
    assert len(words) >= kills
    settled(store, words)
    report = store.gc(dry_run=False, grace=0, wait=0)
    assert not report.held
    settled(store, words)
    assert not list(folder.rglob("*.tmp"))
    store.index.close()


def test_writers_killed_at_random_moments(folder: Path, spawn: Spawn) -> None:
    kill_at_random(folder, spawn, kills=8, writers=2)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_five_hundred_kills_of_four_writers(folder: Path, spawn: Spawn) -> None:
    kill_at_random(folder, spawn, kills=500, writers=4)


def race_gc(folder: Path, spawn: Spawn, writers: int, seconds: float) -> None:
    running = [spawn("write", folder, seed, seconds) for seed in range(writers)]
    words: list[list[list[str]]] = [[] for _ in running]
    # Read all along: a full pipe would stop a writer.
    readers = [
        threading.Thread(target=lambda n=n, p=p: words.__setitem__(n, said(p)))
        for n, p in enumerate(running)
    ]
    for reader in readers:
        reader.start()
    store = SnapshotStore(folder)
    collected = rounds = 0
    while any(process.poll() is None for process in running):
        report = store.gc(dry_run=False, grace=0, wait=5)
        collected += len(report.versions)
        rounds += 1
        time.sleep(0.02)
    for reader in readers:
        reader.join()
    assert [process.wait() for process in running] == [0] * writers
    assert collected
    assert rounds > 1
    settled(store, [word for lines in words for word in lines])
    store.index.close()


def test_gc_racing_writers_loses_nothing(folder: Path, spawn: Spawn) -> None:
    race_gc(folder, spawn, writers=3, seconds=1.5)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_gc_racing_ten_writers_for_five_minutes(folder: Path, spawn: Spawn) -> None:
    race_gc(folder, spawn, writers=10, seconds=300)


def test_purge_racing_writers_takes_nothing_else(folder: Path, spawn: Spawn) -> None:
    running = [spawn("write", folder, seed, 1.5) for seed in range(2)]
    words: list[list[list[str]]] = [[], []]
    readers = [
        threading.Thread(target=lambda n=n, p=p: words.__setitem__(n, said(p)))
        for n, p in enumerate(running)
    ]
    for reader in readers:
        reader.start()
    store = SnapshotStore(folder)
    purged = []
    while any(process.poll() is None for process in running):
        for version in store.versions()[-1:]:
            with contextlib.suppress(ConflictError, NotFoundError):
                purged.append(store.purge(version.spec, wait=5).spec)
    for reader in readers:
        reader.join()
    assert [process.wait() for process in running] == [0, 0]
    assert purged
    settled(store, [word for lines in words for word in lines])
    # Of each nothing is left that the others do not need.
    needed = {id for v in store.versions() for id in store.manifest(v.manifest).chunks}
    store.gc(dry_run=False, grace=0)
    assert all(store.index.has(id) for id in needed)
    store.index.close()


def test_leases_of_the_dead_hold_nobody_up(folder: Path, spawn: Spawn) -> None:
    spawn("orphan", folder).wait()
    store = SnapshotStore(folder)
    assert len(list((folder / "leases").iterdir())) == 1
    assert [path.suffix for path in store.packs.iterdir()] == [".tmp"]
    commit(store, "a", [1])
    assert not store.gc(dry_run=False, grace=0, wait=0).held
    assert not list((folder / "leases").iterdir())
    assert [path.suffix for path in store.packs.iterdir()] == [".pack"]
    store.index.close()


@pytest.mark.parametrize("data", [b"", bytes(100)])
def test_a_lease_that_a_power_cut_has_emptied_holds_nobody_up(folder: Path, data: bytes) -> None:
    store = SnapshotStore(folder)
    commit(store, "a", [1])
    (folder / "leases" / "01ARZ3NDEKTSV4RRFFQ69G5FAV.writer").write_bytes(data)
    assert not store.gc(dry_run=False, grace=0, wait=0).held
    assert not list((folder / "leases").iterdir())
    store.index.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("step", ["write", "fsync", "replace", "link"])
def test_a_disk_that_fails_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: str
) -> None:
    number = 0
    while True:
        number += 1
        store = SnapshotStore(tmp_path / str(number))
        commit(store, "a", [1, 2])
        failed = None
        with monkeypatch.context() as patch:
            counter = fail_at(patch, step, number, OSError(code, os.strerror(code)))
            try:
                commit(store, "a", [2, 3, 4], message="second")
            except OSError as error:
                failed = error
        reached = counter() >= number
        if code == errno.ENOSPC and failed is not None:
            assert isinstance(failed, ProjectError)
            assert "no space left" in str(failed)
        check(store)
        assert store.verify().ok
        # When only the last fsync, of the folder with the ref, fails, the version is there.
        assert len(store.versions()) in ({2} if failed is None else {1, 2})
        assert len(store.versions()) == 1 or failed is None or step == "fsync"
        assert not list(store.folder.rglob("*.tmp"))
        assert not list((store.folder / "leases").iterdir())
        assert commit(store, "a", [2, 3, 4]).version == 2
        check(store)
        store.index.close()
        if not reached:
            assert number > 1
            return
        assert failed is not None


def test_a_folder_that_was_not_durable_is_made_so_before_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first use meets a disk that fails; the commit that follows does not rely on it."""
    for number in range(1, 8):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            counter = fail_at(patch, "fsync", number, OSError(errno.EIO, "broken"))
            store = SnapshotStore(folder)
            failed = counter() >= number
        synced: list[Path] = []
        with monkeypatch.context() as patch:
            patch.setattr(store_module, "sync_folder", synced.append)
            commit(store, "a", [1])
        assert synced == ([tmp_path, folder] if failed else [])
        check(store)
        store.index.close()


def test_a_file_system_without_hard_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    store = SnapshotStore(folder)
    for number in range(3):
        assert commit(store, "a", [number]).version == number + 1
    # A claim whose process died keeps its number from being given, and holds nobody up.
    (store.refs.home("a") / "00000004.ref.claim").touch()
    assert commit(store, "a", [9]).version == 5
    store.remove("a@1")
    assert store.gc(dry_run=False, grace=0).versions == ["a@1"]
    check(store)
    assert store.verify().ok
    assert [v.version for v in store.versions()] == [5, 3, 2]
    store.index.close()


def fail_at(patch: pytest.MonkeyPatch, step: str, number: int, error: OSError) -> Callable[[], int]:
    count = 0
    original: Callable[..., Any] = getattr(os, step)

    def fail(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            raise error
        return original(*arguments, **options)

    patch.setattr(os, step, fail)
    return lambda: count


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def data_files(store: SnapshotStore) -> list[Path]:
    """What a restore rests on: not the index, the secret and the locks."""
    folders = (store.packs, store.manifests, store.refs.folder)
    return sorted(p for folder in folders for p in folder.rglob("*") if p.is_file())


def broken(store: SnapshotStore) -> set[str]:
    """The versions that do not restore."""
    found = set()
    for home in store.refs.homes():
        for number in store.refs.live(home):
            spec = f"{home.name}@{number}"
            try:
                check(store, spec)
            except (MlopsError, AssertionError):
                found.add(spec)
    return found


def test_a_flipped_bit_is_found_with_the_versions_it_touches(folder: Path) -> None:
    store = SnapshotStore(folder)
    commit(store, "a", [1, 2, 3], tags=["t"])
    commit(store, "a", [2, 3, 4])
    commit(store, "b", [1])
    commit(store, "c", [7])
    store.remove("c")
    rng = random.Random(3)
    for path in data_files(store):
        size = path.stat().st_size * 8
        bits = {*rng.sample(range(size), 5), 0, size - 1, size - 300}
        for bit in sorted(bits):
            flip(path, bit)
            report = store.verify()
            if path.suffix == ".pack":
                store.index.rebuild()  # It may remember what a footer does not say any more.
                assert store.verify() == report
            assert [p.path for p in report.problems] == [path.relative_to(folder).as_posix()]
            touched = set(report.versions) - {"c@1"}
            assert touched == broken(store), (path, bit)
            assert ("c@1" in report.versions) == ("c@1" in hidden_problem(store))
            flip(path, bit)
            if path.suffix == ".pack":
                store.index.rebuild()
    assert store.verify().ok
    assert not broken(store)
    store.index.close()


def hidden_problem(store: SnapshotStore) -> set[str]:
    """``c@1`` when it would not restore if it came back."""
    try:
        store.refs.read(store.refs.path("c", 1, "removed"))
        version = store.refs.version(store.refs.home("c"), 1, {})
        raw = store.read(store.manifest(version.manifest).object["columns"])
        assert [bytes(r) for r in raw] == [part(7)]
    except (MlopsError, AssertionError):
        return {"c@1"}
    return set()


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_every_file_of_a_thousand_versions(folder: Path) -> None:
    """One bit of each file at once, many times: each file is reported."""
    store = SnapshotStore(folder)
    for number in range(1000):
        commit(store, f"n{number % 7}", [number, number + 1])
    rng = random.Random(5)
    files = data_files(store)
    names = {path.relative_to(folder).as_posix() for path in files}
    for _ in range(50):
        flips = [(path, rng.randrange(path.stat().st_size * 8)) for path in files]
        for path, bit in flips:
            flip(path, bit)
        store.index.close()
        report = store.verify()
        assert {problem.path for problem in report.problems} >= names
        assert len(report.versions) == 1000
        for path, bit in flips:
            flip(path, bit)
    assert store.verify().ok
    store.index.close()


def test_a_good_copy_elsewhere_saves_the_version(folder: Path) -> None:
    store = SnapshotStore(folder)
    version = commit(store, "a", [5])
    (pack,) = store.packs.iterdir()
    (store.packs / "0copy.pack").write_bytes(pack.read_bytes())
    flip(store.packs / "0copy.pack", 8 * 50)
    check(store)
    report = store.verify()
    assert [p.path for p in report.problems] == ["packs/0copy.pack"]
    assert report.versions == []
    # And gc, which drops a copy, drops the bad one.
    store.gc(dry_run=False, grace=0)
    check(store)
    flip(pack, 8 * 50)
    with pytest.raises(CorruptError):
        store.read(store.manifest(version.manifest).chunks)
    store.index.close()


def test_the_steps_that_crashes_are_tried_at_are_all_counted() -> None:
    saved = {name: getattr(os, name) for name in STEPS}
    try:
        counter = at_step(0, lambda: None)
        os.close(os.open(os.devnull, os.O_RDONLY))
        assert counter() == 1
    finally:
        for name, function in saved.items():
            setattr(os, name, function)
