"""Replaying on the snapshots of a run instead of its sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..pipelines import materialise
from ..project import Project
from .plan import PlannedFile

__all__ = ["pinned_parameters"]


def pinned_parameters(
    project: Project, name: str, files: Sequence[PlannedFile], folder: Path
) -> dict[str, str]:
    """Put what the run read below ``folder``; return the paths by parameter.

    Raises ``UsageError`` for data that is in no snapshot, or that no parameter points to, and
    ``NotFoundError``, with the command that fetches it, for a snapshot that is not here.
    """
    given: dict[str, str] = {}
    for file in files:
        if file.snapshot is None or not file.exact:
            raise UsageError(
                f"{file.source} cannot be pinned: no snapshot keeps the file itself",
                hint="Promote with --data source, or snapshot the file "
                f'(%snapshot Path("{file.source}") -n NAME) and run the cell again.',
            )
        if file.parameter is None:
            raise UsageError(
                f"{file.source} cannot be pinned: no parameter holds its path",
                hint="Assign the path to a name in a cell of its own: PATH = "
                f'"{file.source}", and run the notebook again.',
            )
        place = folder / "data" / file.parameter
        given[file.parameter] = str(materialise(project, name, file.snapshot, place))
    return given
