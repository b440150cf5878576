"""``sweep``: a pipeline or a notebook, once for each combination of parameters."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import ParameterError
from ..pipelines import exit_code_of, sigterm_raises
from ..project import Project
from .axes import MOST, axis_values, grid
from .outcome import Combination, SweepOutcome
from .parent import ParentRun, finished_before, forget_finished, note_finished
from .running import Runs, at_once
from .sharing import Order
from .target import Target, direction_of, first_metric

__all__ = ["finish", "plan_sweep", "sweep"]


def plan_sweep(
    target: Target,
    axes: Mapping[str, str | Sequence[Any]],
    combinations: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """All combinations of ``axes`` (texts as ``--sweep`` takes them, or values), checked.

    Each of ``combinations`` is combined with each of these.  Raises ``ParameterError``.
    """
    values = {
        name: axis_values(name, given, target.known(axes), target.described)
        if isinstance(given, str)
        else [target.check({name: one})[name] for one in given]
        for name, given in axes.items()
    }
    for name, found in values.items():
        if not found:
            raise ParameterError(f"{name} has no values to try", parameter=name)
    given = [target.check(one) for one in combinations] or [{}]
    twice = [name for one in given for name in one if name in axes]
    if twice:
        raise ParameterError(
            f"{twice[0]!r} is in the file of combinations and in --sweep", parameter=twice[0]
        )
    product = grid(values)
    if len(given) * len(product) > MOST:
        raise ParameterError(f"{len(given) * len(product)} combinations are more than {MOST}")
    planned: dict[str, dict[str, Any]] = {}
    for one in given:
        for two in product:
            planned.setdefault(_key(one | two), one | two)
    return list(planned.values())


def sweep(
    project: Project,
    config: Config,
    target: str | Path,
    axes: Mapping[str, str | Sequence[Any]],
    parameters: Mapping[str, Any] | None = None,
    *,
    combinations: Sequence[Mapping[str, Any]] = (),
    metric: str | None = None,
    direction: str | None = None,
    jobs: int | None = None,
    resume: bool = False,
    timeout: float | None = None,
    data: str = "auto",
    on_result: Callable[[Combination, int, int], None] | None = None,
) -> SweepOutcome:
    """Run ``target`` for every combination, each as a run nested in one of the sweep.

    ``axes`` maps parameters to their values, or to a text such as ``"0.1,1,10"`` or
    ``"log:1e-4:1:5"``; ``combinations`` are given as they are, each with all of ``axes``;
    ``parameters`` hold for all.  ``jobs`` run at once, each in a process of its own; ``timeout`` is
    in seconds for each run.  A combination that fails does not stop the others.  ``resume`` takes
    over what an earlier sweep with the same code and the same ``parameters`` has finished.
    ``metric`` and ``direction`` (``higher``, ``lower``) say which one is best.  No model versions
    are made.  ``on_result`` gets each combination with how many have ended, of how many.

    Raises ``UsageError`` and its kind before anything is run.
    """
    began = time.monotonic()
    found = Target.find(project, target)
    planned = plan_sweep(found, axes, combinations)
    given = found.check(dict(parameters or {}))
    doubled = [name for name in given if any(name in one for one in planned)]
    if doubled:
        raise ParameterError(
            f"{doubled[0]!r} is given and swept", hint="Leave one of them away.",
            parameter=doubled[0],
        )  # fmt: skip
    direction_of(metric, direction)  # a wrong word is said before anything runs
    count = at_once(jobs, len(planned))
    key = found.fingerprint(given, data)
    before = finished_before(project, key) if resume else {}
    if not resume:
        forget_finished(project, key)
    results = [Combination(one) for one in planned]
    order = Order(planned, found.steps({name for one in planned for name in one}))
    ended = 0

    def tell(place: int, combination: Combination) -> None:
        nonlocal ended
        results[place] = combination
        ended += 1
        if on_result is not None:
            on_result(combination, ended, len(planned))

    interrupted: int | None = None
    with sigterm_raises():
        parent = ParentRun(project, config, found, "sweep", given, {})
        runs = Runs(project, found, given, parent.run_id, "sweep", count, timeout, data)
        try:
            for place, one in enumerate(planned):
                kept = before.get(_key(one))
                if kept is not None:
                    order.skip(place)
                    tell(place, Combination(**(kept | {"parameters": one, "state": "kept"})))

            def next_one() -> tuple[int, Mapping[str, Any]] | None:
                place = order.next()
                return None if place is None else (place, planned[place])

            for place, combination in runs.run(next_one):
                order.ended(place)
                if combination.done:
                    note_finished(project, key, _key(planned[place]), combination)
                tell(place, combination)
        except KeyboardInterrupt as interrupt:
            interrupted = exit_code_of(interrupt)
        return finish(parent, "sweep", found, results, metric, direction, began, interrupted)


def finish(
    parent: ParentRun,
    kind: str,
    target: Target,
    results: Sequence[Combination],
    metric: str | None,
    direction: str | None,
    began: float,
    interrupted: int | None,
    study: str | None = None,
) -> SweepOutcome:
    """Close the run of a sweep or a search and say how it went."""
    if metric is None:
        metric = next((first_metric(one.metrics) for one in results if one.done), None)
    failed = any(not one.done for one in results)
    if kind == "tune":
        failed = not any(one.done for one in results)
    status = "FAILED" if failed else "FINISHED"
    outcome = SweepOutcome(
        run_id=parent.run_id,
        kind=kind,
        target=target.shown,
        status="KILLED" if interrupted is not None else status,
        exit_code=interrupted if interrupted is not None else int(failed),
        seconds=0.0,
        metric=metric,
        direction=direction_of(metric, direction),
        combinations=tuple(results),
        study=study,
    )
    delivered, warnings = parent.finish(outcome.status, results, outcome.best)
    seconds = time.monotonic() - began
    return replace(outcome, seconds=seconds, delivered=delivered, warnings=warnings)


def _key(parameters: Mapping[str, Any]) -> str:
    text = json.dumps(parameters, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
