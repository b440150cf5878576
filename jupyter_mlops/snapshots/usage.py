"""What takes how much space, and what sharing chunks has saved."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorruptError
from .chunks import ChunkId
from .marking import needed, roots

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["NameUsage", "Usage", "stored_bytes", "usage"]


@dataclass(frozen=True, slots=True)
class NameUsage:
    """One name.  All in bytes.

    ``raw`` is the sum of its versions as they would lie in memory, ``stored`` what its chunks take
    on disk, ``own`` the part of them that no other name uses: what removing it would free.
    ``saved`` is what its versions would take more if each had its own chunks.  ``automatic`` of the
    versions were taken for runs.
    """

    name: str
    versions: int
    raw: int
    stored: int
    own: int
    saved: int = 0
    automatic: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """The store.  All in bytes.

    ``total`` is what its files take; ``live`` the chunks that some version needs, ``dead`` the
    rest of the packs, which ``gc`` can free; ``unshared`` what the versions would take if each
    had its own chunks, ``saved`` what sharing them has saved of that.  ``unreadable`` are versions
    whose record or manifest is damaged: they are not counted.
    """

    total: int
    packs: int
    manifests: int
    live: int
    dead: int
    unshared: int
    saved: int
    names: list[NameUsage] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


def usage(store: SnapshotStore) -> Usage:
    """Count.  Removed versions that can come back count as well."""
    store.index.refresh()
    sizes = store.index.all_sizes()
    by_name: dict[str, Counter[ChunkId]] = {}
    versions: Counter[str] = Counter()
    raw: Counter[str] = Counter()
    automatic: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    unshared = 0
    unreadable = []
    for root in roots(store):
        try:
            manifest = needed(store, root)
        except CorruptError:
            unreadable.append(root.spec)
            continue
        assert root.version is not None  # noqa: S101 - ``needed`` has raised otherwise
        name = root.version.name
        versions[name] += 1
        raw[name] += root.version.size
        by_name.setdefault(name, Counter()).update(manifest.chunks)
        automatic[name] += root.version.meta.get("automatic") is True
        taken = sum(sizes.get(id, 0) for id in manifest.chunks)
        alone[name] += taken
        unshared += taken
    users = Counter(id for ids in by_name.values() for id in ids)
    names = [
        NameUsage(
            name,
            versions[name],
            raw[name],
            sum(sizes.get(id, 0) for id in ids),
            sum(sizes.get(id, 0) for id in ids if users[id] == 1),
            alone[name] - sum(sizes.get(id, 0) for id in ids),
            automatic[name],
        )
        for name, ids in sorted(by_name.items())
    ]
    live = sum(sizes.get(id, 0) for id in users)
    packs = _size(store.packs)
    return Usage(
        total=_size(store.folder),
        packs=packs,
        manifests=_size(store.manifests),
        live=live,
        dead=max(0, packs - live),
        unshared=unshared,
        saved=unshared - live,
        names=names,
        unreadable=unreadable,
    )


def stored_bytes(store: SnapshotStore) -> int:
    """What packs and manifests take, in bytes.

    Both are written once under names that are not given again, so only new ones are looked at;
    how long the listing takes grows with their number, 20 ms for 10,000.
    """
    known = store.sizes
    found: dict[str, int] = {}
    for folder in (store.packs, store.manifests):
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                size = known.get(entry.name)
                if size is None:
                    # Gone since the listing: it takes nothing any more.
                    with contextlib.suppress(FileNotFoundError):
                        size = entry.stat().st_size
                found[entry.name] = size or 0
    store.sizes = found
    return sum(found.values())


def _size(folder: Path) -> int:
    total = 0
    for home, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(home, name)).st_size
    return total
