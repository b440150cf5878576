"""The executed notebook of a hit: what was kept, under the cells as they are now.

Comments and Markdown are no part of a step's key, so the source is the present one; outputs,
counts and times are those of the run that made them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from .code import read_cells

__all__ = ["executed_cells", "notebook_text", "restored"]

_INJECTED = "injected-parameters"


def executed_cells(notebook: Any) -> list[str]:
    """The digests of an executed notebook's code cells, without those of injected parameters."""
    return [cell.digest for cell in read_cells(notebook) if _INJECTED not in cell.tags]


def restored(
    kept: dict[str, Any], current: dict[str, Any], words: Mapping[str, str], origin: dict[str, Any]
) -> dict[str, Any] | None:
    """The executed notebook for the present run; ``None`` if the two do not fit each other.

    ``words`` are texts of the old run (its id, paths) and what stands for them now; ``origin`` is
    noted in the notebook's metadata.
    """
    injected = next((c for c in kept["cells"] if _INJECTED in _tags(c)), None)
    old = [kept["cells"][cell.place] for cell in read_cells(kept) if _INJECTED not in cell.tags]
    new = {cell.place for cell in read_cells(current) if _INJECTED not in cell.tags}
    if len(old) != len(new):
        return None
    cells: list[dict[str, Any]] = []
    place: int | None = None
    pending = iter(old)
    for at, cell in enumerate(current["cells"]):
        made = copy.deepcopy(cell)
        if _INJECTED in _tags(cell):
            if injected is not None and place is None:
                place = len(cells)
                cells.append(copy.deepcopy(injected))
            continue
        if cell["cell_type"] == "code":
            made["outputs"], made["execution_count"] = [], None
        if at in new:
            done = next(pending)
            made["outputs"] = copy.deepcopy(done["outputs"])
            made["execution_count"] = done["execution_count"]
            made["metadata"] = {**copy.deepcopy(done["metadata"]), **made["metadata"]}
        if "id" not in made and at in new and "id" in done:
            made["id"] = done["id"]
        cells.append(made)
    if injected is not None and place is None:
        declared = next((i for i, c in enumerate(cells) if "parameters" in _tags(c)), -1)
        cells.insert(declared + 1, copy.deepcopy(injected))
    whole = {**copy.deepcopy(kept), "cells": cells}
    result: dict[str, Any] = _replaced(whole, sorted(words.items(), key=lambda pair: -len(pair[0])))
    own = result["metadata"].setdefault("mlops", {})
    own["cache"] = origin
    return result


def notebook_text(notebook: dict[str, Any]) -> bytes:
    """The bytes of a notebook's file."""
    text = json.dumps(notebook, ensure_ascii=False, indent=1)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _tags(cell: Any) -> Any:
    return cell["metadata"].get("tags", ()) if cell["cell_type"] == "code" else ()


def _replaced(data: Any, words: list[tuple[str, str]]) -> Any:
    if isinstance(data, str):
        for old, new in words:
            data = data.replace(old, new)
        return data
    if isinstance(data, list):
        return [_replaced(item, words) for item in data]
    if isinstance(data, dict):
        return {key: _replaced(item, words) for key, item in data.items()}
    return data
