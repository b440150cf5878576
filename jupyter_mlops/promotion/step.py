"""The notebook of a step: what was executed, parameterized, readable, and runnable without us.

workdir      finds the project and goes to the folder the notebook was written in
parameters   the ``parameters`` cell: the person's values, then where outputs go
...          the kept cells in executed order, with the Markdown above them
outputs      writes metrics, model and example where paths were given
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ..dataflow import Slice, flows, strip_tracking
from ..model.events import CellEvent, ModelRecord
from .literals import Extracted, extract_parameters
from .tracked import Tracked

__all__ = ["Composed", "compose"]

_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_WORKDIR = """\
# Go to the folder that the notebook was written in, from wherever in the project this runs.
import os
from pathlib import Path

_marks = [{marks}]
_found = [p for p in [Path.cwd(), *Path.cwd().parents] if any((p / m).exists() for m in _marks)]
if not _found:
    raise FileNotFoundError("run this inside the project that holds " + " or ".join(_marks))
os.chdir({folder})"""
_OUTPUTS = "# Where this step writes its results; None writes nothing."


@dataclass(frozen=True, slots=True)
class Composed:
    """A step's notebook and what is known of it.

    ``outputs`` maps its path parameters to file names; ``kept`` are positions in the events;
    ``cells`` counts the person's code cells in it.
    """

    document: Any
    outputs: dict[str, str]
    parameters: tuple[str, ...]
    kept: tuple[int, ...]
    cells: int
    model: ModelRecord | None


def compose(tracked: Tracked, name: str, folder: str, kept: Sequence[int], cut: Slice) -> Composed:
    """Build the notebook of the step from the executions at positions ``kept``.

    ``folder`` is the original notebook's folder relative to the project's root.
    """
    from nbformat import v4

    events = [tracked.events[i] for i in kept]
    sources = [strip_tracking(event.source) for event in events]
    cells = [(i, s) for i, s in enumerate(sources) if s.strip()]
    chosen = [cut.flows[kept[i]] if kept[i] < len(cut.flows) else None for i, _ in cells]
    known = [
        f if f is not None else flows([events[i]])[0]
        for (i, _), f in zip(cells, chosen, strict=True)
    ]
    extracted = extract_parameters([source for _, source in cells], known)
    model = _model(tracked)
    outputs = _outputs(tracked, model, "\n".join(sources))
    marks = (f"pipelines/{name}", _relative(tracked, folder))
    used = {"mlops-workdir", "mlops-parameters", "mlops-outputs"}
    above = _Markdown(v4, tracked.document, used)
    where = "_found[0]" if folder == "." else f"_found[0] / {json.dumps(folder)}"
    workdir = _WORKDIR.format(marks=", ".join(json.dumps(m) for m in marks), folder=where)
    new: list[Any] = [
        *above.title(),
        _code(v4, "mlops-workdir", workdir, "mlops-workdir"),
        _code(v4, "mlops-parameters", _parameters(extracted, outputs), "parameters"),
    ]
    count = 0
    for (i, _), source in zip(cells, extracted.cells, strict=True):
        new += above.before(events[i].cell_id)
        if _is_empty(source):
            continue  # Only parameters were in it.
        new.append(_code(v4, _unique(events[i], used), source))
        count += 1
    if outputs:
        new.append(_code(v4, "mlops-outputs", _writing(tracked, model, outputs), "mlops-outputs"))
    metadata = {
        key: tracked.document.metadata[key]
        for key in ("kernelspec", "language_info")
        if key in tracked.document.metadata
    }
    document = v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=new, metadata=metadata
    )
    return Composed(document, outputs, extracted.names, tuple(kept), count, model)


def _model(tracked: Tracked) -> ModelRecord | None:
    """The model that the pipeline hands over: the one chosen when it was tracked."""
    kept = [m for m in tracked.run.models if m.blob is not None]
    wanted = [m for m in kept if m.name == tracked.run.register_model]
    found = (wanted or kept)[-1:]
    return found[0] if found and found[0].name.isidentifier() else None


def _outputs(tracked: Tracked, model: ModelRecord | None, text: str) -> dict[str, str]:
    files: dict[str, str] = {}
    if tracked.run.metrics:
        files["metrics"] = "metrics.json"
    if model is not None:
        files["model"] = "model.skops"
        if model.example_name and model.example_format in ("parquet", "npy"):
            files["example"] = f"example.{model.example_format}"
    # A notebook that uses such a name itself keeps it: ours gives way.
    taken = set(re.findall(r"\w+", text))
    prefix = "" if not taken & {f"{key}_path" for key in files} else "mlops_"
    return {f"{prefix}{key}_path": file for key, file in files.items()}


def _parameters(extracted: Extracted, outputs: dict[str, str]) -> str:
    lines = list(extracted.lines)
    if outputs:
        lines += ["", _OUTPUTS] if lines else [_OUTPUTS]
        lines += [f"{name} = None" for name in outputs]
    return "\n".join(lines)


def _writing(tracked: Tracked, model: ModelRecord | None, outputs: dict[str, str]) -> str:
    by_kind = {file.partition(".")[0]: name for name, file in outputs.items()}
    parts = ["# Write what this step made, wherever a path was given."]
    if "metrics" in by_kind:
        values = "".join(f'        "{m}": float({m}),\n' for m in tracked.run.metrics)
        parts.append(
            f"if {by_kind['metrics']}:\n    import json\n\n"
            f"    _metrics = {{\n{values}    }}\n"
            f'    with open({by_kind["metrics"]}, "w") as _file:\n'
            "        json.dump(_metrics, _file, indent=2)"
        )
    if model is not None:
        parts.append(
            f"if {by_kind['model']}:\n    import skops.io\n\n"
            f"    skops.io.dump({model.name}, {by_kind['model']})"
        )
    if model is not None and "example" in by_kind:
        path, data = by_kind["example"], model.example_name
        write = (
            f"    {data}.head().to_parquet({path})"
            if model.example_format == "parquet"
            else f"    import numpy\n\n    numpy.save({path}, {data}[:5])"
        )
        parts.append(f"if {path}:\n{write}")
    return parts[0] + "\n" + "\n\n".join(parts[1:])


class _Markdown:
    """Carries the Markdown cells that stand right above a kept cell, each once."""

    def __init__(self, v4: Any, document: Any, used: set[str]) -> None:
        self._v4 = v4
        self._used = used
        self._blocks: dict[str, list[Any]] = {}
        cells = list(document.cells)
        self._title = cells[:1] if cells and cells[0].cell_type == "markdown" else []
        block: list[Any] = []
        for cell in cells[len(self._title) :]:
            if cell.cell_type == "markdown":
                block.append(cell)
                continue
            if cell.cell_type == "code" and cell.get("id"):
                self._blocks[cell["id"]] = block
            block = []

    def title(self) -> list[Any]:
        """The notebook's first cell, where that is Markdown."""
        return [self._copy(cell) for cell in self._title]

    def before(self, cell_id: str | None) -> list[Any]:
        """Copies of the Markdown above a cell."""
        block = self._blocks.pop(cell_id, []) if cell_id else []
        return [self._copy(cell) for cell in block]

    def _copy(self, cell: Any) -> Any:
        copy = self._v4.new_markdown_cell(cell.source)
        copy["id"] = _free(cell.get("id") or "", cell.source, self._used)
        return copy


def _code(v4: Any, cell_id: str, source: str, tag: str | None = None) -> Any:
    cell = v4.new_code_cell(source, metadata={"tags": [tag]} if tag else {})
    cell["id"] = cell_id
    return cell


def _unique(event: CellEvent, used: set[str]) -> str:
    return _free(event.cell_id or "", f"{event.seq}{event.source}", used)


def _free(wanted: str, text: str, used: set[str]) -> str:
    """A cell id that is stable from promotion to promotion, so that git shows what changed."""
    candidate, number = wanted, 0
    while not _CELL_ID.fullmatch(candidate) or candidate in used:
        candidate = hashlib.sha256(f"{text}{number}".encode()).hexdigest()[:8]
        number += 1
    used.add(candidate)
    return candidate


def _is_empty(source: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("#") for line in source.split("\n"))


def _relative(tracked: Tracked, folder: str) -> str:
    return (PurePosixPath(folder) / tracked.notebook.name).as_posix()
