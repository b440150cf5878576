"""The notebooks of the steps: what was executed, parameterized, readable, and runnable without us.

workdir      finds the project and goes to the folder the notebook was written in
parameters   the ``parameters`` cell: the person's values, then where files come from and go to
names        what a renamed parameter is called in the cells
track        a stand-in for ``track``, where cells use it
imports      what cells of other steps import and define, and what ``lib.py`` shares
inputs       reads what earlier steps wrote
...          the kept cells in executed order, with the Markdown above them
outputs      writes what this step leaves: values for later steps, metrics, model and example
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..model.events import CellEvent
from .handoffs import Written, join_blocks, read_lines, write_lines
from .layout import Draft, Layout
from .markdown import Markdown, free_id
from .material import Material
from .statements import CLASS, FUNCTION, IMPORT, loads

__all__ = ["LIBRARY", "Composed", "Pipework", "compose"]

LIBRARY = "lib.py"
_WORKDIR = """\
# Go to the folder that the notebook was written in, from wherever in the project this runs.
import os
{also}from pathlib import Path

_marks = [{marks}]
_found = [p for p in [Path.cwd(), *Path.cwd().parents] if any((p / m).exists() for m in _marks)]
if not _found:
    raise FileNotFoundError("run this inside the project that holds " + " or ".join(_marks))
