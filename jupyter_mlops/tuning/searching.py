"""``tune``: a search for the parameters with the best metric."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import ConflictError, ParameterError, UsageError
from ..model.ports import Search
from ..model.search import SAMPLERS, Dimension
from ..model.wiring import load_port
from ..pipelines import exit_code_of, sigterm_raises
from ..project import Project
from ..state import StateDB
from ..state.held import hold
from .axes import dimension_of
from .outcome import Combination, SweepOutcome
from .parent import ParentRun
from .running import Runs, at_once
from .sweeping import finish
from .target import Target, direction_of

__all__ = ["tune"]

_LEASE = 6.0  # seconds: as long whoever comes after a killed process waits at most
_STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STATES = {"finished": "kept", "failed": "failed"}


def tune(
    project: Project,
    config: Config,
    target: str | Path,
    space: Mapping[str, str | Sequence[Any]],
    *,
    metric: str,
    trials: int | None = None,
    direction: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    sampler: str = "tpe",
    seed: int | None = None,
    study: str | None = None,
    resume: bool = False,
    jobs: int | None = None,
    data: str = "auto",
    on_result: Callable[[Combination, int, int | None], None] | None = None,
) -> SweepOutcome:
    """Search ``space`` for the parameters with which ``target`` gets the best ``metric``.

    ``space`` maps parameters to choices, or to a text such as ``"log:1e-3:1e3"``, ``"1:10"`` or
    ``"rbf,linear"``.  ``trials`` runs are finished or have failed at the end, those of earlier
    calls included (``None``: a grid's own number, else 20); after ``timeout`` seconds no further
    one begins.  ``sampler`` is ``tpe``, ``random`` or ``grid``.  The study is kept in
    ``.mlops/tuning.db`` under the name ``study`` (the target's, if not given); ``resume`` goes on
    with it, also after the process was killed: what ran then runs again.

    Raises ``UsageError`` and its kind before anything is run, ``MissingDependencyError`` without
    Optuna, ``ConflictError`` where the study exists, or another process works on it; and
    ``UsageError`` when a run has finished without the metric.
    """
    began = time.monotonic()
    found = Target.find(project, target)
    given = found.check(dict(parameters or {}))
    dimensions = _dimensions(found, space, given)
    better = direction_of(metric, direction)
    name = study or found.name
    _check(sampler, name, trials)
    if trials is None:
        trials = None if sampler == "grid" else 20
    count = at_once(jobs, trials or _most(dimensions))
    about = {
        "target": project.relative(found.path),
        "metric": metric,
        "direction": better,
        "sampler": sampler,
        "space": [one.to_dict() for one in dimensions],
        "parameters": sorted(given),
    }
    open_search = load_port("search")
    project.create()
    state = StateDB(project)
    with sigterm_raises(), hold(state, f"tune:{name}", seconds=_LEASE, wait=2 * _LEASE) as lease:
        if lease is None:
            raise ConflictError(
                f"another process works on the study {name!r}", hint="Give another --study."
            )
        search: Search = open_search(
            project.state / "tuning.db", name, dimensions, direction=better, sampler=sampler,
            seed=seed, about=about, resume=resume, parallel=count > 1,
        )  # fmt: skip
        try:
            search.recover()
            parent = ParentRun(project, config, found, "tune", given, {"mlops.study": name})
            runs = Runs(project, found, given, parent.run_id, "tune", count, None, data)
            end = None if timeout is None else began + timeout
            going = _Search(search, runs, metric, trials, end, on_result)
            interrupted: int | None = None
            try:
                going.run()
            except KeyboardInterrupt as interrupt:
                interrupted = exit_code_of(interrupt)
            finally:
                search.recover()
            outcome = finish(
                parent, "tune", found, going.results, metric, better, began, interrupted, name
            )
        finally:
            search.close()
    if going.missing is not None:
        raise UsageError(
            f"a run finished without the metric {metric!r}",
            hint=f"Its metrics are: {', '.join(going.missing) or 'none'}.",
            run_id=outcome.run_id,
        )
    return outcome


class _Search:
    """A search that goes on; ``results`` has earlier trials, too."""

    def __init__(
        self,
        search: Search,
        runs: Runs,
        metric: str,
        trials: int | None,
        end: float | None,
        on_result: Callable[[Combination, int, int | None], None] | None,
    ) -> None:
        self.missing: list[str] | None = None
        self._search, self._runs, self._metric = search, runs, metric
        self._trials, self._end, self._on_result = trials, end, on_result
        self._asked = 0
        self.results: list[Combination] = []
        for trial in search.trials():
            if trial.state in _STATES:
                metrics = {} if trial.value is None else {metric: trial.value}
                state = _STATES[trial.state]
                self.results.append(Combination(trial.parameters, state, trial.run, metrics))
        self._before = len(self.results)

    def run(self) -> None:
        """Go on until there are enough trials."""
        for number, combination in self._runs.run(self._next):
            value = combination.metrics.get(self._metric)
            if combination.done and value is None and self.missing is None:
                self.missing = sorted(combination.metrics)
            finite = value if combination.done and value is not None and value == value else None
            metrics = json.dumps(combination.metrics)
            self._search.tell(number, finite, combination.run_id, metrics)
            self.results.append(combination)
            if self._on_result is not None:
                self._on_result(combination, len(self.results), self._trials)

    def _next(self) -> tuple[int, Mapping[str, Any]] | None:
        if self.missing is not None:
            return None
        if self._trials is not None and self._before + self._asked >= self._trials:
            return None
        if self._end is not None and time.monotonic() >= self._end:
            return None
        trial = self._search.ask()
        if trial is None:
            return None
        self._asked += 1
        return trial.number, trial.parameters


def _dimensions(
    target: Target, space: Mapping[str, str | Sequence[Any]], given: Mapping[str, Any]
) -> list[Dimension]:
    if not space:
        raise ParameterError(
            "there is nothing to search", hint="For example --space C=log:1e-3:1e3"
        )
    found = []
    for name, values in space.items():
        if name in given:
            raise ParameterError(
                f"{name!r} is given and searched", hint="Leave one of them away.", parameter=name
            )
        if isinstance(values, str):
            found.append(dimension_of(name, values, target.known(space), target.described))
        else:
            choices = tuple(target.check({name: one})[name] for one in values)
            found.append(Dimension(name, "choice", choices=choices))
    return found


def _most(dimensions: Sequence[Dimension]) -> int:
    size = 1
    for one in dimensions:
        size *= len(one.choices) if one.kind == "choice" else 100
    return size


def _check(sampler: str, study: str, trials: int | None) -> None:
    if sampler not in SAMPLERS:
        raise UsageError(f"there is no sampler {sampler!r}", hint=f"One of {', '.join(SAMPLERS)}.")
    if not _STUDY.fullmatch(study):
        raise UsageError(
            f"{study!r} cannot name a study", hint="Letters, digits, '.', '_' and '-'."
        )
    if trials is not None and trials < 1:
        raise UsageError(f"at least one trial must run, not {trials}")
