"""The versions that ``snapshot://`` addresses mean on a remote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .addresses import SCHEME, is_address
from .locating import locate
from .refs import Version
from .remote_refs import RemoteRefs
from .remotes import Remote

__all__ = ["addresses_in", "specs_there"]


class _There:
    def __init__(self, refs: RemoteRefs) -> None:
        self.refs = refs

    def resolve(self, spec: str) -> Version:
        return self.refs.one(spec)


def addresses_in(value: Any) -> Iterator[str]:
    """The ``snapshot://`` addresses in a value of plain JSON, at any depth."""
    if is_address(value):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from addresses_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from addresses_in(item)


def specs_there(remote: Remote, names: Iterable[str], *, threads: int = 8) -> list[str]:
    """``name@version`` of what these addresses or specs mean on a remote, each once.

    What an address says of a format or a path within a folder does not matter.  Raises
    ``NotFoundError`` for one that is not there.
    """
    there = _There(RemoteRefs(remote, threads=threads))
    paths = (name.removeprefix(SCHEME).strip("/") for name in names)
    return list(dict.fromkeys(locate(there, path).version.spec for path in paths))
