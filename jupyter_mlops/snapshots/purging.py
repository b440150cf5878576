"""Erasing a column, or rows by key, from all versions of a name.

Every version that has them is read, loses them and is stored again under its number; so are those
of other names that share the chunks, and versions that only hold the chunks beneath what they show
(``apart.py``).  Then what nothing needs any more leaves the packs (``erasing.py``).  A version's
record says when, why, and what its digest was.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import ConflictError, NotFoundError, UntrustedError
from .apart import all_versions, encoded_again, holding, previous
from .chunks import ChunkId
from .encoding import decode, digest_of, encode
from .erasing import erase
from .garbage import gate
from .losing import change_tables
from .losses import Column, Hit, Loss, Rows
from .manifests import Manifest
from .naming import check_name
from .refs import Version
from .values import shape_of

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Change", "Column", "Purged", "Rows", "purge_part"]

_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to a version: it loses ``rows`` rows and ``columns`` columns.

    ``words`` are categories of which it has no row, and which only rows that go had elsewhere.
    With none of these it stays what it is and is only stored by itself.  ``before`` and ``after``
    are its digests; ``after`` is ``None`` in a dry run.
    """

    spec: str
    rows: int = 0
    columns: int = 0
    words: int = 0
    before: str = ""
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What is, or with ``dry_run`` would be, erased from the versions of ``name``.

    ``changes`` are all versions that are written anew.  ``shared`` show some of the same chunks
    and do not have the column: they stay as they are, and so do these chunks.  ``also`` have such
    rows in chunks of their own; ``unread`` are files and folders, which are not looked into.
    ``chunks`` and ``freed`` (bytes) have left the disk.
    """

    name: str
    dry_run: bool
    changes: list[Change]
    shared: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    chunks: int = 0
    freed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


def purge_part(
    store: SnapshotStore,
    name: str,
    loss: Loss,
    *,
    dry_run: bool = True,
    reason: str | None = None,
    wait: float = 30.0,
) -> Purged:
    """Erase a column or rows from all versions of ``name`` and from what shares their chunks.

    Versions keep number, time, message and tags, and have another digest.  A call that was
    interrupted is completed by the next.

    Raises ``NotFoundError`` when no version of the name has them or a chunk is not here,
    ``UntrustedError`` for a version with pickled objects of somebody else's, ``CorruptError`` when
    it cannot be told what holds what, and ``ConflictError`` when somebody is still at work after
    ``wait`` seconds: then the versions are rewritten, but the bytes are still on disk.
    """
    check_name(name)
    plan = _Plan(store, name, loss)
    found = Purged(name, dry_run, plan.changes(), plan.shared, plan.also, plan.unread)
    if not found.changes and not plan.unfinished:
        manifests = [m for v, m in plan.versions if v.name == name]
        if not manifests:
            raise NotFoundError(
                f"no snapshot is called {name!r}",
                hint="`jupyter mlops snapshots ls` shows those that are here.",
            )
        raise loss.missing(name, manifests)
    if dry_run:
        return found
    note = {"at": time.time(), "reason": reason}
    own: set[ChunkId] = set()
    changes: list[Change] = []
    for _ in range(_ROUNDS):
        own |= plan.own
        changes += plan.carry_out(note)
        with gate(store) as lease:

            def nothing_new() -> None:
                # Somebody may have committed, since the look, what was read before it.
                again = _Plan(store, name, loss)
                if again.targets:
                    raise _Again(again)

            try:
                gone, freed = erase(store, lease, own, then=nothing_new, wait=wait)
            except _Again as error:
                plan = error.plan
                continue
        return replace(found, changes=changes, chunks=len(gone), freed=freed)
    raise ConflictError(
        f"others go on writing versions of {name} that have what is to be erased",
        hint="Erase it in their notebooks first, then try again.",
    )


class _Again(Exception):
    def __init__(self, plan: _Plan) -> None:
        self.plan = plan


class _Plan:
    """Which versions have what is to go, and which only hold it beneath what they show."""

    def __init__(self, store: SnapshotStore, name: str, loss: Loss) -> None:
        self.store = store
        self.loss = loss
        self.versions = all_versions(store)
        self.unfinished = any(v.name == name and v.meta.get("erased") for v, _ in self.versions)
        known: dict[str, Hit | None] = {}

        def hit(version: Version, manifest: Manifest) -> Hit | None:
            if version.manifest not in known:
                with _naming(version):
                    known[version.manifest] = loss.hit(store, manifest)
            return known[version.manifest]

        hits: dict[str, Hit] = {}
        tainted: set[ChunkId] = set()
        grown = True
        while grown:
            grown = False
            for version, manifest in self.versions:
                if version.spec in hits:
                    continue
                mine = version.name == name
                if not mine and not tainted & set(manifest.chunks):
                    continue
                found = hit(version, manifest)
                if found is not None and (mine or found.chunks & tainted):
                    hits[version.spec] = found
                    grown = grown or not found.chunks <= tainted
                    tainted |= found.chunks
        self.hits = hits
        for version, manifest in self.versions:
            if version.spec not in hits and tainted & set(manifest.chunks):
                with _naming(version):
                    words = loss.left_over(store, manifest)
                if words is not None:
                    hits[version.spec] = words
        rest = [(v, m) for v, m in self.versions if v.spec not in hits]
        parts = {v.spec: holding(store, m) for v, m in rest if tainted & set(m.chunks)}
        self.shared = [spec for spec, part in parts.items() if part.shown & tainted]
        self.own = set(tainted)
        for part in parts.values():
            tainted -= part.shown
        self.tainted = tainted
        self.apart = {spec for spec, part in parts.items() if part.hidden & tainted}
        self.also = [
            version.spec
            for version, manifest in rest
            if isinstance(loss, Rows) and version.name != name and hit(version, manifest)
        ]
        self.unread = [
            version.spec
            for version, manifest in rest
            if isinstance(loss, Rows) and manifest.object.get("kind") in ("file", "folder")
        ]
        self.targets = self.hits.keys() | self.apart

    def changes(self) -> list[Change]:
        """What would happen to each version."""
        return [self._change(v) for v, _ in self.versions if v.spec in self.targets]

    def carry_out(self, note: dict[str, Any]) -> list[Change]:
        """Write the versions anew, each durably: the older ones first."""
        done = []
        for version, manifest in self.versions:
            if version.spec not in self.targets:
                continue
            with self.store.begin() as transaction, _naming(version):
                said = note | {"digest": version.digest}
                if version.spec in self.hits:
                    new = self._changed(transaction, version, manifest)
                else:
                    before = previous(self.store, version)
                    new = encoded_again(self.store, transaction, manifest, before, self.tainted)
                    said["kept"] = True
                after = transaction.rewrite(version, new, note=said)
            done.append(replace(self._change(version), after=after.digest))
        return done

    def _changed(self, transaction: Any, version: Version, manifest: Manifest) -> Manifest:
        store = self.store
        value = decode(manifest.object, store.read)
        value = change_tables(value, manifest.object, self.loss.change)
        parent = self.loss.parent(store, version, manifest)
        tree, stats = encode(value, transaction, parent, store)
        shape = shape_of(value)
        about = {"rows": shape.rows, "columns": shape.columns}
        return replace(
            manifest,
            object=tree,
            stats=stats,
            digest=digest_of(value, tree),
            meta={**manifest.meta, **about},
        )

    def _change(self, version: Version) -> Change:
        hit = self.hits.get(version.spec)
        if hit is None:
            return Change(version.spec, before=version.digest)
        return Change(version.spec, hit.rows, hit.columns, hit.words, version.digest)


@contextlib.contextmanager
def _naming(version: Version) -> Iterator[None]:
    """Say of which version something cannot be read, and the way out."""
    try:
        yield
    except UntrustedError as error:
        error.message = f"{version.spec} cannot be looked into: {error.message}"
        error.hint = (
            f"Who made it can erase it, or erase the version whole: `jupyter mlops snapshots purge "
            f"{version.spec}`."
        )
        raise
