"""What one tracked cell becomes: parameters, metrics, models and tags, as a ``RunRecord``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..model.events import CellEvent, ModelRecord, RunRecord, RunStarted
from .cellcode import CellCode, read_names, same_literal
from .estimators import Found, choose, example, find_estimators
from .history import History
from .metrics import metrics
from .options import TrackOptions
from .redact import redact
from .spool import left_out

__all__ = ["TrackedCell", "build_run", "parameters", "run_name", "source_tags"]

T = TypeVar("T")
# A found model, its example's name and its example -> the record of the stored bytes.
Keep = Callable[[Found, str | None, Any], ModelRecord]


@dataclass(frozen=True, slots=True)
class TrackedCell:
    """A tracked cell that has ended, with everything that a run is made from.

    ``python`` is the cell as Python, ``stamps`` the marks of the estimators that were there before
    it (see ``estimators.stamps``).
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


def build_run(cell: TrackedCell, history: History, keep: Keep | None, *, why_not: str) -> RunRecord:
    """Return the record of the run.

    ``keep`` stores a model; without it each model is named with the reason ``why_not``.  A part
    that cannot be read is a warning, a model that cannot be written has the reason: the rest of the
    run must not be lost with it.
    """
    options, event = cell.options, cell.event
    namespace, code = cell.namespace, cell.code
    warnings = list(cell.warnings)

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
    found = part(
        "models", lambda: find_estimators(namespace, event.bound, code, cell.stamps), nothing
    )
    models = tuple(_model(item, cell, read, keep, why_not) for item in found)
    register, chosen = _registration(options, event.status, found, models, warnings)
    status = {"ok": "FINISHED", "interrupted": "KILLED"}.get(event.status, "FAILED")
    return RunRecord(
        run_id=cell.started.run_id,
        session=event.session,
        name=cell.started.name,
        status=status,
        started=event.started,
        ended=event.ended,
        seq=event.seq,
        experiment=options.experiment,
        notebook=cell.started.notebook,
        parent=cell.started.parent,
        source=event.source,
        params=part(
            "parameters", lambda: parameters(code, read, event.bound, namespace, history), {}
        ),
        metrics=part("metrics", lambda: metrics(event.bound, namespace, code), {}),
        tags=dict(cell.tags) | {k: str(redact(k, v)) for k, v in options.tags.items()},
        models=models,
        register=register,
        register_model=chosen,
        git_commit=cell.tags.get("mlflow.source.git.commit"),
        error=event.error,
        warnings=tuple(warnings),
    )


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


def source_tags(notebook: str | None, user: str | None, commit: str | None) -> dict[str, str]:
    """The tags by which MLflow's own UI shows where a run comes from."""
    tags = {"mlflow.source.type": "NOTEBOOK" if notebook else "LOCAL"}
    if notebook:
        tags["mlflow.source.name"] = notebook
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
        problem = "the cell fitted no scikit-learn estimator"
    else:
        record = next(m for m in models if m.name == name)
        if record.blob is None and not options.dry_run:
            problem = f"{name} was not kept: {record.reason}"
    if problem is not None:
        warnings.append(f"{options.register} gets no new version: {problem}")
        return None, name
    return options.register, name
