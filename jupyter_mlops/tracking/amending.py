"""What a session says of a run in other places than its record: before it, and after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..journal import SessionFile, read_session
from ..model.events import (
    BEING_KEPT,
    CellEvent,
    EnvironmentRecord,
    RunAmended,
    RunProgress,
    RunRecord,
    RunStarted,
)

__all__ = ["WholeSession", "amended", "changes_of", "killed_run", "settled"]


def amended(record: RunRecord, amendments: Iterable[RunAmended]) -> RunRecord:
    """The record with what became known later; amendments of other runs change nothing.

    An input of the same name and source replaces the one before it, and so does a file of the same
    name.
    """
    for amendment in amendments:
        if amendment.run_id != record.run_id:
            continue
        inputs = {(item.name, item.source): item for item in (*record.inputs, *amendment.inputs)}
        files = {item.name: item for item in (*record.files, *amendment.files)}
        record = replace(
            record,
            inputs=tuple(inputs.values()),
            files=tuple(files.values()),
            tags={**record.tags, **amendment.tags},
        )
    return record


def settled(record: RunRecord) -> RunRecord:
    """The run of a process that has ended: nothing of it is being kept any more."""
    inputs = tuple(
        replace(item, reason=None) if item.reason == BEING_KEPT else item for item in record.inputs
    )
    return record if inputs == record.inputs else replace(record, inputs=inputs)


def changes_of(amendments: Iterable[RunAmended]) -> RunAmended:
    """Several amendments of one run, at least one, as one."""
    first, *others = amendments
    for other in others:
        first = replace(
            first,
            time=other.time,
            inputs=(*first.inputs, *other.inputs),
            files=(*first.files, *other.files),
            tags={**first.tags, **other.tags},
        )
    return first


def killed_run(started: RunStarted, file: SessionFile) -> RunRecord:
    """The record of a run that its process could not end: what it had logged until then.

    It ends at the last moment of its session that is known.
    """
    moments = [started.started]
    params: dict[str, object] = {}
    series: dict[str, list[list[float]]] = {}
    for record in file.records:
        if isinstance(record, (CellEvent, RunRecord)):
            moments.append(record.ended)
        elif isinstance(record, RunStarted):
            moments.append(record.started)
        elif isinstance(record, RunProgress) and record.run_id == started.run_id:
            params |= record.params
            for name, step, value, time in record.points:
                series.setdefault(str(name), []).append([step, value, time])
                moments.append(float(time))
    run = RunRecord(
        run_id=started.run_id,
        session=started.session,
        name=started.name,
        status="KILLED",
        started=started.started,
        ended=max(moments),
        kind=started.kind,
        experiment=started.experiment,
        notebook=started.notebook,
        pipeline=started.pipeline,
        parent=started.parent,
        tags=started.tags,
        params=params,
        metrics={name: rows[-1][1] for name, rows in series.items()},
        series=series,
        error={"ename": "Killed", "evalue": "its process ended before the run did"},
    )
    return settled(amended(run, file.amendments))


@dataclass
class WholeSession:
    """One session's journal from its beginning, read when something is asked of it.

    ``part`` is what was read from the stored position on.
    """

    path: Path
    part: SessionFile
    _whole: SessionFile | None = None
    _runs: dict[str, RunRecord] = field(default_factory=dict)
    _parents: set[str] | None = None
    _begun: set[str] = field(default_factory=set)

    def environment(self, run: RunRecord) -> EnvironmentRecord | None:
        """The environment that the run names; it may have been written long before the run."""
        if run.environment is None:
            return None
        return self.part.environments.get(run.environment) or self._read().environments.get(
            run.environment
        )

    def run(self, run_id: str) -> RunRecord | None:
        """A run that has ended, with everything that became known of it."""
        whole = self._read()
        if not self._runs:
            self._runs = {run.run_id: run for run in whole.runs}
        run = self._runs.get(run_id)
        return None if run is None else amended(run, whole.amendments)

    def unsettled(self) -> list[RunRecord]:
        """The runs with inputs of which it never became known whether they were kept."""
        whole = self._read()
        runs = (amended(run, whole.amendments) for run in whole.runs)
        return [run for run in runs if settled(run) is not run]

    def has_children(self, run: RunRecord) -> bool:
        """Whether a run may be another one's parent: of a headless one, sessions are not asked."""
        if run.kind in ("notebook", "pipeline", "sweep", "tune"):
            return True
        if self._parents is None:
            self._parents = _parents(self.part)
            self._begun = {r.run_id for r in self.part.records if isinstance(r, RunStarted)}
        if run.run_id in self._begun:  # and so has everything within it
            return run.run_id in self._parents
        return run.run_id in _parents(self._read())

    def _read(self) -> SessionFile:
        if self._whole is None:
            self._whole = read_session(self.path)
        return self._whole


def _parents(file: SessionFile) -> set[str]:
    runs = (r for r in file.records if isinstance(r, (RunStarted, RunRecord)))
    return {run.parent for run in runs if run.parent is not None}
