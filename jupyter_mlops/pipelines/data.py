"""What a promoted pipeline reads: its sources, or the snapshots that its proof names.

Sources are parameters with their original path or address.  Where the file is not here (a clean
clone), the snapshot that the proof names stands for it; where that is not here either, the error
has the command that fetches it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import MlopsError, NotFoundError, UsageError
from ..project import Project

__all__ = ["MODES", "data_parameters", "materialise"]

MODES = ("auto", "source", "pinned")
_PROOF = "proof.json"


def data_parameters(
    project: Project,
    name: str,
    pipeline: Path,
    defaults: Mapping[str, Any],
    given: Mapping[str, Any],
    mode: str = "auto",
) -> dict[str, str]:
    """Return values for the parameters that point to data, where these are not their defaults.

    ``pipeline`` is its folder; snapshots are put into ``.mlops/pinned``.  ``mode`` is ``source``
    (follow the sources), ``pinned`` (read the snapshots), or ``auto``: a source that is there is
    followed, the snapshot stands for one that is not.

    Raises ``UsageError`` for data that cannot be pinned or is not there, and ``NotFoundError`` with
    the command to run where a snapshot is not on this machine.
    """
    if mode not in MODES:
        raise UsageError(f"there is no way {mode!r} to read data", hint=f"One of {MODES}.")
    proof = _proof(pipeline)
    folder = project.root / Path(str(proof.get("notebook") or "")).parent
    found: dict[str, str] = {}
    for source in proof.get("sources", ()):
        if not isinstance(source, dict):
            continue
        parameter, snapshot = source.get("parameter"), source.get("snapshot")
        if parameter is None or parameter in given or not isinstance(source.get("source"), str):
            continue
        default = defaults.get(parameter)
        here = not isinstance(default, str) or "://" in default or (folder / default).exists()
        if mode == "source" or (mode == "auto" and here):
            continue
        if snapshot is None or not source.get("exact"):
            why = "is not here" if mode == "auto" else "cannot be pinned"
            raise UsageError(
                f"{source['source']}, which {name} reads, {why}: no snapshot keeps the file itself",
                hint=f"Put it there, or give another with -p {parameter} PATH.",
            )
        found[parameter] = str(_pinned(project, name, snapshot))
    return found


def _pinned(project: Project, name: str, snapshot: str) -> Path:
    """The file of a snapshot, written once: what a version holds never changes."""
    folder = project.state / "pinned" / snapshot
    if not folder.is_dir():
        making = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            made = materialise(project, name, snapshot, making)
            if made.is_file():
                made.chmod(0o444)
            with contextlib.suppress(OSError):  # somebody else was faster
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_file() else folder


def materialise(project: Project, pipeline: str, snapshot: str, folder: Path) -> Path:
    """Write the file or folder in a snapshot below ``folder``; return its path.

    Raises ``NotFoundError``, with the command that fetches it, for one that is not here.
    """
    from ..snapshots.service import export_version

    try:
        return export_version(project, snapshot, folder)
    except NotFoundError as error:
        raise NotFoundError(
            f"snapshot {snapshot}, which {pipeline} reads, is not on this machine",
            hint=f"jupyter mlops snapshots pull --pipeline {pipeline}",
            snapshot=snapshot,
        ) from error
    except OSError as error:
        if isinstance(error, MlopsError):
            raise
        raise UsageError(f"snapshot {snapshot} cannot be written: {error}") from error


def _proof(pipeline: Path) -> dict[str, Any]:
    """The proof of a promoted pipeline; empty where there is none to read."""
    try:
        data = json.loads((pipeline / _PROOF).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) and isinstance(data.get("sources", []), list) else {}
