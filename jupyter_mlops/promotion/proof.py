"""``proof.json``: what was replayed, with what, and what it gave."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..project import Project
from .environment import ReplayEnvironment
from .install import PROOF_FILE, digest
from .judging import Judgement
from .models import ModelComparison
from .outputs import output_digests
from .plan import PlannedFile
from .planning import Design

__all__ = ["make_proof", "write_proof"]


def make_proof(
    project: Project,
    made: Design,
    judgement: Judgement,
    *,
    verdict: str,
    reason: str | None,
    against: str,
    widened: str | None,
    truth: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, float],
    model: ModelComparison | None,
    environment: ReplayEnvironment,
    files: Sequence[PlannedFile],
    pinned: bool,
    edited: Sequence[str],
) -> dict[str, Any]:
    """Return the proof, but for the digests of the files.

    ``verdict`` is ``equal``, ``within_tolerance`` or ``unproven`` with its ``reason``; ``against``
    says what the replay was compared with; ``edited`` names files with edits of the person's in
    them.  No path of this machine is in it.
    """
    tracked = made.material.tracked
    replay = judgement.replay
    kept = made.material.kept
    proof: dict[str, Any] = {
        "version": 1,
        "verdict": verdict,
        "against": against,
        "run_id": tracked.run_id,
        "notebook": project.relative(tracked.notebook),
        "git_commit": None if tracked.run is None else tracked.run.git_commit,
        "targets": list(tracked.targets),
        "metrics": {
            name: {"tracked": value, "replayed": replay.metrics.get(name)}
            for name, value in metrics.items()
        },
        "values": {
            name: {"tracked": known.get("digest"), "replayed": _digest(replay.values, name)}
            for name, known in truth.items()
            if name in tracked.targets
        },
        "cells": {
            "kept": [tracked.events[i].seq for i in kept],
            "dropped": [
                e.seq
                for i, e in enumerate(tracked.events[: tracked.target + 1])
                if i not in kept
            ],
        },
        "steps": [draft.name for draft in made.layout.drafts],
        "widened": widened is not None,
        "replays": judgement.replays,
        "data": "pinned" if pinned else "source",
        "snapshots": sorted({f.snapshot for f in files if f.snapshot is not None}),
        "sources": [
            {
                "source": f.source, "parameter": f.parameter, "digest": f.digest,
                "snapshot": f.snapshot, "exact": f.exact,
            }
            for f in files
        ],
        "environment": _environment(made, environment),
        "replayed_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "replay_seconds": round(replay.seconds, 3),
    }  # fmt: skip
    for key, value in (
        ("reason", reason),
        ("widened_because", widened),
        ("model", None if model is None else dict(model)),
        ("tolerance", judgement.tolerance or None),
        ("outputs", _outputs(judgement, edited)),
        ("edited", list(edited) or None),
    ):
        if value is not None:
            proof[key] = value
    return proof


def write_proof(proof: dict[str, Any], folder: Path, generated: Mapping[str, str]) -> None:
    """Write the proof beside the files it is of, with their digests and those of what was made."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    proof["files"] = {p.name: digest(p) for p in files if p.name != PROOF_FILE}
    proof["generated"] = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(generated.items())
    }
    (folder / PROOF_FILE).write_text(json.dumps(proof, indent=2) + "\n", encoding="utf-8")


def _digest(values: Mapping[str, Mapping[str, Any]], name: str) -> Any:
    return values.get(name, {}).get("digest")


def _outputs(judgement: Judgement, edited: Sequence[str]) -> dict[str, str] | None:
    """Digests of what the steps wrote, without the metrics; ``None`` where they may be others."""
    if judgement.random or edited:
        return None
    files = judgement.replay.files.items()
    return output_digests({n: path for n, path in files if path.name != "metrics.json"}) or None


def _environment(made: Design, environment: ReplayEnvironment) -> dict[str, Any]:
    tracked = made.material.tracked
    run = tracked.run
    found = {
        "tracked": None if run is None else run.environment,
        "python": tracked.python,
        "replayed_python": environment.python,
        "packages": environment.packages,
    }
    lines = [f"{name}=={version}" for name, version in sorted(environment.packages.items())]
    text = "\n".join([f"python=={environment.python}", *lines])
    found["digest"] = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return found
