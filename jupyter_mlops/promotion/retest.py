"""Whether a promoted pipeline still gives what its proof says."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..journal import list_sessions, read_session
from ..model.events import ModelRecord, RunRecord
from ..project import Project
from ..tracking import find_run
from .install import PROOF_FILE, digest
from .judging import judge
from .models import ModelComparison, compare_models
from .outputs import output_digests
from .replay import Difference, Replay

__all__ = ["Retest", "RunResult", "read_proof", "retest"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run of a pipeline gave: ``outputs`` are the files it wrote, as ``step.parameter``.

    ``error`` is set where a repeated run failed.
    """

    metrics: Mapping[str, float]
    outputs: Mapping[str, Path] = field(default_factory=dict)
    model: Path | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Retest:
    """``verdict`` is ``equal``, ``within_tolerance``, ``differs`` or ``unproven``.

    ``reasons`` are sentences: what differs, what could not be compared, and what has changed since
    the proof was made; ``runs`` is how many runs it took, ``metrics`` what each of them gave.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    metrics: tuple[dict[str, float], ...] = ()
    model: dict[str, Any] | None = None
    runs: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "metrics": list(self.metrics),
            "model": self.model,
            "runs": self.runs,
        }


def read_proof(folder: Path) -> dict[str, Any] | None:
    """The proof of the pipeline in a folder; ``None`` where it has none that can be read."""
    try:
        data = json.loads((folder / PROOF_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and data.get("verdict") else None


def retest(
    project: Project,
    folder: Path,
    proof: Mapping[str, Any] | None,
    first: RunResult,
    again: Callable[[], RunResult],
    *,
    rtol: float = 0.0,
) -> Retest:
    """Compare a run that finished with the proof of its pipeline.

    A metric is the same when it is exactly that, within the tolerance that the proof has learned,
    or no further away than ``rtol`` of its value.  Where something differs, ``again`` runs the
    pipeline twice more: what differs between these runs as well is random, and is judged as it was
    when the pipeline was promoted.  Files that are handed over are compared by digest (not with an
    ``rtol``: another machine rounds otherwise), the model by its predictions where the tracked one
    can be read from here.
    """
    if proof is None:
        return Retest("unproven", ("it has no proof.json to compare with",))
    changed = _changed(folder, proof)
    if proof["verdict"] == "unproven":
        reason = str(proof.get("reason") or "no reason is given")
        return Retest("unproven", (f"its proof says nothing: {reason}", *changed))
    tracked, known = _metrics(proof), dict(proof.get("outputs") or {})
    truth = {} if rtol else {name: {"digest": value} for name, value in known.items()}
    runs: list[RunResult] = [first]
    compared: list[ModelComparison] = []
    accepted: set[str] = set()

    def replay(result: RunResult) -> Replay:
        metrics = dict(result.metrics)
        for name, value in tracked.items():
            if name in metrics and _accepted(proof, name, value, metrics[name], rtol):
                accepted.update({name} if metrics[name] != value else ())
                metrics[name] = value
        digests = output_digests({n: result.outputs[n] for n in truth if n in result.outputs})
        values = {name: {"digest": made, "type": "file"} for name, made in digests.items()}
        return Replay(metrics, values, model=result.model, error=result.error)

    def once_more() -> Replay:
        runs.append(again())
        return replay(runs[-1])

    judgement = judge(
        tracked,
        truth,
        replay(first),
        once_more,
        lambda one: _compare_model(project, proof, folder, one, compared),
    )
    verdict = judgement.verdict
    if verdict == "equal" and accepted:
        verdict = "within_tolerance"
    reasons = [_said(difference) for difference in judgement.differences]
    reasons += [judgement.reason] if judgement.reason else []
    if judgement.replay.error is not None and verdict == "differs":
        error = judgement.replay.error
        reasons.append(f"a repeated run failed: {error.get('ename')}: {error.get('evalue')}")
    reasons += [f"the model was not compared: {c['reason']}" for c in compared[:1] if "reason" in c]
    if verdict != "equal":
        reasons += changed
    model = dict(compared[0]) if compared else None
    metrics = tuple(dict(run.metrics) for run in runs)
    return Retest(verdict, tuple(reasons), metrics, model, len(runs))


def _metrics(proof: Mapping[str, Any]) -> dict[str, float]:
    """What the metrics were when the pipeline was promoted: the run's own, as far as the pipeline
    gives them (one that was promoted for a variable may not)."""
    return {
        str(name): float(value["tracked"])
        for name, value in (proof.get("metrics") or {}).items()
        if isinstance(value, Mapping)
        and isinstance(value.get("tracked"), (int, float))
        and value.get("replayed") is not None
    }


def _accepted(
    proof: Mapping[str, Any], name: str, tracked: float, value: float, rtol: float
) -> bool:
    learned = (proof.get("tolerance") or {}).get(name)
    if isinstance(learned, Mapping) and learned["low"] <= value <= learned["high"]:
        return True
    return bool(rtol) and math.isclose(tracked, value, rel_tol=rtol)


def _changed(folder: Path, proof: Mapping[str, Any]) -> list[str]:
    """Which files are not those that the proof was made with."""
    known = proof.get("files") or {}
    edited = [
        name
        for name, made in known.items()
        if (folder / name).is_file() and digest(folder / name) != made
    ]
    edited += [f"{name} (gone)" for name in known if not (folder / name).is_file()]
    return [f"changed since the proof was made: {', '.join(sorted(edited))}"] if edited else []


def _said(difference: Difference) -> str:
    if difference.what == "value":
        return f"the output {difference.metric} is not what it was"
    return str(difference).replace("replayed", "now")


def _compare_model(
    project: Project,
    proof: Mapping[str, Any],
    folder: Path,
    result: Replay,
    compared: list[ModelComparison],
) -> Difference | None:
    if result.model is None or not result.model.is_file() or not proof.get("model"):
        return None
    run_id = str(proof.get("run_id") or "")
    record = _model_record(project, run_id)
    if record is None:
        compared.append(ModelComparison(reason="the tracked run's model is not on this machine"))
        return None
    with tempfile.TemporaryDirectory(prefix="mlops-test-") as scratch:
        found = compare_models(project, record, result.model, None, Path(scratch), folder, run_id)
    compared.append(found)
    if found.get("equal", True):
        return None
    much = f", by up to {found['largest']:.3g}" if "largest" in found else ""
    return Difference(
        record.name, None, f"{found['different']} of {found['rows']} rows{much}", "model"
    )


def _model_record(project: Project, run_id: str) -> ModelRecord | None:
    """The model of the tracked run, as this machine's journal or the tracking store knows it."""
    if not run_id or not project.exists:
        return None
    for path in list_sessions(project.journal):
        for run in read_session(path).runs:
            if run.run_id == run_id:
                return _chosen(run)
    try:
        models = find_run(project, run_id).models
    except MlopsError:
        return None
    names = [str(model["name"]) for model in models if model.get("name")]
    return ModelRecord(names[0], "") if len(names) == 1 else None


def _chosen(run: RunRecord) -> ModelRecord | None:
    kept = [model for model in run.models if model.blob is not None]
    wanted = [model for model in kept if model.name == run.register_model]
    return next(iter((wanted or kept)[-1:]), None)
