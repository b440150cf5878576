"""Which version a ``snapshot://`` address means, and what within it.

``snapshot://NAME@VERSION``, then an ending that asks for a format (``.csv``), or ``/`` and a path
within a stored folder.  A name may have slashes of its own, as those of files do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import NotFoundError, UsageError
from ..project import Project
from .addresses import SCHEME
from .refs import Version
from .service import existing_store

__all__ = ["FORMATS", "Located", "Versions", "locate", "pin_addresses"]

FORMATS = {"parquet": "parquet", "pq": "parquet", "csv": "csv", "feather": "feather",
           "arrow": "feather", "npy": "npy"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Located:
    """A version, the path ``inside`` it, and the ``format`` that its ending asks for."""

    version: Version
    inside: str = ""
    ending: str = ""

    @property
    def format(self) -> str | None:
        """``parquet``, ``csv``, ``feather``, ``npy``, or ``None`` without an ending."""
        return FORMATS.get(self.ending.lower())

    @property
    def address(self) -> str:
        """The address that will always mean this: its version is a number."""
        ending = f".{self.ending}" if self.ending else ""
        inside = f"/{self.inside}" if self.inside else ""
        return f"{SCHEME}{self.version.spec}{ending}{inside}"


class Versions(Protocol):
    """Where versions are looked up: a store, or a remote."""

    def resolve(self, spec: str) -> Version:
        """The version that a spec names.  Raises ``NotFoundError``, ``UsageError``."""


def locate(store: Versions, path: str) -> Located:
    """Find what an address without its scheme means.  Raises ``NotFoundError``, ``UsageError``."""
    name, at, rest = path.partition("@")
    if at:
        version, _, inside = rest.partition("/")
        return _resolve(store, f"{name}@{version}", inside)
    parts = path.split("/")
    problem: NotFoundError | UsageError | None = None
    for count in range(len(parts), 0, -1):
        try:
            return _resolve(store, "/".join(parts[:count]), "/".join(parts[count:]))
        except (NotFoundError, UsageError) as error:
            problem = problem or error
    assert problem is not None  # noqa: S101 - a path has at least one part
    raise problem


def pin_addresses(project: Project, values: dict[str, Any]) -> dict[str, Any]:
    """``values`` with every ``snapshot://`` address as the number of the version it means now.

    Lists are looked into.  So what runs and what is recorded of it mean the same version later.
    Raises ``NotFoundError`` that names the value and the command that fetches the version.
    """
    return {name: _pinned(project, name, value) for name, value in values.items()}


def _pinned(project: Project, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_pinned(project, name, item) for item in value]
    if not isinstance(value, str) or not value.startswith(SCHEME):
        return value
    path = value.removeprefix(SCHEME).strip("/")
    try:
        return locate(existing_store(project), path).address
    except (NotFoundError, UsageError) as error:
        wanted, at, rest = path.partition("@")
        spec = wanted + at + rest.partition("/")[0]
        raise UsageError(
            f"{name} is {value}, which is not on this machine: {error.message}",
            hint=f"jupyter mlops snapshots pull {spec}",
            parameter=name,
        ) from error


def _resolve(store: Versions, spec: str, inside: str) -> Located:
    try:
        return Located(store.resolve(spec), inside)
    except NotFoundError:
        base, dot, ending = spec.rpartition(".")
        if not dot or ending.lower() not in FORMATS:
            raise
        return Located(store.resolve(base), inside, ending)
