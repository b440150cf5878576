"""Writing files that are whole or not there, also after power loss."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from ..errors import ProjectError
from ..journal.writer import sync_folder

__all__ = ["create_exclusive", "make_folder", "no_room", "replace_file", "sync_folder", "write_all"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# What a file system without hard links answers.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


def write_all(descriptor: int, *parts: bytes | memoryview) -> int:
    """Write all bytes of ``parts``; return how many.  Raises ``OSError``."""
    written = 0
    for part in parts:
        view = memoryview(part).cast("B")
        while view:
            count = os.write(descriptor, view)
            written += count
            view = view[count:]
    return written


def replace_file(path: Path, data: bytes, temporary: Path) -> None:
    """Put ``data`` at ``path`` durably, in place of what may be there.

    Order: file, fsync, rename, fsync of the folder.  Raises ``OSError``; nothing half-written
    is left.
    """
    _write_temporary(temporary, data)
    try:
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def create_exclusive(path: Path, data: bytes, temporary: Path) -> bool:
    """Put ``data`` at ``path`` durably unless something is there; return whether it was put.

    Of many processes that try, one succeeds, and no reader sees part of the file.  Where there are
    no hard links a claim beside the file (``.claim``) decides; one left by a crash keeps the name
    taken.  Raises ``OSError``.
    """
    _write_temporary(temporary, data)
    try:
        if os.name == "nt":  # pragma: no cover - os.rename never replaces there
            try:
                temporary.rename(path)
            except FileExistsError:
                return False
            return True
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not _claim(path, temporary):
                return False
        sync_folder(path.parent)
        return True
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def make_folder(path: Path) -> None:
    """Make a folder (0700) durably, if it is not there."""
    if path.is_dir():
        return
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(path.parent)


def no_room(error: OSError, doing: str, folder: Path, needed: int = 0) -> ProjectError | None:
    """The error that says that the disk is full; ``None`` when ``error`` says something else."""
    if error.errno not in _FULL:
        return None
    wanted = f" ({size_text(needed)} more were to be written)" if needed else ""
    return ProjectError(
        f"{doing}: no space left on the disk of {folder}{wanted}; nothing half-written is left",
        hint="Free some space: `jupyter mlops snapshots gc` shows what can go, `du` what is large.",
        folder=str(folder),
        needed=needed,
    )


def size_text(size: float) -> str:
    """``1.5 GB``: a number of bytes for a person."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _write_temporary(temporary: Path, data: bytes) -> None:
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600
    )
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _claim(path: Path, temporary: Path) -> bool:
    claim = path.with_name(path.name + ".claim")
    try:
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    if path.exists():
        claim.unlink()
        return False
    temporary.replace(path)
    return True
