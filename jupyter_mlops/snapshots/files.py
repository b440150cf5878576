"""Digests of files: BLAKE3 of their bytes, as ``b3sum`` prints it."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from ..errors import Undigested
from .digest import Digest

__all__ = ["digest_file", "digest_folder"]

_BLOCK = 1 << 20
_RATE = 1e9  # Bytes a second, with the page cache cold now and then.
_KNOWN = 4096

_State = tuple[int, int, int, int]
_known: OrderedDict[_State, str] = OrderedDict()
_lock = threading.Lock()


def digest_file(
    path: Path | str, *, budget: float | None = None, pause: Callable[[], None] | None = None
) -> Digest:
    """Return the digest of a regular file's bytes (``kind`` is ``file``).

    A file whose device, inode, size and time of change are those of one that was read before is
    not read again.  Raises ``Undigested`` for what is not a regular file, changes while it is read,
    or would take longer than ``budget`` seconds; ``OSError`` when it cannot be read.
    """
    before = os.stat(path)
    if not stat.S_ISREG(before.st_mode):
        raise Undigested(f"{os.fspath(path)} is not a regular file")
    state = _state(before)
    with _lock:
        known = _known.get(state)
        if known is not None:
            _known.move_to_end(state)
            return _digest(known, before.st_size)
    if budget is not None and 2e-5 + before.st_size / _RATE > budget:
        raise Undigested(f"a file of {before.st_size / 1e6:.1f} MB takes too long to be read now")
    deadline = None if budget is None else time.perf_counter() + budget
    hasher, seen = blake3(), 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
            seen += len(block)
            if seen > before.st_size:
                break  # A log that grows as fast as it is read would never end.
            if deadline is not None and time.perf_counter() > deadline:
                raise Undigested("the file was not read within the time there is")
            if pause is not None:
                pause()
        after = os.fstat(file.fileno())
    if _state(after) != state:
        raise Undigested("the file changed while it was read")
    found = hasher.hexdigest()
    # A clock that ticks seldom gives a file that was just written the same time when it is written
    # again: such a file is read again.
    if time.time_ns() - after.st_mtime_ns > 50_000_000:
        with _lock:
            _known[state] = found
            while len(_known) > _KNOWN:
                _known.popitem(last=False)
    return _digest(found, before.st_size)


def digest_folder(
    path: Path | str,
    *,
    files: int = 10_000,
    budget: float | None = None,
    pause: Callable[[], None] | None = None,
) -> Digest:
    """Return the digest of a folder: BLAKE3 of the lines that ``b3sum`` prints for its files.

    The files are those of all folders below, sorted by their names relative to ``path`` (with
    ``/``); links to folders are not followed.  Raises as ``digest_file``, and ``Undigested`` for
    more than ``files`` of them.
    """
    deadline = None if budget is None else time.perf_counter() + budget
    found: list[str] = []
    for folder, _, names in os.walk(path):
        found.extend(os.path.join(folder, name) for name in names)
        if len(found) > files:
            raise Undigested(f"a folder of more than {files} files")
        if deadline is not None and time.perf_counter() > deadline:
            raise Undigested("the folder was not read within the time there is")
    base = os.fspath(path)
    named = sorted((os.path.relpath(file, base).replace(os.sep, "/"), file) for file in found)
    lines, size = [], 0
    for name, file in named:
        left = None if deadline is None else deadline - time.perf_counter()
        one = digest_file(file, budget=left, pause=pause)
        lines.append(f"{one.id.removeprefix('blake3:')}  {name}\n")
        size += one.size
    text = "".join(lines).encode("utf-8", "surrogateescape")
    return Digest(f"blake3:{blake3(text).hexdigest()}", "folder", len(named), None, size)


def _digest(found: str, size: int) -> Digest:
    return Digest(f"blake3:{found}", "file", None, None, size)


def _state(status: os.stat_result) -> _State:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


with contextlib.suppress(AttributeError):  # A forked child must not wait for a thread it has not.
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))
