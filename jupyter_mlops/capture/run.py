"""What one tracked cell becomes: parameters, metrics, models and tags, as a ``RunRecord``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..model.events import CellEvent, ModelRecord, RunRecord, RunStarted
from .cellcode import CellCode, read_names, same_literal
from .estimators import Found, choose, example, find_estimators, is_predictor
from .history import History
from .hyperparameters import hyperparameters
from .metrics import evaluate, last_value, metrics
from .model_kinds import flavor_of
from .options import TrackOptions
from .redact import redact
from .runlog import RunLog, plain_value
from .seen import Seen
from .spool import left_out

__all__ = ["TrackedCell", "build_run", "parameters", "run_name", "source_tags"]

T = TypeVar("T")
# A found model, its example's name and its example -> the record of the stored bytes.
Keep = Callable[[Found, str | None, Any], ModelRecord]


@dataclass(frozen=True, slots=True)
class TrackedCell:
    """A tracked cell that has ended, with everything that a run is made from.

    ``python`` is the cell as Python, ``stamps`` the marks of the estimators that were there before
    it (see ``estimators.stamps``), ``value`` that of its last expression, ``log`` what it was told
    while it ran and ``seen`` what was watched meanwhile.  A block or a function under ``track`` is
    described in the same way; its event is no cell's and ``seq`` is then 0.
    """

    started: RunStarted
    event: CellEvent
    options: TrackOptions
    python: str
    code: CellCode | None
    namespace: Mapping[str, Any]
    stamps: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    value: Any = None
    log: RunLog | None = None
    seen: Seen | None = None
    fits: tuple[Found, ...] | None = None


def build_run(cell: TrackedCell, history: History, keep: Keep | None, *, why_not: str) -> RunRecord:
    """Return the record of the run.

    ``keep`` stores a model; without it each model is named with the reason ``why_not``.  A part
    that cannot be read is a warning, a model that cannot be written has the reason: the rest of the
    run must not be lost with it.
    """
    options, event = cell.options, cell.event
    namespace, code, seen = cell.namespace, cell.code, cell.seen or Seen()
    warnings = [*cell.warnings, *seen.warnings]
    log = cell.log
    if log is not None:
        warnings += log.problems

    def part(name: str, make: Callable[[], T], otherwise: T) -> T:
        # The person's objects do what they like when they are looked at: one part of the run may
        # fail without the others.
        try:
            return make()
        except Exception as error:
            warnings.append(f"the {name} were not recorded: {type(error).__name__}: {error}")
            return otherwise

    read = part("names it reads", lambda: read_names(cell.python, namespace), set[str]())
    nothing: tuple[Found, ...] = ()
    found = cell.fits
    if found is None:
        found = part(
            "models", lambda: find_estimators(namespace, event.bound, code, cell.stamps), nothing
        )
    if log is not None and log.models:
        known = {id(item.model) for item in found}
        more = part("models", lambda: _given(log.models, warnings), nothing)
        found += tuple(item for item in more if id(item.model) not in known)
    models = tuple(_model(item, cell, read, keep, why_not) for item in found)
    register, chosen = _registration(options, event.status, found, models, warnings)
    status = {"ok": "FINISHED", "interrupted": "KILLED"}.get(event.status, "FAILED")
    params: dict[str, Any] = part(
        "parameters", lambda: parameters(code, read, event.bound, namespace, history), {}
    )
    params |= _asked_for(options, namespace, warnings)
    values: dict[str, float] = part("metrics", lambda: _metrics(cell, warnings), {})
    if log is not None:
        params |= log.params
        values |= log.last()
    tags = dict(cell.tags) | (log.tags if log is not None else {})
    return RunRecord(
        run_id=cell.started.run_id,
        session=cell.started.session,
        name=cell.started.name,
        status=status,
        started=event.started,
        ended=event.ended,
        kind=cell.started.kind,
        seq=event.seq or None,
        experiment=options.experiment,
        notebook=cell.started.notebook,
        parent=cell.started.parent,
        source=event.source,
        params={**params, **seen.params},
        metrics={**values, **seen.metrics},
        tags=tags | {k: str(redact(k, v)) for k, v in options.tags.items()},
        models=models,
        files=(*seen.files, *(log.files if log is not None else ())),
        register=register,
        register_model=chosen,
        git_commit=seen.git_commit or cell.tags.get("mlflow.source.git.commit"),
        error=event.error,
        warnings=tuple(dict.fromkeys(warnings)),
        hyperparameters=part("hyperparameters", lambda: hyperparameters(found), {}),
        series=dict(log.series) if log is not None else {},
        inputs=seen.inputs,
        environment=seen.environment.digest if seen.environment is not None else None,
        git_branch=seen.git_branch,
        git_dirty=seen.git_dirty,
        modules=dict(seen.modules),
        seeds=dict(seen.seeds),
        resources=dict(seen.resources),
        left_out=dict(seen.left_out),
        adopted=seen.adopted,
        cell_id=event.cell_id,
    )


def _given(models: Mapping[str, Any], warnings: list[str]) -> tuple[Found, ...]:
    """The models that ``track.model`` was given."""
    found = []
    for name, model in models.items():
        flavor = flavor_of(model)
        if flavor is None:
            kind = type(model).__name__
            warnings.append(f"track.model {name}: {kind} is no model, it has no fit and predict")
        else:
            found.append(Found(name, model, is_predictor(model), flavor=flavor))
    return tuple(found)


def _metrics(cell: TrackedCell, warnings: list[str]) -> dict[str, float]:
    """What the cell computed: its last expression, what it bound, what ``--metric`` asks for."""
    found: dict[str, float] = {}
    if cell.code is not None:
        found |= last_value(cell.code.last, cell.value)
    found |= metrics(cell.event.bound, cell.namespace, cell.code)
    if cell.options.metrics and cell.event.status == "ok":
        namespace = cell.namespace if isinstance(cell.namespace, dict) else dict(cell.namespace)
        asked, problems = evaluate(cell.options.metrics, namespace)
        found |= asked
        warnings.extend(problems)
    return found


def _asked_for(
    options: TrackOptions, namespace: Mapping[str, Any], warnings: list[str]
) -> dict[str, Any]:
    """The variables that ``--param`` names."""
    found = {}
    for name in options.params:
        if name in namespace:
            found[name] = redact(name, plain_value(namespace[name]))
        else:
            warnings.append(f"--param {name}: there is no such variable")
    return found


def parameters(
    code: CellCode | None,
    read: set[str],
    bound: tuple[str, ...],
    namespace: Mapping[str, Any],
    history: History,
) -> dict[str, Any]:
    """Literals that the cell assigns, then those of earlier cells that it reads.

    A literal counts while its name still is what it said: a list that was appended to and a number
    that was counted up are results.
    """
    found = {}
    for name, value in (code.literals if code is not None else {}).items():
        if name[:1] != "_" and name in namespace and same_literal(namespace[name], value):
            found[name] = redact(name, value)
    for name in sorted(read.difference(bound)):
        known, value = history.literal(name, namespace)
        if known and name not in found:
            found[name] = redact(name, value)
    return found


def source_tags(
    source: str | None, user: str | None, commit: str | None, *, notebook: bool = True
) -> dict[str, str]:
    """The tags by which MLflow's own UI shows where a run comes from: a notebook or a script."""
    tags = {"mlflow.source.type": "NOTEBOOK" if source and notebook else "LOCAL"}
    if source:
        tags["mlflow.source.name"] = source
    if user:
        tags["mlflow.user"] = user
    if commit:
        tags["mlflow.source.git.commit"] = commit
    return tags


