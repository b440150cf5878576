"""Snapshots of values under names: take, restore, list, show, compare.

Every face calls these; a version is durable when ``take`` returns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Config, load_config
from ..errors import ConflictError, CorruptError, NotFoundError, ProjectError, Refused, UsageError
from ..journal.redaction import redact_text
from ..project import Project
from .addresses import parse_rows, parse_spec
from .chunking import Read
from .describing import column_statistics, describe_later, is_late, statistics_of
from .diff_stored import RecentChunks, Stored, is_table
from .diffing import Diff, Tree, diff_values
from .encoding import decode, digest_of, encode
from .manifests import Manifest
from .naming import check_name, check_tag
from .refs import Version
from .store import SnapshotStore, open_store
from .stored_files import StoredFiles
from .values import shape_of

__all__ = ["Details", "diff", "existing_store", "export_version", "restore", "show", "take"]


@dataclass(frozen=True, slots=True)
class Details:
    """A version and what its manifest says: ``columns`` are ``(name, type)``, ``stats`` theirs."""

    version: Version
    parent: str | None
    columns: tuple[tuple[str, str], ...] = ()
    index: str = ""
    stats: dict[str, Any] = field(default_factory=dict)
    chunks: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return self.version.to_dict() | {
            "spec": self.version.spec, "parent": self.parent, "index": self.index,
            "schema": [{"name": name, "type": kind} for name, kind in self.columns],
            "stats": self.stats, "chunks": self.chunks,
        }  # fmt: skip


def take(
    project: Project,
    obj: Any,
    name: str,
    message: str | None = None,
    tags: Sequence[str] = (),
    *,
    config: Config | None = None,
    meta: dict[str, Any] | None = None,
) -> Version:
    """Keep a value as the next version of ``name``; it is on disk when this returns.

    A value that is the newest version already makes none: that one is returned with ``added`` 0.
    A ``Path`` is a file or a folder.  Secrets in the message are replaced.

    Raises ``UsageError`` for a bad name or tag, ``Refused`` for a value that would not come back
    exactly (``fields["column"]`` says where), ``ProjectError`` when the disk is full or would be.
    """
    check_name(name)
    tags = [tags] if isinstance(tags, str) else list(tags)
    for tag in tags:
        check_tag(tag)
    if message is not None and not isinstance(message, str):
        raise UsageError(f"a message must be text, not {type(message).__name__}")
    store = open_store(project, config or load_config(project.root))
    parent = _parent(store, name)
    with store.begin() as tx:
        late = is_late(obj)
        try:
            tree, stats = encode(obj, tx, parent, store, statistics=not late)
        except Refused as error:
            error.message = f"{name} cannot be kept: {error.message}"
            raise
        version = tx.commit(
            name, tree, digest=tx.digest(tree, lambda: digest_of(obj, tree)), stats=stats,
            message=redact_text(message) if message else None, tags=tags,
            meta=_about(obj, tree) | {"new_bytes": tx.new_bytes} | (meta or {}),
        )  # fmt: skip
    if late:
        describe_later(store, version.manifest)
    return version


def restore(
    project: Project,
    spec: str,
    columns: Sequence[Any] | str | None = None,
    rows: slice | range | tuple[int, int] | str | None = None,
    trust: bool = False,
) -> Any:
    """Return the value of a version, or the part of it that was asked for.

    ``spec`` is ``name``, ``name@3``, ``name@tag``, ``name@latest`` or ``name@2026-11-21T10:00``,
    with or without ``snapshot://``.  ``rows`` is a slice, a range, ``(start, stop)`` or
    ``"start:stop"``.  Only what the part needs is read.  A file or a folder comes as an object with
    ``restore(folder)``.

    Raises ``NotFoundError``, ``CorruptError``, and ``UntrustedError`` for pickled parts that this
    user did not write, unless ``trust``.
    """
    part = parse_rows(rows)
    chosen = [columns] if isinstance(columns, str) else columns
    store = existing_store(project)
    version = store.resolve(parse_spec(spec))
    manifest = store.manifest(version.manifest)
    try:
        return decode(manifest.object, store.read, columns=chosen, rows=part, trust=trust)
    except CorruptError as error:
        error.hint = error.hint or f"jupyter mlops snapshots repair {version.spec}"
        raise


def show(project: Project, spec: str) -> Details:
    """What is known of a version.  Raises ``NotFoundError``, ``CorruptError``."""
    store = existing_store(project)
    version = store.resolve(parse_spec(spec))
    manifest = store.manifest(version.manifest)
    parent = None
    for other in store.versions(version.name):
        if other.manifest == manifest.parent and other.version < version.version:
            parent = other.spec
    columns: tuple[tuple[str, str], ...] = ()
    index = ""
    if is_table(manifest.object):
        # Types and index are said by what is stored beside the cells; nothing pickled is loaded.
        table = Stored(manifest.object, store.read, manifest.stats, trust=False)
        columns = tuple((column.label, column.type) for column in table.columns)
        index = table.index
    stats = statistics_of(store, version.manifest, manifest)
    return Details(version, parent, columns, index, stats, len(manifest.chunks))


def export_version(
    project: Project,
    spec: str,
    path: Path,
    kind: str | None = None,
    *,
    columns: Sequence[Any] | None = None,
    rows: Any = None,
    trust: bool = False,
    force: bool = False,
) -> Path:
    """Write a version, or a part of it, to a file; return its path.

    ``kind`` is one of ``exporting.FORMATS``, by default what the path's ending says.  A file or a
    folder goes into the folder ``path``.  Raises ``ConflictError`` for a file that exists, unless
    ``force``; ``UsageError`` for what the format cannot hold; and what ``restore`` raises.
    """
    from .exporting import FORMATS, write_value

    value = restore(project, spec, columns, rows, trust)
    if isinstance(value, StoredFiles):
        if kind is not None:
            raise UsageError(
                f"{spec} is a file or a folder and is written as it is", hint="Leave --format away."
            )
        return value.restore(path)
    ending = path.suffix.lstrip(".").lower()
    chosen = (kind or _ENDINGS.get(ending, ending)).lower()
    if chosen not in FORMATS:
        raise UsageError(
            f"{kind or path} names no format to export to",
            hint=f"The formats are {', '.join(FORMATS)}: the file's ending, or --format.",
        )
    if path.exists() and not force:
        raise ConflictError(f"{path} exists already", hint="Name another file, or give --force.")
    try:
        write_value(value, path, chosen)
    except UsageError as error:
        error.message = f"{spec} cannot be exported: {error.message}"
        raise
    return path


_ENDINGS = {"pq": "parquet", "arrow": "feather", "ipc": "feather"}


def diff(project: Project, a: Any, b: Any, *, key: Sequence[str] = (), trust: bool = False) -> Diff:
    """Compare two versions, or a version with a value: text names a version, all else is itself.

    Raises what ``restore`` raises, and ``UsageError`` for a key that does not fit.
    """
    recent = RecentChunks()
    first, second = (
        _side(project, side, trust, name, recent) for side, name in ((a, "A"), (b, "B"))
    )
    names = first.name, second.name
    key = [key] if isinstance(key, str) else list(key)
    if first.digest is not None and first.digest == second.digest and not key:
        return Diff(first.kind, True, names)
    found = diff_values(first.value, second.value, key=key, names=names)
    digests = first.of_digest(), second.of_digest()
    if found.equal and None not in digests and digests[0] != digests[1]:
        found.equal = False
        found.facts.append(
            "All cells are equal; what is said beside them (attrs, names, order, storage) is not."
        )
    return found


def existing_store(project: Project) -> SnapshotStore:
    """The store of a project.  Raises ``NotFoundError`` where none was ever made."""
    folder = project.state / "snapshots"
    if not folder.is_dir():
        raise NotFoundError(
            f"the project {project.root} has no snapshots yet",
            hint="Take one: %snapshot EXPR in a notebook, or jupyter_mlops.snapshot(value, name).",
        )
    return SnapshotStore(folder, reserve=load_config(project.root).snapshot_reserve)


@dataclass
class _Side:
    name: str
    value: Any
    kind: str = "value"
    digest: str | None = None
    live: bool = False

    def of_digest(self) -> str | None:
        if self.live and self.digest is None:
            from ..errors import Undigested
            from .digest import digest

            with contextlib.suppress(Undigested):
                self.digest = digest(self.value).id
        return self.digest


def _side(project: Project, value: Any, trust: bool, name: str, recent: RecentChunks) -> _Side:
    if not isinstance(value, str):
        return _Side(name, value, live=not isinstance(value, Path))
    store = existing_store(project)
    version = store.resolve(parse_spec(value))
    manifest = store.manifest(version.manifest)
    tree = manifest.object
    kind = "frame" if is_table(tree) else tree["kind"]
    read = recent.reading(store.read)
    if is_table(tree):
        stats = column_statistics(store, version.manifest, manifest)
        return _Side(version.spec, Stored(tree, read, stats, trust=trust), kind, version.digest)
    return _Side(version.spec, _stored(manifest, read, trust), kind, version.digest)


def _stored(manifest: Manifest, read: Read, trust: bool) -> Any:
    tree = manifest.object
    value = decode(tree, read, trust=trust)
    if tree["kind"] in ("file", "folder"):
        return _files(tree, value)
    return value


def _files(tree: dict[str, Any], value: Any) -> Tree:
    """Stored files by name; a link is its target, a folder only where something is in it."""
    if tree["kind"] == "file":
        (entry,) = tree["entries"]
        known = {"": (entry["size"], f"blake3:{entry['digest']}")}
        return Tree(known, lambda _: value.read())
    sizes = {}
    for name, entry in zip(value.names(), tree["entries"], strict=True):
        if entry["type"] == "file":
            sizes[name] = (entry["size"], f"blake3:{entry['digest']}")
        elif entry["type"] == "link":
            sizes[name] = (0, f"link to {entry['target']}")
    links = {name for name, (_, digest) in sizes.items() if digest.startswith("link")}
    return Tree(sizes, lambda name: b"" if name in links else value.read(name))


def _parent(store: SnapshotStore, name: str) -> Manifest | None:
    """The manifest of the newest version; what is damaged or away is no base to build on."""
    newest = store.newest(name)
    if newest is None:
        return None
    with contextlib.suppress(CorruptError, NotFoundError, ProjectError):
        return store.manifest(newest.manifest)
    return None


def _about(obj: Any, tree: dict[str, Any]) -> dict[str, Any]:
    if isinstance(obj, Path):
        return {"kind": tree["kind"]}
    shape = shape_of(obj)
    return {"kind": shape.kind, "rows": shape.rows, "columns": shape.columns}
