"""A notebook's cells and metadata, read without nbformat.

``import nbformat`` takes a second and more where jsonschema has all its format checkers: longer
than most notebooks run.  What reads parameters needs neither an upgrade nor the whole schema, and
the executor checks each notebook before anything is started.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["Node", "light_notebook"]


class Node(dict[str, Any]):
    """A dictionary whose keys are attributes, too, as those of nbformat are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def light_notebook(text: str) -> Node | None:
    """The notebook in ``text``, with joined sources; ``None`` unless it is plain version 4."""
    try:
        node = json.loads(text, object_hook=Node)
    except (ValueError, RecursionError):
        return None
    if not isinstance(node, Node) or node.get("nbformat") != 4:
        return None
    cells = node.get("cells")
    if not isinstance(node.get("metadata"), Node) or not isinstance(cells, list):
        return None
    if not _named(node["metadata"]):
        return None
    for cell in cells:
        if not isinstance(cell, Node) or not isinstance(cell.get("cell_type"), str):
            return None
        metadata, source = cell.get("metadata"), cell.get("source")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = cell["source"] = "".join(source)
        if not isinstance(source, str) or not isinstance(metadata, Node):
            return None
        tags = metadata.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            return None
    return node


def _named(metadata: Node) -> bool:
    """Whether the kernel and the language, where they are named, are named by objects."""
    return all(
        isinstance(metadata.get(name, Node()), Node) for name in ("kernelspec", "language_info")
    )
