"""A scratch project with what a run read: its data from snapshots, its modules from git.

What the run saw is recorded by digest; whatever is put here is compared by digest after the run
has been executed again, so a file that changed since is found, not believed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blake3 import blake3

from ..errors import NotFoundError, UsageError
from ..model.events import FileRecord, InputRecord
from ..project import Project
from ..snapshots.service import restore
from ..tracking import RunDetails

__all__ = ["Workspace", "build_workspace"]

_NOT_DATA = frozenset({".git", ".mlops", ".ipynb_checkpoints", "__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class Workspace:
    """``root`` is the scratch project; ``notebook`` where the run's notebook would lie in it.

    ``snapshots`` are the versions that data came from, ``present`` the files that are as they lie
    in the project today, ``followed`` sources outside it (addresses, absolute paths), which the
    code reads where they are.
    """

    root: Path
    notebook: Path
    snapshots: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()


def build_workspace(
    project: Project,
    details: RunDetails,
    read: Iterable[str],
    patches: Sequence[tuple[FileRecord, bytes]],
    root: Path,
) -> Workspace:
    """Fill the folder ``root`` with the files that were ``read``, and the run's own inputs.

    ``read`` are paths relative to the project's root, as far as they are known.

    ``patches`` are the diffs against the run's commit that were kept with it.  Raises
    ``UsageError`` that names every file that is neither kept nor there, with the command that
    fetches what is elsewhere.
    """
    record = details.record
    notebook = root / (record.notebook or "notebook.ipynb")
    notebook.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, str] = {}
    sources: list[str] = []
    missing: list[str] = []
    for item in record.inputs:
        if item.source is None:
            continue
        sources.append(item.source)
        if item.snapshot is not None and item.kind in ("file", "folder"):
            kept[item.source] = item.snapshot
    sources += read
    snapshots, present, followed = [], [], []
    # Snapshots first: a folder that lies there today must not come in their place.
    for source in sorted(dict.fromkeys(sources), key=lambda name: name not in kept):
        if "://" in source or os.path.isabs(source) or ".." in PurePosixPath(source).parts:
            followed.append(source)
        elif source in kept and _from_snapshot(project, kept[source], root / source):
            snapshots.append(kept[source])
        elif _copy(project.root / source, root / source):
            present.append(source)
        elif source in kept:
            missing.append(f"{source} (snapshot {kept[source]})")
        elif _is_input(source, record.inputs):
            missing.append(source)
    wanted = [name.rpartition("(snapshot ")[2][:-1] for name in missing if "(snapshot " in name]
    missing += _modules(project, record.modules, record.git_commit, patches, root)
    if missing:
        pull = f"Fetch the data first: jupyter mlops snapshots pull {' '.join(wanted)}"
        raise UsageError(
            f"run {details.name} read what is not here any more: {', '.join(missing)}",
            hint=pull if wanted else "Put the files back where they were, and try again.",
        )
    return Workspace(root, notebook, tuple(snapshots), tuple(present), tuple(followed))


def _is_input(source: str, inputs: Iterable[InputRecord]) -> bool:
    """Whether the run itself read it: a file that only some earlier cell opened may be a cache."""
    return any(item.source == source for item in inputs)


def _from_snapshot(project: Project, spec: str, target: Path) -> bool:
    try:
        stored = restore(project, spec)
    except NotFoundError:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    stored.restore(target.parent)
    return target.exists()


def _copy(source: Path, target: Path) -> bool:
    """Copy a file or folder; what lies at the target, from a snapshot, stays."""
    if source.is_file():
        _copy_new(source, target)
        return True
    if source.is_dir():
        for place, folders, names in os.walk(source):
            folders[:] = [name for name in folders if name not in _NOT_DATA]
            for name in names:
                file = Path(place, name)
                if file.is_file():
                    _copy_new(file, target / file.relative_to(source))
        return True
    return False


def _copy_new(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _modules(
    project: Project,
    modules: dict[str, str],
    commit: str | None,
    patches: Sequence[tuple[FileRecord, bytes]],
    root: Path,
) -> list[str]:
    """Put the project's own modules in place; what cannot be had as it was is returned."""
    lost = []
    for path, digest in modules.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        wanted = digest.rpartition(":")[2]
        here = project.root / path
        if here.is_file() and _hash(here.read_bytes()) == wanted:
            shutil.copy2(here, target)
        elif not _from_git(project, path, commit, patches, target, root, wanted):
            lost.append(f"{path} (as it was then)")
    return lost


def _from_git(
    project: Project,
    path: str,
    commit: str | None,
    patches: Sequence[tuple[FileRecord, bytes]],
    target: Path,
    root: Path,
    wanted: str,
) -> bool:
    if commit is None:
        return False
    try:
        shown = subprocess.run(
            ["git", "show", f"{commit}:./{path}"],
            cwd=project.root,
            capture_output=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    target.write_bytes(shown.stdout)
    if _hash(shown.stdout) == wanted:
        return True
    for _, patch in patches:
        try:
            subprocess.run(
                ["git", "apply", f"--include={path}", "-"],
                cwd=root,
                input=patch,
                capture_output=True,
                timeout=60,
                check=True,
                env={**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)},
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if _hash(target.read_bytes()) == wanted:
            return True
        target.write_bytes(shown.stdout)
    return False


def _hash(data: bytes) -> str:
    return blake3(data).hexdigest()
