"""What the front end says about a cell beside its source: its id and its tags.

JupyterLab and Notebook 7 send a cell's metadata with the request to execute it, VS Code nests it
once more; papermill and nbconvert send none, and the notebook file has to be read instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from .notebook import NotebookFinder, tagged_sources

__all__ = ["TAG", "cell_id", "in_vscode", "is_tagged"]

TAG = "track"
_CELL_ID = re.compile(r"[a-zA-Z0-9-_]{1,64}")  # nbformat 4.5's rule
_tagged: dict[tuple[str, int, str], frozenset[str]] = {}


def cell_id(info: Any, shell: Any) -> str | None:
    """The notebook's own id of the cell; ``None`` for front ends with other kinds of ids."""
    metadata = _metadata(info, shell)
    for found in (getattr(info, "cell_id", None), metadata.get("cellId"), metadata.get("id")):
        if isinstance(found, str) and _CELL_ID.fullmatch(found):
            return found
    return None


def is_tagged(info: Any, shell: Any, finder: NotebookFinder | None, tag: str = TAG) -> bool:
    """Whether the cell bears a tag; ``track`` unless told otherwise."""
    metadata = _metadata(info, shell)
    nested = metadata.get("metadata")
    for holder in (metadata, nested if isinstance(nested, Mapping) else {}):
        tags = holder.get("tags")
        if isinstance(tags, (list, tuple)):
            return tag in tags
    if "cellId" in metadata or getattr(shell, "kernel", None) is None:
        return False  # A front end that sends metadata has sent all there is.
    notebook = finder.find() if finder is not None else None
    if notebook is None or not notebook.headless or not notebook.exists:
        return False
    try:
        key = (str(notebook.path), os.stat(notebook.path).st_mtime_ns, tag)
    except OSError:
        return False
    if key not in _tagged:
        for old in [known for known in _tagged if known[:2] != key[:2]]:
            del _tagged[old]
        _tagged[key] = tagged_sources(notebook.path, tag)
    return info.raw_cell in _tagged[key]


def in_vscode(shell: Any) -> bool:
    """Whether VS Code's notebook editor shows the output, which has not loaded our renderer."""
    return "__vsc_ipynb_file__" in shell.user_ns


def _metadata(info: Any, shell: Any) -> Mapping[str, Any]:
    metadata = getattr(info, "cell_meta", None)
    if metadata is None:
        kernel = getattr(shell, "kernel", None)
        try:
            metadata = kernel.get_parent().get("metadata") if kernel is not None else None
        except (AttributeError, LookupError):
            metadata = None
    return metadata if isinstance(metadata, Mapping) else {}
