"""A run as reports show it: steps, cells, plots, data, code.  Plain data, to JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

__all__ = [
    "VERSION",
    "CellReport",
    "DataReport",
    "ImageReport",
    "RunReport",
    "Spread",
    "StepReport",
    "read_reports",
    "write_reports",
]

VERSION = 1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CellReport:
    """A code cell of an executed notebook.

    ``number`` counts the cells that run, from 1 (as in ``In [1]``), and is 0 for one that is left
    out; ``index`` is its place in the notebook that was given, from 0, ``None`` for the injected
    parameters.  ``state`` as in the executed notebook's metadata; ``seconds`` wall time, ``cpu``
    seconds, ``peak_memory`` bytes.  ``error`` has ``ename``, ``evalue``, ``traceback``, ``lineno``;
    ``output`` are the last lines that a failed cell printed.
    """

    number: int
    index: int | None
    cell_id: str
    title: str
    state: str
    seconds: float = 0.0
    cpu: float = 0.0
    peak_memory: int = 0
    source: str = ""
    error: dict[str, Any] | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class ImageReport:
    """A plot that a cell showed: ``file`` is its name, below the report's folder."""

    step: str
    cell: int
    title: str
    file: str


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step and its cells; ``notebook`` is relative to the project's root, with ``/``."""

    name: str
    notebook: str
    status: str
    seconds: float = 0.0
    attempts: int = 0
    error: dict[str, Any] | None = None
    cells: tuple[CellReport, ...] = ()
    images: tuple[ImageReport, ...] = ()


@dataclass(frozen=True, slots=True)
class DataReport:
    """What a run read.  ``rows``, ``columns`` (name to type) and ``size`` (bytes) where known."""

    name: str
    source: str
    digest: str | None = None
    snapshot: str | None = None
    rows: int | None = None
    columns: dict[str, str] | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """What a metric was in several runs of the same: ``source`` is ``proof`` or ``repeats``."""

    values: tuple[float, ...]
    source: str = "repeats"


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run as its reports show it.

    ``status`` and ``exit_code`` as in the outcome; ``started`` is a moment in ISO 8601;
    ``spreads`` are what metrics differ by from run to run; ``gates`` the verdicts of the policy,
    ``proof`` how the run compares with the pipeline's proof (``verdict`` and ``reasons``);
    ``texts`` the pipeline's other files, by name; ``command`` runs it again.
    """

    name: str
    kind: str
    run_id: str
    status: str
    exit_code: int
    seconds: float
    started: str = ""
    commit: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    steps: tuple[StepReport, ...] = ()
    data: tuple[DataReport, ...] = ()
    gates: tuple[dict[str, Any], ...] = ()
    proof: dict[str, Any] | None = None
    texts: dict[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def images(self) -> tuple[ImageReport, ...]:
        """The plots of all steps."""
        return tuple(image for step in self.steps for image in step.images)

    @property
    def good(self) -> bool:
        """Whether the run finished, is what its proof says, and no gate said no."""
        differs = self.proof is not None and self.proof.get("verdict") == "differs"
        refused = any(not gate["passed"] for gate in self.gates)
        return self.exit_code == 0 and not differs and not refused


def write_reports(runs: tuple[RunReport, ...] | list[RunReport]) -> dict[str, Any]:
    """The content of ``report.json``: strict JSON, in which NaN and infinity are texts."""
    return {"version": VERSION, "runs": [_finite(asdict(run)) for run in runs]}


def read_reports(data: Any) -> list[RunReport]:
    """The runs in a ``report.json``; ``ValueError`` says what it is instead.

    Keys that are not known here are left out: a later version may have added them.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("runs"), list):
        raise ValueError("it has no runs")
    if data.get("version") != VERSION:
        raise ValueError(f"its version is {data.get('version')!r}, and this reads {VERSION}")
    try:
        return [_run(entry) for entry in data["runs"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a run in it is not complete: {error}") from error


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _run(data: Mapping[str, Any]) -> RunReport:
    made = dict(data)
    made["steps"] = tuple(_step(step) for step in data.get("steps", ()))
    made["data"] = tuple(_known(DataReport, entry) for entry in data.get("data", ()))
    made["spreads"] = {
        name: Spread(tuple(map(float, entry["values"])), entry.get("source", "repeats"))
        for name, entry in data.get("spreads", {}).items()
    }
    for key in ("warnings", "versions", "gates"):
        made[key] = tuple(data.get(key, ()))
    made["metrics"] = {name: float(value) for name, value in data.get("metrics", {}).items()}
    return _known(RunReport, made)


def _step(data: Mapping[str, Any]) -> StepReport:
    made = dict(data)
    made["cells"] = tuple(_known(CellReport, cell) for cell in data.get("cells", ()))
    made["images"] = tuple(_known(ImageReport, image) for image in data.get("images", ()))
    return _known(StepReport, made)


def _known(kind: type[_T], data: Mapping[str, Any]) -> _T:
    names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    return kind(**{key: value for key, value in data.items() if key in names})
