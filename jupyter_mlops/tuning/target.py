"""What a sweep or a search runs: a pipeline or a notebook, its parameters and its code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..model.pipeline import Parameter, Pipeline
from ..model.registry import key_metric, lower_is_better
from ..pipelines import check_parameters, declared_parameters, find_target, read_notebook
from ..project import Project
from .sharing import step_parameters

__all__ = ["Target", "direction_of", "first_metric", "metrics_of"]

_CODE = (".py", ".yaml", ".ipynb")


@dataclass(frozen=True, slots=True)
class Target:
    """``path`` is the folder of a pipeline or the notebook; ``typed`` whether parameters are known.

    ``shown`` is what a person calls it on a command line.
    """

    name: str
    path: Path
    shown: str
    parameters: tuple[Parameter, ...]
    pipeline: Pipeline | None = None
    typed: bool = True

    @classmethod
    def find(cls, project: Project, target: str | Path) -> Target:
        """Find it.  Raises like ``find_target``, ``NotebookError`` for a broken notebook."""
        found = find_target(project, target)
        if isinstance(found, Pipeline):
            return cls(found.name, Path(found.folder), str(target), found.parameters, found)
        declared = declared_parameters(read_notebook(found), project.relative(found))
        return cls(found.stem, found, str(target), declared.parameters, None, declared.readable)

    @property
    def described(self) -> str:
        """What it is called in messages."""
        return f"pipeline {self.name!r}" if self.pipeline else self.shown

    def known(self, names: Iterable[str]) -> Sequence[Parameter]:
        """Its parameters; in a language that is not read, whatever names are given."""
        return self.parameters if self.typed else [Parameter(name, None) for name in names]

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given values with their types.  Raises ``ParameterError``."""
        return check_parameters(self.known(given), given, of=self.described)

    def steps(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """Which of the parameters each step depends on; nothing for a notebook."""
        return step_parameters(self.pipeline, names) if self.pipeline else {}

    def fingerprint(self, *more: Any) -> str:
        """A digest of the code beside it and of ``more`` (JSON); outputs in notebooks don't count.

        Parameters given in ``more`` cannot be read from it.
        """
        digest = hashlib.blake2b(digest_size=16)
        folder = self.path if self.pipeline else self.path.parent
        files = [p for p in sorted(folder.iterdir()) if p.suffix in _CODE and p.is_file()]
        for path in files if self.pipeline else [p for p in files if p.suffix == ".py"]:
            digest.update(f"\0{path.name}\0".encode() + _code(path))
        if not self.pipeline:
            digest.update(_code(self.path))
        digest.update(json.dumps([str(self.path), *more], sort_keys=True, default=str).encode())
        return digest.hexdigest()


def metrics_of(outcome: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a run (``RunOutcome.to_dict``): its own, then those of its tracked cells."""
    found: dict[str, float] = {}
    for child in outcome.get("children", ()):
        found |= child["metrics"]
    found |= outcome.get("metrics", {})
    return found


def direction_of(metric: str | None, direction: str | None) -> str:
    """``higher`` or ``lower``, whichever is better: as given, else as the metric's name says.

    Raises ``UsageError`` for any other word.
    """
    if direction is not None:
        if direction not in ("higher", "lower"):
            raise UsageError(f"a metric is better higher or lower, not {direction!r}")
        return direction
    return "lower" if metric is not None and lower_is_better(metric) else "higher"


def first_metric(metrics: Mapping[str, float]) -> str | None:
    """The metric to judge by where none is named."""
    return key_metric(dict(metrics))


def _code(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".ipynb":
        return data
    try:
        cells = json.loads(data)["cells"]
        kept = [[cell["cell_type"], "".join(cell["source"]), cell["metadata"]] for cell in cells]
        return json.dumps(kept, sort_keys=True).encode()
    except (ValueError, KeyError, TypeError):
        return data
