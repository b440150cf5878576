"""Putting a proven pipeline in its place: whole or not at all, with a way back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import time
from pathlib import Path

from ..errors import ProjectError
from ..pipelines import POLICY_FILE
from ..project import Project

__all__ = ["PROOF_FILE", "digest", "install"]

PROOF_FILE = "proof.json"


def digest(path: Path) -> str:
    """SHA-256 of a file, as ``sha256sum`` prints it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def install(project: Project, new: Path, name: str) -> str:
    """Move the built folder to ``pipelines/<name>``; return the command that takes it back.

    An existing policy and files that the person put there are carried over; the folder that was
    there is kept under ``.mlops/replaced``.  Raises ``ProjectError`` when it cannot be moved; then
    what was there is there still.
    """
    target = project.pipelines / name
    inside = shlex.quote(project.relative(target))
    try:
        _sync(new)
        if not target.exists():
            new.rename(target)
            _sync_folder(project.pipelines)
            return f"rm -r {inside}"
        _carry_over(target, new)
        kept = project.state / "replaced" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        while kept.exists():
            kept = kept.with_name(f"{kept.name}x")
        shutil.move(target, kept)
        try:
            new.rename(target)
        except BaseException:
            shutil.move(kept, target)
            raise
        _sync_folder(project.pipelines)
    except OSError as error:
        raise ProjectError(
            f"{target} cannot be written: {error.strerror or error}",
            hint="Make the folder writable and promote again.",
        ) from error
    return f"rm -r {inside} && mv {shlex.quote(project.relative(kept))} {inside}"


def _carry_over(old: Path, new: Path) -> None:
    written: set[str] = set()
    with contextlib.suppress(ValueError, KeyError, OSError):
        written = set(json.loads((old / PROOF_FILE).read_text(encoding="utf-8"))["files"])
    for path in old.iterdir():
        ours = path.name in written or path.name == PROOF_FILE
        if path.name == POLICY_FILE or (not ours and not (new / path.name).exists()):
            if path.is_dir():
                shutil.copytree(path, new / path.name, symlinks=True)
            else:
                shutil.copy2(path, new / path.name, follow_symlinks=False)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
