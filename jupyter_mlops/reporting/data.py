"""What a run has read: digests, rows and columns of its sources."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..model.events import InputRecord
from ..snapshots import Undigested, digest_file, digest_folder
from .report import DataReport

__all__ = ["inputs_read", "sources_read"]

_TABLE_LIMIT = 500_000_000  # bytes of a text file that is read to count its rows


def sources_read(
    root: Path, proof: Mapping[str, Any], params: Mapping[str, Any]
) -> list[DataReport]:
    """The sources that a promoted pipeline's proof names, as they are now.

    ``params`` are the run's: a parameter that points to data says which file was read.  A file that
    is a snapshot's has that snapshot's name.  A source elsewhere (``https://...``) is only named.
    Files are named relative to the project's folder ``root``.
    """
    folder = root / Path(str(proof.get("notebook") or "")).parent
    found = []
    for entry in proof.get("sources") or ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("source"), str):
            continue
        source, parameter = entry["source"], entry.get("parameter")
        value = params.get(parameter) if parameter else None
        # A parameter's value is relative to the notebook, what the proof calls it to the project.
        place = value if value is None or "://" in str(value) else folder / str(value)
        address = source if place is None and "://" in source else place or root / source
        snapshot = entry.get("snapshot")
        found.append(_source(root, str(parameter or source), source, address, snapshot))
    return found


def inputs_read(records: Iterable[InputRecord]) -> list[DataReport]:
    """What tracked cells have read, as their runs recorded it: one entry a source."""
    found: dict[str, DataReport] = {}
    for record in records:
        name = record.source or record.name
        if name in found and found[name].columns is not None:
            continue
        found[name] = DataReport(
            name, name, record.digest, record.snapshot, record.rows, record.schema or None,
            record.size or None,
        )  # fmt: skip
    return list(found.values())


def _source(
    root: Path, name: str, source: str, address: str | Path, snapshot: str | None
) -> DataReport:
    if isinstance(address, str):
        return DataReport(name, address)
    path = Path(os.path.normpath(address))
    pinned = path.is_relative_to(root / ".mlops")
    inside = path.is_relative_to(root) and not pinned
    shown = path.relative_to(root).as_posix() if inside else source if pinned else str(path)
    digest, size = None, None
    kept = snapshot if pinned else None
    try:
        if path.is_dir():
            digest = digest_folder(path).id
        else:
            digest, size = digest_file(path).id, path.stat().st_size
    except (OSError, Undigested):
        return DataReport(name, shown, snapshot=kept)
    rows, columns = _table(path, size or 0)
    return DataReport(name, shown, digest, kept, rows, columns, size)


def _table(path: Path, size: int) -> tuple[int | None, dict[str, str] | None]:
    """Rows and columns of a table, for the files that say what they are by their name."""
    ending = path.suffix.lower()
    try:
        if ending in (".parquet", ".pq"):
            import pyarrow.parquet as parquet

            file = parquet.ParquetFile(path)
            schema = file.schema_arrow
            return file.metadata.num_rows, {f.name: str(f.type) for f in schema}
        if ending in (".csv", ".tsv") and size <= _TABLE_LIMIT:
            from pyarrow import csv

            options = csv.ParseOptions(delimiter="\t" if ending == ".tsv" else ",")
            table = csv.read_csv(path, parse_options=options)
            return table.num_rows, {f.name: str(f.type) for f in table.schema}
    except (ImportError, OSError, ValueError):  # Arrow's own errors are of these kinds
        pass
    return None, None
