"""Saying of a promotion that did not hold: which cell, which value, and why."""

from __future__ import annotations

import contextlib
import re
import shutil
from typing import Any

from ..errors import ReplayDiffersError
from ..project import Project
from .attempts import Attempt
from .parting import Parting
from .tracked import Tracked

__all__ = ["differs"]

_NAME_ERROR = re.compile(r"name '(\w+)' is not defined")


def differs(
    project: Project, tracked: Tracked, found: Attempt, parting: Parting | None = None
) -> ReplayDiffersError:
    """Return the error that says what the replay gave instead; keep the replayed notebook.

    ``parting`` is the first cell that gave something else, where that was seen.
    """
    judgement = found.judgement
    replay = judgement.replay
    kept = project.state / "replays" / f"{tracked.run_id or tracked.notebook.stem}.ipynb"
    with contextlib.suppress(OSError):
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        if replay.executed is not None:
            shutil.copy(replay.executed, kept)
    step = f" of step {replay.step}" if len(found.work.steps) > 1 and replay.step else ""
    why = None
    if replay.error is not None:
        error = replay.error
        cell = f" in cell In [{error['cell']}]{step}" if error.get("cell") else step
        what = f"the replay failed{cell}: {error.get('ename')}: {error.get('evalue')}"
        if error.get("line"):
            what += f"\n  {error['line']}"
        why = _why_missing(tracked, found, str(error.get("evalue")))
    else:
        what = "the replay gave another result: " + "; ".join(map(str, judgement.differences))
        if judgement.reason:
            what += f" ({judgement.reason})"
        if parting is not None:
            what += f"\n  {parting}"
    if why is not None:
        hint = why
    elif found.made.cut.unseeded:
        reasons = ", ".join(dict.fromkeys(text for _, text in found.made.cut.unseeded))
        hint = f"Random numbers are drawn without a seed ({reasons}): give a seed, run it again."
    elif parting is not None:
        hint = parting.why
    elif judgement.random:
        hint = "Its replays differ among themselves: give seeds, run it again."
    else:
        hint = "Something that the result needs is not in the cells that ran before it."
    return ReplayDiffersError(
        f"{project.relative(tracked.notebook)} was not promoted: {what}",
        hint=f"{hint} The replayed notebook: {project.relative(kept)}",
        differences=[
            {"metric": d.metric, "tracked": d.tracked, "replayed": d.replayed, "what": d.what}
            for d in judgement.differences
        ],
        error=_plain(replay.error),
        run_id=tracked.run_id,
        step=replay.step,
        cell=None
        if parting is None
        else {"seq": parting.seq, "cell_id": parting.cell_id, "names": sorted(parting.names)},
    )


def _why_missing(tracked: Tracked, found: Attempt, message: str) -> str | None:
    """Where a name went that the replay did not find."""
    match = _NAME_ERROR.search(message)
    if match is None:
        return None
    name = match[1]
    kept = set(found.made.material.kept)
    for index in range(tracked.target, -1, -1):
        event = tracked.events[index]
        if name not in event.bound and name not in _stores(found, index):
            continue
        if event.status != "ok":
            return f"{name} was bound by cell [{event.seq}], which raised: run it again, whole."
        if index not in kept:
            return f"{name} is bound by cell [{event.seq}], which was not kept: keep it."
    return f"No recorded cell binds {name}: it was left in the kernel by something else."


def _stores(found: Attempt, index: int) -> frozenset[str]:
    flows = found.made.cut.flows
    return flows[index].must_stores | flows[index].may_stores if index < len(flows) else frozenset()


def _plain(error: dict[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {key: error[key] for key in ("ename", "evalue", "cell", "line") if key in error}