os.chdir({folder})"""
_LIBRARY_PATH = '\nsys.path.insert(0, str(_found[0] / "pipelines/{name}"))  # lib.py stands there'
_INPUTS = "# Where the files are that earlier steps wrote."
_OUTPUTS = "# Where this step writes its results; None writes nothing."


@dataclass(frozen=True, slots=True)
class Composed:
    """A step's notebook and what is known of it.

    ``inputs`` maps path parameters to ``step.parameter``, ``outputs`` path parameters to file
    names; ``values`` maps output parameters to what is written there; ``needs`` are names of steps;
    ``cells`` counts the person's code cells in it.  ``metrics``, ``model`` and ``example`` are the
    output parameters that hold these; ``places`` maps positions of kept cells to ids of cells.
    """

    name: str
    document: Any
    inputs: dict[str, str]
    outputs: dict[str, str]
    reads: dict[str, str]
    values: dict[str, Written]
    parameters: tuple[str, ...]
    needs: tuple[str, ...]
    cells: int
    metrics: str | None = None
    model: str | None = None
    example: str | None = None
    places: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipework:
    """All steps and the text of ``lib.py``, ``None`` where nothing is shared."""

    steps: tuple[Composed, ...]
    library: str | None = None


def compose(
    material: Material,
    layout: Layout,
    name: str,
    folder: str,
    formats: Mapping[str, Written],
    model_output: str | None = None,
) -> Pipework:
    """Build the notebooks of a pipeline.

    ``folder`` is the original notebook's folder relative to the project's root; ``formats`` says
    how each value is written that leaves a step, targets among them; ``model_output`` is the target
    that is a model.
    """
    words = ("workdir", "parameters", "names", "track", "imports", "inputs", "outputs")
    used = {f"mlops-{word}" for word in words}
    markdown = Markdown(material.tracked.document, used)
    steps: list[Composed] = []
    for number in range(len(layout.drafts)):
        composer = _Composer(material, layout, number, name, folder, formats, markdown, used)
        steps.append(composer.build(steps, model_output))
    library = _library_text(layout) if layout.library else None
    return Pipework(tuple(steps), library)


class _Composer:
    """Builds one notebook."""

    def __init__(
        self,
        material: Material,
        layout: Layout,
        number: int,
        name: str,
        folder: str,
        formats: Mapping[str, Written],
        markdown: Markdown,
        used: set[str],
    ) -> None:
        self.material = material
        self.layout = layout
        self.draft: Draft = layout.drafts[number]
        self.first, self.last = number == 0, number == len(layout.drafts) - 1
        self.name = name
        self.folder = folder
        self.formats = formats
        self.markdown = markdown
        self.used = used
        self.sources = {i: self._source(i) for i in self.draft.cells}
        self.repeated = {i: material.sources[i] for i in self.draft.repeated}
        self.text = "\n".join([*self.repeated.values(), *self.sources.values()])
        self.words = set(re.findall(r"\w+", self.text))

    def _source(self, position: int) -> str:
        """The cell without the functions that ``lib.py`` has."""
        source = self.material.sources[position]
        moved = self.layout.moved.get(position, ())
        if not moved:
            return source
        gone = {line for d in moved for line in range(d.first, d.last)}
        lines = [x for n, x in enumerate(source.replace("\r\n", "\n").split("\n")) if n not in gone]
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
        own = [d for d in self.material.flowing.defined.get(position, ()) if d.kind == IMPORT]
        rest = loads(text)
        if all(not x.strip() or x.startswith(("import ", "from ", "#")) for x in text.split("\n")):
            # Only the imports of the functions are left: what nobody else here uses goes, too.
            wanted = [d for d in own if d.name in self.material.flowing.live(position + 1) | rest]
            return "\n".join(dict.fromkeys(d.text for d in wanted))
        return text

    def build(self, earlier: Sequence[Composed], model_output: str | None) -> Composed:
        """Put the cells of the notebook together."""
        material, draft = self.material, self.draft
        inputs, reads = self._inputs(earlier)
        outputs, values, special = self._outputs(model_output)
        expressions = "\n".join(material.metrics.expressions.values()) if self.last else ""
        needed = loads(self.text) | loads(expressions.replace("\n", ";"))
        before = self._before(needed)
        for text in before:
            needed |= loads(text)
        for position in draft.cells:
            needed |= material.flowing.flows[position].reads
        parameters = [p for p in material.parameters if p.original in needed]
        cells: list[Any] = []
        if self.first:
            cells += self.markdown.title()
        cells.append(self._cell("workdir", self._workdir(), "mlops-workdir"))
        head = [p.line for p in parameters]
        for note, names in ((_INPUTS, inputs), (_OUTPUTS, outputs)):
            if names:
                head += ["", note] if head else [note]
                head += [f"{name} = None" for name in names]
        cells.append(self._cell("parameters", "\n".join(head), "parameters"))
        renamed = [f"{p.original} = {p.name}" for p in parameters if p.original != p.name]
        if renamed:
            lines = "\n".join(["# What the cells below call the parameters.", *renamed])
            cells.append(self._cell("names", lines, "mlops-names"))
        stand_in = material.ours.code()
        if stand_in is not None and set(material.ours.names) & (needed | self.words):
            cells.append(self._cell("track", stand_in, "mlops-track"))
        if before:
            cells.append(self._cell("imports", "\n".join(before), "mlops-imports"))
        for position in draft.repeated:
            cells.append(self._person(position, self.repeated[position], "mlops-settings"))
        if reads:
            blocks = [read_lines(self._trusted(self.formats[v]), p) for p, v in reads.items()]
            note = "# Read what earlier steps wrote."
            cells.append(self._cell("inputs", f"{note}\n{join_blocks(blocks)}", "mlops-inputs"))
        places: dict[int, str] = {}
        for position in draft.cells:
            cells += self.markdown.before(material.flowing.events[position].cell_id)
            source = self.sources[position]
            if all(not x.strip() or x.lstrip().startswith("#") for x in source.split("\n")):
                continue  # Only parameters and functions were in it.
            cells.append(self._person(position, source, None))
            places[position] = cells[-1]["id"]
        if outputs:
            writing = self._writing(values, special)
            cells.append(self._cell("outputs", writing, "mlops-outputs"))
        return Composed(
            draft.name, self._notebook(cells), inputs, outputs, reads, values,
            tuple(p.name for p in parameters),
            tuple(self.layout.drafts[i].name for i in draft.needs), len(places), **special,
            places=places,
        )  # fmt: skip

    def _notebook(self, cells: list[Any]) -> Any:
        from nbformat import v4

        known = self.material.tracked.document.metadata
        metadata = {key: known[key] for key in ("kernelspec", "language_info") if key in known}
        return v4.new_notebook(cells=cells, metadata=metadata)  # type: ignore[no-untyped-call]

    def _before(self, needed: frozenset[str]) -> list[str]:
        """Imports and definitions that other steps have as well, as far as they are used."""
        wanted = set(needed)
        for definition in reversed(self.draft.before):
            if definition.kind in (FUNCTION, CLASS) and definition.name in wanted:
                wanted |= definition.needs
        chosen = [d for d in self.draft.before if d.name in wanted]
        trusted = {t.rpartition(".")[2] for v in self.draft.inputs for t in self._types(v)}
        here = {d.name for d in chosen} | set(self.draft.shared)
        for position, found in self.material.flowing.defined.items():
            for d in found:
                # What skops makes must be there when it does.
                if d.kind == CLASS and d.name in trusted - here and position not in self.sources:
                    chosen.append(d)
        lines = [d.text for d in chosen if d.kind == IMPORT]
        if self.draft.shared:
            lines.append(f"from lib import {', '.join(self.draft.shared)}")
        rest = [d.text for d in chosen if d.kind != IMPORT]
        return list(dict.fromkeys([*lines, *(["", *rest] if rest and lines else rest)]))

    def _types(self, variable: str) -> tuple[str, ...]:
        known = self.formats.get(variable)
        return () if known is None else known.trusted

    def _trusted(self, value: Written) -> Written:
        shared = {d.name for d in self.layout.library}
        types = tuple(
            f"lib.{t.rpartition('.')[2]}"
            if t.startswith("__main__.") and t.rpartition(".")[2] in shared
            else t
            for t in value.trusted
        )
        return Written(value.variable, value.format, types, value.name, value.digest)

    def _workdir(self) -> str:
        library = bool(self.layout.library)
        own = PurePosixPath(self.folder, self.material.tracked.notebook.name).as_posix()
        marks = [f"pipelines/{self.name}"] if library else [f"pipelines/{self.name}", own]
        text = _WORKDIR.format(
            marks=", ".join(json.dumps(m) for m in marks),
            also="import sys\n" if library else "",
            folder="_found[0]" if self.folder == "." else f"_found[0] / {json.dumps(self.folder)}",
        )
        return text + (_LIBRARY_PATH.format(name=self.name) if library else "")

    def _inputs(self, earlier: Sequence[Composed]) -> tuple[dict[str, str], dict[str, str]]:
        inputs, reads = {}, {}
        for variable, source in self.draft.inputs.items():
            parameter = self._parameter(f"{variable}_input")
            step = earlier[source]
            given = next(p for p, value in step.values.items() if value.variable == variable)
            inputs[parameter] = f"{step.name}.{given}"
            reads[parameter] = variable
        return inputs, reads

    def _outputs(
        self, model_output: str | None
    ) -> tuple[dict[str, str], dict[str, Written], dict[str, str]]:
        outputs: dict[str, str] = {}
        values: dict[str, Written] = {}
        special: dict[str, str] = {}

        def add(word: str, file: str) -> str:
            parameter = self._parameter(f"{word}_path")
            outputs[parameter] = file
            return parameter

        passed = list(self.draft.outputs)
        if self.last:
            targets = self.material.tracked.targets
            passed += [t for t in targets if t not in passed and t in self.formats]
        material = self.material
        if self.last and material.metrics.expressions:
            special["metrics"] = add("metrics", "metrics.json")
        if self.last and material.model is not None:
            special["model"] = add("model", "model.skops")
            if material.model.example_name and material.model.example_format in ("parquet", "npy"):
                special["example"] = add("example", f"example.{material.model.example_format}")
        for variable in passed:
            value = self.formats[variable]
            parameter = add(variable, value.file)
            values[parameter] = value
            if variable == model_output and "model" not in special:
                special["model"] = parameter
        return outputs, values, special

    def _parameter(self, wanted: str) -> str:
        """A notebook that uses such a name itself keeps it: ours gives way."""
        return f"mlops_{wanted}" if wanted in self.words else wanted

    def _writing(self, values: Mapping[str, Written], special: Mapping[str, str]) -> str:
        parts = ["# Write what this step made, wherever a path was given."]
        metrics = special.get("metrics")
        if metrics is not None:
            lines = "".join(
                f"        {json.dumps(m)}: {e},\n"
                for m, e in self.material.metrics.expressions.items()
            )
            parts.append(
                f"if {metrics}:\n    import json\n\n    _metrics = {{\n{lines}    }}\n"
                f'    with open({metrics}, "w") as _file:\n'
                "        json.dump(_metrics, _file, indent=2)"
            )
        model = self.material.model
        if model is not None and "model" in special and special["model"] not in values:
            path = special["model"]
            parts.append(
                f"if {path}:\n    import skops.io\n\n    skops.io.dump({model.name}, {path})"
            )
        if model is not None and "example" in special:
            path, data = special["example"], model.example_name
            write = (
                f"    {data}.head().to_parquet({path})"
                if model.example_format == "parquet"
                else f"    import numpy\n\n    numpy.save({path}, {data}[:5])"
            )
            parts.append(f"if {path}:\n{write}")
        for path, value in values.items():
            body = "\n".join(
                f"    {line}" if line else "" for line in write_lines(value, path).split("\n")
            )
            parts.append(f"if {path}:\n{body}")
        return parts[0] + "\n" + "\n\n".join(parts[1:])

    def _cell(self, word: str, source: str, tag: str) -> Any:
        return _code(f"mlops-{word}", source, {"tags": [tag]})

    def _person(self, position: int, source: str, tag: str | None) -> Any:
        event = self.material.flowing.events[position]
        metadata: dict[str, Any] = {"tags": [tag]} if tag else {}
        number = 1 + sum(
            e.cell_id == event.cell_id and e.cell_id is not None
            for e in self.material.flowing.events[:position]
        )
        if number > 1:
            metadata["name"] = f"{event.cell_id}-{number}"
        taken = set() if tag else self.used
        return _code(_unique(event, taken), source, metadata)


def _library_text(layout: Layout) -> str:
    parts = ['"""Functions that several steps of this pipeline share."""']
    imports = [d.text for d in layout.library if d.kind == IMPORT]
    if imports:
        parts.append("\n".join(dict.fromkeys(imports)))
    constants = [d.text for d in layout.library if d.kind not in (IMPORT, FUNCTION, CLASS)]
    if constants:
        parts.append("\n".join(constants))
    text = "\n\n".join(parts)
    for definition in layout.library:
        if definition.kind in (FUNCTION, CLASS):
            text += "\n\n\n" + definition.text
    return text + "\n"


def _code(cell_id: str, source: str, metadata: dict[str, Any]) -> Any:
    from nbformat import v4

    cell = v4.new_code_cell(source, metadata=metadata)  # type: ignore[no-untyped-call]
    cell["id"] = cell_id
    return cell


def _unique(event: CellEvent, used: set[str]) -> str:
    return free_id(event.cell_id or "", f"{event.seq}{event.source}", used)
