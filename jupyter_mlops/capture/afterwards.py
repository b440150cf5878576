"""Runs of cells that were not tracked when they ran: ``%track on`` and ``%track last``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model.events import CellEvent, RunRecord
from .cellcode import CellCode, python_source, read_cell
from .estimators import Found, find_estimators
from .options import TrackOptions
from .run import TrackedCell
from .tracker import Tracker

if TYPE_CHECKING:
    from .probes import Watch

__all__ = ["last_cells", "run_afterwards", "track_last"]

_TAG = "mlops.captured"


def run_afterwards(
    tracker: Tracker,
    event: CellEvent,
    python: str,
    code: CellCode | None,
    namespace: Mapping[str, Any],
    *,
    fits: tuple[Found, ...] | None = None,
    value: Any = None,
    watch: Watch | None = None,
    note: bool = False,
) -> RunRecord:
    """Record a run of a cell that has ended; with ``note`` its event is written, too."""
    warnings: list[str] = []
    running = tracker.begin(TrackOptions(), warnings, started=event.started)
    running.tags[_TAG] = "automatically" if watch is not None else "afterwards"
    if watch is None and tracker.session is not None:
        watch = tracker.probes.nothing(tracker.session)
    try:
        return tracker.end(
            TrackedCell(
                started=running.started,
                event=event,
                options=TrackOptions(),
                python=python,
                code=code,
                namespace=namespace,
                stamps={},
                warnings=tuple(warnings),
                tags=running.tags,
                value=value,
                log=running.log,
                seen=tracker.see(watch, running, event, python, namespace),
                fits=fits,
            ),
            note=note,
        )
    finally:
        tracker.settle(watch, running)


def last_cells(tracker: Tracker, count: int) -> list[CellEvent]:
    """The last ``count`` cells that computed something and are no runs yet, oldest first.

    Cells of magics only (``%track last`` among them) and private ones do not count.
    """
    found = []
    for event in reversed(list(tracker.history)):
        lines = [line for line in event.source.splitlines() if line.strip()]
        magics = all(line.lstrip().startswith(("%", "!", "#")) for line in lines)
        if event.private or (magics and not event.source.lstrip().startswith("%%")):
            continue
        if event.options is None:
            found.append(event)
        if len(found) == count:
            break
    return found[::-1]


def track_last(tracker: Tracker, count: int) -> list[RunRecord]:
    """Make runs of the last ``count`` cells, as far as their results are still there.

    Names that a later cell has bound again belong to that one and are left out.
    """
    shell = tracker.shell
    transform = shell.input_transformer_manager.transform_cell
    runs = []
    for event in last_cells(tracker, count):
        try:
            python = python_source(transform(event.source), transform)
        except Exception:  # IPython's own syntax can be wrong, too.
            python = ""
        code = read_cell(python)
        own = tracker.history.bound_by(event.cell_id, event.source)
        bound = tuple(name for name in event.bound if own(name))
        namespace = {n: v for n, v in shell.user_ns.items() if n in bound or n not in event.bound}
        fits = find_estimators(namespace, bound, code, {})
        runs.append(
            run_afterwards(tracker, _with_bound(event, bound), python, code, namespace, fits=fits)
        )
    return runs


def _with_bound(event: CellEvent, bound: tuple[str, ...]) -> CellEvent:
    from dataclasses import replace

    return replace(event, bound=bound)
