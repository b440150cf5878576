"""The snapshots that a pipeline names: what a machine must have to run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import PipelineError
from ..model.pipeline import Pipeline
from ..snapshots.addressed import addresses_in

__all__ = ["named_snapshots"]

_PROOF = "proof.json"


def named_snapshots(pipeline: Pipeline) -> list[str]:
    """Addresses and specs of the snapshots that a pipeline names, each once.

    Those are the ``snapshot://`` defaults of its parameters, the ``snapshots`` of its proof, and
    those that keep the proof's ``sources``.  Raises ``PipelineError`` for a proof that is no JSON.
    """
    found = list(addresses_in([parameter.default for parameter in pipeline.parameters]))
    proof = _proof(Path(pipeline.folder) / _PROOF)
    listed = proof.get("snapshots")
    found += [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    sources = proof.get("sources")
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict) and isinstance(source.get("snapshot"), str):
            found.append(source["snapshot"])
    return list(dict.fromkeys(found))


def _proof(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"{path} cannot be read: {error}", hint="Restore it from git, or promote again."
        ) from error
    return data if isinstance(data, dict) else {}
