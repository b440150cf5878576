"""Runs that exist before they are delivered: made while their cell ran, for the person's own calls.

What the person has logged under a name stays theirs.  Which names those are is written down before
anything of ours is added, so that a delivery that was interrupted knows its own values again.
"""

from __future__ import annotations

import json
from typing import Any

from ..model.events import RunRecord
from .mlflow_content import Theirs, log_tags
from .mlflow_writing import ADOPTED, DELIVERED, metric_points, param_values, run_tags

__all__ = ["KEPT", "claim", "is_complete"]

_LOGGED = "mlops.logged"  # {"params": [...], "metrics": [...]}: what was there before us
_TAG_LENGTH = 8000
# Tags by which a delivery knows its own state: nothing that came later may change them.
KEPT = frozenset({ADOPTED, DELIVERED, _LOGGED})


def is_complete(found: Any) -> bool:
    """Whether an MLflow run has everything that its delivery gives it."""
    if ADOPTED in found.data.tags:
        return DELIVERED in found.data.tags
    return bool(found.info.status != "RUNNING")


def claim(client: Any, found: Any, run: RunRecord, *, full: bool) -> Theirs:
    """Take over a run that the person may have logged into; return what is theirs.

    A run of our own making has nothing of theirs, and its tags already.
    """
    before = found.data.tags
    if ADOPTED not in before:
        return Theirs()
    if _LOGGED in before:
        return _theirs(found, before[_LOGGED])
    params = sorted({*param_values(run)} & {*found.data.params})
    metrics = sorted({name for name, *_ in metric_points(run)} & {*found.data.metrics})
    text = json.dumps({"params": params, "metrics": metrics})
    if len(text) > _TAG_LENGTH:
        text = "*"
    tags = {
        name: value
        for name, value in run_tags(run, full=full).items()
        if name not in KEPT and (name.startswith("mlops.") or name not in before)
    }
    log_tags(client, found.info.run_id, tags | {_LOGGED: text})
    return _theirs(found, text)


def _theirs(found: Any, text: str) -> Theirs:
    if text == "*":  # too many to be named: all that is there
        return Theirs(frozenset(found.data.params), frozenset(found.data.metrics))
    names = json.loads(text)
    return Theirs(frozenset(names["params"]), frozenset(names["metrics"]))
