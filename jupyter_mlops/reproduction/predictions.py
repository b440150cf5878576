"""The predictions of two models on one input example.

``python -m jupyter_mlops.reproduction.predictions ROOT STATE RUN ROOT STATE RUN`` prints those of
two projects compared, as JSON: models are loaded where their libraries are those that made them.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..config import load_config
from ..errors import MlopsError, UntrustedError
from ..journal import BlobStore, verify
from ..model.events import ModelRecord
from ..model.wiring import load_port
from ..project import Project
from ..tracking import Run, run_details
from .verdict import ComparedModel

__all__ = ["compare_models", "compare_models_under"]

_LIMIT = 600.0  # Seconds for loading and predicting.


def compare_models_under(
    python: Path, project: Project, run: str, scratch: Project, repeated: str, names: list[str]
) -> tuple[ComparedModel, ...]:
    """``compare_models`` in a process of the interpreter ``python``; ``names`` are the models."""
    if not names:
        return ()
    sides = [project.root, project.state, run, scratch.root, scratch.state, repeated]
    command = [str(python), "-m", __name__, *map(str, sides)]
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    if Path(python) == Path(sys.executable):
        env = dict(os.environ)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT, check=True, env=env
        )
        rows = json.loads(done.stdout.strip().rpartition("\n")[2])["models"]
        return tuple(ComparedModel(**row) for row in rows)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "").strip().rpartition("\n")[2] or f"code {error.returncode}"
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    return tuple(ComparedModel(name, "unproven", reason=reason[:300]) for name in names)


def compare_models(tracked: Run, repeated: Run, scratch: Project) -> tuple[ComparedModel, ...]:
    """Let each model of ``tracked`` and its repetition predict on the repetition's input example.

    What cannot be loaded or does not predict is ``unproven`` with the reason: never an error.
    """
    found = []
    for record in tracked.details.record.models:
        try:
            found.append(_compare(record, tracked, repeated, scratch))
        except MlopsError as error:
            found.append(ComparedModel(record.name, "unproven", reason=error.message))
        except Exception as error:  # a library's own, from foreign bytes or a foreign version
            reason = f"{type(error).__name__}: {error}"[:300]
            found.append(ComparedModel(record.name, "unproven", reason=reason))
    return tuple(found)


def _compare(record: ModelRecord, tracked: Run, repeated: Run, scratch: Project) -> ComparedModel:
    other = next((m for m in repeated.details.record.models if m.name == record.name), None)
    if other is None:
        return ComparedModel(record.name, "differs", reason="the repeated run has no such model")
    if other.class_name != record.class_name:
        reason = f"a {record.class_name} then, a {other.class_name} now"
        return ComparedModel(record.name, "differs", reason=reason)
    if record.blob is not None and record.blob == other.blob:
        return ComparedModel(record.name, "equal", 0.0)
    if other.blob is None:
        return ComparedModel(record.name, "unproven", reason=other.reason or "it was not kept")
    data = BlobStore(scratch.journal).get(other.blob)
    if not verify(data, other.signature):
        raise UntrustedError("the repeated model is not signed by this user")
    new, example = load_port("codec")().load_record(other, data)
    if example is None:
        return ComparedModel(record.name, "unproven", reason="there is no input example")
    old = tracked.model(record.name)
    apart = _apart(old.predict(example), new.predict(example))
    if apart == 0.0:
        return ComparedModel(record.name, "equal", 0.0)
    reason = "its predictions on the input example differ"
    return ComparedModel(record.name, "differs", apart, reason)


def _apart(a: Any, b: Any) -> float:
    """The largest absolute difference; infinite where shapes, labels or missing values differ."""
    import numpy as np

    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return math.inf
    if a.dtype.kind in "fciub" and b.dtype.kind in "fciub":
        if a.size == 0 or np.array_equal(a, b, equal_nan=True):
            return 0.0
        gaps = np.abs(a.astype(float) - b.astype(float))
        return float(gaps.max()) if np.isfinite(gaps).all() else math.inf
    return 0.0 if bool((a == b).all()) else math.inf


def _main(*places: str) -> None:
    project, scratch = (Project(Path(places[i]), Path(places[i + 1])) for i in (0, 3))
    sides = []
    for where, run in ((project, places[2]), (scratch, places[5])):
        config = load_config(where.root)
        sides.append(Run(where, config, run_details(where, config, run)))
    found = compare_models(sides[0], sides[1], scratch)
    print("\n" + json.dumps({"models": [asdict(m) for m in found]}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