def run_name(notebook: Path | None, project: str, number: int) -> str:
    """``taxi-tips #3``: the notebook (else the project) and the count of runs in this session."""
    return f"{notebook.stem if notebook is not None else project} #{number}"


def _model(
    item: Found, cell: TrackedCell, read: set[str], keep: Keep | None, why_not: str
) -> ModelRecord:
    if keep is None:
        return left_out(item, why_not)
    try:
        try:
            name, rows = example(item, cell.namespace, cell.code, sorted(read))
        except Exception:  # The model is worth keeping without one.
            name, rows = None, None
        return keep(item, name, rows)
    except OSError as error:
        return left_out(item, f"cannot be written: {error.strerror or error}")
    except KeyboardInterrupt:
        return left_out(item, "interrupted while it was being kept")


def _registration(
    options: TrackOptions,
    status: str,
    found: tuple[Found, ...],
    models: tuple[ModelRecord, ...],
    warnings: list[str],
) -> tuple[str | None, str | None]:
    """``(registered model, model of this run)``, or the reason why not among the warnings."""
    chosen = choose(found)
    name = chosen.name if chosen is not None else None
    if options.register is None:
        return None, name
    problem = None
    if status != "ok":
        problem = "the cell did not finish"
    elif chosen is None:
        problem = "the cell fitted no model"
    else:
        record = next(m for m in models if m.name == name)
        if record.blob is None and not options.dry_run:
            problem = f"{name} was not kept: {record.reason}"
    if problem is not None:
        warnings.append(f"{options.register} gets no new version: {problem}")
        return None, name
    return options.register, name
