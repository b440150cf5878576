"""Cells that a person keeps to themselves: those with the tag ``private``."""

from __future__ import annotations

from typing import Any

from .frontend import is_tagged
from .notebook import NotebookFinder

__all__ = ["PRIVATE", "is_private"]

PRIVATE = "private"


def is_private(info: Any, shell: Any, finder: NotebookFinder | None) -> bool:
    """Whether the cell bears the tag ``private``; when that cannot be told, it is not.

    Where a front end sends no metadata (papermill, nbconvert) the notebook file is read; of two
    cells with the same source one of which is private, both are.
    """
    try:
        return is_tagged(info, shell, finder, PRIVATE)
    except Exception:  # A front end's metadata may be anything.
        return False
