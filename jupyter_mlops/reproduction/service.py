"""``reproduce``: a recorded run again, from its lock, its data and its code, and a verdict."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import Config, load_config
from ..dataflow import backward_slice
from ..errors import CorruptError, MlopsError, NotebookError, UsageError
from ..journal import REDACTED, SessionFile, read_session
from ..model.events import CellEvent, FileRecord, RunRecord
from ..model.ports import CellProgress
from ..project import STATE_NAME, Project
from ..tracking import RunDetails, read_run_file, run_details
from .environment import BuiltEnvironment, build_environment
from .predictions import compare_models_under
from .recording import record_verdict
from .session import CellFailed, execute_cells
from .sources import files_read
from .verdict import Verdict, judge
from .workspace import Workspace, build_workspace

__all__ = ["Reproduction", "reproduce"]

_REPEATS = 3  # Where the first differs: enough to see by how much repetitions differ.


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of repeating a run.

    ``cells`` counts executed cells, ``widened`` says that the slice was not enough and all cells
    before the run were executed; ``environment`` says in words on what; ``unrecorded`` why the
    verdict is not on the run.
    """

    run_id: str
    name: str
    verdict: Verdict
    environment: str
    cells: int
    repeats: int
    widened: bool = False
    snapshots: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    unrecorded: str | None = None
    folder: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "run": self.run_id,
            "name": self.name,
            **self.verdict.to_dict(),
            "environment": self.environment,
            "cells": self.cells,
            "repeats": self.repeats,
            "widened": self.widened,
            "snapshots": list(self.snapshots),
            "followed": list(self.followed),
            "warnings": list(self.warnings),
            "recorded": self.unrecorded is None,
            "folder": self.folder,
        }


