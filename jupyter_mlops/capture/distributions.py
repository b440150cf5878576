"""Which distributions an interpreter has, from the names of their folders.

Sources: the recorded-projects format (``NAME-VERSION.dist-info``, PEP 376 and 427), versions by
PEP 440, names by PEP 503, direct addresses by PEP 610.  The files inside are opened only where the
folder's name does not say enough: opening hundreds of them takes longer than a cell may wait.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Distribution", "DistributionFolders", "is_version", "normal_name", "read_folder_name"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(
    r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*"
    r"(?:[-_.]?(?:alpha|beta|preview|pre|a|b|c|rc)[-_.]?[0-9]*)?"
    r"(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?"
    r"(?:[-_.]?dev[-_.]?[0-9]*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.IGNORECASE | re.ASCII,
)
_HEADER = 16 * 1024  # Bytes of a METADATA file: name and version stand at its beginning.
_SITE = ("site-packages", "dist-packages")
_ENTRIES = 5000  # A larger folder that is not such a one holds somebody's data.


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution; ``name`` is normalised.

    ``origin`` is its ``direct_url.json`` if it has one: it did not come from an index.  A
    ``checkout`` is a source folder that stands on the path itself.
    """

    name: str
    version: str
    origin: Mapping[str, Any] | None = None
    checkout: bool = False


class DistributionFolders:
    """Reads the folders of ``sys.path``, each again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, list[Distribution]]] = {}

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """What changes when something is installed or removed: the folders and their times."""
        found = []
        for entry in dict.fromkeys(sys.path):
            folder = os.path.abspath(entry) if type(entry) is str else None
            try:
                if folder is not None:
                    found.append((folder, os.stat(folder).st_mtime_ns))
            except (OSError, ValueError):
                continue
        return tuple(found)

    def read(self, stamp: tuple[tuple[str, int], ...]) -> dict[str, Distribution]:
        """Return the distributions by name; the first folder that has one is what is imported."""
        found: dict[str, Distribution] = {}
        for folder, time in stamp:
            known = self._known.get(folder)
            if known is None or known[0] != time:
                known = self._known[folder] = (time, list(_scan(folder)))
            for distribution in known[1]:
                before = found.get(distribution.name)
                if before is None or (before.checkout and not distribution.checkout):
                    found[distribution.name] = distribution
        return dict(sorted(found.items()))


def normal_name(name: str) -> str:
    """The name that all spellings of a distribution's name share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_version(text: str) -> bool:
    """Whether ``text`` is a version by PEP 440, normalised or not."""
    return _VERSION.fullmatch(text) is not None


def read_folder_name(name: str) -> tuple[str, str] | None:
    """Return normalised name and version of ``NAME-VERSION.dist-info``.

    ``None`` where that is ambiguous: the format writes ``-`` in a name or version as ``_``, but old
    tools did not.
    """
    stem, _, suffix = name.rpartition(".")
    project, _, version = stem.partition("-")
    if suffix != "dist-info" or "_" in version or "-" in version:
        return None
    if not _NAME.fullmatch(project) or not is_version(version):
        return None
    return normal_name(project), version


def _scan(folder: str) -> Iterator[Distribution]:
    try:
        names = os.listdir(folder)
    except OSError:  # Gone, not readable, or a zip file.
        return
    if len(names) > _ENTRIES and os.path.basename(folder) not in _SITE:
        return
    for name in names:
        if name.endswith(".dist-info"):
            inside = os.path.join(folder, name)
            read = read_folder_name(name) or _from_metadata(os.path.join(inside, "METADATA"))
            if read is not None:
                yield Distribution(*read, _origin(os.path.join(inside, "direct_url.json")))
        elif name.endswith(".egg-info"):
            yield from _egg(folder, name)


def _egg(folder: str, name: str) -> Iterator[Distribution]:
    """The older form, a folder or a file: by the system's packages, and beside sources."""
    project, *rest = name.removesuffix(".egg-info").split("-")
    if len(rest) in (1, 2) and _NAME.fullmatch(project) and is_version(rest[0]):
        yield Distribution(normal_name(project), rest[0])
        return
    path = os.path.join(folder, name)
    inside = os.path.join(path, "PKG-INFO") if os.path.isdir(path) else path
    read = _from_metadata(inside)
    if read is not None:
        yield Distribution(*read, checkout=not rest)


def _from_metadata(path: str) -> tuple[str, str] | None:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEADER)
    except OSError:
        return None
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        if not colon and not line.strip():
            break  # The description follows.
        fields.setdefault(key.lower(), value.strip())
    name, version = fields.get("name", ""), fields.get("version", "")
    if not _NAME.fullmatch(name) or not version or not version.isprintable():
        return None
    return normal_name(name), version


def _origin(path: str) -> Mapping[str, Any] | None:
    if not os.access(path, os.R_OK):  # As for nearly all; faster than an error to catch.
        return None
    try:
        with open(path, "rb") as file:
            read = json.loads(file.read(_HEADER))
    except (OSError, ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) and isinstance(read.get("url"), str) else None
