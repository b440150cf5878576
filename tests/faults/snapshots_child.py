"""Writers of snapshots that are killed, starved or raced; run as ``python -m``.

``kills ROOT COUNT SEED``   four forked writers, one of them killed COUNT times at a random moment
``race ROOT SECONDS SEED``  ten forked writers and two that collect garbage all the while
``full ROOT``               commits on a file system that has less and less room, then room again
``commit ROOT``             a few commits, for the explorers of crashes; prints ``ACK`` for each
``check ROOT [FILE]``       every version whole, and every acknowledged one there
``push ROOT REMOTE``        and ``pull ROOT REMOTE``: all versions

What was acknowledged is appended to ``acks`` beside ROOT: ``name@version <BLAKE3 of its bytes>``.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from jupyter_mlops.errors import ConflictError, NotFoundError, ProjectError
from jupyter_mlops.snapshots.pulling import pull
from jupyter_mlops.snapshots.pushing import push
from jupyter_mlops.snapshots.store import SnapshotStore


def commit(store: SnapshotStore, name: str, generator: random.Random, size: int = 6000) -> str:
    """A version of chunks, some of which others write as well; return what is acknowledged."""
    chunks = [generator.randbytes(generator.randrange(200, size)) for _ in range(3)]
    chunks += [random.Random(generator.randrange(20)).randbytes(size) for _ in range(3)]
    with store.begin() as tx:
        ids = [tx.add(chunk) for chunk in chunks]
        digest = blake3(b"".join(chunks)).hexdigest()
        version = tx.commit(name, {"kind": "raw", "chunks": ids}, digest=digest, stats={})
    return f"{version.spec} {digest}"


def acknowledge(file: Path, line: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def check(root: Path, acks: list[str]) -> SnapshotStore:
    """Raise where a version is not whole or an acknowledged one not there."""
    store = SnapshotStore(root)
    there = {}
    for version in store.versions():
        ids = store.manifest(version.manifest).object["chunks"]
        assert blake3(b"".join(store.read(ids))).hexdigest() == version.digest, version.spec
        there[version.spec] = version.digest
    for line in acks:
        spec, digest = line.split()
        assert there.get(spec) == digest, f"{spec} was acknowledged and is not there"
    report = store.verify()
    assert report.ok, report.problems
    return store


def full_disk(error: ProjectError) -> None:
    """Raise unless the error says what is wrong and what to do."""
    assert "no space left" in error.message, error.message
    assert error.hint


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    return child


def kills(root: Path, count: int, seed: int) -> None:
    store = SnapshotStore(root)  # made before the fork, as a kernel's is before a subprocess
    acks = root.with_name("acks")
    generator = random.Random(seed)
    started = 0

    def writer(number: int) -> None:
        mine = random.Random(number)
        while True:
            name = mine.choice([f"own-{number % 4}", "shared"])
            acknowledge(acks, commit(store, name, mine))

    def start() -> int:
        nonlocal started
        started += 1
        number = seed * 100_000 + started
        return forked(lambda: writer(number))

    children = [start() for _ in range(4)]
    for _ in range(count):
        time.sleep(generator.uniform(0, 0.15))
        place = generator.randrange(4)
        os.kill(children[place], signal.SIGKILL)
        os.waitpid(children[place], 0)
        children[place] = start()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    done = lines(acks)
    assert done, "nothing was committed between the kills"
    begun = time.monotonic()
    after = check(root, done)
    # No stuck lock: a commit goes through at once, and gc takes only what the dead left.
    waited = time.monotonic()
    commit(after, "after", generator)
    assert time.monotonic() - waited < 5
    after.gc(dry_run=False, grace=0)
    check(root, done)
    # The key of a store in its first moment may be somebody else's: it goes after an hour.
    left = [p.name for p in root.rglob("*.tmp") if not p.name.startswith(".secret.")]
    assert left == [], left
    print(f"{count} kills, {len(done)} versions, {time.monotonic() - begun:.1f} s to check")


def race(root: Path, seconds: float, seed: int) -> None:
    store = SnapshotStore(root)
    acks = root.with_name("acks")
    end = time.monotonic() + seconds

    def writer(number: int) -> None:
        mine = random.Random(seed * 1000 + number)
        kept: list[str] = []
        while time.monotonic() < end:
            try:
                line = commit(store, f"w{number}", mine, 3000)
            except ConflictError:
                continue  # Its chunk was being collected: it is told to try again.
            kept.append(line)
            if len(kept) > 5:  # Makes garbage, also of chunks that others are about to use.
                store.remove(kept.pop(0).split()[0])
        for line in kept:
            acknowledge(acks, line)

    def collector() -> None:
        while time.monotonic() < end:
            with contextlib.suppress(ConflictError):  # one at a time
                store.gc(dry_run=False, grace=0, wait=0.5)

    children = [forked(lambda n=n: writer(n)) for n in range(10)]  # type: ignore[misc]
    children += [forked(collector) for _ in range(2)]
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    assert failed == []
    done = lines(acks)
    assert len(done) >= 10
    collected = check(root, done).gc(dry_run=False, grace=0)
    check(root, done)
    print(f"{seconds:g} s, {len(done)} versions kept, last collection: {collected}")


def full(root: Path) -> None:
    store = SnapshotStore(root)
    generator = random.Random(1)
    done = [commit(store, "before", generator) for _ in range(3)]
    ballast = root.with_name("ballast")
    failed = succeeded = 0
    for free in range(40):
        ballast.unlink(missing_ok=True)
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), b"x" * 4096)
        size = ballast.stat().st_size
        os.truncate(ballast, max(0, size - free * 4096))
        try:
            done.append(commit(SnapshotStore(root), "tight", generator))
            succeeded += 1
        except ProjectError as error:
            full_disk(error)
            failed += 1
        ballast.unlink()
        check(root, done)
    done.append(commit(store, "after", generator))
    check(root, done)
    # A pull onto a full disk is told the same, and goes on when there is room.
    remote = root.with_name("remote")
    push(store, str(remote))
    other = SnapshotStore(root.with_name("other"))
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b"x" * 4096)
    try:
        pull(other, str(remote))
    except ProjectError as error:
        full_disk(error)
    else:
        raise AssertionError("the disk was not full")
    ballast.unlink()
    assert pull(other, str(remote)).new > 0
    check(other.folder, done)
    print(f"{failed} failed, {succeeded} fitted")


def main(mode: str, root: str, *rest: str) -> None:
    path = Path(root)
    if mode == "kills":
        kills(path, int(rest[0]), int(rest[1]))
    elif mode == "race":
        race(path, float(rest[0]), int(rest[1]))
    elif mode == "full":
        full(path)
    elif mode == "commit":
        store, generator = SnapshotStore(path / "snapshots"), random.Random(3)
        for number in range(3):
            print("ACK", commit(store, "c", generator).replace(" ", "="), flush=True)
            if number == 1:
                store.tag("c@1", "first")
    elif mode == "check":
        acks = [a.replace("=", " ") for a in os.environ.get("PLOSS_ACKS", "").split(",") if a]
        if rest:
            acks += lines(Path(rest[0]))
        store = check(path / "snapshots" if (path / "snapshots").exists() else path, acks)
        commit(store, "after", random.Random(9))
    elif mode == "push":
        push(SnapshotStore(path), rest[0], threads=2)
    elif mode == "pull":
        with contextlib.suppress(NotFoundError):
            pull(SnapshotStore(path), rest[0], threads=2)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
