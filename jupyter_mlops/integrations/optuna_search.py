"""The port ``search``: Optuna's studies, in an SQLite file."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ..errors import ConflictError, CorruptError, MissingDependencyError, NotFoundError, UsageError
from ..model.search import Dimension, Trial

__all__ = ["OptunaSearch", "open_search"]

_ABOUT = "mlops"  # the study's attribute: what it searches
_LOST = "mlops.lost"
_RUN = "mlops.run"
_METRICS = "mlops.metrics"
_MOST = 10_000  # points of a grid


def open_search(
    path: Path,
    study: str,
    space: Sequence[Dimension],
    *,
    direction: str,
    sampler: str,
    seed: int | None,
    about: Mapping[str, Any],
    resume: bool,
    parallel: bool,
) -> OptunaSearch:
    """Open the study of this name in the file at ``path``, or make it.

    ``about`` says what is searched: with ``resume`` it must be what the study was made with.
    Raises ``MissingDependencyError`` without optuna, ``ConflictError`` for a study that exists,
    unless ``resume``, ``NotFoundError`` for one that does not, ``UsageError`` for another search
    of the same name or a grid without steps, ``CorruptError`` for a file that is no database.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingDependencyError(
            "tuning needs optuna, which is not installed here",
            hint=f"{sys.executable} -m pip install 'jupyter-mlops[tune]'",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    grid = _grid(space) if sampler == "grid" else None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _quiet():
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 30}}
            )
            known = {one.study_name for one in optuna.get_all_study_summaries(storage)}
        except Exception as error:  # SQLAlchemy's, by way of Optuna's own
            raise CorruptError(f"{path} cannot be used as a study: {error}"[:300]) from error
        _check_name(study, known, resume)
        opened = optuna.create_study(
            storage=storage,
            study_name=study,
            sampler=_sampler(sampler, seed, parallel),
            pruner=optuna.pruners.NopPruner(),
            direction="minimize" if direction == "lower" else "maximize",
            load_if_exists=resume,
        )
        search = OptunaSearch(opened, storage, space, None if grid is None else len(grid))
        before = opened.user_attrs.get(_ABOUT)
        if before is None:
            opened.set_user_attr(_ABOUT, dict(about))
        elif before != dict(about):
            search.close()
            changed = [name for name in about if before.get(name) != about[name]]
            raise UsageError(
                f"the study {study!r} searches something else: {', '.join(changed)} differ",
                hint="Give the same options, or --study another name.",
            )
        for point in grid or ():
            opened.enqueue_trial(point, skip_if_exists=True)
    return search


class OptunaSearch:
    """A study; see ``model.ports.Search``."""

    def __init__(
        self, study: Any, storage: Any, space: Sequence[Dimension], points: int | None
    ) -> None:
        self._study = study
        self._storage = storage
        self._space = space
        self._points = points

    def ask(self) -> Trial | None:
        """Begin the next trial; ``None`` when a grid has been tried."""
        with _quiet():
            if self._points is not None and not self._waiting():
                return None
            trial = self._study.ask()
            values = {one.name: _suggest(trial, one) for one in self._space}
        return Trial(trial.number, values)

    def tell(self, number: int, value: float | None, run: str | None, metrics: str = "") -> None:
        """Record how a trial ended."""
        import optuna

        trial = self._frozen(number)
        for name, attribute in ((_RUN, run), (_METRICS, metrics)):
            if attribute:
                self._storage.set_trial_user_attr(trial._trial_id, name, attribute)
        failed = optuna.trial.TrialState.FAIL if value is None else None
        with _quiet():
            self._study.tell(number, value, state=failed)

    def recover(self) -> int:
        """Mark running trials as lost and queue their parameters again."""
        import optuna

        running = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        for trial in running:
            self._storage.set_trial_user_attr(trial._trial_id, _LOST, True)
            with _quiet():
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                if len(trial.params) == len(self._space):
                    self._study.enqueue_trial(trial.params)
                elif self._points is not None:  # of a grid, before it was asked for its values
                    self._study.enqueue_trial(trial.system_attrs.get("fixed_params", {}))
        return len(running)

    def trials(self) -> list[Trial]:
        """All that have begun."""
        return [
            self._trial(one)
            for one in self._study.get_trials(deepcopy=False)
            if one.state.name != "WAITING"
        ]

    def metrics(self, number: int) -> str:
        """The JSON that was told with a trial."""
        return str(self._frozen(number).user_attrs.get(_METRICS, ""))

    def close(self) -> None:
        """Close the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _trial(self, frozen: Any) -> Trial:
        values = {
            one.name: _value(one, frozen.params[one.name])
            for one in self._space
            if one.name in frozen.params
        }
        state = {"COMPLETE": "finished", "RUNNING": "running"}.get(frozen.state.name, "failed")
        if frozen.user_attrs.get(_LOST):
            state = "lost"
        run = frozen.user_attrs.get(_RUN)
        return Trial(frozen.number, values, state, frozen.value, run)

    def _frozen(self, number: int) -> Any:
        return self._study.get_trials(deepcopy=False)[number]

    def _waiting(self) -> bool:
        return any(one.state.name == "WAITING" for one in self._study.get_trials(deepcopy=False))


def _check_name(study: str, known: set[str], resume: bool) -> None:
    if study in known and not resume:
        raise ConflictError(
            f"there is a study {study!r} already",
            hint="--resume goes on with it; --study NAME begins another.",
            study=study,
        )
    if resume and study not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise NotFoundError(
            f"there is no study {study!r} to resume", hint=f"The studies are: {listed}."
        )


def _sampler(name: str, seed: int | None, parallel: bool) -> Any:
    import optuna

    if name == "tpe":
        # In parallel, trials under way count as bad ones: others then look elsewhere.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=parallel)
    return optuna.samplers.RandomSampler(seed=seed)


def _suggest(trial: Any, one: Dimension) -> Any:
    if one.kind == "choice":
        return _value(one, trial.suggest_categorical(one.name, _labels(one)))
    if one.kind == "int":
        low, high, step = int(one.low), int(one.high), int(one.step or 1)
        return trial.suggest_int(one.name, low, high, step=step, log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, step=one.step, log=one.log)


def _value(one: Dimension, chosen: Any) -> Any:
    return one.choices[_labels(one).index(chosen)] if one.kind == "choice" else chosen


def _labels(one: Dimension) -> list[str]:
    """Choices as Optuna stores them: texts, each once, whatever the values are."""
    plain = all(isinstance(choice, str) for choice in one.choices)
    return [choice if plain else json.dumps(choice) for choice in one.choices]


def _grid(space: Sequence[Dimension]) -> list[dict[str, Any]]:
    axes: list[list[Any]] = []
    for one in space:
        if one.kind == "choice":
            axes.append(list(_labels(one)))
        elif one.log or (one.kind == "float" and one.step is None):
            raise UsageError(
                f"a grid needs a step for {one.name}",
                hint=f"For example --space {one.name}={one.low:g}:{one.high:g}:"
                f"{(one.high - one.low) / 4:g}, or another --sampler.",
            )
        else:
            step = one.step or 1.0
            count = int((one.high - one.low) / step + 1e-9) + 1
            points = [one.low + step * place for place in range(min(count, _MOST + 1))]
            axes.append([int(point) if one.kind == "int" else point for point in points])
    size = 1
    for axis in axes:
        size *= len(axis)
    if size > _MOST:
        raise UsageError(f"a grid of {size} points is more than {_MOST}")
    names = [one.name for one in space]
    return [dict(zip(names, point, strict=True)) for point in product(*axes)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings of what is experimental in it, and of steps that don't divide."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
