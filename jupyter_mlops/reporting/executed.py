"""What an executed notebook says of its cells, and the plots in it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model.cell_words import title_of, without_colour
from .report import CellReport, ImageReport

__all__ = ["read_cells", "read_executed"]

_FILE = re.compile(r"[^A-Za-z0-9_-]+")
_IMAGES = {"image/png": "png", "image/jpeg": "jpg"}  # what code hosts show in Markdown
_TAIL = 20
_LARGEST = 5_000_000  # bytes of an image: hosts refuse larger ones


def read_executed(
    path: Path | None, step: str, error: Mapping[str, Any] | None = None
) -> tuple[tuple[CellReport, ...], tuple[ImageReport, ...], dict[str, bytes]]:
    """The cells and plots of an executed notebook, and the images by file name.

    ``error`` is that of the step's outcome: it knows the line.  A file that cannot be read has no
    cells, nor has ``None``.
    """
    if path is None:
        return (), (), {}
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return (), (), {}
    return read_cells(notebook, step, error)


def read_cells(
    notebook: Mapping[str, Any], step: str, error: Mapping[str, Any] | None = None
) -> tuple[tuple[CellReport, ...], tuple[ImageReport, ...], dict[str, bytes]]:
    """The same of a notebook's JSON."""
    cells: list[CellReport] = []
    images: list[ImageReport] = []
    content: dict[str, bytes] = {}
    number, index = 0, -1
    for cell in notebook.get("cells", ()):
        tags = cell.get("metadata", {}).get("tags", ())
        injected = "injected-parameters" in tags
        if not injected and not _mark(cell):
            index += 1
        source = _text(cell.get("source", ""))
        if cell.get("cell_type") != "code" or not source.strip() or _mark(cell):
            continue
        about = cell.get("metadata", {}).get("mlops", {})
        state = str(about.get("state") or _state(cell))
        left_out = state == "skipped"
        number += not left_out
        title = title_of(source)
        failed = state in ("failed", "died", "timed out", "cancelled")
        cells.append(
            CellReport(
                number=0 if left_out else number,
                index=None if injected else index,
                cell_id=str(cell.get("id", "")),
                title=title,
                state=state,
                seconds=float(about.get("wall") or _duration(cell)),
                cpu=float(about.get("cpu") or 0.0),
                peak_memory=int(about.get("peak_memory") or 0),
                source=source,
                error=_error(cell, error) if failed else None,
                output=_tail(cell) if failed else "",
            )
        )
        for kind, data in _pictures(cell):
            name = _FILE.sub("-", step).strip("-") or "step"
            file = f"images/{name}-{number}-{len(images) + 1}.{_IMAGES[kind]}"
            content[file] = data
            images.append(ImageReport(step, number, title, file))
    return tuple(cells), tuple(images), content


def _mark(cell: Mapping[str, Any]) -> bool:
    """Whether papermill put the cell in to point at an error."""
    tags = cell.get("metadata", {}).get("tags", ())
    return any(str(tag).startswith("papermill-error") for tag in tags)


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _state(cell: Mapping[str, Any]) -> str:
    """By papermill's own metadata, for a notebook that another engine has executed."""
    status = cell.get("metadata", {}).get("papermill", {}).get("status")
    return {"completed": "completed", "failed": "failed"}.get(str(status), "not run")


def _duration(cell: Mapping[str, Any]) -> float:
    value = cell.get("metadata", {}).get("papermill", {}).get("duration")
    return float(value) if isinstance(value, (int, float)) else 0.0


def _error(cell: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"ename": "Error", "evalue": "", "traceback": "", "lineno": None}
    for output in cell.get("outputs", ()):
        if output.get("output_type") == "error":
            found["ename"] = str(output.get("ename", "Error"))
            found["evalue"] = without_colour(str(output.get("evalue", "")))
            found["traceback"] = without_colour("\n".join(map(str, output.get("traceback", ()))))
    if known is not None and known.get("cell_id") == cell.get("id"):
        found["ename"] = str(known.get("ename") or found["ename"])
        found["evalue"] = without_colour(str(known.get("evalue") or found["evalue"]))
        found["lineno"] = known.get("lineno")
        found["traceback"] = found["traceback"] or without_colour(str(known.get("traceback") or ""))
    return found


def _tail(cell: Mapping[str, Any]) -> str:
    parts = [
        _text(output.get("text", ""))
        for output in cell.get("outputs", ())
        if output.get("output_type") == "stream"
    ]
    return "\n".join(without_colour("".join(parts)).rstrip().splitlines()[-_TAIL:])


def _pictures(cell: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    found = []
    for output in cell.get("outputs", ()):
        data = output.get("data") or {}
        kind = next((kind for kind in _IMAGES if kind in data), None)
        if kind is None:
            continue
        try:
            image = base64.b64decode(_text(data[kind]), validate=False)
        except (binascii.Error, ValueError):
            continue
        if 0 < len(image) <= _LARGEST:
            found.append((kind, image))
    return found
