"""Which cells of a notebook are executed."""

from __future__ import annotations

from typing import Any

__all__ = ["SKIP_TAG", "runs"]

SKIP_TAG = "skip-execution"  # nbclient's default


def runs(cell: dict[str, Any], skip_tag: str) -> bool:
    """Whether a cell is executed: code that is not empty and has no such tag."""
    return bool(
        cell["cell_type"] == "code"
        and cell["source"].strip()
        and skip_tag not in cell["metadata"].get("tags", [])
    )
