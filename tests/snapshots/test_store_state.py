"""The store against a plain dictionary: any order of operations, nothing lost, nothing extra."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_mlops.errors import NotFoundError
from jupyter_mlops.snapshots.chunks import chunk_id
from jupyter_mlops.snapshots.store import SnapshotStore

NAMES = st.sampled_from(["a", "B", "data/été"])
PARTS = st.lists(st.integers(0, 6), min_size=1, max_size=4)


def part(number: int) -> bytes:
    return np.random.default_rng(number).bytes(500 + 900 * number)


class StoreMachine(RuleBasedStateMachine):
    """``versions`` maps (name, number) to parts; ``removed`` and ``gone`` say what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mls"))
        self.store = SnapshotStore(self.folder / "snapshots")
        self.versions: dict[tuple[str, int], list[int]] = {}
        self.removed: set[tuple[str, int]] = set()
        self.gone: set[tuple[str, int]] = set()
        self.tags: dict[tuple[str, str], int] = {}

    def teardown(self) -> None:
        self.store.index.close()
        shutil.rmtree(self.folder)

    def live(self, name: str | None = None) -> list[tuple[str, int]]:
        return sorted(
            key
            for key in self.versions
            if key not in self.removed | self.gone and name in (None, key[0])
        )

    @rule(name=NAMES, parts=PARTS, tag=st.none() | st.sampled_from(["x", "y"]))
    def commit(self, name: str, parts: list[int], tag: str | None) -> None:
        with self.store.begin() as transaction:
            ids = [transaction.add(part(n)) for n in parts]
            version = transaction.commit(
                name,
                {"columns": ids},
                digest=chunk_id(bytes(parts)),
                tags=() if tag is None else (tag,),
            )
        live = self.live(name)
        if live and self.versions[live[-1]] == parts:
            assert (version.version, version.added) == (live[-1][1], 0)
        else:
            numbers = [number for other, number in self.versions if other == name]
            assert version.version == max(numbers, default=0) + 1
            self.versions[name, version.version] = parts
        if tag is not None:
            self.tags[name, tag] = version.version

    @rule(name=NAMES, parts=PARTS)
    def abort(self, name: str, parts: list[int]) -> None:
        with self.store.begin() as transaction:
            for n in parts:
                transaction.add(part(n))

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.live()))
        assert self.store.remove(f"{key[0]}@{key[1]}").version == key[1]
        self.removed.add(key)

    @precondition(lambda self: self.removed)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.removed)))
        self.store.restore_removed(f"{key[0]}@{key[1]}")
        self.removed.discard(key)

    @precondition(lambda self: self.live() or self.removed)
    @rule(data=st.data())
    def purge(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted({*self.live(), *self.removed})))
        self.store.purge(f"{key[0]}@{key[1]}")
        here = {n for k, v in self.versions.items() if k not in self.gone | {key} for n in v}
        for n in set(self.versions[key]) - here:
            assert not self.store.index.has(chunk_id(part(n)))
        self._bury({key})

    @rule(grace=st.sampled_from([0.0, 3600.0]))
    def collect(self, grace: float) -> None:
        plan = self.store.gc(grace=grace)
        report = self.store.gc(dry_run=False, grace=grace, wait=0)
        assert not report.held
        assert plan.versions == report.versions
        assert (plan.removed_packs, plan.rewritten_packs) == (
            report.removed_packs,
            report.rewritten_packs,
        )
        if grace == 0:
            expected = {f"{name}@{number}" for name, number in self.removed}
            assert set(report.versions) == expected
            self._bury(self.removed)
            usage = self.store.du()
            assert usage.live == sum(
                len(part(n)) for n in {n for key in self.live() for n in self.versions[key]}
            )
            # Half of a pack may be dead; footers of a few hundred bytes come on top.
            assert usage.dead <= usage.live + 400 * len(list(self.store.packs.iterdir()))

    @rule(name=NAMES, tag=st.sampled_from(["x", "y"]))
    def tag(self, name: str, tag: str) -> None:
        live = self.live(name)
        if live:
            self.store.tag(f"{name}@{live[0][1]}", tag)
            self.tags[name, tag] = live[0][1]

    @rule()
    def verify(self) -> None:
        report = self.store.verify()
        assert report.ok, report.problems

    @rule(how=st.sampled_from(["reopen", "no index", "bad index", "rebuild"]))
    def reopen(self, how: str) -> None:
        if how == "rebuild":
            self.store.index.rebuild()
            return
        self.store.index.close()
        if how != "reopen":
            for path in self.store.folder.glob("index.db*"):
                path.unlink()
        if how == "bad index":
            self.store.index.path.write_bytes(b"SQLite format 3\0" + bytes(5000))
        self.store = SnapshotStore(self.store.folder)

    @invariant()
    def versions_are_as_they_were(self) -> None:
        assert sorted((v.name, v.version) for v in self.store.versions()) == self.live()
        for name, number in self.live():
            version = self.store.resolve(f"{name}@{number}")
            ids = self.store.manifest(version.manifest).object["columns"]
            assert self.store.read(ids) == [part(n) for n in self.versions[name, number]]
            tags = sorted(t for (n, t), v in self.tags.items() if (n, v) == (name, number))
            assert version.tags == tuple(tags)

    @invariant()
    def nothing_lies_about(self) -> None:
        assert not list((self.store.folder / "leases").iterdir())
        assert not list((self.store.folder / "condemned").iterdir())
        assert not list(self.store.folder.rglob("*.tmp"))

    def _bury(self, keys: set[tuple[str, int]]) -> None:
        keys = set(keys)
        self.gone |= keys
        self.removed -= keys
        for name, number in keys:
            for tag in ("x", "y"):
                if self.tags.get((name, tag)) == number:
                    del self.tags[name, tag]
            try:
                self.store.resolve(f"{name}@{number}")
            except NotFoundError:
                continue
            raise AssertionError(f"{name}@{number} is still there")


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=15, stateful_step_count=25)
