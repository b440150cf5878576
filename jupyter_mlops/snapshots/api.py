"""``jupyter_mlops.snapshot``, ``load`` and ``diff``: snapshots in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..project import Project, open_project

if TYPE_CHECKING:
    from .diffing import Diff
    from .refs import Version

__all__ = ["diff", "load", "snapshot"]


def snapshot(
    obj: Any,
    name: str,
    message: str | None = None,
    tags: Sequence[str] = (),
    *,
    project: Path | str | None = None,
) -> Version:
    """Keep a frame, series, array, table, dictionary, list, file or folder as a version of a name.

    It is on disk when this returns.  What is the newest version already makes none.  A file or a
    folder is a ``pathlib.Path``.  ``project`` is a folder; by default the current one.

    Returns the version: ``name``, ``version``, ``spec``, ``digest``, ``rows``, ``added`` ...
    Raises ``UsageError`` for a bad name or tag, ``Refused`` for a value that would not come back
    exactly, ``ProjectError`` when the disk is full.
    """
    from .service import take

    return take(_project(project, create=True), obj, name, message, tags)


def load(
    spec: str,
    columns: Sequence[Any] | str | None = None,
    rows: slice | range | tuple[int, int] | str | None = None,
    *,
    trust: bool = False,
    project: Path | str | None = None,
) -> Any:
    """Return the value of a snapshot, exactly as it was.

    ``spec`` is ``"name"`` (the newest), ``"name@3"``, ``"name@tag"`` or ``"name@2026-11-21"``.
    With ``columns`` or ``rows`` (``"0:100"``, a slice, ``(0, 100)``) only that part is read.  A
    file or folder comes as an object with ``restore(folder)``.  ``trust`` also loads pickled
    objects that somebody else has stored: that runs their code.

    Raises ``NotFoundError``, ``CorruptError``, ``UntrustedError``.
    """
    from .service import restore

    return restore(_project(project), spec, columns, rows, trust)


def diff(
    a: Any,
    b: Any,
    key: Sequence[str] | str = (),
    *,
    trust: bool = False,
    project: Path | str | None = None,
) -> Diff:
    """Compare two snapshots, or a snapshot with a value, or two values.

    Text names a snapshot.  Rows of frames are matched by ``key`` (names of columns), else by a
    unique index, their place, a column of unique values, or their content.  The result shows
    itself as a table; ``equal``, ``counts``, ``schema``, ``rows(start, stop)``, ``page(n)``,
    ``text()`` and ``to_dict()`` are for programs.

    Raises ``NotFoundError``, ``CorruptError``, ``UntrustedError``, and ``UsageError`` for a key
    that does not fit.
    """
    from .service import diff as compare

    wanted = [key] if isinstance(key, str) else list(key)
    return compare(_project(project), a, b, key=wanted, trust=trust)


def _project(folder: Path | str | None, *, create: bool = False) -> Project:
    return open_project(folder, create=create)
