"""The data that kept cells read: their sources, the parameters that hold these, the snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..dataflow.paths import ANY, is_local
from ..model.events import InputRecord
from ..project import Project
from .material import Material
from .plan import PlannedFile

__all__ = ["planned_files"]

_FILES = ("file", "folder")


def planned_files(project: Project, material: Material) -> tuple[PlannedFile, ...]:
    """Return what the kept cells read, as recorded with the run and as their text says."""
    tracked = material.tracked
    folder = tracked.notebook.parent
    by_path = _by_path(material, project, folder)
    found: dict[str, PlannedFile] = {}
    for record in () if tracked.run is None else tracked.run.inputs:
        if record.source is None:
            continue
        key = _resolved(record.source, project.root)
        exact = record.snapshot is not None and _exact(record)
        known = found.get(key)
        if known is not None and (known.exact or not exact):
            continue
        found[key] = PlannedFile(
            record.source, record.how, record.digest, by_path.get(key), record.snapshot, exact
        )
    for flow in material.flowing.flows:
        for path in sorted(flow.files_read):
            if ANY in path or not path:
                continue
            key = _resolved(path, folder)
            if key not in found and (not is_local(path) or Path(key).is_file()):
                shown = project.relative(Path(key)) if is_local(path) else path
                found[key] = PlannedFile(shown, "text", parameter=by_path.get(key))
    for key, name in by_path.items():
        if key not in found and (Path(key).is_file() or not is_local(key)):
            shown = project.relative(Path(key)) if is_local(key) else key
            found[key] = PlannedFile(shown, "parameter", parameter=name)
    return tuple(found.values())


def _exact(record: InputRecord) -> bool:
    """Whether the snapshot gives back the bytes that were read, not only the values in them."""
    return record.kind in _FILES


def _by_path(material: Material, project: Project, folder: Path) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for parameter in material.parameters:
        value: Any = parameter.declared.default
        if isinstance(value, str) and value and ("/" in value or "." in value):
            found[_resolved(value, folder)] = parameter.name
    return found


def _resolved(path: str, folder: Path) -> str:
    return path if not is_local(path) else str((folder / Path(path).expanduser()).resolve())
