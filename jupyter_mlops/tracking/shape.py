"""A run's details as plain data: what ``--json`` prints and the REST API answers."""

from __future__ import annotations

from typing import Any

from ..capture.card import file_row
from ..model.events import FileRecord
from .comparison import thinned
from .details import RunDetails

__all__ = ["details_dict"]

_TEXT = 20_000  # characters of one file's text; the whole is in the file


def details_dict(details: RunDetails) -> dict[str, Any]:
    """What is known of a run beyond its summary.

    Series are thinned to a few hundred points, texts cut to 20,000 characters; of the environment
    the lock is left to ``runs export``.  Numbers may be NaN or infinite.
    """
    record, known = details.record, details.environment
    return {
        "origin": details.origin,
        "complete": details.complete,
        "problem": details.problem,
        "source": record.source,
        "cell_id": record.cell_id,
        "error": record.error,
        "hyperparameters": record.hyperparameters,
        "series": {name: thinned(points) for name, points in record.series.items()},
        "inputs": [_without_type(item.to_dict()) for item in record.inputs],
        "files": [_file(item) for item in record.files],
        "environment": None
        if known is None
        else {
            "digest": known.digest,
            "python": known.python,
            "platform": known.platform,
            "packages": known.packages,
            "hardware": known.hardware,
        },
        "git": {
            "commit": record.git_commit,
            "branch": record.git_branch,
            "dirty": record.git_dirty,
        },
        "modules": record.modules,
        "seeds": record.seeds,
        "resources": record.resources,
        "left_out": record.left_out,
        "tags": details.tags,
    }


def _file(item: FileRecord) -> dict[str, Any]:
    return file_row(item) | {"text": None if item.text is None else item.text[:_TEXT]}


def _without_type(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "type"}
