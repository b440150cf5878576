"""What a delivered run holds, written into MLflow with few calls and the same each time."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..model.events import EnvironmentRecord, FileRecord, RunRecord
from .mlflow_inputs import dataset_inputs
from .mlflow_reading import local_folder
from .mlflow_writing import batches, metric_points, metric_values, param_values, safe_file_name

__all__ = ["Theirs", "log_artifacts", "log_inputs", "log_tags", "log_values"]

_SOURCE_LENGTH = 8000  # characters of the cell that its tag holds


@dataclass(frozen=True, slots=True)
class Theirs:
    """What the person has logged into the run themselves: it stays as they have it."""

    params: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()


def log_values(
    client: Any, mlflow_id: str, run: RunRecord, theirs: Theirs = Theirs()
) -> Iterator[str]:
    """Log parameters, metrics, series and resources; yield warnings."""
    entities = import_module("mlflow.entities")
    params = [
        entities.Param(name, value)
        for name, value in param_values(run).items()
        if name not in theirs.params
    ]
    # The same moments and steps each time: MLflow then knows that it has the value already.
    metrics = [
        entities.Metric(name, value, moment, step)
        for name, value, moment, step in metric_points(run)
        if name not in theirs.metrics
    ]
    for part in batches(metrics, params, []):
        client.log_batch(mlflow_id, *part, synchronous=True)
    lost = len(run.metrics) - len(metric_values(run))
    if lost:
        yield f"run {run.name}: {lost} metrics are not numbers and were left out"


def log_tags(client: Any, mlflow_id: str, tags: dict[str, str]) -> None:
    """Set tags, in as few requests as MLflow's limits allow."""
    entities = import_module("mlflow.entities")
    for part in batches([], [], [entities.RunTag(k, v) for k, v in tags.items()]):
        client.log_batch(mlflow_id, *part, synchronous=True)


def log_inputs(client: Any, mlflow_id: str, run: RunRecord, *, full: bool) -> None:
    """Log what the run depends on; what is there already stays once."""
    found = dataset_inputs(run.inputs, full=full)
    for start in range(0, len(found), 100):
        client.log_inputs(mlflow_id, datasets=found[start : start + 100])


def log_artifacts(
    client: Any,
    info: Any,
    run: RunRecord,
    files: Collection[FileRecord],
    environment: EnvironmentRecord | None,
    read_blob: Callable[[str], bytes],
    *,
    full: bool,
) -> Iterator[str]:
    """Store files, the source, the environment and the whole record; yield warnings.

    ``info`` is MLflow's ``RunInfo``.  Without ``full`` only a source longer than its tag is stored.
    """
    if not full:
        if files:
            yield f"run {run.name}: its files were not stored: capture is minimal"
        if run.source is None or len(run.source) <= _SOURCE_LENGTH:
            return
    place = local_folder(info.artifact_uri)
    if place is not None:  # what MLflow itself would copy there
        yield from _fill(place, run, files, environment, read_blob, full=full)
        _sync(place, files if full else ())
        return
    with tempfile.TemporaryDirectory(prefix="mlops-run-") as temporary:
        yield from _fill(Path(temporary), run, files, environment, read_blob, full=full)
        client.log_artifacts(info.run_id, temporary)


def _fill(
    folder: Path,
    run: RunRecord,
    files: Collection[FileRecord],
    environment: EnvironmentRecord | None,
    read_blob: Callable[[str], bytes],
    *,
    full: bool,
) -> Iterator[str]:
    if run.source:
        _write(folder, "source.py", run.source.encode("utf-8", "backslashreplace"))
    if full:
        yield from _write_files(folder, run, files, read_blob)
        _write_records(folder, run, environment)


def _write_records(folder: Path, run: RunRecord, environment: EnvironmentRecord | None) -> None:
    record = run.to_dict()
    if environment is not None:
        record["environment_record"] = environment.to_dict()
        _write(folder, "environment/requirements.txt", environment.lock.encode())
        told = {k: v for k, v in environment.to_dict().items() if k != "lock"}
        _write(folder, "environment/environment.json", json.dumps(told, indent=1).encode())
    _write(folder, "mlops/run.json", json.dumps(record, separators=(",", ":")).encode())


def _write_files(
    folder: Path,
    run: RunRecord,
    files: Collection[FileRecord],
    read_blob: Callable[[str], bytes],
) -> Iterator[str]:
    for item in files:
        name = safe_file_name(item.name)
        if name is None or name == "mlops/run.json":
            yield f"run {run.name}: {item.name!r} cannot name a file of a run"
            continue
        if item.blob is None and item.text is None:
            continue  # the record says why
        try:
            data = read_blob(item.blob) if item.blob is not None else (item.text or "").encode()
            _write(folder, name, data)
        except (MlopsError, OSError) as error:
            yield f"run {run.name}: the file {item.name} was not stored: {error}"


def _write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _sync(place: Path, files: Collection[FileRecord]) -> None:
    """Make files durable whose spooled bytes are removed once the run is stored."""
    for item in files:
        name = safe_file_name(item.name)
        if item.blob is None or name is None:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(place / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
