"""Going on with a run that failed or was killed: what had finished is taken over, with proof.

A run that goes on is a new run, which names the earlier one; that one stays as it was.  A step is
taken over when its code, parameters and inputs are the same and its files have the digests that
were noted when it finished; they are copied, so that nothing later can change both runs.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConflictError, NotFoundError, ParameterError, ProjectError, UsageError
from ..journal import read_session
from ..model.events import RunRecord
from ..model.pipeline import Pipeline
from ..project import Project
from .outcome import RunOutcome, StepOutcome
from .planned import PlannedStep
from .run_state import RunState, StateFile, find_state, read_states, resumed_chain
from .step_digests import changed, code_digest, file_digest, files_named, parameters_digest

__all__ = ["Ledger", "Resumed", "finished_outcome", "resumed_run"]

_CHUNK = 1024 * 1024
_MEASURES = ("attempts", "cells", "cpu", "peak_memory")


@dataclass(frozen=True, slots=True)
class Resumed:
    """The run that is gone on with; ``given`` and ``data`` are what the new one is started with.

    ``chain`` is that run, and those that it went on with itself; ``record`` is there when it had
    finished.
    """

    state: RunState
    chain: tuple[RunState, ...]
    given: dict[str, Any]
    data: str
    record: RunRecord | None = None


def resumed_run(
    project: Project, found: Pipeline, text: str, given: Mapping[str, Any], data: str
) -> Resumed:
    """Find the run of a pipeline that ``text`` means: a run id, its beginning, or ``last``.

    It keeps its parameters, where ``given`` says nothing else and the pipeline still has them.
    Raises ``NotFoundError`` when there
    is none, ``UsageError`` for one of another pipeline, ``ConflictError`` for one that is going on
    and ``ParameterError`` where a secret has to be given again.
    """
    pipeline, known = found.name, {parameter.name for parameter in found.parameters}
    if text.strip().lower() == "last":
        own = (state for state in read_states(project) if state.pipeline == pipeline)
        state = next(own, None)
        if state is None:
            raise NotFoundError(
                f"there is no run of pipeline {pipeline!r} to resume",
                hint=f"Start one: jupyter mlops run {pipeline}",
            )
    else:
        state = find_state(project, text)
    if state.pipeline != pipeline:
        what = f"pipeline {state.pipeline!r}" if state.pipeline else f"notebook {state.name!r}"
        raise UsageError(
            f"run {state.run_id} is of {what}, not of pipeline {pipeline!r}",
            hint="Only a run of the same pipeline can be resumed.",
        )
    if state.running:
        raise ConflictError(
            f"run {state.run_id} is going on in process {state.process.pid}",
            hint=f"Wait for it, or end it: jupyter mlops runs cancel {state.run_id}",
            run_id=state.run_id,
        )
    missing = [name for name in state.secrets if name in known and name not in given]
    if missing:
        raise ParameterError(
            f"run {state.run_id} was given {missing[0]!r}, which is a secret and not written down",
            hint=f"Give it again: -p {missing[0]} VALUE",
        )
    return Resumed(
        state,
        tuple(resumed_chain(project, state)),
        {name: value for name, value in state.given.items() if name in known} | dict(given),
        state.data if data == "auto" else data,
        _finished_record(project, state),
    )


def finished_outcome(resumed: Resumed, record: RunRecord) -> RunOutcome:
    """The outcome of a run that had finished, and of which nothing is left to do but to deliver."""
    state = resumed.state
    steps = tuple(
        StepOutcome(
            name,
            Path(entry.get("notebook", "")),
            "resumed",
            output=state.folder / f"{name}.ipynb",
            **{key: entry[key] for key in _MEASURES if key in entry},
        )
        for name, entry in state.steps.items()
    )
    return RunOutcome(
        run_id=record.run_id,
        name=record.name,
        kind=record.kind,
        status=record.status,
        exit_code=0,
        seconds=record.duration,
        output=steps[0].output or state.folder if len(steps) == 1 else state.folder,
        params=record.params,
        metrics=record.metrics,
        warnings=(*record.warnings, "the run had finished: there was nothing left to resume"),
        steps=steps,
        register=record.register,
    )


def _finished_record(project: Project, state: RunState) -> RunRecord | None:
    """The record of a run that finished, also where its process did not live to say so."""
    try:
        session = read_session(project.journal / f"{state.session}.journal")
    except OSError:
        return None
    ended = (run for run in session.runs if run.run_id == state.run_id)
    return next((run for run in ended if run.status == "FINISHED"), None)


class Ledger:
    """Notes steps as they finish (``attempts.StepLedger``), and takes over those of ``earlier``.

    Of several earlier runs that had finished a step the first whose files are whole serves.
    """

    def __init__(self, file: StateFile, earlier: Sequence[RunState] = ()) -> None:
        self._file = file
        self._earlier = earlier
        self._made_from: dict[str, dict[str, Any]] = {}
        self._digests: dict[Path, str] = {}
        self._lock = threading.Lock()

    def take_over(self, step: PlannedStep) -> StepOutcome | str | None:
        """Copy the step's files from the earlier run; see ``attempts.StepLedger``."""
        began = time.monotonic()
        made_from = self._made_from_now(step)
        with self._lock:
            self._made_from[step.name] = made_from
        reasons = []
        for run in self._earlier:
            entry = run.steps.get(step.name)
            if entry is None:
                continue
            why = changed(entry["made_from"], {**made_from, "files": files_named(step)})
            why = why or self._copy(step, run, entry.get("digests", {}))
            if why is None:
                return self._taken(step, entry, began)
            reasons.append(f"it had finished in run {run.run_id}, but {why}")
        return reasons[0] if reasons else None

    def _taken(self, step: PlannedStep, entry: Mapping[str, Any], began: float) -> StepOutcome:
        measures = {key: entry[key] for key in _MEASURES if key in entry}
        self._file.step(step.name, entry)
        seconds = time.monotonic() - began
        return StepOutcome(
            step.name, step.notebook, "resumed", seconds, output=step.output, **measures
        )

    def finished(self, step: PlannedStep, outcome: StepOutcome) -> None:
        """Note the digests of what the step has made; durable when this returns."""
        try:
            digests = {name: file_digest(path) for name, path in _files(step).items()}
        except OSError as error:
            raise ProjectError(
                f"what step {step.name!r} has written cannot be read: {error.strerror or error}"
            ) from error
        with self._lock:
            made_from = self._made_from[step.name]
            self._digests.update({path: digests[name] for name, path in _files(step).items()})
        entry = {
            # Of the files that parameters name what counts is how the step has left them.
            "made_from": {**made_from, "files": files_named(step)},
            "digests": digests,
            "notebook": str(step.notebook),
            "status": outcome.status,
            "seconds": outcome.seconds,
            **{key: getattr(outcome, key) for key in _MEASURES},
        }
        self._file.step(step.name, entry)

    def _made_from_now(self, step: PlannedStep) -> dict[str, Any]:
        try:
            inputs = {name: self._digest(path) for name, path in step.inputs.items()}
            return {
                "code": code_digest(step),
                "parameters": parameters_digest(step),
                "inputs": inputs,
            }
        except (OSError, ValueError) as error:
            raise ProjectError(
                f"what step {step.name!r} is made from cannot be read: {error}"
            ) from error

    def _digest(self, path: Path) -> str:
        with self._lock:
            known = self._digests.get(path)
        return known or file_digest(path)

    def _copy(self, step: PlannedStep, earlier: RunState, digests: Mapping[str, str]) -> str | None:
        """Copy what the step has made; what is wrong with it, or ``None``."""
        copied = {}
        for name, target in _files(step).items():
            source = earlier.folder / target.relative_to(self._file.state.folder)
            try:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copied[target] = _copy_digested(source, target)
            except OSError as error:
                return f"{source.name} cannot be read: {error.strerror or error}"
            if copied[target] != digests.get(name):
                return f"{source.name} has changed since"
        with self._lock:
            self._digests.update(copied)
        return None


def _files(step: PlannedStep) -> dict[str, Path]:
    """What the step has made: its outputs by parameter, and the executed notebook as ``""``."""
    return {"": step.output, **step.outputs}


def _copy_digested(source: Path, target: Path) -> str:
    from blake3 import blake3

    hasher = blake3()
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            hasher.update(chunk)
            writing.write(chunk)
    shutil.copystat(source, target)
    return hasher.hexdigest()
