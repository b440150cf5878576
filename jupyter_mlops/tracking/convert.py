"""``python -P -m jupyter_mlops.tracking.convert``: builds models under a session's interpreter.

Each line of stdin is ``{"record", "blobs", "target"}``; each gets one line of stdout:
``{"class_name", "verified", "warnings", "format", "consent"}``, or
``{"error": MlopsError.to_dict()}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..journal import BlobStore, sign
from ..model.events import ModelRecord
from ..model.wiring import load_port
from .building import check_signature

__all__ = ["main"]


def main() -> None:
    """Answer requests until stdin ends."""
    # Unpickled code may print: what it writes to stdout goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        record = ModelRecord.from_dict(request["record"])
        blobs = BlobStore(Path(request["blobs"]).parent)
        data = blobs.get(str(record.blob))
        check_signature(record, data)
        example = None if record.example_blob is None else blobs.get(record.example_blob)
        build = load_port("model_builder")
        built = build(record, data, example, Path(request["target"]), sign=sign)
    except MlopsError as error:
        return {"error": error.to_dict()}
    except Exception as error:
        return {"error": MlopsError(f"{type(error).__name__}: {error}"[:400]).to_dict()}
    return {
        "class_name": built.class_name,
        "verified": built.verified,
        "warnings": list(built.warnings),
        "format": built.format,
        "consent": built.consent,
    }


if __name__ == "__main__":
    main()
