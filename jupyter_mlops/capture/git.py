"""The commit and branch that a folder is at, read from ``.git`` itself: no process is started.

The layout is git's own (gitrepository-layout(5)): linked worktrees and submodules have a ``.git``
file that names their folder, and ``commondir`` there names the one with the branches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Head", "Repository", "find_repository", "head_commit"]

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Head:
    """What is checked out: the commit (``None`` before the first one), and the branch if any."""

    commit: str | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree: its top folder, and the folder that git keeps its state in."""

    top: Path
    folder: Path

    @property
    def index(self) -> Path:
        """The file that lists what git follows."""
        return self.folder / "index"

    def head(self) -> Head:
        """What is checked out now."""
        branch = None
        try:
            head = _read(self.folder / "HEAD")
            for _ in range(5):  # A symbolic ref may name another one.
                if _SHA.fullmatch(head):
                    return Head(head, branch)
                if not head.startswith("ref: "):
                    break
                name = head.removeprefix("ref: ").strip()
                if name.startswith("refs/heads/"):
                    branch = name.removeprefix("refs/heads/")
                head = _resolve(self.folder, name)
        except (OSError, ValueError):
            pass
        return Head(None, branch)


def find_repository(start: Path) -> Repository | None:
    """Return the repository whose working tree holds ``start``, if there is one."""
    try:
        for parent in (start, *start.parents):
            git = parent / ".git"
            if git.is_dir():
                return Repository(parent, git)
            if git.is_file():
                text = _read(git)
                if text.startswith("gitdir: "):
                    folder = (parent / text.removeprefix("gitdir: ")).resolve()
                    return Repository(parent, folder)
    except (OSError, ValueError):
        pass
    return None


def head_commit(start: Path) -> str | None:
    """Return the commit checked out above ``start`` (40 or 64 hex digits), if there is one."""
    repository = find_repository(start)
    return None if repository is None else repository.head().commit


def _resolve(folder: Path, name: str) -> str:
    """What a ref holds: its own file, in the worktree or the common folder, else packed."""
    common = folder
    if (folder / "commondir").is_file():
        common = (folder / _read(folder / "commondir")).resolve()
    for place in (folder, common):
        if (place / name).is_file():
            return _read(place / name)
    for line in _read(common / "packed-refs").splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return commit
    return ""


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
