"""What changed since a run was best, in sentences, the likeliest cause first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..config import Config
from ..errors import UsageError
from ..journal import read_session
from ..model.registry import RunSummary, key_metric, lower_is_better
from ..project import Project
from .comparison import Comparison, RunLabel, compare
from .details import RunDetails, details_of, read_run_file, run_details
from .queries import list_runs
from .reasons import Reason, nothing_differs, reasons
from .wording import two

__all__ = ["Explanation", "explain"]

_LOOKED_AT = 5000  # newest runs among which the best one is looked for


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run is better or worse than the best one before it.

    ``best`` is the best earlier run of the same kind of work, ``group`` how that was found:
    ``cell``, ``name``, ``pipeline`` or ``experiment``; ``peers`` how many runs that are.
    ``verdict`` is one sentence; ``reasons`` are what changed, the likeliest cause first;
    ``unknown`` what could not be compared.
    """

    run: RunLabel
    metric: str | None
    value: float | None
    best: RunLabel | None
    best_value: float | None
    group: str
    peers: int
    verdict: str
    reasons: tuple[Reason, ...] = ()
    unknown: tuple[str, ...] = ()
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain data; numbers may be NaN or infinite."""
        data = asdict(self)
        data["comparison"] = None if self.comparison is None else self.comparison.to_dict()
        return data


def explain(
    project: Project,
    config: Config,
    text: str = "last",
    metric: str | None = None,
    *,
    ask: bool = True,
) -> Explanation:
    """Compare a run with the best one before it.

    ``metric`` is by default the run's key metric; whether lower is better its name says.  Compared
    are finished runs of the same cell; without any, those of the same name (but for a number at its
    end) in the same notebook, then those of the same experiment; of a pipeline, its own.  Raises
    what ``run_details`` raises, and ``UsageError`` for a metric that neither this run nor one of
    those has.
    """
    run = run_details(project, config, text, ask=ask)
    group, peers = _peers(project, run)
    wanted = _metric(run, peers, metric)
    value = None if wanted is None else run.summary.metrics.get(wanted)
    ranked = [] if wanted is None else [p for p in peers if _finite(p.metrics.get(wanted))]
    label = compare(run, run).a
    if wanted is None or not ranked:
        return Explanation(
            label, wanted, value, None, None, group, len(peers), _alone(run, group, wanted)
        )
    lower = lower_is_better(wanted)
    # Of equally good ones the newest: fewest changes lie between it and this run.
    best = (min if lower else max)(
        ranked, key=lambda p: (p.metrics[wanted], -p.started if lower else p.started)
    )
    found = details_of(project, config, best, ask=ask)
    comparison = compare(
        found, run, lambda details, item: read_run_file(project, config, details, item, ask=ask)
    )
    why = tuple(reasons(comparison, found, run))
    unknown = comparison.unknown
    if not found.record.inputs and not run.record.inputs:
        unknown += ("no inputs were recorded: whether the data changed is not known",)
    verdict = _verdict(run, found, wanted, value, best.metrics[wanted], len(ranked), lower)
    if not why:
        verdict += " " + nothing_differs(found, run, unknown, equal=value == best.metrics[wanted])
    return Explanation(
        label,
        wanted,
        value,
        comparison.a,
        best.metrics[wanted],
        group,
        len(ranked),
        verdict,
        why,
        unknown,
        comparison,
    )


def _peers(project: Project, run: RunDetails) -> tuple[str, list[RunSummary]]:
    """Earlier finished runs of the same work, and what makes them so."""
    this = run.summary
    earlier = [
        other
        for other in list_runs(project, _LOOKED_AT)
        if other.status == "FINISHED"
        and other.kind == this.kind
        and other.run_id != this.run_id
        and (other.started, other.run_id) < (this.started, this.run_id)
    ]
    if this.pipeline is not None:
        return "pipeline", [other for other in earlier if other.pipeline == this.pipeline]
    neighbours = [other for other in earlier if other.notebook == this.notebook]
    if run.record.cell_id is not None:
        same_cell = _runs_of_cell(project, run.record.cell_id, neighbours)
        if this.kind != "cell":  # a cell may hold several blocks, told apart by their names
            same_cell = [other for other in same_cell if _stem(other.name) == _stem(this.name)]
        if same_cell:
            return "cell", same_cell
    stem = _stem(this.name)
    same_name = [other for other in neighbours if _stem(other.name) == stem]
    if same_name:
        return "name", same_name
    return "experiment", [other for other in earlier if other.experiment == this.experiment]


def _runs_of_cell(project: Project, cell_id: str, runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Those of the runs whose journal on this machine says that they are of this cell."""
    by_session: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.session is not None and run.session.isalnum():
            by_session.setdefault(run.session, []).append(run)
    found = []
    for session, members in by_session.items():
        try:
            records = read_session(project.journal / f"{session}.journal").runs
        except OSError:
            continue
        ids = {record.run_id for record in records if record.cell_id == cell_id}
        found += [run for run in members if run.run_id in ids]
    return found


def _stem(name: str) -> str:
    return re.sub(r"[\s_#.(-]*\d+\)?$", "", name).casefold() or name.casefold()


def _metric(run: RunDetails, peers: list[RunSummary], metric: str | None) -> str | None:
    known = dict.fromkeys([*run.summary.metrics, *(n for peer in peers for n in peer.metrics)])
    if metric is None:
        return key_metric(run.summary.metrics) or key_metric(peers[0].metrics if peers else {})
    if metric not in known:
        raise UsageError(
            f"neither run {run.name} ({run.run_id}) nor an earlier one has the metric {metric!r}",
            hint=f"Their metrics are: {', '.join(known)}." if known else "They have none.",
            metric=metric,
        )
    return metric


_OF = {
    "cell": "of this cell",
    "name": "of this name in this notebook",
    "pipeline": "of this pipeline",
    "experiment": "of this experiment",
}


def _alone(run: RunDetails, group: str, metric: str | None) -> str:
    having = "" if metric is None else f" with a {metric}"
    return f"There is no earlier finished run {_OF[group]}{having} to compare {run.name} with."


def _verdict(
    run: RunDetails,
    best: RunDetails,
    metric: str,
    value: float | None,
    best_value: float,
    count: int,
    lower: bool,
) -> str:
    runs = "the only earlier run" if count == 1 else f"the best of {count} earlier runs"
    other = f"{best.name} ({best.run_id[:12]})"
    if value is None or not _finite(value):
        what = f"has no {metric}" if value is None else f"has a {metric} of {value:g}"
        error = run.record.error
        how = f": it ended as {run.summary.status}"
        if error:
            how += f" ({error.get('ename', 'error')}: {_short(error.get('evalue', ''))})"
        ended = how if run.summary.status != "FINISHED" else ""
        return f"{run.name} {what}{ended}; {runs}, {other}, has {best_value:.5g}."
    mine, theirs = two(value, best_value)
    if value == best_value:
        return f"{run.name} has the same {metric}, {mine}, as {runs}, {other}."
    if (value < best_value) == lower:
        return (
            f"{run.name} is better than all before it: its {metric} is {mine}, that of "
            f"{runs}, {other}, {theirs}."
        )
    return f"{run.name} is worse than {runs}, {other}: its {metric} is {mine} instead of {theirs}."


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
