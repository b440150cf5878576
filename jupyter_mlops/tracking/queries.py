"""Listing and finding runs, delivered or not, without MLflow."""

from __future__ import annotations

import re

from ..errors import NotFoundError, UsageError
from ..model.events import ModelRecord, RunRecord, RunStarted
from ..model.registry import RunSummary
from ..project import Project
from ..state import StateDB
from ..state.readmodel import find_runs, read_run, read_runs
from .sessions import open_sessions
from .target import has_state

__all__ = ["find_run", "journal_summary", "list_runs"]

_RECENT = re.compile(r"last|-([1-9][0-9]{0,4})")


def list_runs(project: Project, limit: int = 50) -> list[RunSummary]:
    """The newest runs, newest first: what MLflow has, and what still waits here or runs."""
    if not project.exists or limit < 1:
        return []
    found = {run.run_id: run for run in _undelivered(project)}
    if has_state(project):
        with StateDB(project).read() as connection:
            found.update({run.run_id: run for run in read_runs(connection, limit)})
            for run_id in [run_id for run_id, run in found.items() if run.mlflow_run_id is None]:
                # It may have been delivered since, and be older than the newest ones.
                known = read_run(connection, run_id)
                if known is not None:
                    found[run_id] = known
    runs = sorted(found.values(), key=lambda run: (run.started, run.run_id), reverse=True)
    return runs[:limit]


def find_run(project: Project, text: str) -> RunSummary:
    """The run that ``text`` means: our id, a unique beginning of it, or MLflow's id.

    ``last`` and ``-1`` mean the newest run, ``-2`` the one before it, and so on.  Raises
    ``NotFoundError`` when there is none, ``UsageError`` when several begin so.
    """
    text = text.strip()
    found: dict[str, RunSummary] = {}
    recent = _RECENT.fullmatch(text.lower())
    if recent is not None:
        return _recent(project, int(recent[1] or 1), text)
    if re.fullmatch(r"[0-9A-Za-z]{1,64}", text) and project.exists:
        for run in _undelivered(project):
            if run.run_id.startswith(text.upper()):
                found[run.run_id] = run
        if has_state(project):
            with StateDB(project).read() as connection:
                exact = read_run(connection, text) or read_run(connection, text.upper())
                if exact is not None:
                    return exact
                found.update({run.run_id: run for run in find_runs(connection, text)})
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        names = ", ".join(sorted(found)[:5])
        raise UsageError(
            f"several runs begin with {text!r}: {names}",
            hint="Give a few more characters of the run id.",
            runs=sorted(found),
        )
    raise NotFoundError(
        f"there is no run {text!r} in {project.root}",
        hint="`jupyter mlops runs ls` lists the runs; `jupyter mlops sync` reads them again.",
        run=text,
    )


def journal_summary(record: RunRecord | RunStarted) -> RunSummary:
    """A journaled run as it is listed until MLflow has it."""
    summary = RunSummary(
        run_id=record.run_id,
        name=record.name,
        status="RUNNING",
        started=record.started,
        kind=record.kind,
        session=record.session,
        experiment=record.experiment,
        notebook=record.notebook,
        pipeline=record.pipeline,
        parent=record.parent,
    )
    if isinstance(record, RunStarted):
        return summary
    from dataclasses import replace

    return replace(
        summary,
        status=record.status,
        ended=record.ended,
        params=dict(record.params),
        metrics=dict(record.metrics),
        models=tuple(_model(model) for model in record.models),
        registered=record.register,
        warnings=record.warnings,
    )


def _recent(project: Project, count: int, text: str) -> RunSummary:
    runs = list_runs(project, count)
    if len(runs) < count:
        there = f"there are only {len(runs)}" if runs else "there are none yet"
        raise NotFoundError(
            f"{text!r} means run {count} from the newest on, and {there} in {project.root}",
            hint="`jupyter mlops runs ls` lists the runs.",
            run=text,
        )
    return runs[count - 1]


def _model(model: ModelRecord) -> dict[str, object]:
    return {
        "name": model.name,
        "class_name": model.class_name,
        "kept": model.blob is not None,
        "reason": model.reason,
    }


def _undelivered(project: Project) -> list[RunSummary]:
    """The runs that wait, and those that are running."""
    runs: list[RunSummary] = []
    for session in open_sessions(project):
        try:
            found = session.examine()
        except OSError:
            continue
        runs += map(journal_summary, found.runs)
        runs += map(journal_summary, found.running)
    return runs
