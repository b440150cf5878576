"""The replay: the written pipeline runs in fresh kernels, and what it gives is compared."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..journal import default_redactor
from ..model.ports import CellProgress, NotebookExecutor
from ..project import Project
from .notebooks import write_notebook
from .step import Composed

__all__ = ["Difference", "Replay", "Replayer", "compare_metrics"]

_CHECK = """\
def _mlops_check():
    import types

    module = types.ModuleType("mlops_probe")
    with open({source}, encoding="utf-8") as file:
        exec(compile(file.read(), {source}, "exec"), module.__dict__)
    module.probe(globals(), {names}, {folder}, {report}, {pickle}, {tries})


_mlops_check()
del _mlops_check"""


_PRINTS = """\
def _mlops_prints():
    import json

    try:
        from jupyter_mlops.capture.fingerprints import Allowance, Fingerprints, Spent
    except ImportError:
        return
    prints = Fingerprints(globals(), Allowance({seconds}, {seconds}))
    found = {{}}
    for name in {names}:
        if name in globals():
            value = globals()[name]
            try:
                digits = prints.of(value).digits
            except Spent:
                digits = None
            found[name] = {{"digits": digits, "type": type(value).__name__}}
    with open({report}, "w", encoding="utf-8") as file:
        json.dump(found, file)


_mlops_prints()
del _mlops_prints"""
_PRINT_SECONDS = 10.0  # a cell: there is time, and somebody waits for the reason


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not what it was; ``None`` where a side has none.

    ``what`` is ``metric``, ``value`` (a target: digests), ``hand-off`` (a value that one step wrote
    and another did not get back) or ``model``.
    """

    metric: str
    tracked: Any
    replayed: Any
    what: str = "metric"

    def __str__(self) -> str:
        if self.what == "metric":
            tracked, replayed = _shown(self.tracked), _shown(self.replayed)
            return f"{self.metric}: tracked {tracked}, replayed {replayed}"
        if self.what == "hand-off":
            return f"{self.metric} does not come back from its file as it was written"
        if self.what == "model":
            return f"the model {self.metric} predicts otherwise: {self.replayed}"
        return f"{self.metric} is not what it was ({self.replayed})"


