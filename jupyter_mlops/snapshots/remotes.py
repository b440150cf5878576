"""A remote: a place that holds snapshots for others, at any address that fsspec knows.

A remote has the layout of the local store (``packs/``, ``manifests/``, ``refs/``), so a folder
that was pushed to is read by the same standalone reader.  Packs, manifests and versions are written
once and never changed; a version is claimed by creating its file exclusively.  What a remote
answers is foreign: it is checked by whoever asked.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from ..config import Config, load_config, public_uri
from ..errors import (
    CorruptError,
    MissingDependencyError,
    MlopsError,
    NotFoundError,
    ServiceError,
    UsageError,
)
from ..journal.writer import sync_folder

__all__ = ["Remote", "open_remote", "public_url"]

T = TypeVar("T")

# An upload to these appears whole or not at all; elsewhere it is written aside and then moved.
_ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory"}
_ATTEMPTS = 3
_NAME = re.compile(r"[^/\\\x00-\x1f]{1,255}\Z")
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def public_url(url: str) -> str:
    """``url`` as it may be shown: without user name, password, query (signatures) and fragment."""
    if _is_folder(url):
        return url
    parts = urlsplit(public_uri(url))
    return urlunsplit(parts._replace(query="", fragment=""))


def open_remote(
    url: str | None = None, *, root: Path | None = None, config: Config | None = None
) -> Remote:
    """Return the remote at ``url``, else the one that is configured as ``snapshot-remote``.

    A relative folder is relative to ``root``, the project's.  Credentials come from where the
    backend looks for them (environment, its own configuration files), or stand in the address.
    Raises ``UsageError`` when there is none or the address is of no known kind, and
    ``MissingDependencyError`` when the backend's package is not installed.
    """
    if url is None:
        url = (config or load_config(root)).snapshot_remote
    if not url:
        raise UsageError(
            "no remote is named or configured",
            hint='Set snapshot-remote = "s3://bucket/prefix" (or a folder) under '
            "[tool.jupyter-mlops] in pyproject.toml, or name one.",
        )
    return Remote(url, root=root)


class Remote:
    """The files of one remote, by paths relative to its address, joined with ``/``.

    ``public`` is the address without secrets: the only form in messages.  Raises ``ServiceError``
    where the place does not answer or refuses, ``NotFoundError`` for a file that is not there.
    """

    def __init__(self, url: str, *, root: Path | None = None) -> None:
        import fsspec

        self.public = public_url(url)
        self._secrets = _secrets(url)
        if _is_folder(url):
            path = Path(url.removeprefix("file://").removeprefix("local://")).expanduser()
            url = str((root or Path.cwd()) / path)
            self.public = url
        try:
            self.fs, base = fsspec.url_to_fs(url)
        except ImportError as error:
            package = re.search(r"(?:[Ii]nstall |requires \"?)([\w.-]+)", str(error))
            raise MissingDependencyError(
                f"the remote {self.public} needs a package that is not installed",
                hint=f"pip install {package[1] if package else 'fsspec[full]'}",
            ) from error
        except ValueError as error:
            raise UsageError(
                f"the remote {self.public} is of no known kind: {self._clean(error)}",
                hint="Name a folder, or an address such as s3://bucket/prefix, gs://, sftp://.",
            ) from None
        self.base = str(base).rstrip("/")
        protocol = self.fs.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self.is_folder = "file" in protocols
        self._atomic = bool(protocols & _ATOMIC)
        self._made: set[str] = set()

    def __repr__(self) -> str:
        return f"Remote({self.public!r})"

    # -- reading

    def files(self, folder: str) -> dict[str, int]:
        """Names and sizes (bytes) of the files directly in ``folder``; empty if it is not there."""

        def ask() -> dict[str, int]:
            self.fs.invalidate_cache()
            try:
                entries = self.fs.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            found = {}
            for entry in entries:
                name = str(entry["name"]).replace("\\", "/").rstrip("/").rpartition("/")[2]
                if entry["type"] == "file" and _is_name(name) and not name.startswith("."):
                    found[name] = int(entry["size"] or 0)
            return found

        return self._attempt(ask, f"list {folder}/")

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in ``folder``."""

        def ask() -> list[str]:
            self.fs.invalidate_cache()
            try:
                entries = self.fs.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
            names = (
                str(e["name"]).replace("\\", "/").rstrip("/").rpartition("/")[2]
                for e in entries
                if e["type"] == "directory"
            )
            return sorted(n for n in names if _is_name(n) and not n.startswith("."))

        return self._attempt(ask, f"list {folder}/")

    def size(self, path: str) -> int:
        """Bytes of a file; ``NotFoundError`` if it is not there."""

        def ask() -> int:
            self.fs.invalidate_cache()
            return int(self.fs.info(self._path(path))["size"] or 0)

        return self._attempt(ask, f"look at {path}")

    def read(self, path: str, *, limit: int) -> bytes:
        """The bytes of a small file.

        Raises ``CorruptError``, before it is fetched, for one of more than ``limit`` bytes.
        """
        size = self.size(path)
        if size > limit:
            raise CorruptError(
                f"{path} on {self.public} has {size} bytes; at most {limit} are sound there"
            )
        return self.read_range(path, 0, size) if size else b""

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """The bytes ``start`` to ``stop`` of a file; ``CorruptError`` if it has not so many."""
        data: bytes = self._attempt(
            lambda: bytes(self.fs.cat_file(self._path(path), start=start, end=stop)),
            f"read {path}",
        )
        if len(data) != stop - start:
            raise CorruptError(f"{path} on {self.public} ends before byte {stop}")
        return data

    # -- writing

    def write(self, path: str, data: bytes) -> None:
        """Write a file whole or not at all, in place of what may be there."""
        target = self._path(path)
        self._make_parent(target)

        def ask() -> None:
            if self._atomic:
                self.fs.pipe_file(target, data)
                return
            aside = f"{target.rpartition('/')[0]}/.{uuid.uuid4().hex}.tmp"
            try:
                self.fs.pipe_file(aside, data)
                if self.is_folder:
                    _sync(aside)
                    os.replace(aside, target)
                    sync_folder(Path(target).parent)
                else:
                    self.fs.mv(aside, target)
            except BaseException:
                with contextlib.suppress(Exception):
                    self.fs.rm_file(aside)
                raise

        self._attempt(ask, f"write {path}")

    def create(self, path: str, data: bytes) -> bool:
        """Claim ``path`` with ``data``; return whether it holds these bytes now.

        False: someone else's bytes are there, and stay.  Where the backend can create exclusively
        (a folder, S3, GCS, Azure) exactly one of many at once is told true; elsewhere the file is
        looked for before and compared after.
        """
        target = self._path(path)
        self._make_parent(target)
        held = self._held(path, len(data))
        if held is not None:
            return held == data

        def ask() -> None:
            if self.is_folder:
                _create_local(target, data)
            else:
                self.fs.pipe_file(target, data, mode="create")

        try:
            self._attempt(ask, f"create {path}", once=True)
        except MlopsError:
            # Refused because it exists, or the answer was lost: what is there now decides.
            held = self._held(path, len(data))
            if held is None:
                raise
            return held == data
        return self._held(path, len(data)) == data

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is no error."""
        target = self._path(path)
        with contextlib.suppress(NotFoundError):
            self._attempt(lambda: self.fs.rm_file(target), f"remove {path}")
        if self.is_folder:
            sync_folder(Path(target).parent)

    def _held(self, path: str, size: int) -> bytes | None:
        try:
            there = self.size(path)
            return self.read_range(path, 0, there) if 0 < there <= 4 * size + 65536 else b""
        except NotFoundError:
            return None

    # -- inside

    def _path(self, path: str) -> str:
        parts = path.split("/")
        if not all(_is_name(part) for part in parts):
            raise CorruptError(f"{path!r} is not a path inside a remote")
        return "/".join([self.base, *parts])

    def _make_parent(self, target: str) -> None:
        parent = target.rpartition("/")[0]
        if parent in self._made or self._atomic:
            return
        self._attempt(lambda: self.fs.makedirs(parent, exist_ok=True), "make a folder")
        self._made.add(parent)

    def _attempt(self, ask: Callable[[], T], what: str, *, once: bool = False) -> T:
        for attempt in range(1 if once else _ATTEMPTS):
            try:
                return ask()
            except MlopsError:
                raise
            except FileNotFoundError as error:
                raise NotFoundError(
                    f"cannot {what} on {self.public}: it is not there",
                    hint="Check the address; make the bucket or folder, or push to it first.",
                ) from (None if self._secrets else error)
            except Exception as error:
                final = isinstance(error, (PermissionError, FileExistsError))
                if not final and not once and attempt + 1 < _ATTEMPTS:
                    time.sleep(0.2 * 4**attempt)
                    continue
                raise ServiceError(
                    f"cannot {what} on {self.public}: {self._clean(error)}",
                    hint="Check the address, the network and the credentials; what was "
                    "transferred is kept, the same command goes on from there.",
                ) from (None if self._secrets else error)
        raise AssertionError("unreachable")

    def _clean(self, error: BaseException) -> str:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _is_folder(url: str) -> bool:
    return (
        ("://" not in url and "::" not in url)
        or url.startswith(("file://", "local://"))
        or _WINDOWS_DRIVE.match(url) is not None
    )


def _is_name(name: str) -> bool:
    return name not in {"", ".", ".."} and _NAME.match(name) is not None


def _secrets(url: str) -> list[str]:
    """The parts of an address that no message may hold, longest first."""
    if _is_folder(url):
        return []
    parts = urlsplit(url)
    found = {parts.username, parts.password, parts.query, parts.fragment}
    if "@" in parts.netloc:
        found.add(parts.netloc.rpartition("@")[0])
    for pair in parts.query.split("&"):
        found.add(pair.partition("=")[2])
    return sorted((s for s in found if s and len(s) > 2), key=len, reverse=True)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_local(target: str, data: bytes) -> None:
    """Create a file with its bytes at once: a link fails if the name is taken."""
    aside = f"{target.rpartition('/')[0]}/.{uuid.uuid4().hex}.tmp"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(aside, target)
        except FileExistsError:
            raise
        except OSError:  # A file system without hard links: the caller compares afterwards.
            if Path(target).exists():
                raise FileExistsError(target) from None
            os.replace(aside, target)
            aside = ""
    finally:
        if aside:
            os.unlink(aside)
    sync_folder(Path(target).parent)
