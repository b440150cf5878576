"""Executed notebooks as runs: what they say of themselves, without being run again."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from blake3 import blake3

from ..model.events import RunRecord

__all__ = ["ADOPTED_FROM", "executed_run", "find_notebooks"]

ADOPTED_FROM = "mlops.adopted_from"
_SIZE_LIMIT = 100 * 1024 * 1024  # bytes; a larger notebook is not read
_SKIPPED = {".ipynb_checkpoints", "node_modules", "__pycache__"}
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


@dataclass(frozen=True, slots=True)
class _Times:
    started: float
    ended: float


def find_notebooks(folder: Path) -> Iterator[Path]:
    """Yield the notebooks of a folder and of those below it; hidden folders are left out."""
    if folder.is_file():
        yield folder
        return
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if n not in _SKIPPED and not n.startswith("."))
        for name in sorted(names):
            if name.endswith(".ipynb") and not name.startswith("."):
                yield Path(place, name)


def executed_run(path: Path, shown: str, session: str) -> RunRecord | str:
    """The run of an executed notebook, or the reason why there is none.

    ``shown`` is how the path is told.  The run's id comes from path and content: the same notebook
    is the same run, one that was executed again is another.
    """
    try:
        if path.stat().st_size > _SIZE_LIMIT:
            return f"it has more than {_SIZE_LIMIT // 1024**2} MB"
        data = path.read_bytes()
        modified = path.stat().st_mtime
        notebook = json.loads(data)
        cells = [cell for cell in notebook["cells"] if cell.get("cell_type") == "code"]
        metadata = _mapping(notebook.get("metadata"))
    except OSError as problem:
        return f"it cannot be read: {problem.strerror or problem}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "it is no notebook"
    executed = [cell for cell in cells if cell.get("execution_count") or cell.get("outputs")]
    papermill = _mapping(metadata.get("papermill"))
    if not executed and not papermill:
        return "it was not executed"
    times = _times(executed, papermill, modified)
    error = _error(executed)
    failed = error is not None or papermill.get("exception") is True
    outputs = [output for cell in executed for output in _outputs(cell)]
    figures = sum(any(kind in _mapping(o.get("data")) for kind in _PICTURES) for o in outputs)
    tags = {
        ADOPTED_FROM: shown,
        "mlflow.source.name": shown,
        "mlflow.source.type": "NOTEBOOK",
        "mlops.cells": f"{len(executed)} of {len(cells)} executed",
    }
    if figures:
        tags["mlops.figures"] = str(figures)
    return RunRecord(
        run_id=_run_id(times.started, f"{shown}\0".encode(errors="surrogatepass") + data),
        session=session,
        name=path.stem,
        status="FAILED" if failed else "FINISHED",
        started=times.started,
        ended=times.ended,
        kind="notebook",
        notebook=shown,
        params=_parameters(cells, papermill),
        metrics=_scraps(outputs),
        tags=tags,
        error=error,
    )


def _run_id(moment: float, content: bytes) -> str:
    """A ULID whose random half is a digest."""
    value = (int(moment * 1000) & ((1 << 48) - 1)) << 80
    value |= int.from_bytes(blake3(content).digest()[:10], "big")
    letters = []
    for _ in range(26):
        letters.append(_ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(letters))


def _times(cells: list[Any], papermill: Mapping[str, Any], modified: float) -> _Times:
    """From papermill, else from what JupyterLab notes of each cell, else the file's own time."""
    started, ended = _moment(papermill.get("start_time")), _moment(papermill.get("end_time"))
    moments = [started, ended] if started is not None else []
    if started is None:
        for cell in cells:
            told = _mapping(_mapping(cell.get("metadata")).get("execution"))
            moments += [_moment(value) for value in told.values()]
    found = [moment for moment in moments if moment is not None]
    if not found:
        return _Times(modified, modified)
    return _Times(min(found), max(found))


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _error(cells: list[Any]) -> dict[str, str] | None:
    for cell in cells:
        tags = _mapping(cell.get("metadata")).get("tags")
        if isinstance(tags, list) and "raises-exception" in tags:
            continue
        for output in _outputs(cell):
            if output.get("output_type") == "error":
                return {
                    "ename": str(output.get("ename", "error")),
                    "evalue": str(output.get("evalue", ""))[:2000],
                }
    return None


def _parameters(cells: list[Any], papermill: Mapping[str, Any]) -> dict[str, Any]:
    """The literals of the cells tagged as parameters, then what papermill was given."""
    found: dict[str, Any] = {}
    for cell in cells:
        tags = _mapping(cell.get("metadata")).get("tags")
        if isinstance(tags, list) and {"parameters", "injected-parameters"} & {*map(str, tags)}:
            source = cell.get("source", "")
            found |= _literals("".join(map(str, source)) if isinstance(source, list) else source)
    return found | dict(_mapping(papermill.get("parameters")))


def _literals(source: Any) -> dict[str, Any]:
    try:
        body = ast.parse(str(source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, Any] = {}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            try:
                value = ast.literal_eval(node.value)
                json.dumps(value)  # sets, bytes and complex numbers are shown as Python does
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            except TypeError:
                value = ast.unparse(node.value)
            found |= {target.id: value for target in targets if isinstance(target, ast.Name)}
    return found


def _scraps(outputs: list[Any]) -> dict[str, float]:
    """Numbers that were glued with scrapbook."""
    found = {}
    for output in outputs:
        scrap = _mapping(output.get("data")).get("application/scrapbook.scrap.json+json")
        name, value = _mapping(scrap).get("name"), _mapping(scrap).get("data")
        if isinstance(name, str) and isinstance(value, (int, float)):
            found[name] = float(value)
    return found


def _outputs(cell: Any) -> list[Any]:
    outputs = cell.get("outputs")
    return [o for o in outputs if isinstance(o, dict)] if isinstance(outputs, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
