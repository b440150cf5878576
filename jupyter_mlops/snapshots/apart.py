"""Versions that are stored as changes of what is to be erased, stored by themselves.

A patch lies over a chunk of the version before, rows are taken from it, and a folder's small files
share chunks with files that were deleted since.  What such a version shows stays to the bit; what
it is made of no longer holds what it does not show.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import CorruptError
from .chunking import Read
from .chunks import ChunkId
from .encoding import decode, digest_of, encode
from .exposure import Held, held
from .manifests import Manifest
from .marking import needed, roots
from .refs import Version

if TYPE_CHECKING:
    from .store import SnapshotStore
    from .transaction import Transaction

__all__ = ["all_versions", "encoded_again", "holding", "made_of", "previous", "store_apart"]

_BATCH = 1024 * 1024


def all_versions(store: SnapshotStore) -> list[tuple[Version, Manifest]]:
    """Every version, also removed ones, by name and number.

    Raises ``CorruptError`` where one cannot be read: then it cannot be told what holds what.
    """
    found = []
    for root in roots(store):
        manifest = needed(store, root)
        if root.version is not None:
            found.append((root.version, manifest))
    return sorted(found, key=lambda pair: (pair[0].name, pair[0].version))


def holding(store: SnapshotStore, manifest: Manifest) -> Held:
    """What a version shows, and what it only holds; of a tree of no known kind, all is shown."""
    found = held(manifest.object, store.index.sizes)
    rest = set(manifest.chunks) - found.shown - found.hidden
    return Held(found.shown | rest, found.hidden)


def made_of(
    store: SnapshotStore, own: set[ChunkId], without: Container[str] = ()
) -> tuple[set[ChunkId], list[str]]:
    """Those of ``own`` that no other version shows, and the versions that are made of some of them.

    ``without`` are the versions (``name@3``) that they are the chunks of.
    """
    pairs = all_versions(store)
    others = [(v, m) for v, m in pairs if v.spec not in without and own & set(m.chunks)]
    parts = {version.spec: holding(store, manifest) for version, manifest in others}
    for part in parts.values():
        own = own - part.shown
    return own, [spec for spec, part in parts.items() if part.hidden & own]


def store_apart(
    store: SnapshotStore, own: set[ChunkId], note: dict[str, Any], without: Container[str] = ()
) -> list[str]:
    """Store by themselves the versions that are made of chunks of ``own``; return them.

    Chunks that some version shows stay in use.  Raises as ``encoded_again``.
    """
    own, specs = made_of(store, own, without)
    for version, manifest in all_versions(store):
        if version.spec in specs:
            with store.begin() as transaction:
                before = previous(store, version, without=without)
                new = encoded_again(store, transaction, manifest, before, own)
                said = note | {"digest": version.digest, "kept": True}
                transaction.rewrite(version, new, note=said)
    return specs


def previous(
    store: SnapshotStore, version: Version, *, without: Container[str] = ()
) -> Manifest | None:
    """The manifest of the version before, to store this one as changes of; not ``without``."""
    best = None
    home = store.refs.home(version.name)
    for number in [*store.refs.live(home), *store.refs.live(home, removed=True)]:
        usable = number < version.version and f"{version.name}@{number}" not in without
        if usable and (best is None or number > best):
            best = number
    if best is None:
        return None
    return store.manifest(store.refs.version(home, best, {}).manifest)


def encoded_again(
    store: SnapshotStore,
    transaction: Transaction,
    manifest: Manifest,
    before: Manifest | None,
    gone: set[ChunkId],
) -> Manifest:
    """The same value, stored without the chunks of ``gone``.

    Raises ``UntrustedError`` for pickled objects of somebody else's, and ``CorruptError``.
    """
    tree = manifest.object
    if tree.get("kind") in ("file", "folder"):
        new = _packed_again(tree, transaction, store.read, gone)
        return replace(manifest, object=new, address=None)
    value = decode(tree, store.read)
    new, stats = encode(value, transaction, before, store)
    if digest_of(value, new) != manifest.digest:
        raise CorruptError("a version does not come out as it went in: it was left as it is")
    return replace(manifest, object=new, stats=stats, address=None)


def _packed_again(
    tree: dict[str, Any], transaction: Transaction, read: Read, gone: set[ChunkId]
) -> dict[str, Any]:
    """A folder whose small files lie in chunks that hold nothing else."""
    batch = bytearray()
    waiting: list[list[Any]] = []

    def flush() -> None:
        chunk = transaction.add(bytes(batch))
        for piece in waiting:
            piece[0] = chunk
        batch.clear()
        waiting.clear()

    entries = []
    moved: dict[tuple[Any, ...], list[Any]] = {}
    for entry in tree["entries"]:
        pieces = []
        for piece in entry.get("pieces", ()):
            if piece[0] not in gone:
                pieces.append(piece)
                continue
            key = tuple(piece)
            if key not in moved:
                (raw,) = read([piece[0]])
                moved[key] = [None, len(batch), piece[2]]
                batch += memoryview(raw)[piece[1] : piece[1] + piece[2]]
                waiting.append(moved[key])
                if len(batch) >= _BATCH:
                    flush()
            pieces.append(moved[key])
        entries.append({**entry, "pieces": pieces} if "pieces" in entry else entry)
    if batch:
        flush()
    return {**tree, "entries": entries}
