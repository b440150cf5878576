"""Opening the session of a kernel or of a plain Python process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .session import Session

__all__ = ["open_session", "script_path"]


def open_session(
    place: Path | None,
    env: Mapping[str, str],
    warnings: list[str],
    *,
    notebook: Path | None = None,
    kernel_id: str | None = None,
    kind: str = "kernel",
) -> Session:
    """Open a session in the project that ``place`` (a file or folder; else the cwd) belongs to.

    A configuration that cannot be read is added to ``warnings`` and the defaults apply.  Raises
    ``MlopsError`` when there is no project or it cannot be written.
    """
    from ..config import Config, load_config
    from ..project import open_project
    from .session import Session

    project = open_project(place, env=env)
    try:
        config = load_config(project.root, env)
    except UsageError as error:
        warnings.append(f"{error.message}; recorded with the default settings")
        config = Config()
    return Session(
        project,
        config,
        notebook=project.relative(notebook) if notebook is not None else None,
        kernel_id=kernel_id,
        kind=kind,
    )


def script_path() -> Path | None:
    """The person's script that this process runs.

    ``None`` in a console, a kernel, for ``-c``, and for installed programs such as pytest.
    """
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(path, str) or not path.endswith(".py") or not os.path.isfile(path):
        return None
    path = os.path.abspath(path)
    return None if path.startswith(_installed()) else Path(path)


@cache
def _installed() -> tuple[str, ...]:
    """The folders in which Python's and the packages' own programs lie."""
    import sysconfig

    names = ("purelib", "platlib", "stdlib", "platstdlib", "scripts")
    return tuple(os.path.join(sysconfig.get_path(name), "") for name in names)
