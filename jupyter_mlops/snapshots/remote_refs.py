"""The names and versions of a remote: read with suspicion, claimed exclusively."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..errors import ConflictError, CorruptError, MlopsError, NotFoundError
from .descent import relation
from .inventory import in_parallel
from .manifests import Manifest, is_address, unpack_manifest
from .naming import check_name, check_tag, file_name
from .refs import Version, decode_line, encode_line
from .remotes import Remote
from .specs import parse_moment, split_spec

__all__ = ["RemoteRefs", "read_remote_manifest", "record_of"]

_FILE = re.compile(r"([0-9]{8,12})\.(ref|removed|gone)")
_LINE = 4 * 1024 * 1024
_MANIFEST = 256 * 1024 * 1024


class RemoteRefs:
    """The folder ``refs`` of a remote."""

    def __init__(self, remote: Remote, *, threads: int = 8) -> None:
        self.remote = remote
        self._threads = threads
        self._numbers: dict[str, dict[int, set[str]]] = {}

    def numbers(self, name: str) -> dict[int, set[str]]:
        """What there is of each version of a name: ``ref``, ``removed``, ``gone``."""
        if name not in self._numbers:
            found: dict[int, set[str]] = {}
            for file in self.remote.files(f"refs/{file_name(name)}"):
                if match := _FILE.fullmatch(file):
                    found.setdefault(int(match[1]), set()).add(match[2])
            self._numbers[name] = found
        return self._numbers[name]

    def live(self, name: str) -> list[int]:
        """Numbers of the versions that are there, newest first."""
        return sorted(
            (n for n, kinds in self.numbers(name).items() if kinds == {"ref"}), reverse=True
        )

    def names(self) -> list[str]:
        """All names that have a version, sorted."""

        def name(home: str) -> str | None:
            files = [f for f in self.remote.files(f"refs/{home}") if f.endswith(".ref")]
            for file in sorted(f for f in files if _FILE.fullmatch(f)):
                found = self._record(f"refs/{home}/{file}").get("name")
                if isinstance(found, str) and file_name(check_name(found)) == home:
                    return found
                raise CorruptError(f"refs/{home}/{file} on {self.remote.public} has another name")
            return None

        found = in_parallel(name, self.remote.folders("refs"), self._threads)
        return sorted(n for n in found if n is not None)

    def version(self, name: str, number: int) -> Version:
        """One version, checked; ``CorruptError`` when its record is not sound."""
        path = f"refs/{file_name(name)}/{number:08d}.ref"
        record = self._record(path)
        try:
            version = Version(**record)
        except TypeError as error:
            raise CorruptError(f"{path} on {self.remote.public} is no version: {error}") from None
        sound = (
            version.name == name
            and version.version == number
            and is_address(version.manifest)
            and isinstance(version.digest, str)
            and isinstance(version.created, (int, float))
            and isinstance(version.message, (str, type(None)))
            and isinstance(version.meta, dict)
            and isinstance(version.kind, str)
            and version.tags == ()
            and all(
                type(n) is int and n >= 0
                for n in (version.size, version.added, version.rows or 0, version.columns or 0)
            )
        )
        if not sound:
            raise CorruptError(
                f"{path} on {self.remote.public} is not the record of {name}@{number}"
            )
        return version

    def tags(self, name: str) -> dict[str, dict[str, Any]]:
        """The record of each tag of a name; one that is not sound is left out."""
        home = f"refs/{file_name(name)}/tags"
        found = {}
        for file in self.remote.files(home):
            try:
                record = self._record(f"{home}/{file}")
                tag, number = check_tag(record["tag"]), record["version"]
            except (KeyError, MlopsError):
                continue
            if file_name(tag) == file and type(number) is int:
                found[tag] = record
        return found

    def resolve(self, specs: Iterable[str] | None) -> list[Version]:
        """The versions that ``specs`` name, oldest first; all of them without ``specs``.

        A spec is ``name`` or ``name@latest``, ``name@3``, a tag, a time, or ``name@*`` for all
        versions.  Raises ``NotFoundError`` that says what there is.
        """
        if specs is None:
            wanted = [(name, n) for name in self.names() for n in self.live(name)]
        else:
            wanted = [pair for spec in specs for pair in self._resolve(spec)]
        found = in_parallel(lambda pair: self.version(*pair), dict.fromkeys(wanted), self._threads)
        return sorted(found, key=lambda v: (v.name, v.version))

    def one(self, spec: str) -> Version:
        """The version that a spec names; see ``resolve``."""
        return self.resolve([spec])[-1]

    def claim(self, version: Version) -> bool:
        """Make a version there; return whether this was new.

        Raises ``ConflictError`` when the number holds something else, with the ways out.
        """
        kinds = self.numbers(version.name).get(version.version, set())
        if "gone" in kinds:
            raise ConflictError(
                f"{version.spec} was erased on {self.remote.public}: its number is not given again",
                hint=f"Push it under another name: `jupyter mlops snapshots push {version.spec} "
                f"--as NAME`.",
            )
        path = f"refs/{file_name(version.name)}/{version.version:08d}.ref"
        if self.remote.create(path, encode_line(record_of(version))):
            known = "ref" in kinds
            kinds.add("ref")
            self.numbers(version.name)[version.version] = kinds
            return not known
        there = self.version(version.name, version.version)
        between = relation(version, there)
        if between in ("same", "both"):
            return False
        if between == "ours":
            raise ConflictError(
                f"something of {version.spec} was erased here, and is still on "
                f"{self.remote.public}",
                hint="To erase it there: `jupyter mlops snapshots push --erase`.",
                version=version.spec,
            )
        if between == "theirs":
            raise ConflictError(
                f"something of {version.spec} was erased on {self.remote.public}: it is not "
                "brought back",
                hint=f"To erase it here: `jupyter mlops snapshots pull {version.spec} --erase`.",
                version=version.spec,
            )
        raise ConflictError(
            f"{version.spec} on {self.remote.public} is another snapshot than yours: "
            "somebody pushed that version first, and nothing of theirs was changed",
            hint=f"Push yours under another name (`jupyter mlops snapshots push {version.spec} "
            f"--as {version.name}-mine`), then look at theirs (`jupyter mlops snapshots pull "
            f"{version.spec} --as {version.name}-theirs`).",
            version=version.spec,
            theirs=there.manifest,
            ours=version.manifest,
        )

    def check(self, version: Version) -> None:
        """Raise what ``claim`` would raise now, before anything is transferred."""
        kinds = self.numbers(version.name).get(version.version, set())
        if kinds:
            self.claim(version)

    def look_again(self) -> None:
        """Forget what was there: the next question is answered anew."""
        self._numbers.clear()

    def replace(self, version: Version) -> None:
        """Put a version in its own place: for erasing, and nothing else."""
        path = f"refs/{file_name(version.name)}/{version.version:08d}.ref"
        self.remote.write(path, encode_line(record_of(version)))

    def tombstone(self, name: str, number: int) -> dict[str, Any]:
        """What is said of a version that was erased there.  Raises ``CorruptError``."""
        return self._record(f"refs/{file_name(name)}/{number:08d}.gone")

    def bury(self, name: str, number: int, record: dict[str, Any]) -> None:
        """Put a tombstone in a version's place; the tags that named it go, too."""
        home = f"refs/{file_name(name)}"
        self.remote.write(f"{home}/{number:08d}.gone", encode_line(record))
        for tag, said in self.tags(name).items():
            if said["version"] == number:
                self.remote.remove(f"{home}/tags/{file_name(tag)}")
        self.remote.remove(f"{home}/{number:08d}.ref")
        self._numbers.pop(name, None)

    def put_tag(self, name: str, record: dict[str, Any]) -> None:
        """Let a tag name a version, whatever it named before."""
        path = f"refs/{file_name(name)}/tags/{file_name(record['tag'])}"
        self.remote.write(path, encode_line(record))

    def _resolve(self, spec: str) -> list[tuple[str, int]]:
        name, selector = split_spec(spec)
        check_name(name)
        live = self.live(name)
        if not live:
            raise NotFoundError(
                f"there is no snapshot {name!r} on {self.remote.public}",
                hint="`jupyter mlops snapshots ls` on the machine that made it, then push it.",
            )
        if selector == "*":
            return [(name, number) for number in live]
        if selector == "latest":
            return [(name, live[0])]
        if isinstance(selector, int):
            if selector in live:
                return [(name, selector)]
        else:
            record = self.tags(name).get(selector)
            if record is not None and record["version"] in live:
                return [(name, record["version"])]
            moment = parse_moment(selector)
            if moment is not None:
                for number in live:
                    if self.version(name, number).created <= moment:
                        return [(name, number)]
        there = ", ".join(str(n) for n in live[:8])
        raise NotFoundError(
            f"{spec} is not on {self.remote.public}",
            hint=f"There are versions {there} of {name}.",
        )

    def _record(self, path: str) -> dict[str, Any]:
        try:
            return decode_line(
                self.remote.read(path, limit=_LINE), f"{path} on {self.remote.public}"
            )
        except (ValueError, RecursionError) as error:
            if isinstance(error, MlopsError):
                raise
            raise CorruptError(f"{path} on {self.remote.public} is not a record") from error


def record_of(version: Version) -> dict[str, Any]:
    """The record of a version as its file holds it: without the tags."""
    record = replace(version, tags=()).to_dict()
    del record["tags"]
    return record


def read_remote_manifest(remote: Remote, address: str) -> tuple[Manifest, bytes]:
    """A manifest and the bytes of its file, checked against its address.

    Raises ``CorruptError``, before it is unpacked, where it claims a size that no manifest has.
    """
    data = remote.read(f"manifests/{address}", limit=_MANIFEST)
    claimed = int.from_bytes(data[8:16], "little")
    if claimed > min(_MANIFEST, 100 * len(data) + 65536):
        raise CorruptError(f"manifest {address[:12]} on {remote.public} claims {claimed} bytes")
    return unpack_manifest(data, address, f"manifest {address[:12]} on {remote.public}"), data