def reproduce(
    project: Project,
    config: Config,
    run: str,
    *,
    this_environment: bool = False,
    keep: Path | None = None,
    timeout: float | None = None,
    progress: Callable[[CellProgress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Reproduction:
    """Execute again what led to a tracked run, and compare.

    The environment is built from the run's lock, unless ``this_environment``; the code are the
    executed cells that the run needs, each with the source it had then; the data come from
    snapshots where there are any.  All of it happens in a scratch project, which is removed unless
    ``keep`` names a folder for it.  Where a result differs, the session is repeated to learn by how
    much repetitions differ.  The verdict is recorded on the run.

    Raises ``NotFoundError``, ``UsageError`` and ``NotebookError`` for a run that cannot be
    repeated, ``CellFailed`` when a cell fails.
    """
    details = run_details(project, config, run)
    events, target = _executed(project, details)
    cut = backward_slice(events, target)
    kept = [events[i] for i in cut.indices]
    _require_sources(details, kept)
    built = _environment(project, details, this_environment=this_environment, say=say)
    patches = _patches(project, config, details)
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise UsageError(f"{keep} is not empty", hint="Name a folder that does not exist.")
    home = Path(tempfile.mkdtemp(prefix="reproduce-")) if keep is None else keep
    home.mkdir(parents=True, exist_ok=True)
    repeater = _Repeater(project, details, built.python, home, patches, timeout, progress)
    warnings = [f"not in the environment: {line}" for line in built.left_out]
    warnings += [
        f"cell [{events[i].seq}] draws random numbers without a seed: {w}" for i, w in cut.unseeded
    ]
    try:
        found, widened = _repeat(repeater, kept, events[: target + 1], seeded=not cut.unseeded)
    finally:
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)
    label = "today's environment" if this_environment else "rebuilt from the lock"
    unrecorded = record_verdict(project, config, details, found.verdict.verdict, label)
    return Reproduction(
        run_id=details.run_id,
        name=details.name,
        verdict=found.verdict,
        environment=label,
        cells=found.cells,
        repeats=found.repeats,
        widened=widened,
        snapshots=found.workspace.snapshots,
        followed=found.workspace.followed,
        warnings=tuple(dict.fromkeys(warnings)),
        unrecorded=unrecorded,
        folder=None if keep is None else str(keep),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    verdict: Verdict
    workspace: Workspace
    cells: int
    repeats: int


class _Repeater:
    """Repeats cells in workspaces of their own, each below ``home``."""

    def __init__(
        self,
        project: Project,
        details: RunDetails,
        python: Path,
        home: Path,
        patches: Sequence[tuple[FileRecord, bytes]],
        timeout: float | None,
        progress: Callable[[CellProgress], None] | None,
    ) -> None:
        self._project = project
        self._details = details
        self._python = python
        self._home = home
        self._patches = patches
        self._timeout = timeout
        self._progress = progress
        self._count = 0

    def once(self, events: Sequence[CellEvent]) -> tuple[RunDetails, Workspace, Project]:
        """Execute the events' cells; the last one is the run's."""
        self._count += 1
        root = (self._home / str(self._count)).resolve()
        root.mkdir(parents=True)
        scratch = Project(root, root / STATE_NAME).create()
        read = files_read(self._project.root, events, self._details.record.notebook)
        workspace = build_workspace(self._project, self._details, read, self._patches, root)
        cells = [(event.cell_id or f"cell-{event.seq}", event.source) for event in events]
        session = execute_cells(
            self._python,
            cells,
            root=root,
            notebook=workspace.notebook,
            timeout=self._timeout,
            progress=self._progress,
        )
        record = _last_run(session)
        return run_details(scratch, load_config(root), record.run_id, ask=False), workspace, scratch

    def judged(self, events: Sequence[CellEvent], *, repeats: bool) -> _Found:
        """Execute, compare, and execute again where that differs and ``repeats`` allow it."""
        details, workspace, scratch = self.once(events)
        models = self._models(details, scratch)
        records = [details.record]
        verdict = judge(self._details.record, records, models)
        while repeats and verdict.verdict == "differs" and len(records) < _REPEATS:
            again, _, _ = self.once(events)
            records.append(again.record)
            verdict = judge(self._details.record, records, models)
            if records[0].metrics == again.record.metrics:
                break  # It is deterministic here: a third would say the same.
        return _Found(verdict, workspace, len(events), len(records))

    def _models(self, details: RunDetails, scratch: Project) -> Any:
        return compare_models_under(
            self._python,
            self._project,
            self._details.run_id,
            scratch,
            details.run_id,
            [model.name for model in self._details.record.models],
        )


def _repeat(
    repeater: _Repeater,
    kept: Sequence[CellEvent],
    everything: Sequence[CellEvent],
    *,
    seeded: bool,
) -> tuple[_Found, bool]:
    """Try the slice; where it fails or differs, all cells that had been executed."""
    every = [event for event in everything if event.status == "ok"]
    wider = len(every) > len(kept) and not any(REDACTED.search(e.source) for e in every)
    try:
        found = repeater.judged(kept, repeats=not wider or not seeded)
    except CellFailed:
        if not wider:
            raise
        return repeater.judged(every, repeats=True), True
    if found.verdict.verdict != "differs" or not wider or not seeded:
        return found, False
    whole = repeater.judged(every, repeats=True)
    return (found, False) if whole.verdict.verdict == "differs" else (whole, True)


def _executed(project: Project, details: RunDetails) -> tuple[tuple[CellEvent, ...], int]:
    record = details.record
    if record.kind != "cell":
        raise UsageError(
            f"run {details.name} is a {record.kind} run, not one of a tracked cell",
            hint=f"Run it again: jupyter mlops run {record.pipeline or record.notebook or ''}",
        )
    if record.status != "FINISHED":
        raise UsageError(f"run {details.name} did not finish: {record.status}")
    session: SessionFile | None = None
    if record.session:
        try:
            session = read_session(project.journal / f"{record.session}.journal")
        except (OSError, CorruptError):
            session = None
    events = () if session is None else session.cells
    target = next((i for i, event in enumerate(events) if event.seq == record.seq), None)
    if target is None:
        raise NotebookError(
            f"the executed cells of run {details.name} are not in this project's journal",
            hint="Reproduce it on the machine where it ran.",
        )
    return tuple(events), target


def _require_sources(details: RunDetails, kept: Sequence[CellEvent]) -> None:
    for event in kept:
        if event.private or REDACTED.search(event.source):
            what = "is private" if event.private else "had a secret in it"
            raise NotebookError(
                f"cell [{event.seq}] of run {details.name} {what} and was not recorded",
                hint="Without it the run cannot be repeated.",
                cell=event.seq,
            )


def _environment(
    project: Project,
    details: RunDetails,
    *,
    this_environment: bool,
    say: Callable[[str], None] | None,
) -> BuiltEnvironment:
    if this_environment:
        return BuiltEnvironment(Path(sys.executable), Path(sys.prefix), reused=True)
    if details.environment is None:
        raise UsageError(
            f"the environment of run {details.name} is not recorded",
            hint="Reproduce it in the environment of today: --this-environment",
        )
    return build_environment(details.environment, project.state / "environments", say=say)


def _patches(
    project: Project, config: Config, details: RunDetails
) -> list[tuple[FileRecord, bytes]]:
    found = []
    for item in details.files("code"):
        try:
            found.append((item, read_run_file(project, config, details, item)))
        except MlopsError:
            continue  # Whether it was needed shows by the digests of the modules.
    return found


def _last_run(session: SessionFile) -> RunRecord:
    runs = [run for run in session.runs if run.kind == "cell"]
    if not runs:
        raise NotebookError(
            "the repeated session recorded no run",
            hint="The last cell has to begin with %%track, as it did then.",
        )
    return runs[-1]
