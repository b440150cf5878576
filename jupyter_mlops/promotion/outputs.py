"""Digests of the files that steps write, for the formats that say what they hold.

The same reading makes them for the proof and when the pipeline is tested: what differs is the data,
not how they were read.  Model files have times in them and are compared by what they predict.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ..errors import Undigested
from ..snapshots import digest

__all__ = ["output_digests"]


def output_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """The digests of tables, arrays and JSON files, by name; what has none is left out."""
    found = {}
    for name, path in files.items():
        with contextlib.suppress(OSError, ValueError, Undigested, ImportError):
            made = _digest(path)
            if made is not None:
                found[name] = made
    return found


def _digest(path: Path) -> str | None:
    ending = path.suffix.lower()
    if ending == ".parquet":
        import pyarrow.parquet as parquet

        return digest(parquet.read_table(path)).id
    if ending == ".feather":
        from pyarrow import feather

        return digest(feather.read_table(path)).id
    if ending == ".npy":
        import numpy

        return digest(numpy.load(path, allow_pickle=False)).id
    if ending == ".json":
        text = json.dumps(json.loads(path.read_text(encoding="utf-8")), sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return None
