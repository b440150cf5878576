"""A version of a name: a binding, and the changes of its object since."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

__all__ = ["Version", "derive", "key_of"]

Link = tuple[int, Hashable, frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Version:
    """What a name was at some time.

    ``writer`` is the position of the execution that bound it, -1 where that is unknown; ``key``
    numbers the value it bound; ``parent`` is the version of the same name that it was made of.
    ``links`` are the changes in place since: who, which value, which columns (``None``: any).
    """

    name: str
    writer: int
    key: Hashable
    parent: Version | None = None
    links: tuple[Link, ...] = ()

    @property
    def root(self) -> Version:
        """The binding alone."""
        return Version(self.name, self.writer, self.key, self.parent) if self.links else self

    @property
    def last(self) -> int:
        """Who wrote it last, in either way."""
        return self.links[-1][0] if self.links else self.writer

    def writers(self, columns: frozenset[str] | None = None) -> tuple[int, ...]:
        """Everyone with part in these columns of it since it was bound."""
        return (self.writer, *(link[0] for link in _touching(self, columns)))

    def ancestors(self) -> Iterator[Version]:
        """This version and those of the same name that it was made of, newest first."""
        version: Version | None = self
        while version is not None:
            yield version
            version = version.parent


def derive(version: Version, writer: int, key: Hashable, columns: frozenset[str] | None) -> Version:
    """The version after a change in place."""
    links = (*version.links, (writer, key, columns))
    return Version(version.name, version.writer, version.key, version.parent, links)


def key_of(
    version: Version,
    columns: frozenset[str] | None = None,
    writers: frozenset[int] | None = None,
) -> Hashable:
    """The number of the value, as far as these columns and these writers go."""
    return (
        version.key,
        tuple(
            link[1] for link in _touching(version, columns) if writers is None or link[0] in writers
        ),
    )


def _touching(version: Version, columns: frozenset[str] | None) -> Iterator[Link]:
    for link in version.links:
        if columns is None or link[2] is None or columns & link[2]:
            yield link
