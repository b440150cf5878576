"""Looking for damage: every bit of packs, manifests and refs is covered by a checksum."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorruptError
from .chunks import ChunkId
from .manifests import is_address, read_manifest
from .marking import Root, name_of, roots
from .packs import Entry, read_entry, read_footer, read_stored

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Problem", "Report", "verify"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written.

    ``kind`` is ``pack``, ``chunk``, ``manifest``, ``ref``, ``tag`` or ``missing``; ``path`` is
    relative to the store; ``versions`` are those that cannot be restored because of it.
    """

    kind: str
    path: str
    message: str
    versions: tuple[str, ...] = ()
    chunks: tuple[ChunkId, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at and what was found; ``versions`` are all that cannot be restored."""

    packs: int = 0
    chunks: int = 0
    manifests: int = 0
    refs: int = 0
    size: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything is as it was written."""
        return not self.problems

    @property
    def versions(self) -> list[str]:
        """The versions that some problem touches, sorted."""
        return sorted({spec for problem in self.problems for spec in problem.versions})

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self) | {"ok": self.ok, "versions": self.versions}


def verify(store: SnapshotStore, name: str | None = None, *, deep: bool = True) -> Report:
    """Read everything and compare it with its checksums.

    With ``deep`` each chunk is also decompressed and compared with its id.  With ``name`` only
    problems that touch versions of this name are reported.  A damaged chunk of which there is a
    good copy is reported, and touches no version.
    """
    with store.lease("reader"):
        return _Verification(store, deep).report(name)


class _Verification:
    def __init__(self, store: SnapshotStore, deep: bool) -> None:
        self.store = store
        self.deep = deep
        self.problems: list[Problem] = []
        self.good: set[ChunkId] = set()
        self.size = 0
        self.refs = 0

    def report(self, name: str | None) -> Report:
        # Refs before packs: what a version committed in between needs might be in packs unseen.
        found = list(roots(self.store))
        self._refs(found)
        needs, manifests = self._manifests(found)
        packs, chunks = self._packs()
        problems = self._attribute(needs)
        if name is not None:
            wanted = f"{name}@"
            problems = [
                problem
                for problem in problems
                if any(spec.startswith(wanted) for spec in problem.versions)
            ]
        return Report(packs, chunks, manifests, self.refs, self.size, problems)

    def _refs(self, found: Iterable[Root]) -> None:
        for root in found:
            self.refs += 1
            if root.error is not None:
                self._problem("ref", root.path, str(root.error), (root.spec,))
        for home in self.store.refs.homes():
            for number, kinds in self.store.refs.numbers(home).items():
                for kind in sorted(kinds & {"removed", "gone"}):
                    path = home / f"{number:08d}.{kind}"
                    try:
                        self.store.refs.read(path)
                    except FileNotFoundError:
                        continue
                    except CorruptError as error:
                        touched = (f"{name_of(home)}@{number}",) if kind == "removed" else ()
                        self._problem("ref", path, str(error), touched)
            live = {*self.store.refs.live(home), *self.store.refs.live(home, removed=True)}
            for path, record in self.store.refs.tag_records(home):
                if record is None:
                    self._problem("tag", path, f"tag {path.name} does not match its checksum")
                elif record["version"] not in live:
                    message = f"tag {path.name} names version {record['version']}, which is gone"
                    self._problem("tag", path, message)

    def _manifests(self, found: Iterable[Root]) -> tuple[dict[str, list[ChunkId]], int]:
        users: dict[str, list[str]] = {}
        for root in found:
            if root.version is not None:
                users.setdefault(root.version.manifest, []).append(root.spec)
        folder = self.store.manifests
        here = {n for n in _listed(folder) if is_address(n)}
        needs: dict[str, list[ChunkId]] = {}
        for address in sorted(here | users.keys()):
            specs = users.get(address, [])
            try:
                manifest = read_manifest(folder / address, address)
            except FileNotFoundError:
                if specs:
                    message = f"manifest {address[:12]} is missing"
                    self._problem("missing", folder / address, message, tuple(specs))
                continue
            except CorruptError as error:
                self._problem("manifest", folder / address, str(error), tuple(specs))
                continue
            for spec in specs:
                needs[spec] = manifest.chunks
        return needs, len(here)

    def _packs(self) -> tuple[int, int]:
        packs = chunks = 0
        for name in sorted(n for n in _listed(self.store.packs) if n.endswith(".pack")):
            path = self.store.packs / name
            try:
                entries = read_footer(path)
                file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            except FileNotFoundError:
                continue  # Collected in the meantime; what was needed of it is in another.
            except CorruptError as error:
                self._problem("pack", path, str(error))
                continue
            packs += 1
            chunks += len(entries)
            try:
                self._entries(file, path, entries)
            finally:
                os.close(file)
        return packs, chunks

    def _entries(self, file: int, path: Path, entries: list[Entry]) -> None:
        def look(entry: Entry) -> CorruptError | None:
            try:
                if self.deep:
                    read_entry(file, path, entry)
                else:
                    read_stored(file, path, entry)
            except CorruptError as error:
                return error
            return None

        with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
            for entry, error in zip(entries, pool.map(look, entries), strict=True):
                self.size += entry.length
                if error is None:
                    self.good.add(entry.id)
                else:
                    self._problem("chunk", path, str(error), chunks=(entry.id,))

    def _attribute(self, needs: dict[str, list[ChunkId]]) -> list[Problem]:
        """Say for each problem of a pack or a chunk which versions it touches."""
        lost = {spec: missing for spec, ids in needs.items() if (missing := {*ids} - self.good)}
        if not lost:
            return self.problems
        explained: set[ChunkId] = set()
        problems = []
        unreadable = [problem for problem in self.problems if problem.kind == "pack"]
        for problem in self.problems:
            ids = set(problem.chunks)
            if problem.kind == "pack":
                ids = self._once_in(Path(problem.path).name)
                if len(unreadable) == 1:
                    damaged = {id for p in self.problems if p.kind == "chunk" for id in p.chunks}
                    ids |= {id for missing in lost.values() for id in missing} - damaged
            if problem.kind in {"pack", "chunk"}:
                specs = {spec for spec, missing in lost.items() if missing & ids}
                explained |= ids
                problem = replace(problem, versions=tuple(sorted(specs)))
            problems.append(problem)
        for spec, missing in sorted(lost.items()):
            if rest := missing - explained:
                problems.append(
                    Problem(
                        "missing",
                        "packs",
                        f"{len(rest)} chunks of {spec} are in no pack",
                        (spec,),
                        tuple(sorted(rest)),
                    )
                )
        return problems

    def _once_in(self, pack: str) -> set[ChunkId]:
        """What the index remembers of a pack whose footer cannot be read any more."""
        return self.store.index.pack_chunks(pack)

    def _problem(
        self,
        kind: str,
        path: Path,
        message: str,
        versions: tuple[str, ...] = (),
        chunks: tuple[ChunkId, ...] = (),
    ) -> None:
        place = path.relative_to(self.store.folder).as_posix()
        self.problems.append(Problem(kind, place, message, versions, chunks))


def _listed(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(folder)
    return []
