"""Snapshots that nobody asked for by name: what tracked cells read, within limits.

They have names of their own and never touch what a person keeps under theirs: a version of
somebody's own that holds the same is used, everything else leads to another name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from blake3 import blake3

from ..errors import CorruptError, MlopsError, Refused
from .chunks import ChunkId
from .durable import size_text
from .encoding import digest_of, encode
from .refs import Version
from .service import _about, _parent
from .store import SnapshotStore
from .transaction import Transaction

__all__ = ["OverLimit", "automatic_name", "keep"]

_LONGEST = 190  # Characters of a name: it may get a suffix.
_NAMES = 100  # Suffixes tried.


class OverLimit(MlopsError):
    """The project's snapshots would take more than they may."""

    exit_code = 2
    reason = "limit"


def automatic_name(text: str) -> str:
    """A snapshot's name for a path or ``notebook/variable``: what no name may hold is replaced.

    ``a@b`` becomes ``a(at)b``; a path from the root loses its first slash, since an address has
    none there; a long one is cut, and its BLAKE3 tells it from others.
    """
    plain = "".join(c if c.isprintable() else "_" for c in text.replace("@", "(at)"))
    plain = plain.replace("\\", "/").strip().strip("/") or "input"
    if len(plain) > _LONGEST or plain.encode("utf-8", "replace") != plain.encode(
        "utf-8", "surrogatepass"
    ):
        mark = blake3(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        plain = plain.encode("utf-8", "replace").decode()
        plain = f"{plain[:80].strip()}...{plain[-80:].strip()}~{mark}"
    return plain


def keep(
    store: SnapshotStore,
    value: Any,
    name: str,
    *,
    of: str,
    digest: str | None,
    limit: int,
    meta: Mapping[str, Any],
    check: Callable[[], None] | None = None,
    pause: Callable[[], None] | None = None,
) -> Version:
    """Keep a value; return the version that holds it.

    ``of`` says what is kept under the name (a path, a notebook and a variable): versions of
    something else are not continued, the name gets a suffix instead (``df~2``).  The newest version
    is returned, with ``added`` 0, where it is this value already, whoever made it.  ``digest`` is
    what the value had when it was read, ``None`` where only ``check`` can tell.  ``limit`` is in
    bytes of the whole store on disk.  ``check`` is called when everything is encoded and may raise;
    ``pause`` is called after each chunk.

    Raises ``Refused`` for a value that is not what ``digest`` says any more or cannot be kept,
    ``OverLimit`` (new chunks count as they lie in memory), and ``ProjectError`` when the disk is
    full or would be.
    """
    name, newest = _place(store, name, of, digest)
    if newest is not None and digest is not None and newest.digest == digest:
        return replace(newest, added=0)
    room = limit - store.bytes_on_disk()
    if room <= 0:
        raise _over(limit)
    with store.begin() as tx:
        tree, stats = encode(value, _Paced(tx, room, limit, pause), _parent(store, name), store)
        if tx.new_bytes > room:  # As it lies in memory: compressed it may yet be less.
            raise _over(limit)
        found = digest_of(value, tree)
        if digest is not None and found != digest:
            raise Refused("it changed while it was being kept")
        if check is not None:
            check()
        about = {} if isinstance(value, Path) else _about(value, tree)
        return tx.commit(
            name, tree, digest=found, stats=stats,
            meta=about | {"new_bytes": tx.new_bytes, "automatic": True, "of": of} | dict(meta),
        )  # fmt: skip


def _place(
    store: SnapshotStore, name: str, of: str, digest: str | None
) -> tuple[str, Version | None]:
    """The name to use, and its newest version."""
    for number in range(1, _NAMES):
        candidate = name if number == 1 else f"{name}~{number}"
        try:
            newest = store.newest(candidate)
        except CorruptError:
            continue
        if newest is None or newest.digest == digest:
            return candidate, newest
        if newest.meta.get("automatic") is True and newest.meta.get("of") == of:
            return candidate, newest
    raise Refused(f"the names {name!r} to '{name}~{_NAMES - 1}' are all taken")


def _over(limit: int) -> OverLimit:
    return OverLimit(
        f"the project's snapshots may take {size_text(limit)}, and it would be more",
        hint="Free some with `jupyter mlops snapshots rm` and `gc`, or raise the setting "
        "`snapshot-project-limit`.",
    )


class _Paced:
    """A transaction that makes room for others between two chunks, and keeps to the limit."""

    def __init__(
        self, tx: Transaction, room: int, limit: int, pause: Callable[[], None] | None
    ) -> None:
        self._tx = tx
        self._room = room
        self._limit = limit
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def add(self, raw: bytes | memoryview, *, itemsize: int = 1, hint: str = "") -> ChunkId:
        """Take the bytes in.  Raises ``OverLimit``, and what ``pause`` raises."""
        if self._pause is not None:
            self._pause()
        id = self._tx.add(raw, itemsize=itemsize, hint=hint)
        if self._tx.written > self._room:
            raise _over(self._limit)
        return id