@dataclass(frozen=True, slots=True)
class Replay:
    """What one replay gave: ``error`` is set where a notebook did not run through.

    ``values`` says of each target what ``kernel_probe.probe`` does; ``model`` is the file of the
    model; ``step`` the one that failed; ``files`` what the steps wrote, as ``step.parameter``.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    shared: tuple[frozenset[str], ...] = ()
    model: Path | None = None
    error: dict[str, Any] | None = None
    seconds: float = 0.0
    step: str | None = None
    executed: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)


class Replayer:
    """Executes the steps of a pipeline that is being built, each in a fresh kernel.

    ``folder`` is where it is built, ``given`` values of parameters that differ from the defaults.
    """

    def __init__(
        self,
        project: Project,
        executor: NotebookExecutor,
        *,
        name: str,
        folder: Path,
        scratch: Path,
        kernel: str,
        given: Mapping[str, Any] | None = None,
        allow_pickle: bool = False,
        progress: Callable[[CellProgress], None] | None = None,
    ) -> None:
        self._project = project
        self._executor = executor
        self._name = name
        self._folder = folder
        self._scratch = scratch
        self._kernel = kernel
        self._given = dict(given or {})
        self._allow_pickle = allow_pickle
        self._progress = progress
        self._count = 0

    def run(self, steps: Sequence[Composed], targets: Sequence[str] = ()) -> Replay:
        """Replay the whole pipeline; say of ``targets`` what they are at its end."""
        place = self._place()
        files: dict[str, Path] = {}
        digests: dict[str, str | None] = {}
        broken: list[str] = []
        seconds = 0.0
        many = len(steps) > 1
        values: dict[str, dict[str, Any]] = {}
        executed: Path | None = None
        for number, step in enumerate(steps):
            own = place / step.name
            own.mkdir()
            last = number == len(steps) - 1
            files |= {f"{step.name}.{p}": own / file for p, file in step.outputs.items()}
            paths = {p: str(files[f"{step.name}.{p}"]) for p in step.outputs}
            paths |= {p: str(files[reference]) for p, reference in step.inputs.items()}
            document = self._copy(step.document)
            taken, left = own / "taken.json", own / "left.json"
            if step.inputs:
                at = _after(document, "mlops-inputs")
                self._check(document, at, list(step.reads.values()), own, taken)
            names = [v.variable for v in step.values.values()] if many else []
            names = list(dict.fromkeys([*names, *(targets if last else ())]))
            if names:
                self._check(document, len(document.cells), names, own, left)
            executed = self._scratch / f"{step.name}.ipynb"
            result = self._execute(document, own / "step.ipynb", executed, step, paths)
            seconds += result.seconds
            if result.status != "completed":
                error = result.error or {"ename": result.status, "evalue": ""}
                return Replay(error=error, seconds=seconds, step=step.name, executed=executed)
            for path, reference in zip(step.reads, step.inputs.values(), strict=True):
                found = _values(taken).get(step.reads[path], {}).get("digest")
                if found != digests.get(reference):
                    broken.append(step.reads[path])
            seen = _values(left)
            for parameter, value in step.values.items():
                digests[f"{step.name}.{parameter}"] = seen.get(value.variable, {}).get("digest")
            if last:
                values = {name: seen[name] for name in targets if name in seen}
        final = steps[-1]
        metrics = _metrics(files.get(f"{final.name}.{final.metrics}"))
        model = files.get(f"{final.name}.{final.model}")
        return Replay(
            metrics, values, tuple(broken), (), model, None, seconds, final.name, executed, files
        )

    def probe(self, step: Composed, at: Mapping[str, Sequence[str]]) -> tuple[Replay, list[Replay]]:
        """Replay one notebook of everything and try, before the cells whose ids are the keys of
        ``at`` (``""``: at the end), which of the variables can be handed over.

        Returns the replay, and one entry for each place with its values and what they share.
        """
        place = self._place()
        paths = {p: str(place / file) for p, file in step.outputs.items()}
        document = self._copy(step.document)
        reports: list[Path] = []
        for number, (cell_id, names) in enumerate(at.items()):
            folder = place / f"try{number}"
            folder.mkdir()
            reports.append(folder / "report.json")
            index = next(
                (i for i, c in enumerate(document.cells) if c.get("id") == cell_id and cell_id),
                len(document.cells),
            )
            self._check(document, index, list(names), folder, reports[-1], tries=True)
        executed = self._scratch / f"{step.name}.ipynb"
        result = self._execute(document, place / "step.ipynb", executed, step, paths)
        if result.status != "completed":
            error = result.error or {"ename": result.status, "evalue": ""}
            failed = Replay(error=error, seconds=result.seconds, step=step.name, executed=executed)
            return failed, []
        metrics = _metrics(place / step.outputs[step.metrics] if step.metrics else None)
        found = [Replay(values=_values(r), shared=_shared(r)) for r in reports]
        model = place / step.outputs[step.model] if step.model else None
        whole = Replay(metrics, {}, (), (), model, None, result.seconds, step.name, executed)
        return whole, found

    def trace(
        self, step: Composed, after: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Replay one notebook; say of variables what they are after the cells with these ids.

        Each has ``digits``, the fingerprint that capture takes (``None`` where none can be), and
        ``type``; cells that were not reached are missing.
        """
        from nbformat import v4

        place = self._place()
        document = self._copy(step.document)
        reports: dict[str, Path] = {}
        for number, (cell_id, names) in enumerate(after.items()):
            reports[cell_id] = place / f"prints{number}.json"
            source = _PRINTS.format(
                names=list(names), report=repr(str(reports[cell_id])), seconds=_PRINT_SECONDS
            )
            cell = v4.new_code_cell(source)  # type: ignore[no-untyped-call]
            cell["id"] = f"mlops-prints-{number}"
            document.cells.insert(_after(document, cell_id), cell)
        paths = {p: str(place / file) for p, file in step.outputs.items()}
        self._execute(document, place / "step.ipynb", place / "executed.ipynb", step, paths)
        return {
            cell_id: json.loads(report.read_text(encoding="utf-8"))
            for cell_id, report in reports.items()
            if report.is_file()
        }

    def _place(self) -> Path:
        self._count += 1
        place = self._scratch / f"replay{self._count}"
        place.mkdir()
        return place

    def _copy(self, document: Any) -> Any:
        """The notebook with ``lib.py`` where it is built rather than where it will be."""
        made = copy.deepcopy(document)
        for cell in made.cells:
            if cell.get("id") == "mlops-workdir":
                place = f"pipelines/{self._folder.name}"
                cell.source = cell.source.replace(f'"pipelines/{self._name}"', f'"{place}"')
        return made

    def _check(
        self,
        document: Any,
        index: int,
        names: list[str],
        folder: Path,
        report: Path,
        *,
        tries: bool = False,
    ) -> None:
        from nbformat import v4

        source = _CHECK.format(
            source=repr(str(Path(__file__).with_name("kernel_probe.py"))),
            names=names,
            folder=repr(str(folder)),
            report=repr(str(report)),
            pickle=self._allow_pickle,
            tries=tries,
        )
        cell = v4.new_code_cell(source)  # type: ignore[no-untyped-call]
        cell["id"] = f"mlops-check-{index}"
        document.cells.insert(index, cell)

    def _execute(
        self, document: Any, path: Path, executed: Path, step: Composed, paths: dict[str, str]
    ) -> Any:
        write_notebook(document, path)
        given = {n: v for n, v in self._given.items() if n in step.parameters}
        return self._executor.execute(
            path,
            executed,
            given | paths,
            kernel=self._kernel,
            cwd=self._project.root,
            env={"JUPYTER_MLOPS_AGENT": "off"},
            progress=self._progress,
            clean=default_redactor().redact_notebook,
        )


def compare_metrics(
    tracked: Mapping[str, float], found: Mapping[str, float]
) -> tuple[Difference, ...]:
    """Return the metrics that are not exactly the same; NaN equals NaN."""
    names = list(dict.fromkeys([*tracked, *found]))
    return tuple(
        Difference(name, tracked.get(name), found.get(name))
        for name in names
        if not _same(tracked.get(name), found.get(name))
    )


def _after(document: Any, cell_id: str) -> int:
    return next(i for i, c in enumerate(document.cells) if c.get("id") == cell_id) + 1


def _metrics(path: Path | None) -> dict[str, float]:
    if path is None or not path.is_file():
        return {}
    return {k: float(v) for k, v in json.loads(path.read_text(encoding="utf-8")).items()}


def _values(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    values: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["values"]
    return values


def _shared(path: Path) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(g) for g in json.loads(path.read_text(encoding="utf-8"))["shared"])


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return False
    return a == b or (math.isnan(a) and math.isnan(b))


def _shown(value: float | None) -> str:
    return "nothing" if value is None else repr(value)
