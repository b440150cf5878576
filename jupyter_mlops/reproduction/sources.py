"""Which files executed cells read, as paths relative to the project's root."""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..dataflow import flows
from ..dataflow.paths import ANY
from ..model.events import CellEvent

__all__ = ["files_read"]

_MOST = 1000  # Files that one pattern may stand for.


def files_read(root: Path, events: Sequence[CellEvent], notebook: str | None) -> tuple[str, ...]:
    """What was seen to be read, and what the text of the cells says, in the order of the cells.

    ``notebook`` is relative to the project's ``root``: the cells' own paths are relative to its
    folder.  Files that the cells themselves write before they read them are left out.  A path that
    the text tells in part stands for every file of the project that it fits.
    """
    folder = posixpath.dirname(notebook or "")
    found: dict[str, None] = {}
    written: set[str] = set()
    for event, flow in zip(events, flows(events), strict=True):
        for path in sorted(flow.files_read - written):
            for place in _fitting(root, _placed(folder, path)):
                found[place] = None
        seen = (event.evidence or {}).get("files_read", ())
        for path in (*event.files, *seen):
            if isinstance(path, str) and path not in written:
                found[_within(root, path)] = None
        written |= flow.files_written
    return tuple(found)


def _placed(folder: str, path: str) -> str:
    if os.path.isabs(path) or "://" in path:
        return path
    return posixpath.normpath(posixpath.join(folder, path))


def _fitting(root: Path, path: str) -> Iterable[str]:
    if ANY not in path:
        return (path,)
    if path.startswith(ANY):
        return ()  # It may be anything.
    pattern = "*".join(glob.escape(part) for part in path.split(ANY))
    return sorted(glob.glob(pattern, root_dir=root))[:_MOST]


def _within(root: Path, path: str) -> str:
    """Relative to the root, where it lies below it."""
    if os.path.isabs(path) and Path(path).is_relative_to(root):
        return Path(path).relative_to(root).as_posix()
    return path if os.path.isabs(path) else posixpath.normpath(path)
