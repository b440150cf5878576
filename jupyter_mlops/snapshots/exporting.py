"""A version as a file that every tool reads: Parquet, CSV, Feather or NumPy's own."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ProjectError, UsageError
from ..journal.writer import sync_folder

if TYPE_CHECKING:
    from .store import SnapshotStore

__all__ = ["FORMATS", "export", "write_value"]

FORMATS = ("parquet", "csv", "feather", "npy", "npz")


def export(
    store: SnapshotStore,
    spec: str,
    path: Path | str,
    format: str | None = None,
    *,
    trust: bool = False,
) -> Path:
    """Write the version ``spec`` to ``path``, whole or not at all; return the path.

    ``format`` is one of ``FORMATS``; without it the path's ending says so.  A frame, series or
    table goes to Parquet, Feather or CSV, a NumPy array to ``npy``, a SciPy sparse one to ``npz``.
    ``trust`` loads pickled parts that somebody else's session wrote.  Raises ``UsageError`` where
    the format cannot hold the value (it names the column), ``NotFoundError``, ``CorruptError``,
    ``UntrustedError``, and ``ProjectError`` where the path cannot be written.
    """
    from .encoding import decode

    path = Path(path)
    chosen = format or path.suffix.lstrip(".").lower()
    chosen = {"pq": "parquet", "arrow": "feather", "ipc": "feather"}.get(chosen, chosen)
    if chosen not in FORMATS:
        raise UsageError(
            f"{path} names no format to export to",
            hint=f"Give one of {', '.join(FORMATS)}, as the file's ending or as the format.",
        )
    version = store.resolve(spec)
    value = decode(store.manifest(version.manifest).object, store.read, trust=trust)
    try:
        write_value(value, path, chosen)
    except UsageError as error:
        error.message = f"{version.name}@{version.version} cannot be exported: {error.message}"
        raise
    return path


def write_value(value: Any, path: Path, format: str) -> None:
    """Write a value in one of ``FORMATS``: beside the path first, then in its place."""
    writer = {
        "parquet": _parquet,
        "feather": _feather,
        "csv": _csv,
        "npy": _npy,
        "npz": _npz,
    }[format]
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        try:
            with aside.open("xb") as file:
                writer(value, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise ProjectError(
                f"{path} cannot be written: {error.strerror or error}",
                hint="Make room there or name another path; nothing was changed.",
            ) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _table(value: Any) -> Any:
    """An Arrow table that holds ``value``; ``UsageError`` where Arrow has no form for it."""
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return pa.table({"value": value})
    polars = sys.modules.get("polars")
    if polars is not None:
        if isinstance(value, polars.Series):
            value = value.to_frame(value.name or "value")
        if isinstance(value, polars.DataFrame):
            return value.to_arrow()
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.Series):
            value = value.to_frame("value" if value.name is None else value.name)
        if isinstance(value, pandas.DataFrame):
            return _of_pandas(value)
    raise _unfit(value, "a table")


def _of_pandas(frame: Any) -> Any:
    import pyarrow as pa

    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"two of its columns are named {twice[0]!r}, and this format tells columns by name",
            hint="Restore it, rename the columns and export that.",
            column=twice[0],
        )
    if frame.attrs:
        frame = frame.copy(deep=False)
        frame.attrs = {}  # Parquet keeps them as JSON only, which fails for most values.
    try:
        return pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        column = _culprit(frame)
        raise UsageError(
            f"column {column!r} has no form in Arrow: {error.args[0] if error.args else error}",
            hint="Export to CSV, or restore it and convert that column.",
            column=column,
        ) from error


def _culprit(frame: Any) -> Any:
    import pyarrow as pa

    for position, name in enumerate(frame.columns):
        try:
            pa.Table.from_pandas(frame.iloc[:, [position]], preserve_index=False)
        except Exception:
            return name
    return "(index)"


def _parquet(value: Any, file: Any) -> None:
    import pyarrow.parquet

    table = _table(value)
    _guard(lambda: pyarrow.parquet.write_table(table, file, compression="zstd"))


def _feather(value: Any, file: Any) -> None:
    import pyarrow.feather

    table = _table(value)
    _guard(lambda: pyarrow.feather.write_feather(table, file, compression="zstd"))


def _csv(value: Any, file: Any) -> None:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        plain = isinstance(value.index, pandas.RangeIndex) and value.index.name is None
        frame = value.to_frame() if isinstance(value, pandas.Series) else value
        try:
            frame.to_csv(file, index=not plain, encoding="utf-8")
        except UnicodeEncodeError as error:
            raise UsageError(f"it holds text that is not Unicode: {error}") from error
        return
    import pyarrow.csv

    table = _table(value)
    _guard(lambda: pyarrow.csv.write_csv(table, file))


def _npy(value: Any, file: Any) -> None:
    import numpy

    if not isinstance(value, numpy.ndarray):
        raise _unfit(value, "an array")
    if value.dtype.hasobject:
        raise UsageError("an array of objects is held by .npy as a pickle only")
    numpy.save(file, value, allow_pickle=False)


def _npz(value: Any, file: Any) -> None:
    sparse = sys.modules.get("scipy.sparse")
    if sparse is None or not sparse.issparse(value):
        raise _unfit(value, "a sparse matrix")
    try:
        sparse.save_npz(file, value)
    except (NotImplementedError, ValueError) as error:
        raise UsageError(f"SciPy has no file for its format {value.format!r}: {error}") from error


def _guard(write: Callable[[], Any]) -> None:
    import pyarrow as pa

    try:
        write()
    except (pa.ArrowException, NotImplementedError) as error:
        if isinstance(error, OSError):
            raise
        raise UsageError(
            f"this format cannot hold one of its types: {error}",
            hint="Choose another: Feather holds every type that Arrow has.",
        ) from error


def _unfit(value: Any, wanted: str) -> UsageError:
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__qualname__}"
    return UsageError(
        f"it is {kind}, not {wanted}",
        hint="Frames and tables go to parquet, feather or csv, arrays to npy, sparse ones to npz.",
    )
