"""Fitted models as signed pickles in the blob store, until delivery has made them skops files."""

from __future__ import annotations

import io
import pickle
import types
from typing import Any

from ..journal import BlobStore, sign
from ..model.events import ModelRecord
from .estimators import Found

__all__ = ["left_out", "spool"]

_EXAMPLE_LIMIT = 1024 * 1024  # Bytes; five rows larger than this are no example.


class _TooLarge(Exception):
    pass


class _OfTheNotebook(Exception):
    pass


def left_out(found: Found, reason: str) -> ModelRecord:
    """The record of a model whose bytes are not kept, and why."""
    return ModelRecord(name=found.name, class_name=type(found.model).__name__, reason=reason)


def spool(
    found: Found, example_name: str | None, example: Any, blobs: BlobStore, limit: int
) -> ModelRecord:
    """Pickle a model with its example, sign it, store it; return its record.

    Protocol 5, by cloudpickle where a class or function of the notebook itself is inside.  A model
    that is larger than ``limit`` bytes or that cannot be pickled gives a record without a blob
    that says so.  Raises ``OSError`` when the blob cannot be written.
    """
    if example is not None and not _is_small(example):
        example_name = example = None
    try:
        data, form = _dump({"model": found.model, "example": example}, limit)
    except _TooLarge:
        return left_out(found, f"larger than the limit of {limit:,} bytes (model-size-limit)")
    except Exception as error:
        return left_out(found, f"cannot be pickled: {type(error).__name__}: {error}"[:300])
    return ModelRecord(
        name=found.name,
        class_name=type(found.model).__name__,
        blob=blobs.put(data),
        format=form,
        signature=sign(data),
        size=len(data),
        example_name=example_name,
        example_format=_table_format(example),
    )


def _table_format(example: Any) -> str | None:
    """The format in which a pipeline step can hand such an example over, if there is one."""
    if hasattr(example, "to_parquet") and hasattr(example, "columns"):
        return "parquet" if all(isinstance(name, str) for name in example.columns) else None
    array = type(example).__module__ == "numpy" and not example.dtype.hasobject
    return "npy" if array else None


def _dump(value: Any, limit: int) -> tuple[memoryview, str]:
    buffer = _Limited(limit)
    try:
        _Pickler(buffer, protocol=5).dump(value)
        return buffer.getbuffer(), "pickle5"
    except _OfTheNotebook:
        import cloudpickle

        buffer = _Limited(limit)
        cloudpickle.Pickler(buffer, protocol=5).dump(value)
        return buffer.getbuffer(), "cloudpickle"


def _is_small(example: Any) -> bool:
    try:
        _dump(example, _EXAMPLE_LIMIT)
    except Exception:
        return False
    return True


class _Limited(io.BytesIO):
    """A buffer that refuses to grow beyond a limit: a huge model is given up early."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + memoryview(data).nbytes > self._limit:
            raise _TooLarge
        return super().write(data)


class _Pickler(pickle.Pickler):
    """Notices what only this notebook's ``__main__`` could load again."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == "__main__":
            raise _OfTheNotebook
        return NotImplemented
