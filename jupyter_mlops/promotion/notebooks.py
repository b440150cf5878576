"""Writing notebooks the same way each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["notebook_text", "write_notebook"]


def notebook_text(document: Any) -> str:
    """The text of a notebook, with a newline at its end."""
    import nbformat

    text: str = nbformat.writes(document)  # type: ignore[no-untyped-call]
    return text if text.endswith("\n") else text + "\n"


def write_notebook(document: Any, path: Path) -> None:
    """Write a notebook.  Raises ``OSError``."""
    path.write_text(notebook_text(document), encoding="utf-8")
