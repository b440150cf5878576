"""The key of a step: everything that is known before it runs and decides what it makes.

The parts are kept beside the result, so that a miss can say which of them is another one.  Values
of parameters and variables are in them as keyed digests only.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from ...capture.redact import redact
from ...journal import default_redactor
from ...model.secret import Secret
from ...project import Project
from ..planned import PlannedStep
from .code import Cell, read_cells
from .digests import file_digest
from .environment import environment_of, kernel_of, variables_of
from .findings import Findings, Source
from .hazards import address_in, find_hazards, refer_to_secret
from .modules import find_helpers

__all__ = ["FORMAT", "StepKey", "step_key"]

FORMAT = 1
_GLOB = frozenset("*?[")
_MOST_FILES = 500  # that one pattern names
_SOURCE = 4000  # characters of a cell, to tell which line changed
_SHOWN = 80  # characters of a value in an explanation


@dataclass(slots=True)
class StepKey:
    """``digest`` is 64 hex digits of ``parts``; ``shown`` are parameters as they may be shown.

    ``titles`` has each cell's number, first line and source, without secrets.
    ``findings.reasons`` say why no result may be kept.  ``missing`` are paths that literals and
    parameters name and that are not there, ``folders`` those that are folders elsewhere.
    """

    digest: str
    parts: dict[str, Any]
    shown: dict[str, str]
    titles: list[list[Any]]
    cells: list[Cell]
    findings: Findings
    missing: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    @property
    def refused(self) -> list[str]:
        """Why no result of the step is ever kept."""
        return self.findings.reasons


def step_key(project: Project, pipeline: str, step: PlannedStep, secret: bytes) -> StepKey:
    """The key of ``step``, whose inputs exist; ``secret`` (32 bytes) keys digests of values.

    Raises ``OSError``, ``ValueError`` or ``KeyError`` where something cannot be read.
    """
    notebook = json.loads(step.notebook.read_text(encoding="utf-8"))
    environment = {**os.environ, **step.env}
    cells = read_cells(notebook)
    own = {
        name: value
        for name, value in step.parameters.items()
        if name not in step.outputs and name not in step.inputs
    }
    findings = Findings()
    sources = []
    for at, cell in enumerate(cells):
        for magic in cell.strange:
            findings.refuse(f"cell {cell.number} uses {magic}, which cannot be followed")
        if cell.tree is None:
            findings.refuse(f"cell {cell.number} is not Python that can be read")
        else:
            sources.append(Source(f"cell {cell.number}", cell.tree, at))
    stable_hash = environment.get("PYTHONHASHSEED", "random") not in ("", "random")
    find_hazards(sources, findings, hash_seed=stable_hash)
    roots = [step.cwd, step.notebook.parent, project.root]
    texts = _Texts(roots, project)
    named = _folders(findings.texts, roots, environment)
    helpers = find_helpers(findings.imports, [*roots, *named])
    modules = {project.relative(path): helper for path, helper in helpers.items()}
    outside = [helper.source(name) for name, helper in modules.items() if not _is_ours(name)]
    find_hazards([one for one in outside if one is not None], findings, hash_seed=stable_hash)
    for text in findings.texts:
        texts.add(text)
    for text in _strings(own):
        refer_to_secret(text, findings)
        scheme = address_in(text)
        if scheme is not None:
            findings.refuse(f"a parameter names an address ({scheme}://...)")
        elif text.startswith("snapshot://"):
            findings.loads = True
        else:
            texts.add(text)
    name = step.kernel or notebook["metadata"].get("kernelspec", {}).get("name") or "python3"
    kernel = kernel_of(name)
    if kernel.reason is not None:
        findings.refuse(kernel.reason)
    environment.update({k: v for k, v in kernel.env.items() if isinstance(v, str)})
    variables = variables_of(environment, findings.variables)
    absent = sorted(findings.variables - variables.keys())
    parts: dict[str, Any] = {
        "format": FORMAT,
        "pipeline": pipeline,
        "step": step.name,
        "folder": str(step.cwd),
        "notebook": project.relative(step.notebook),
        "cells": [cell.digest for cell in cells],
        "modules": {name: helper.digest for name, helper in sorted(modules.items())},
        "parameters": {name: _keyed(value, secret) for name, value in sorted(own.items())},
        "inputs": {name: [p.name, file_digest(p)] for name, p in sorted(step.inputs.items())},
        "outputs": {name: p.name for name, p in sorted(step.outputs.items())},
        "files": texts.files,
        "environment": environment_of(kernel, environment, step.cwd),
        "variables": {
            **{name: _keyed(value, secret) for name, value in sorted(variables.items())},
            **dict.fromkeys(absent, None),
        },
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return StepKey(
        digest=blake3(text.encode("utf-8", "surrogatepass")).hexdigest(),
        parts=parts,
        shown={name: _shown(name, value) for name, value in own.items()},
        titles=[[cell.number, *_redacted(cell.title, cell.source[:_SOURCE])] for cell in cells],
        cells=cells,
        findings=findings,
        missing=texts.missing,
        folders=texts.folders,
    )


class _Texts:
    """Texts that name files: the files are a part of the key, whoever opens them."""

    def __init__(self, roots: Iterable[Path], project: Project) -> None:
        self._roots = list(dict.fromkeys(map(str, roots)))
        self._project = project
        self.files: dict[str, str] = {}
        self.missing: set[str] = set()
        self.folders: set[str] = set()

    def add(self, text: str) -> None:
        if not text or "\0" in text or len(text) > 4096:
            return
        try:
            for path in self._places(text):
                self._add(path, text)
        except (OSError, ValueError):
            return  # no path

    def _places(self, text: str) -> list[str]:
        text = os.path.expanduser(text)
        if os.path.isabs(text):
            return [os.path.normpath(text)]
        return list(dict.fromkeys(os.path.normpath(os.path.join(r, text)) for r in self._roots))

    def _add(self, path: str, text: str) -> None:
        if _GLOB & set(text) and (os.sep in text or "." in text):
            for found in sorted(glob.glob(path))[:_MOST_FILES]:
                if os.path.isfile(found):
                    self.files[found] = file_digest(found)
        if os.path.isfile(path):
            self.files[path] = file_digest(path)
        elif os.path.isdir(path):
            if not Path(path).is_relative_to(self._project.root):
                self.folders.add(path)
        elif os.sep in text or "." in text[1:]:
            self.missing.add(path)


def _folders(
    texts: Iterable[str], roots: Iterable[Path], variables: Mapping[str, str]
) -> list[Path]:
    """Folders that literals and PYTHONPATH name: modules may be imported from them."""
    named = [Path(one) for one in variables.get("PYTHONPATH", "").split(os.pathsep) if one]
    found = dict.fromkeys(one for one in named if one.is_dir())
    for text in sorted(texts):
        if not text.strip("/. ") or len(text) > 1000:
            continue
        try:
            for root in roots:
                folder = root / os.path.expanduser(text)
                if folder.is_dir():
                    found[folder.resolve()] = None
        except (OSError, ValueError):
            continue
    return list(found)


def _is_ours(name: str) -> bool:
    """Whether a module is one of this package, which is installed where it is not worked on."""
    return Path(__file__).parents[2] in (Path(name), *Path(name).parents)


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, os.PathLike):
        yield os.fsdecode(value)


def _keyed(value: Any, secret: bytes) -> str:
    text = json.dumps([type(value).__name__, value], sort_keys=True, default=_revealed)
    return blake3(text.encode("utf-8", "surrogatepass"), key=secret).hexdigest()[:32]


def _revealed(value: Any) -> str:
    """What JSON does not know, as a text; it goes into a keyed digest only."""
    return f"secret {value.reveal()}" if isinstance(value, Secret) else repr(value)


def _redacted(*texts: str) -> list[str]:
    redactor = default_redactor()
    return [redactor.redact_text(text) for text in texts]


def _shown(name: str, value: Any) -> str:
    text = default_redactor().redact_text(repr(redact(name, value)))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
