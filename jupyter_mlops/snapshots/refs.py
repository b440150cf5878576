"""Refs: which manifest each version of each name is.

::

    refs/<name>/00000003.ref        version 3: a record, made by exclusive create, never changed
    refs/<name>/00000003.removed    it was removed, and can come back until ``gc``
    refs/<name>/00000003.gone       its tombstone: its number is not given again
    refs/<name>/tags/<tag>          the version that a tag names

Each file is one line: the BLAKE3 (64 hex digits) of the JSON that follows a space.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from ..errors import CorruptError
from .durable import create_exclusive, make_folder, replace_file, sync_folder
from .manifests import canonical
from .naming import file_name

__all__ = ["Refs", "Version", "decode_line", "encode_line"]

_FILE = re.compile(r"([0-9]{8,})\.(ref|removed|gone)")
_CLAIM = re.compile(r"([0-9]{8,})\.ref\.claim")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a name.

    ``digest`` is that of the object, ``manifest`` the address of its manifest, ``created`` seconds
    since the epoch, ``size`` raw bytes, ``added`` the bytes that were new on disk (0 for a version
    that was there already), ``tags`` those that name it now.
    """

    name: str
    version: int
    digest: str
    manifest: str
    created: float
    message: str | None = None
    tags: tuple[str, ...] = ()
    kind: str = "object"
    rows: int | None = None
    columns: int | None = None
    size: int = 0
    added: int = 0
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """``name@version``: what it is addressed by."""
        return f"{self.name}@{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self) | {"tags": list(self.tags)}


def encode_line(record: Mapping[str, Any]) -> bytes:
    """The line for one record."""
    plain = canonical(record, "the record")
    return b"%s %s\n" % (blake3(plain).hexdigest().encode("ascii"), plain)


def decode_line(line: bytes, label: str) -> dict[str, Any]:
    """The record of a line; ``CorruptError`` when it is not as written."""
    digest, space, plain = line[:64], line[64:65], line[65:-1]
    if space != b" " or line[-1:] != b"\n" or blake3(plain).hexdigest().encode("ascii") != digest:
        raise CorruptError(f"{label} does not match its checksum")
    record = json.loads(plain)
    if not isinstance(record, dict):
        raise CorruptError(f"{label} is not a record")
    return record


class Refs:
    """The folder ``refs``.  Paths for temporary files come from the caller's lease."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def home(self, name: str) -> Path:
        """The folder of one name."""
        return self.folder / file_name(name)

    def path(self, name: str, version: int, kind: str = "ref") -> Path:
        """The file that says something of one version."""
        return self.home(name) / f"{version:08d}.{kind}"

    def homes(self) -> list[Path]:
        """The folders of all names."""
        try:
            return sorted(p for p in self.folder.iterdir() if p.is_dir())
        except FileNotFoundError:
            return []

    def numbers(self, home: Path) -> dict[int, set[str]]:
        """What there is of each version: ``ref``, ``removed``, ``gone``, ``claim``."""
        found: dict[int, set[str]] = {}
        try:
            entries = os.listdir(home)
        except (FileNotFoundError, NotADirectoryError):
            return found
        for entry in entries:
            if match := _FILE.fullmatch(entry):
                found.setdefault(int(match[1]), set()).add(match[2])
            elif match := _CLAIM.fullmatch(entry):
                found.setdefault(int(match[1]), set()).add("claim")
        return found

    def live(self, home: Path, *, removed: bool = False) -> list[int]:
        """Numbers of the versions that are there, newest first; or of those removed."""
        return sorted(
            (
                number
                for number, kinds in self.numbers(home).items()
                if "ref" in kinds and "gone" not in kinds and ("removed" in kinds) == removed
            ),
            reverse=True,
        )

    def read(self, path: Path) -> dict[str, Any]:
        """The record in a file; ``CorruptError``, or ``FileNotFoundError``."""
        return decode_line(path.read_bytes(), f"{path.parent.name}/{path.name}")

    def version(self, home: Path, number: int, tags: Mapping[int, list[str]]) -> Version:
        """The version; ``CorruptError``, or ``FileNotFoundError``."""
        path = home / f"{number:08d}.ref"
        record = self.read(path)
        try:
            version = Version(**record, tags=tuple(tags.get(number, ())))
        except TypeError as error:
            raise CorruptError(f"{home.name}/{path.name} is not a version: {error}") from error
        if version.version != number or file_name(version.name) != home.name:
            raise CorruptError(f"{home.name}/{path.name} says that it is {version.spec}")
        return version

    def append(self, name: str, record: Mapping[str, Any], number: int, temporary: Path) -> bool:
        """Make version ``number``, durably; ``False`` when somebody else has."""
        home = self.home(name)
        make_folder(home)
        if self.numbers(home).get(number):
            return False
        line = encode_line({**record, "name": name, "version": number})
        return create_exclusive(self.path(name, number), line, temporary)

    def next_number(self, home: Path) -> int:
        """The number after all that were ever given."""
        return max(self.numbers(home), default=0) + 1

    def tags(self, home: Path) -> dict[int, list[str]]:
        """The tags of each version; one that cannot be read is left out."""
        found: dict[int, list[str]] = {}
        for _, record in self.tag_records(home):
            if record is not None:
                found.setdefault(record["version"], []).append(record["tag"])
        return {number: sorted(tags) for number, tags in found.items()}

    def tag_records(self, home: Path) -> Iterator[tuple[Path, dict[str, Any] | None]]:
        """Each tag's file and record; ``None`` for one that is not as written."""
        try:
            entries = sorted(os.listdir(home / "tags"))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.endswith(".tmp"):
                continue
            path = home / "tags" / entry
            try:
                record = self.read(path)
            except CorruptError:
                yield path, None
            except FileNotFoundError:
                continue
            else:
                good = (
                    isinstance(record.get("tag"), str)
                    and type(record.get("version")) is int
                    and file_name(record["tag"]) == entry
                )
                yield path, record if good else None

    def put_tag(self, name: str, tag: str, version: int, created: float, temporary: Path) -> None:
        """Let ``tag`` name ``version``, durably, whatever it named before."""
        folder = self.home(name) / "tags"
        make_folder(folder)
        line = encode_line({"tag": tag, "version": version, "created": created})
        replace_file(folder / file_name(tag), line, temporary)

    def drop_tag(self, name: str, tag: str) -> bool:
        """Forget a tag, durably; return whether it was there."""
        return _unlink(self.home(name) / "tags" / file_name(tag))

    def mark_removed(self, name: str, version: int, created: float, temporary: Path) -> bool:
        """Hide a version, durably; ``False`` when it was hidden already."""
        line = encode_line({"version": version, "removed": created})
        return create_exclusive(self.path(name, version, "removed"), line, temporary)

    def restore(self, name: str, version: int) -> bool:
        """Show a removed version again; return whether it was removed."""
        return _unlink(self.path(name, version, "removed"))

    def bury(self, name: str, version: int, record: Mapping[str, Any], temporary: Path) -> None:
        """Put a tombstone in a version's place, durably.  The tags that named it go, too."""
        replace_file(self.path(name, version, "gone"), encode_line(record), temporary)
        self.clean(self.home(name), version)

    def clean(self, home: Path, version: int) -> None:
        """Take away what is left of a version that has its tombstone, and the tags naming it."""
        for path, tag in self.tag_records(home):
            if tag is not None and tag["version"] == version:
                _unlink(path)
        for kind in ("ref", "removed"):
            with contextlib.suppress(FileNotFoundError):
                (home / f"{version:08d}.{kind}").unlink()
        sync_folder(home)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True
