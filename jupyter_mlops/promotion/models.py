"""Whether a replayed model predicts what the tracked one did, on the recorded rows of input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..config import load_config
from ..errors import MlopsError, NotFoundError
from ..journal import BlobStore, verify
from ..model.events import ModelRecord
from ..project import Project
from ..tracking import find_run, open_backend

__all__ = ["ModelComparison", "compare_models"]

# Run by the replay's own interpreter: a pickle of the session loads only where it was written.
_COMPARE = r"""
import json, pickle, sys
import numpy, skops.io
tracked, form, replayed = sys.argv[1:4]
if form == "folder":
    import os, pathlib
    import yaml
    from jupyter_mlops.registry import load_folder
    model = load_folder(pathlib.Path(tracked))
    with open(os.path.join(tracked, "MLmodel")) as file:
        about = yaml.safe_load(file).get("saved_input_example_info") or {}
    example = None
    if about:
        with open(os.path.join(tracked, about["artifact_path"])) as file:
            rows = json.load(file)
        if about.get("type") == "dataframe":
            import pandas
            example = pandas.DataFrame(rows["data"], columns=rows.get("columns"))
        else:
            example = numpy.asarray(rows["inputs"] if isinstance(rows, dict) else rows)
elif form == "skops":
    model = skops.io.load(tracked, trusted=skops.io.get_untrusted_types(file=tracked))
    example = None
else:
    with open(tracked, "rb") as file:
        content = pickle.load(file)
    model, example = content["model"], content.get("example")
if example is None and len(sys.argv) > 4:
    if sys.argv[4].endswith(".npy"):
        example = numpy.load(sys.argv[4], allow_pickle=False)
    else:
        import pandas
        example = pandas.read_parquet(sys.argv[4])
if example is None:
    print(json.dumps({"reason": "no rows of its input were kept"})); sys.exit()
other = skops.io.load(replayed, trusted=skops.io.get_untrusted_types(file=replayed))
name = "predict" if hasattr(model, "predict") else "transform"
a, b = getattr(model, name)(example), getattr(other, name)(example)
a, b = (numpy.asarray(x.toarray() if hasattr(x, "toarray") else x) for x in (a, b))
same = a.shape == b.shape and (a == b) | ((a != a) & (b != b))
equal = bool(numpy.all(same))
found = {"rows": len(a), "equal": equal}
if not equal:
    found["different"] = int(numpy.sum(~same)) if a.shape == b.shape else len(a)
    if a.shape == b.shape and a.dtype.kind in "fiu" and b.dtype.kind in "fiu":
        found["largest"] = float(numpy.max(numpy.abs(a.astype(float) - b.astype(float))))
print(json.dumps(found))
"""


class ModelComparison(dict[str, Any]):
    """``{"rows", "equal"}``, with ``different`` and ``largest`` where it is not; or ``reason``."""


def compare_models(
    project: Project,
    record: ModelRecord,
    replayed: Path,
    interpreter: str | None,
    scratch: Path,
    folder: Path,
    run_id: str,
) -> ModelComparison:
    """Let both models predict on the recorded example.

    The tracked one comes from the journal, or, once ``run_id`` is delivered, from MLflow's store.
    The signature of a pickle is verified first: only what this user's own session wrote is loaded.
    ``folder`` is where the notebook ran.  Never raises: where nothing can be compared, the
    ``reason`` says why.
    """
    try:
        data = BlobStore(project.journal).get(record.blob or "")
        if record.format != "skops" and not verify(data, record.signature):
            return ModelComparison(reason="it was not written by this user's own session")
        kept = scratch / "tracked-model"
        kept.write_bytes(data)
        words = [str(kept), record.format, str(replayed)]
        if record.example_blob is not None and record.example_format in ("npy", "parquet"):
            example = scratch / f"tracked-example.{record.example_format}"
            example.write_bytes(BlobStore(project.journal).get(record.example_blob))
            words.append(str(example))
    except (OSError, MlopsError, LookupError):
        try:
            words = [str(_delivered(project, run_id, record.name)), "folder", str(replayed)]
        except (OSError, MlopsError, ImportError) as error:
            return ModelComparison(reason=f"it cannot be read again: {error}")
        interpreter = None  # Only this one is known to have our own loader.
    try:
        result = subprocess.run(
            [interpreter or sys.executable, "-c", _COMPARE, *words],
            capture_output=True, text=True, timeout=300, check=True, cwd=folder,
        )  # fmt: skip
        return ModelComparison(json.loads(result.stdout.strip().splitlines()[-1]))
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        return ModelComparison(reason=f"it cannot be loaded again: {last[:200]}")
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return ModelComparison(reason=f"it cannot be compared: {error}")


def _delivered(project: Project, run_id: str, model: str) -> Path:
    """The folder of a run's model as MLflow keeps it; ``NotFoundError`` where it does not."""
    config = load_config(project.root)
    run = find_run(project, run_id)
    if run.mlflow_run_id is None:
        raise NotFoundError(f"run {run.name} has not been delivered, and its model was not kept")
    backend = open_backend(project, config)
    backend.check(config.delivery_timeout)
    target = project.state / "models" / "runs"
    return backend.download_run_model(run.mlflow_run_id, model, target)
