"""The commit that a folder is at, read from ``.git`` itself: no process is started in the kernel.

The layout is git's own (gitrepository-layout(5)): linked worktrees and submodules have a ``.git``
file that names their folder, and ``commondir`` there names the one with the branches.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["head_commit"]

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def head_commit(start: Path) -> str | None:
    """Return the commit checked out above ``start`` (40 or 64 hex digits), if there is one."""
    try:
        folder = _git_folder(start)
        if folder is None:
            return None
        head = _read(folder / "HEAD")
        for _ in range(5):  # A symbolic ref may name another one.
            if _SHA.fullmatch(head):
                return head
            if not head.startswith("ref: "):
                return None
            head = _resolve(folder, head.removeprefix("ref: ").strip())
    except (OSError, ValueError):
        pass
    return None


def _git_folder(start: Path) -> Path | None:
    for parent in (start, *start.parents):
        git = parent / ".git"
        if git.is_dir():
            return git
        if git.is_file():
            text = _read(git)
            if text.startswith("gitdir: "):
                return (parent / text.removeprefix("gitdir: ")).resolve()
    return None


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
