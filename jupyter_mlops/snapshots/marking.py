"""What the refs need: the roots that verify, gc, du and purge all begin at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CorruptError, NotFoundError
from .manifests import Manifest
from .naming import plain_name
from .refs import Version

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["Root", "Runs", "name_of", "needed", "roots"]


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs that there are (their ids), and the versions (``name@3``) that some name: by which.

    A version that was taken automatically belongs to the run that took it.
    """

    ids: frozenset[str] = frozenset()
    named: Mapping[str, str] = field(default_factory=dict)

    def keeper(self, version: Version) -> str | None:
        """The id of a run that needs a version; ``None`` where none does."""
        run = version.meta.get("run")
        if version.meta.get("automatic") and isinstance(run, str) and run in self.ids:
            return run
        return self.named.get(version.spec)


@dataclass(frozen=True, slots=True)
class Root:
    """A version that is there, or was removed and can come back.

    ``version`` is ``None`` where its record is damaged; then ``error`` says how.
    """

    home: Path
    number: int
    removed: bool
    version: Version | None
    error: CorruptError | None = None

    @property
    def spec(self) -> str:
        """``name@version``."""
        return f"{name_of(self.home)}@{self.number}"

    @property
    def path(self) -> Path:
        """The file with its record."""
        return self.home / f"{self.number:08d}.ref"


def roots(store: SnapshotStore) -> Iterator[Root]:
    """Every version of every name, oldest first."""
    for home in store.refs.homes():
        for number, kinds in sorted(store.refs.numbers(home).items()):
            if "ref" not in kinds or "gone" in kinds:
                continue
            removed = "removed" in kinds
            try:
                version = store.refs.version(home, number, {})
            except FileNotFoundError:
                continue
            except CorruptError as error:
                yield Root(home, number, removed, None, error)
            else:
                yield Root(home, number, removed, version)


def needed(store: SnapshotStore, root: Root) -> Manifest:
    """The manifest of a root.

    Raises ``CorruptError`` when it cannot be told what the version needs: then nothing may be
    taken away.
    """
    if root.version is None:
        raise root.error or CorruptError(f"{root.spec} cannot be read")
    try:
        return store.manifest(root.version.manifest)
    except NotFoundError as error:
        raise CorruptError(f"the manifest of {root.spec} is missing", hint=error.hint) from error


def name_of(home: Path) -> str:
    """The name whose folder this is: from its file name, or from a record in it."""
    plain = plain_name(home.name)
    if plain is not None:
        return plain
    from .refs import decode_line

    for path in sorted(home.glob("*.ref")):
        with contextlib.suppress(CorruptError, OSError):
            record: dict[str, Any] = decode_line(path.read_bytes(), path.name)
            if isinstance(record.get("name"), str):
                return str(record["name"])
    return home.name
