"""Contents paths, as clients send them, and the folders and projects they stand for.

A contents path is relative to the server's root folder, with ``/`` between its parts.  One that
could lead out of that folder, in whatever spelling, is refused before anything is looked up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from ..errors import UsageError
from ..project import STATE_NAME, Project, open_project

__all__ = ["contents_path", "display_path", "find_projects", "local_path"]

_SKIPPED = {"node_modules", "__pycache__", "site-packages"}


def local_path(root: Path, path: str) -> Path:
    """Return the absolute path of a contents path below the server's ``root``.

    The file need not exist.  Raises ``UsageError`` for a path that is absolute, climbs with ``..``
    (also percent-encoded, once or more, or with backslashes), holds a NUL, or is a symbolic link to
    somewhere outside.
    """
    for spelling in _spellings(path):
        if "\0" in spelling:
            raise _outside("holds a NUL character")
        if spelling.startswith(("/", "\\")) or os.path.splitdrive(spelling)[0]:
            raise _outside("is absolute; paths are relative to the server's root folder")
        if ".." in spelling.replace("\\", "/").split("/"):
            raise _outside("leads out of the server's root folder")
    try:
        base = root.resolve()
        resolved = (base / path).resolve()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            resolved.lstat()
    except (OSError, RuntimeError, ValueError):
        # Too long, a loop of links, or characters that the file system cannot hold.
        raise _outside("cannot be a path here") from None
    if not resolved.is_relative_to(base):
        raise _outside("leads out of the server's root folder")
    return resolved


def contents_path(root: Path, path: Path) -> str | None:
    """The contents path of ``path`` (``""`` for the root itself), ``None`` outside of ``root``."""
    base, resolved = root.resolve(), path.resolve()
    if not resolved.is_relative_to(base):
        return None
    relative = resolved.relative_to(base).as_posix()
    return "" if relative == "." else relative


def display_path(path: Path) -> str:
    """``path`` as people write it: with ``~`` for their home folder."""
    try:
        home = Path.home()
        return "~/" + path.relative_to(home).as_posix() if path != home else "~"
    except (RuntimeError, ValueError):
        return str(path)


def find_projects(root: Path, *, depth: int, limit: int) -> list[Project]:
    """The projects with state at or below ``root``, and the one that ``root`` itself lies in.

    Looks ``depth`` folders deep, into at most 100 folders for each of ``limit`` projects, nearest
    first; hidden folders, virtual environments, ``node_modules`` and links are not entered.
    """
    found: dict[Path, Project] = {}
    for folder in _folders(root.resolve(), depth, limit * 100):
        if folder == root.resolve() or (folder / STATE_NAME).is_dir():
            try:
                project = open_project(folder, create=False)
            except OSError:
                continue  # The home folder, for one, can hold projects but is none.
            if project.exists:
                found.setdefault(project.root, project)
        if len(found) >= limit:
            break
    return list(found.values())


def _folders(root: Path, depth: int, limit: int) -> Iterator[Path]:
    level, seen = [root], 0
    for _ in range(depth + 1):
        below: list[Path] = []
        for folder in level:
            seen += 1
            if seen > limit:
                return
            yield folder
            if len(below) < limit:
                below.extend(_children(folder))
        level = below


def _children(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and entry.name not in _SKIPPED
                and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []  # Not ours to read.
    return [folder / name for name in sorted(names) if not (folder / name / "pyvenv.cfg").is_file()]


def _spellings(path: str) -> Iterator[str]:
    # A proxy or a client may have encoded more than once.
    for _ in range(4):
        yield path
        decoded = unquote(path)
        if decoded == path:
            return
        path = decoded


def _outside(what: str) -> UsageError:
    return UsageError(f"field 'path' {what}", field="path")
