"""The run that the runs of a sweep or a search are nested in, and what it has finished so far."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import MlopsError
from ..journal import default_redactor
from ..model.events import FileRecord, RunRecord, RunStarted
from ..model.ids import new_id
from ..pipelines import RunnerJournal, journal_errors, shown_parameters, source_tags
from ..project import Project
from .outcome import Combination
from .target import Target

__all__ = ["ParentRun", "finished_before", "forget_finished", "note_finished"]

_LEASE_WAIT = 30.0  # seconds to wait for another process that is delivering


class ParentRun:
    """Begins when it is made; ``finish`` it.  One that never is, is delivered as killed."""

    def __init__(
        self,
        project: Project,
        config: Config,
        target: Target,
        kind: str,
        given: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> None:
        project.create()
        self.run_id = new_id()
        self._project, self._config, self._target = project, config, target
        self._given = dict(given)
        redactor = default_redactor() if config.redact else None
        notebook = None if target.pipeline else project.relative(target.path)
        self._journal = RunnerJournal(project, notebook, redactor)
        source = project.relative(target.path)
        experiment = target.pipeline.experiment if target.pipeline else None
        self._started = RunStarted(
            run_id=self.run_id,
            session=self._journal.session,
            started=time.time(),
            name=f"{kind} {target.name}",
            experiment=experiment,
            kind=kind,
            notebook=notebook,
            pipeline=target.pipeline.name if target.pipeline else None,
            tags=source_tags(project, source, "JOB", {kind: self.run_id}) | dict(tags),
        )
        with journal_errors(project):
            self._journal.start(self._started)

    def finish(
        self, status: str, combinations: Sequence[Combination], best: Combination | None
    ) -> tuple[bool, tuple[str, ...]]:
        """Record the end with a table, deliver all, and return ``(delivered, warnings)``."""
        started = self._started
        files: tuple[FileRecord, ...] = ()
        path = self._project.runs / f"{self.run_id}.csv"
        with journal_errors(self._project):
            path.write_text(_table(combinations), encoding="utf-8")
            files = (self._journal.file("combinations.csv", path),)
            path.unlink()
            chosen = {} if best is None else shown_parameters(best.parameters)
            self._journal.finish(
                RunRecord(
                    run_id=self.run_id,
                    session=started.session,
                    name=started.name,
                    status=status,
                    started=started.started,
                    ended=max(time.time(), started.started),
                    kind=started.kind,
                    experiment=started.experiment,
                    notebook=started.notebook,
                    pipeline=started.pipeline,
                    params=shown_parameters(self._given) | chosen,
                    metrics={} if best is None else best.metrics,
                    tags=started.tags | ({"mlops.best_run": str(best.run_id)} if best else {}),
                    files=files,
                    git_commit=started.tags.get("mlflow.source.git.commit"),
                )
            )
            self._journal.close()
        if status == "KILLED":
            return False, ()  # who ends it wants it to end now: the next command delivers
        return self._deliver()

    def _deliver(self) -> tuple[bool, tuple[str, ...]]:
        from ..tracking import deliver, find_run

        kept = "The runs are kept: `jupyter mlops sync` delivers them."
        try:
            report = deliver(self._project, self._config, wait_lease=_LEASE_WAIT)
            if find_run(self._project, self.run_id).mlflow_run_id is not None:
                return True, (*report.warnings, *report.errors)
            reasons = report.errors or ("another process is delivering",)
            return False, tuple(f"not delivered: {one.rstrip('.')}. {kept}" for one in reasons)
        except MlopsError as error:
            return False, (f"not delivered: {error.message.rstrip('.')}. {kept}",)


def note_finished(project: Project, key: str, number: str, combination: Combination) -> None:
    """Keep a finished combination for ``finished_before``: a line that is there or is not."""
    path = _kept(project, key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shown = combination.to_dict() | {"parameters": shown_parameters(combination.parameters)}
    with journal_errors(project), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": number, **shown}) + "\n")


def finished_before(project: Project, key: str) -> dict[str, dict[str, Any]]:
    """What an earlier sweep with the same key has finished, by the key of the combination."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = _kept(project, key).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            data = json.loads(line)
            found[data.pop("key")] = data
        except (ValueError, KeyError):  # the process was killed while it wrote the line
            continue
    return found


def forget_finished(project: Project, key: str) -> None:
    """Begin anew."""
    _kept(project, key).unlink(missing_ok=True)


def _kept(project: Project, key: str) -> Path:
    return project.state / "sweeps" / f"{key}.jsonl"


def _table(combinations: Iterable[Combination]) -> str:
    rows = list(combinations)
    names = list(dict.fromkeys(name for one in rows for name in one.parameters))
    metrics = list(dict.fromkeys(name for one in rows for name in one.metrics))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, "state", "run_id", "seconds", *metrics, "error"])
    for one in rows:
        shown = shown_parameters(one.parameters)
        values = [shown.get(name, "") for name in names]
        numbers = [one.metrics.get(name, "") for name in metrics]
        writer.writerow(
            [*values, one.state, one.run_id or "", f"{one.seconds:.3f}", *numbers, one.error or ""]
        )
    return out.getvalue()
